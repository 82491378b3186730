"""What the models of several resources share: key style, instants, pages."""

from datetime import UTC
from typing import Annotated

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Camel(BaseModel):
    """A model whose keys are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Question(BaseModel):
    """The query of a request; what it does not know is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


Instant = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-02-13T10:30:00.000Z"])
]
"""RFC 3339 in UTC, with milliseconds."""


Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", examples=["iceland-2025"])]
"""The name of a collection."""


class Pagination(Camel):
    """Where in a list a page is."""

    page: int = Field(description="As asked for.", examples=[1])
    limit: int = Field(description="Entries of a page at most.", examples=[20])
    total: int = Field(description="Entries that pass the filters.", examples=[156])
    total_pages: int = Field(description="Pages that they fill.", examples=[8])
    total_is_exact: bool = Field(description="False when total stopped counting at 10,000.", examples=[True])
    next_cursor: str | None = Field(
        description="For the parameter cursor, to get the next page; null when this is the last.",
        examples=[None],
    )


def pagination(*, page: int, limit: int, total: int, total_is_exact: bool, next_cursor: str) -> Pagination:
    """Return where a page is."""
    return Pagination(
        page=page,
        limit=limit,
        total=total,
        total_pages=-(-total // limit),
        total_is_exact=total_is_exact,
        next_cursor=next_cursor or None,
    )


def instant(stamp: Timestamp) -> str:
    """Return an instant as RFC 3339 in UTC."""
    return stamp.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_or_none(stamp: Timestamp) -> str | None:
    """Return an instant, None for one that is not set."""
    return instant(stamp) if stamp.ByteSize() else None
