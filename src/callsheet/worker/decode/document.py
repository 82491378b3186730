"""Reads PDF documents: how many pages, and a picture of the first."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import pypdfium2
import pypdfium2.raw
from PIL import Image

from callsheet.media.facts import MediaFacts, MediaLimits
from callsheet.media.faults import encrypted, undecodable, unsupported
from callsheet.media.kinds import Kind
from callsheet.worker.decode.source import Source

_SIDE_LIMIT_PT: Final = 14_400.0
_NEEDS_PASSWORD: Final = pypdfium2.raw.FPDF_ERR_PASSWORD


@contextmanager
def opened_document(source: Source, limits: MediaLimits) -> Generator[pypdfium2.PdfDocument]:
    """Open a document and check the number of its pages.

    Raises:
        MediaFaultError: It cannot be read, needs a password, or has no or too many pages.
    """
    with document_errors():
        document = pypdfium2.PdfDocument(source.stream())
        try:
            if not 1 <= len(document) <= limits.pages:
                raise unsupported(f"it has {len(document)} pages; 1 to {limits.pages:,} are read")
            yield document
        finally:
            document.close()


@contextmanager
def document_errors() -> Generator[None]:
    """Turn the reader's errors into faults."""
    try:
        yield
    except pypdfium2.PdfiumError as error:
        if error.err_code == _NEEDS_PASSWORD:
            raise encrypted("the document needs a password") from error
        raise undecodable(f"the document is damaged ({str(error)[:200]})") from error


def document_facts(document: pypdfium2.PdfDocument) -> MediaFacts:
    """Return the facts of an open document; a page's size is in points of 1/72 inch.

    No page is opened for it: what is drawn on it may inflate without end.
    """
    with document_errors():
        width, height = document.get_page_size(0)
    return MediaFacts(
        kind=Kind.DOCUMENT,
        format="PDF",
        pages=len(document),
        extra={"pageWidthPt": round(width, 2), "pageHeightPt": round(height, 2)},
    )


def page_size(document: pypdfium2.PdfDocument, number: int = 0) -> tuple[int, int]:
    """Return the size of a page, upright, in whole points.

    Raises:
        MediaFaultError: The page is larger than PDF allows, or has no area.
    """
    with document_errors():
        width, height = document.get_page_size(number)
    if not (0 < width <= _SIDE_LIMIT_PT and 0 < height <= _SIDE_LIMIT_PT):
        raise unsupported(f"page {number + 1} measures {width:.0f}x{height:.0f} points")
    return max(1, round(width)), max(1, round(height))


def render_page(document: pypdfium2.PdfDocument, longest_px: int, number: int = 0) -> Image.Image:
    """Return a picture of a page on white, *longest_px* on its longer side.

    Raises:
        MediaFaultError: The page cannot be drawn.
    """
    width, height = page_size(document, number)
    with document_errors():
        page = document[number]
        try:
            bitmap = page.render(scale=longest_px / max(width, height), rev_byteorder=True)
            return bitmap.to_pil().convert("RGB")
        finally:
            page.close()
