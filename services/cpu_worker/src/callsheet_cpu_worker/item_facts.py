"""Puts what a decoder says of a file into the library's words."""

import json
from typing import Final

from callsheet.media.facts import MediaFacts
from callsheet.media.faults import Fault
from callsheet.media.kinds import Kind, promised_kind
from callsheet.v1.library_service_pb2 import ItemFacts, ItemState, MediaKind

KINDS: Final = {
    Kind.IMAGE: MediaKind.MEDIA_KIND_IMAGE,
    Kind.VIDEO: MediaKind.MEDIA_KIND_VIDEO,
    Kind.AUDIO: MediaKind.MEDIA_KIND_AUDIO,
    Kind.DOCUMENT: MediaKind.MEDIA_KIND_DOCUMENT,
}
EXTRA_LIMIT: Final = 16 * 1024
"""Bytes of further facts, as JSON."""


def sound_item(facts: MediaFacts) -> ItemFacts:
    """Return the row of a file that can be used, without where it lies."""
    extra = json.dumps(dict(facts.extra), ensure_ascii=False, sort_keys=True) if facts.extra else ""
    return ItemFacts(
        kind=KINDS[facts.kind],
        state=ItemState.ITEM_STATE_OK,
        width=facts.width,
        height=facts.height,
        duration_s=facts.duration_s,
        format=facts.format,
        video_codec=facts.video_codec,
        audio_codec=facts.audio_codec,
        rotation=facts.rotation,
        frame_rate=facts.frame_rate,
        bitrate_kbps=facts.bitrate_kbps,
        pages=facts.pages,
        extra_json=extra if len(extra.encode()) <= EXTRA_LIMIT else "",
    )


def broken_item(path: str, fault: Fault) -> ItemFacts:
    """Return the row of a file that cannot be used; its kind is what its name promises, else video."""
    kind = KINDS[promised_kind(path) or Kind.VIDEO]
    return ItemFacts(kind=kind, state=ItemState.ITEM_STATE_BROKEN, reason=fault.reason)
