"""Collections as JSON."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue

from callsheet.v1.library_service_pb2 import Collection
from callsheet_gateway.schemas.jobs import Status, status_of
from callsheet_gateway.schemas.shared import Body, Camel, Instant, Question, Slug, instant, instant_or_none

COLLECTION_EXAMPLE: Final[dict[str, JsonValue]] = {
    "slug": "iceland-2025",
    "title": "Iceland 2025",
    "createdAt": "2026-02-13T10:25:00.000Z",
    "jobs": {"running": 2, "completed": 98},
    "total": 100,
    "done": 98,
    "failed": 0,
    "percentDone": 98.0,
    "startedAt": "2026-02-13T10:25:01.000Z",
    "finishedAt": None,
    "predictedEndAt": "2026-02-13T10:31:00.000Z",
}


class NewCollection(Body):
    """A collection to be made, or one that gets another title."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"slug": "iceland-2025", "title": "Iceland 2025"}}
    )

    slug: Slug
    title: str = Field(
        default="", max_length=200, pattern=r"^[^\x00]*$", description="Empty leaves the one that it has."
    )


class CollectionView(Camel):
    """Jobs and items under one slug, with one progress."""

    slug: Slug
    title: str = Field(description="For people; may be empty.")
    created_at: Instant
    jobs: dict[Status, int] = Field(description="How many, by status; a status without jobs is left out.")
    total: int = Field(description="All of its jobs.")
    done: int = Field(description="Those that are final, however they ended.")
    failed: int
    percent_done: float = Field(description="0 to 100.")
    started_at: Instant | None = Field(description="When the first of the finished ones started.")
    finished_at: Instant | None = Field(description="When the last ended; null while some are not final.")
    predicted_end_at: Instant | None = Field(description="When all will be final, at the pace so far.")


class CollectionsQuestion(Question):
    """Which page."""

    limit: Annotated[int, Field(ge=1, le=200, description="Collections of a page.")] = 50
    cursor: Annotated[str, Field(max_length=100, description="The nextCursor of the page before.")] = ""


class CollectionPage(Camel):
    """Collections by slug."""

    data: list[CollectionView]
    next_cursor: str | None = Field(
        description="For the next page; null when this is the last.", examples=[None]
    )


def collection_view(collection: Collection) -> CollectionView:
    """Return a collection as JSON has it."""
    jobs = {status_of(one.state): one.count for one in collection.jobs}
    total, done = collection.total, collection.done
    return CollectionView(
        slug=collection.slug,
        title=collection.title,
        created_at=instant(collection.created_at),
        jobs=jobs,
        total=total,
        done=done,
        failed=jobs.get(Status.FAILED, 0),
        percent_done=round(100 * done / total, 1) if total else 0.0,
        started_at=instant_or_none(collection.started_at),
        finished_at=instant_or_none(collection.finished_at),
        predicted_end_at=instant_or_none(collection.predicted_end_at),
    )
