"""Puts what a decoder says of a file into the library's words."""

import json
from typing import Final

from callsheet.media.facts import MediaFacts
from callsheet.media.faults import Fault
from callsheet.media.kinds import Kind, promised_kind
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import BrokenItem, Item, ItemFacts, ItemState, MediaKind

KINDS: Final = {
    Kind.IMAGE: MediaKind.MEDIA_KIND_IMAGE,
    Kind.VIDEO: MediaKind.MEDIA_KIND_VIDEO,
    Kind.AUDIO: MediaKind.MEDIA_KIND_AUDIO,
    Kind.DOCUMENT: MediaKind.MEDIA_KIND_DOCUMENT,
}
REASON_CHARS: Final = 1000
"""Characters of the reason why an item is broken."""
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
    return ItemFacts(kind=kind, state=ItemState.ITEM_STATE_BROKEN, reason=reason_text(fault.reason))


def broken_mark(item: Item, reason: str) -> BrokenItem:
    """Return what marks an item as broken, as long as its content is the one that was looked at."""
    return BrokenItem(item_id=item.id, source_identity=item.facts.identity, reason=reason_text(reason))


def reason_text(reason: str) -> str:
    """Return why an item is broken as the library takes it: one line without tricks, not too long."""
    return plain_line(reason).strip()[:REASON_CHARS] or "it cannot be used"
