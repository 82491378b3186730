"""Says what a file is, mostly from headers; decodes as little as the answer needs."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from callsheet.media import faults, kinds
from callsheet.media.facts import MediaFacts, MediaLimits
from callsheet.media.faults import MediaFaultError
from callsheet.media.kinds import Family
from callsheet.media.wholeness import check_wholeness
from callsheet.worker.decode import container, document, still
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import ProbeArguments, Probed
from callsheet.worker.sandbox.work import Answer

_PLAYLISTS: Final = (
    (b"ffconcat", "an ffconcat playlist"),
    (b"#EXTM3U", "an M3U playlist"),
    (b"[playlist]", "a PLS playlist"),
    (b"<svg", "an SVG drawing"),
    (b"<MPD", "a DASH manifest"),
    (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
)
_TEXT_BYTES: Final = bytes({*range(0x20, 0x7F), 0x09, 0x0A, 0x0D, 0x0C, 0x1B})


def probe(arguments: ProbeArguments, descriptors: Sequence[int]) -> Answer[Probed]:
    """Say what the file behind the first descriptor is."""
    source = Source(descriptors[0])
    family = kinds.sniff(source.head)
    if family is None and not arguments.name_promises_media:
        return Answer(value=Probed(identity=""))
    try:
        facts = facts_of(source, family, arguments.limits)
    except MediaFaultError as error:
        return Answer(value=Probed(identity=source.identity(), fault=error.fault))
    return Answer(value=Probed(identity=source.identity(), facts=facts))


def facts_of(source: Source, family: Family | None, limits: MediaLimits) -> MediaFacts:
    """Return what the file is.

    Raises:
        MediaFaultError: It cannot be used; says why.
    """
    check_readable(source, family)
    if family is not None and family in kinds.PICTURES:
        with still.opened_picture(source, family, limits) as image:
            return still.picture_facts(image, family, limits)
    if family is Family.PDF:
        with document.opened_document(source, limits) as opened:
            return document.document_facts(opened)
    with container.opened(source, family, limits) as media:
        container.check_tail(source, media)
        if family is None:
            _prove_by_decoding(media)
        return container.container_facts(source, media)


def check_readable(source: Source, family: Family | None) -> None:
    """Refuse what is empty, text, or cut off, before any decoder sees it.

    Raises:
        MediaFaultError: It is one of these.
    """
    if source.size_bytes == 0:
        raise faults.empty()
    if family is None:
        _refuse_text(source.head)
    else:
        check_wholeness(family, source.read_at, source.size_bytes)


@contextmanager
def opened_to_play(source: Source, limits: MediaLimits, *, otherwise: str) -> Generator[container.Opened]:
    """Open what is played: a video or a recording.

    Raises:
        MediaFaultError: It cannot be read, or is a picture or a document; *otherwise* says what that lacks.
    """
    family = kinds.sniff(source.head)
    check_readable(source, family)
    if family is not None and (family in kinds.PICTURES or family is Family.PDF):
        raise faults.unsupported(otherwise)
    with container.opened(source, family, limits) as media:
        yield media


def _refuse_text(head: bytes) -> None:
    beginning = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, name in _PLAYLISTS:
        if beginning.lower().startswith(mark.lower()):
            raise faults.unsupported(f"it is {name}, not media; what it names is not read")
    if beginning.translate(None, _TEXT_BYTES) == b"":
        raise faults.unsupported("it is text, not media")


def _prove_by_decoding(media: container.Opened) -> None:
    """Take a guess of the container for true only when something can be decoded."""
    stream = media.video or media.audio
    with container.decoder_errors("decoding its beginning"):
        if stream is None or next(iter(media.container.decode(stream)), None) is None:
            raise faults.unsupported("nothing in it can be decoded")
        media.container.seek(0)
