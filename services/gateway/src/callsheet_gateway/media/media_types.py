"""Says as what the bytes of an original are sent, so that no browser runs what a stranger wrote."""

from typing import Final
from urllib.parse import quote

from callsheet.v1.library_service_pb2 import ItemFacts, ItemState, MediaKind

BYTES: Final = "application/octet-stream"
"""What no browser shows."""
_PICTURES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "HEIF": "image/heif",
    "AVIF": "image/avif",
}
_CONTAINERS: Final = {
    "mp4": "mp4",
    "mov": "quicktime",
    "3gp": "3gpp",
    "matroska": "matroska",
    "webm": "webm",
    "avi": "x-msvideo",
    "ogg": "ogg",
    "mpegts": "mp2t",
    "mpeg": "mpeg",
    "flv": "x-flv",
    "asf": "x-ms-asf",
}
_SOUNDS: Final = {"mp3": "mpeg", "wav": "wav", "flac": "flac", "aac": "aac", "mov": "mp4"}
MEDIA_TYPES: Final = ("video/*", "audio/*", "image/*", "application/pdf", BYTES)
"""All that an original may be sent as."""
_VISIBLE_ASCII: Final = range(0x20, 0x7F)


def media_type(facts: ItemFacts) -> str:
    """Return the type of an original by what a worker found in it, whatever its name says.

    Pictures of pixels, videos, sound and PDF have one; anything else, and what is broken, is `BYTES`.
    """
    if facts.state != ItemState.ITEM_STATE_OK:
        return BYTES
    match facts.kind:
        case MediaKind.MEDIA_KIND_IMAGE:
            return _PICTURES.get(facts.format, BYTES)
        case MediaKind.MEDIA_KIND_DOCUMENT:
            return "application/pdf" if facts.format == "PDF" else BYTES
        case MediaKind.MEDIA_KIND_VIDEO:
            named = _CONTAINERS.get(facts.format)
            return f"video/{named}" if named else BYTES
        case MediaKind.MEDIA_KIND_AUDIO:
            named = _SOUNDS.get(facts.format) or _CONTAINERS.get(facts.format)
            return f"audio/{named}" if named else BYTES
        case _:
            return BYTES


def disposition(name: str, *, inline: bool) -> str:
    """Return a Content-Disposition that names a file, in any script and harmless in a header (RFC 6266)."""
    kind = "inline" if inline else "attachment"
    bare = "".join(one if ord(one) in _VISIBLE_ASCII and one not in '"\\%' else "_" for one in name)
    if bare == name:
        return f'{kind}; filename="{bare}"'
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{bare}\"; filename*=UTF-8''{encoded}"
