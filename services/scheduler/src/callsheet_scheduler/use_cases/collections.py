"""Collections: jobs and items under one slug, with one progress."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from callsheet.errors import InvalidError, NotFoundError
from callsheet_scheduler.domain.job import FINAL, JobState
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.collections import CollectionRow, CollectionStore, save_collections

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
TITLE_MAX: Final = 200

#: Finished jobs from which a pace can be told.
PACE_JOBS_MIN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionView:
    """A collection as it stands. Instants are seconds since 1970."""

    slug: str
    title: str
    created_at: float
    jobs: dict[JobState, int]
    """How many, by state."""
    started_at: float | None
    finished_at: float | None
    predicted_end_at: float | None

    @property
    def total(self) -> int:
        """All of its jobs."""
        return sum(self.jobs.values())

    @property
    def done(self) -> int:
        """Those that are final."""
        return sum(count for state, count in self.jobs.items() if state in FINAL)


class Collections:
    """Makes and reads collections."""

    def __init__(self, leadership: Leadership, store: CollectionStore) -> None:
        self._leadership = leadership
        self._store = store

    async def create(self, slug: str, title: str) -> CollectionView:
        """Make a collection, or give the one that is there another title.

        Raises:
            InvalidError: The slug or the title is not acceptable.
        """
        if not slug:
            raise InvalidError("is missing", field="slug")
        check_slug(slug, field="slug")
        if len(title) > TITLE_MAX or "\x00" in title:
            raise InvalidError(f"must have at most {TITLE_MAX} characters, and no NUL", field="title")
        await _save(self._leadership.current(), {slug}, title)
        return await self.one(slug)

    async def one(self, slug: str) -> CollectionView:
        """Return one collection.

        Raises:
            NotFoundError: There is none.
        """
        term = self._leadership.current()
        live = _live(term)
        row = await self._store.one(slug) if SLUG.fullmatch(slug) else None
        if row is None:
            raise NotFoundError(f"there is no collection {slug!r}")
        return _view(row, live, now=term.commits.now())

    async def page(self, *, size: int, after: str) -> tuple[list[CollectionView], str]:
        """Return some collections by slug, and the token of the next page."""
        if after and not SLUG.fullmatch(after):
            raise InvalidError("is no token of a page of collections", field="page_token")
        term = self._leadership.current()
        live = _live(term)
        rows = await self._store.page(after=after, limit=size + 1)
        shown = [_view(row, live, now=term.commits.now()) for row in rows[:size]]
        return shown, shown[-1].slug if len(rows) > size else ""


def check_slug(slug: str, *, field: str) -> None:
    """Refuse what is no slug; an empty one stands for no collection.

    Raises:
        InvalidError: It is none.
    """
    if slug and not SLUG.fullmatch(slug):
        message = "must be 1 to 100 of a-z, 0-9, dot, hyphen and underscore, the first a letter or digit"
        raise InvalidError(message, field=field)


async def make_known(term: Term, slugs: Iterable[str]) -> None:
    """Make those of the collections that this leadership has not seen yet.

    Raises:
        InvalidError: One is no slug.
    """
    new = {slug for slug in slugs if slug} - term.collections
    for slug in new:
        check_slug(slug, field="collection")
    if new:
        await _save(term, new, "")


async def _save(term: Term, slugs: set[str], title: str) -> None:
    now = term.commits.now()
    await term.write_control(lambda connection: save_collections(connection, sorted(slugs), title, now=now))
    term.collections.update(slugs)


def _live(term: Term) -> dict[str, dict[JobState, int]]:
    """Return the live jobs of collections as they are.

    To be asked for before the tables are read: a job that ends in between is then counted twice, for a
    moment, and never as if it were not there.
    """
    return {slug: dict(counts) for slug, counts in term.engine.queue.collections.items()}


def _view(row: CollectionRow, live: Mapping[str, Mapping[JobState, int]], *, now: float) -> CollectionView:
    lives = live.get(row.slug, {})
    jobs = {state: count for state, count in ({**lives, **row.ended}).items() if count}
    left = sum(lives.values())
    return CollectionView(
        slug=row.slug,
        title=row.title,
        created_at=row.created_at,
        jobs=jobs,
        started_at=row.started_at,
        finished_at=None if left else row.finished_at,
        predicted_end_at=_predicted(row, left, now=now),
    )


def _predicted(row: CollectionRow, left: int, *, now: float) -> float | None:
    ended = sum(row.ended.values())
    if not left or ended < PACE_JOBS_MIN or row.started_at is None or row.finished_at is None:
        return None
    return now + left * max(0.0, row.finished_at - row.started_at) / ended
