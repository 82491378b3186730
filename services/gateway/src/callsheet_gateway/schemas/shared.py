"""What the models of several resources share: key style, instants, pages."""

import re
from datetime import UTC, datetime
from types import UnionType
from typing import Annotated, Final, Union, get_args, get_origin

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel


class Camel(BaseModel):
    """A model whose keys are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Body(Camel):
    """What a request sends as JSON: nothing that is not known, and every value of its JSON type."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_type(cls, value: object, info: ValidationInfo) -> object:
        wanted = _kinds(cls.model_fields[str(info.field_name)].annotation)
        if bool in wanted and not isinstance(value, bool | None):
            raise ValueError("must be true or false")
        if wanted & {int, float} and isinstance(value, bool | str):
            raise ValueError("must be a number, without quotes")
        return value


class Question(BaseModel):
    """The query of a request; what it does not know is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


def _kinds(annotation: object) -> set[object]:
    """Return what a field may be, without what is said about it."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        return {kind for one in get_args(annotation) for kind in _kinds(one)}
    return {annotation} if isinstance(annotation, type) else set()


_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def _is_rfc_3339(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _DAY.match(value)):
        raise ValueError("must be an instant as 2026-02-13T10:30:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from error


Moment = Annotated[AwareDatetime, BeforeValidator(_is_rfc_3339), AfterValidator(_in_utc)]
"""An instant of a request."""

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
    total: int = Field(
        description="Entries that pass the filters, or as many as were counted: `totalIsExact` says which.",
        examples=[156],
    )
    total_pages: int = Field(description="Pages that they fill.", examples=[8])
    total_is_exact: bool = Field(
        description="False when there may be more: counting stops at 10,000, with free text after 20,000 "
        "jobs that pass the other filters. A last page by number has counted them all.",
        examples=[True],
    )
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
    return _text(stamp.ToDatetime(tzinfo=UTC))


def instant_of(seconds: float) -> str:
    """Return an instant, seconds since 1970, as RFC 3339 in UTC."""
    return _text(datetime.fromtimestamp(seconds, UTC))


def instant_or_none(stamp: Timestamp) -> str | None:
    """Return an instant, None for one that is not set."""
    return instant(stamp) if stamp.ByteSize() else None


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
