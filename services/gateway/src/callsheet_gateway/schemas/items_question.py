"""Which items to list, as REST asks it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from callsheet.v1.library_service_pb2 import ItemState, ListItemsRequest, MediaKind, Orientation
from callsheet_gateway.schemas.library import ItemStatus, Kind
from callsheet_gateway.schemas.shared import Question, Slug

Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Shape(StrEnum):
    """How an upright picture lies."""

    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    SQUARE = "square"


class VideosQuestion(Question):
    """Which videos to list. All filters must pass; one that is repeated passes by any of its values."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Items of a page.")] = 100
    cursor: Annotated[str, Field(max_length=8192, description="The nextCursor of the page before.")] = ""
    q: Annotated[str, Field(max_length=200, description="A part of the path or the title, in any case.")] = ""
    root: Annotated[str, Field(max_length=64, description="Only in this root.")] = ""
    folder: Annotated[
        str, Field(max_length=4096, description="Only in this folder of the root, or below.")
    ] = ""
    collection: Slug | None = Field(default=None, description="Only this collection.")
    tag: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[], max_length=20, description="Only with all of these tags, whoever says so."
    )
    orientation: list[Shape] = Field(default=[], max_length=3, description="Only these.")
    min_duration: Seconds | None = Field(default=None, description="At least so many seconds long.")
    max_duration: Seconds | None = Field(default=None, description="At most so many seconds long.")
    status: list[ItemStatus] = Field(default=[], max_length=3, description="Only these.")


class ItemsQuestion(VideosQuestion):
    """Which items to list. All filters must pass; one that is repeated passes by any of its values."""

    kind: list[Kind] = Field(default=[], max_length=4, description="Only these.")


def wanted_items(asked: VideosQuestion, kinds: Sequence[MediaKind.ValueType]) -> ListItemsRequest:
    """Return the question on the wire."""
    return ListItemsRequest(
        root=asked.root,
        folder=asked.folder,
        kinds=kinds,
        states=[ItemState.Value(f"ITEM_STATE_{status.name}") for status in asked.status],
        query=asked.q,
        tags=asked.tag,
        collection=asked.collection or "",
        orientations=[Orientation.Value(f"ORIENTATION_{shape.name}") for shape in asked.orientation],
        min_duration_s=asked.min_duration,
        max_duration_s=asked.max_duration,
        page_size=asked.limit,
        page_token=asked.cursor,
    )
