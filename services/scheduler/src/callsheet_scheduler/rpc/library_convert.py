"""Translates the library between the wire and the domain."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypeVar

from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1 import library_service_pb2 as wire
from callsheet_scheduler.domain.job import ItemInHand
from callsheet_scheduler.domain.library import (
    BrokenItem,
    Derivative,
    DerivativeFacts,
    Item,
    ItemFacts,
    ItemId,
    ItemState,
    LibraryChanges,
    MediaKind,
    Orientation,
)
from callsheet_scheduler.domain.tags import TagSet
from callsheet_scheduler.rpc.convert import instant_to_wire
from callsheet_scheduler.store.library_reads import CacheStats, ItemFilter, ItemPage

EnumT = TypeVar("EnumT", bound=IntEnum)

_KINDS: Final = frozenset(int(kind) for kind in MediaKind)
_STATES: Final = frozenset(int(state) for state in ItemState)


def in_hand_from_wire(item: wire.ItemInHand) -> ItemInHand:
    """Return the item that a job is about to touch.

    Raises:
        InvalidError: It is named by no id.
    """
    return ItemInHand(item_id=check_id(item.item_id, "in_hand.item_id"), identity=item.source_identity)


def item_ids_from_wire(ids: Sequence[str], *, field: str) -> list[ItemId]:
    """Return the ids in canonical form.

    Raises:
        InvalidError: One is no UUID.
    """
    return [ItemId(check_id(text, f"{field}[{index}]")) for index, text in enumerate(ids)]


def items_from_wire(items: Sequence[wire.ItemFacts]) -> list[ItemFacts]:
    """Return the items as values, not yet checked."""
    return [_item_from_wire(item) for item in items]


def changes_from_wire(changes: wire.LibraryChanges) -> LibraryChanges:
    """Return the changes as values, not yet checked: the store refuses what cannot be written."""
    return LibraryChanges(
        items=tuple(items_from_wire(changes.items)),
        derivatives=tuple(_derivative_from_wire(facts) for facts in changes.derivatives),
        broken=tuple(
            BrokenItem(
                item_id=ItemId(found.item_id),
                source_identity=found.source_identity,
                reason=found.reason,
            )
            for found in changes.broken
        ),
        tags=tuple(
            TagSet(
                item_id=found.item_id,
                source_identity=found.source_identity,
                source=found.source,
                computed_on=found.computed_on,
                tags=tuple((tag.name, tag.score) for tag in found.tags),
            )
            for found in changes.tags
        ),
    )


def filter_from_wire(request: wire.ListItemsRequest) -> ItemFilter:
    """Return the filter as a value.

    Raises:
        InvalidError: A kind or state is unknown.
    """
    return ItemFilter(
        root=request.root,
        folder=request.folder,
        kinds=_members(MediaKind, request.kinds, field="kinds"),
        states=_members(ItemState, request.states, field="states"),
        query=request.query,
        collection=request.collection,
        tags=tuple(dict.fromkeys(request.tags)),
        orientations=_members(Orientation, request.orientations, field="orientations"),
        min_duration_s=request.min_duration_s if request.HasField("min_duration_s") else None,
        max_duration_s=request.max_duration_s if request.HasField("max_duration_s") else None,
    )


def item_to_wire(item: Item) -> wire.Item:
    """Return the item for the wire."""
    facts = item.facts
    return wire.Item(
        id=item.id,
        facts=wire.ItemFacts(
            root=facts.root,
            path=facts.path,
            kind=wire.MediaKind.ValueType(facts.kind),
            state=wire.ItemState.ValueType(facts.state),
            reason=facts.reason,
            size_bytes=facts.size_bytes,
            mtime_ns=facts.mtime_ns,
            identity=facts.identity,
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
            extra_json=facts.extra,
            public=facts.public,
        ),
        derivatives=[_derivative_to_wire(derivative) for derivative in item.derivatives],
        updated_at=instant_to_wire(item.updated_at),
        created_at=instant_to_wire(item.created_at),
        collection=item.collection or "",
        viewed_at=instant_to_wire(item.viewed_at),
        tags=[
            wire.ItemTag(
                name=tag.name,
                score=tag.score,
                source=tag.source,
                computed_on=tag.computed_on,
                job_id=tag.job_id,
                created_at=instant_to_wire(tag.created_at),
            )
            for tag in item.tags
        ],
    )


def page_to_wire(page: ItemPage) -> wire.ListItemsResponse:
    """Return the page for the wire."""
    return wire.ListItemsResponse(
        items=[item_to_wire(item) for item in page.items],
        next_page_token=page.next_page_token,
        total=page.total,
        total_is_exact=page.total_is_exact,
    )


def cache_stats_to_wire(stats: CacheStats) -> wire.GetCacheStatsResponse:
    """Return the figures for the wire."""
    return wire.GetCacheStatsResponse(
        derivative_count=stats.derivative_count,
        derivative_bytes=stats.derivative_bytes,
        thumbnail_count=stats.thumbnail_count,
        thumbnail_bytes=stats.thumbnail_bytes,
        item_count=stats.item_count,
        item_bytes=stats.item_bytes,
        items=[
            wire.ItemCount(
                kind=wire.MediaKind.ValueType(count.kind),
                state=wire.ItemState.ValueType(count.state),
                count=count.count,
                with_thumbnail=count.with_thumbnail,
            )
            for count in stats.items
        ],
    )


def _item_from_wire(item: wire.ItemFacts) -> ItemFacts:
    return ItemFacts(
        root=item.root,
        path=item.path,
        kind=MediaKind(item.kind) if item.kind in _KINDS else MediaKind.UNSPECIFIED,
        state=ItemState(item.state) if item.state in _STATES else ItemState.UNSPECIFIED,
        reason=item.reason,
        size_bytes=item.size_bytes,
        mtime_ns=item.mtime_ns,
        identity=item.identity,
        width=item.width,
        height=item.height,
        duration_s=item.duration_s if item.HasField("duration_s") else None,
        format=item.format,
        video_codec=item.video_codec,
        audio_codec=item.audio_codec,
        rotation=item.rotation,
        frame_rate=item.frame_rate,
        bitrate_kbps=item.bitrate_kbps,
        pages=item.pages,
        extra=item.extra_json or "{}",
        public=item.public,
    )


def _derivative_from_wire(facts: wire.DerivativeFacts) -> DerivativeFacts:
    return DerivativeFacts(
        item_id=ItemId(facts.item_id),
        kind=facts.kind,
        recipe=facts.recipe,
        source_identity=facts.source_identity,
        root=facts.root,
        path=facts.path,
        media_type=facts.media_type,
        width=facts.width,
        height=facts.height,
        size_bytes=facts.size_bytes,
        inline=facts.inline,
    )


def _derivative_to_wire(derivative: Derivative) -> wire.Derivative:
    facts = derivative.facts
    return wire.Derivative(
        facts=wire.DerivativeFacts(
            item_id=facts.item_id,
            kind=facts.kind,
            recipe=facts.recipe,
            source_identity=facts.source_identity,
            root=facts.root,
            path=facts.path,
            media_type=facts.media_type,
            width=facts.width,
            height=facts.height,
            size_bytes=facts.size_bytes,
            inline=facts.inline,
        ),
        job_id=derivative.job_id,
        created_at=instant_to_wire(derivative.created_at),
    )


def _members(kind: type[EnumT], values: Sequence[int], *, field: str) -> tuple[EnumT, ...]:
    """Return the members, each once; none where one value means any."""
    known = {int(member) for member in kind}
    for index, value in enumerate(values):
        if value not in known:
            names = ", ".join(member.name for member in kind)
            raise InvalidError(f"must be one of {names}", field=f"{field}[{index}]")
    return () if 0 in values else tuple(sorted({kind(value) for value in values}))
