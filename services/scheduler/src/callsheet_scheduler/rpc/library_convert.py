"""Translates the library between the wire and the domain."""

from callsheet.ids import check_id
from callsheet.v1.library_service_pb2 import (
    BrokenItem,
    Derivative,
    DerivativeFacts,
    Item,
    ItemFacts,
    ItemState,
    MediaKind,
)
from callsheet.v1.library_service_pb2 import LibraryChanges as WireChanges
from callsheet_scheduler.domain.library import (
    BrokenRow,
    DerivativeRow,
    ItemRow,
    LibraryChanges,
    check_changes,
)
from callsheet_scheduler.store.library import StoredItem

SAME_IN_ITEM = (
    "root path kind state reason size_bytes mtime_ns identity width height format video_codec "
    "audio_codec rotation frame_rate bitrate_kbps pages public"
).split()

SAME_IN_DERIVATIVE = "kind recipe source_identity root path media_type width height size_bytes inline".split()


def changes_from_wire(changes: WireChanges) -> LibraryChanges:
    """Return checked changes.

    Raises:
        InvalidError: One is not acceptable.
    """
    return check_changes(
        LibraryChanges(
            items=tuple(item_from_wire(item) for item in changes.items),
            derivatives=tuple(_derivative_from_wire(row) for row in changes.derivatives),
            broken=tuple(_broken_from_wire(row) for row in changes.broken),
        ),
    )


def item_from_wire(facts: ItemFacts) -> ItemRow:
    """Return an item's row, unchecked."""
    return ItemRow(
        duration_s=facts.duration_s if facts.HasField("duration_s") else None,
        extra=facts.extra_json or "{}",
        **{name: getattr(facts, name) for name in SAME_IN_ITEM},
    )


def _derivative_from_wire(facts: DerivativeFacts) -> DerivativeRow:
    return DerivativeRow(
        item_id=check_id(facts.item_id, "derivatives.item_id"),
        **{name: getattr(facts, name) for name in SAME_IN_DERIVATIVE},
    )


def _broken_from_wire(broken: BrokenItem) -> BrokenRow:
    return BrokenRow(
        item_id=check_id(broken.item_id, "broken.item_id"),
        source_identity=broken.source_identity,
        reason=broken.reason,
    )


def item_to_wire(item: StoredItem) -> Item:
    """Return an item as a message."""
    same = {name: getattr(item.facts, name) for name in SAME_IN_ITEM}
    same["kind"] = MediaKind.ValueType(item.facts.kind)
    same["state"] = ItemState.ValueType(item.facts.state)
    return Item(
        id=item.id,
        facts=ItemFacts(duration_s=item.facts.duration_s, extra_json=item.facts.extra, **same),
        derivatives=[
            Derivative(
                facts=DerivativeFacts(
                    item_id=item.id,
                    **{name: getattr(derivative.facts, name) for name in SAME_IN_DERIVATIVE},
                ),
                job_id=derivative.job_id,
                created_at=derivative.created_at,
            )
            for derivative in item.derivatives
        ],
        created_at=item.created_at,
        updated_at=item.updated_at,
    )
