"""Speaks with a scheduler: submits and follows jobs, and reads the library."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Final

from callsheet.client.accessing import Accessing
from callsheet.client.immich import ImmichSteering
from callsheet.client.scheduling import Scheduling
from callsheet.client.steering import FINAL, Steering
from callsheet.errors import InvalidError, OverloadedError, UnavailableError
from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.job_service_pb2 import (
    ChangeJobTypeRequest,
    GetJobRequest,
    GetStatsRequest,
    GetStatsResponse,
    JobType,
    ListChildrenRequest,
    ListChildrenResponse,
    ListHoursRequest,
    ListHoursResponse,
    ListJobsRequest,
    ListJobsResponse,
    ListJobTypesRequest,
    ReadLogRequest,
    SubmitJobsRequest,
    SubmittedJob,
    WatchJobsRequest,
)
from callsheet.v1.library_service_pb2 import (
    Collection,
    CreateCollectionRequest,
    GetCacheStatsRequest,
    GetCacheStatsResponse,
    GetCollectionRequest,
    GetItemRequest,
    GetItemsRequest,
    Item,
    ListCollectionsRequest,
    ListCollectionsResponse,
    ListItemsRequest,
    ListItemsResponse,
    NoteViewsRequest,
    SampleItemsRequest,
    UpsertItemsRequest,
    UpsertItemsResponse,
)

#: Jobs and bytes of one submission, which is one transaction and one message.
SUBMISSION_MAX: Final = 1_000
SUBMISSION_BYTES_MAX: Final = 3 * 1024 * 1024

#: Jobs and items of one page where all pages are read; items may carry 16 KiB of further facts each.
JOBS_PAGE: Final = 200
ITEMS_PAGE: Final = 200

#: Seconds of silence after which named jobs are looked at again, should a change have been lost.
WATCH_QUIET_S: Final = 15.0


class Client(Steering, Scheduling, ImmichSteering, Accessing):
    """A connection to a scheduler. Methods return the messages of the contract.

    Every method is safe to repeat and repeats itself while no scheduler answers, as long as *patience*
    says. Ids of submissions are chosen here, so that a repeated submission stays one job.

    Every method raises the errors of ``callsheet.errors``; `UnavailableError` when patience has ended:
    whether the call took effect is then unknown.
    """

    # Jobs

    async def submit(self, job: NewJob) -> SubmittedJob:
        """Submit one job; an empty id is chosen here. An error names the field of the job."""
        try:
            [submitted] = await self.submit_many([job])
        except InvalidError as error:
            raise InvalidError(error.message, field=error.field.removeprefix("jobs[0].")) from None
        return submitted

    async def submit_many(self, jobs: Sequence[NewJob]) -> list[SubmittedJob]:
        """Submit *jobs* and return what became of each, in order.

        Up to 1,000 jobs and 3 MiB are one transaction, all or none; more are several, one after another.
        ``existed`` is true for a job whose given id was accepted before, or whose unique key another job has;
        its id is then that job's. An error names the job by its place
        in its submission.
        """
        submitted: list[SubmittedJob] = []
        for batch in _submissions(jobs):
            given = [bool(job.id) for job in batch]
            request = SubmitJobsRequest(jobs=[_with_id(job) for job in batch])
            answer = await self._repeating.call(self._jobs.SubmitJobs, request)
            for mine, was_given, asked in zip(answer.jobs, given, request.jobs, strict=True):
                mine.existed = mine.existed and (was_given or bool(asked.unique_key))
            submitted += answer.jobs
        return submitted

    async def job(self, job_id: str) -> Job:
        """Return a job with its attempts."""
        return (await self._repeating.call(self._jobs.GetJob, GetJobRequest(id=job_id))).job

    async def jobs_page(self, wanted: ListJobsRequest) -> ListJobsResponse:
        """Return one page of the jobs that pass, newest first."""
        return await self._repeating.call(self._jobs.ListJobs, wanted)

    async def jobs(self, wanted: ListJobsRequest | None = None) -> AsyncGenerator[Job, None]:
        """Yield all jobs that pass, newest first, page by page."""
        request = ListJobsRequest()
        request.CopyFrom(wanted or ListJobsRequest())
        request.page_size = request.page_size or JOBS_PAGE
        while True:
            page = await self.jobs_page(request)
            for job in page.jobs:
                yield job
            if not page.next_page_token:
                return
            request.skip = 0
            request.page_token = page.next_page_token

    async def children_page(self, wanted: ListChildrenRequest) -> ListChildrenResponse:
        """Return one page of the jobs that a job has yielded to, in the order given."""
        return await self._repeating.call(self._jobs.ListChildren, wanted)

    async def children(self, job_id: str) -> AsyncGenerator[Job, None]:
        """Yield all jobs that a job has yielded to, in the order given, page by page."""
        request = ListChildrenRequest(id=job_id)
        while True:
            page = await self.children_page(request)
            for job in page.jobs:
                yield job
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(self, ids: Sequence[str] = (), *, initial: bool = False) -> AsyncGenerator[Job, None]:
        """Yield each change of the jobs with *ids*, of every job for none, until the caller stops.

        A lost stream is opened again. Named jobs (at most 1,000) are then told as they are, so no final
        state is missed; where every job is watched, changes during the gap are not told.

        Args:
            ids: Which jobs.
            initial: Tell the named jobs first as they are.
        """
        first = WatchJobsRequest(ids=ids, initial=initial)
        again = WatchJobsRequest(ids=ids, initial=bool(ids))
        requests = iter((first,))
        changes = self._repeating.stream(
            self._jobs.WatchJobs,
            lambda: next(requests, again),
            again_on=(UnavailableError, OverloadedError),
            quiet_s=WATCH_QUIET_S if ids else None,
        )
        async with aclosing(changes):
            async for message in changes:
                for job in message.jobs:
                    yield job

    async def changes(self) -> AsyncGenerator[Sequence[Job], None]:
        """Yield changed jobs, of every job, until the stream is lost; unlike others it is not opened again.

        The first round is empty: from then on no change is missed.
        """
        call = self._jobs.WatchJobs(WatchJobsRequest())
        try:
            await self._repeating.opened(call)
            yield ()
            async with aclosing(self._repeating.answers(call)) as rounds:
                async for message in rounds:
                    yield message.jobs
        finally:
            call.cancel()

    async def final(self, job_id: str) -> Job:
        """Wait until a job is final and return it."""
        job = await self.job(job_id)
        if job.state not in FINAL:
            async with aclosing(self.watch([job_id], initial=True)) as changes:
                async for job in changes:
                    if job.state in FINAL:
                        break
        return job

    async def read_log(self, job_id: str, *, follow: bool = False) -> AsyncGenerator[str, None]:
        """Yield a job's log in pieces of complete lines; with *follow* until the job is final.

        A lost stream is opened again and goes on where it was.
        """
        told = 0
        to_skip = 0

        def next_request() -> ReadLogRequest:
            nonlocal to_skip
            to_skip = told
            return ReadLogRequest(id=job_id, follow=follow)

        pieces = self._repeating.stream(self._jobs.ReadLog, next_request)
        async with aclosing(pieces):
            async for piece in pieces:
                fresh = piece.text[to_skip:]
                to_skip = max(0, to_skip - len(piece.text))
                told += len(fresh)
                if fresh:
                    yield fresh

    async def stats(self) -> GetStatsResponse:
        """Return counts and rates of the whole queue."""
        return await self._repeating.call(self._jobs.GetStats, GetStatsRequest())

    async def hours(self, count: int = 0) -> ListHoursResponse:
        """Return what came and what ended in each of the last hours, 24 of them for no *count*."""
        return await self._repeating.call(self._jobs.ListHours, ListHoursRequest(hours=count))

    async def job_types(self, *, internal: bool = False, runs: bool = False) -> Sequence[JobType]:
        """Return the job types that the scheduler knows, by name.

        Args:
            internal: Also those whose jobs only other jobs submit.
            runs: With the newest run times themselves.
        """
        request = ListJobTypesRequest(internal=internal, runs=runs)
        return (await self._repeating.call(self._jobs.ListJobTypes, request)).types

    async def change_job_type(self, wanted: ChangeJobTypeRequest) -> JobType:
        """Change what jobs of a type need, and return the type."""
        return (await self._repeating.call(self._jobs.ChangeJobType, wanted)).type

    # Library

    async def items_page(self, wanted: ListItemsRequest) -> ListItemsResponse:
        """Return one page of the items that pass, by root and path."""
        return await self._repeating.call(self._library.ListItems, wanted)

    async def items(self, wanted: ListItemsRequest | None = None) -> AsyncGenerator[Item, None]:
        """Yield all items that pass, by root and path, page by page."""
        request = ListItemsRequest()
        request.CopyFrom(wanted or ListItemsRequest())
        request.page_size = request.page_size or ITEMS_PAGE
        while True:
            page = await self.items_page(request)
            for item in page.items:
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def item(self, item_id: str) -> Item:
        """Return one item with its derivatives."""
        return (await self._repeating.call(self._library.GetItem, GetItemRequest(id=item_id))).item

    async def item_at(self, root: str, path: str) -> Item:
        """Return the item at this root and path, with its derivatives."""
        request = GetItemRequest(root=root, path=path)
        return (await self._repeating.call(self._library.GetItem, request)).item

    async def items_by_id(self, ids: Sequence[str]) -> list[Item]:
        """Return those of the items that exist, in no particular order."""
        found: list[Item] = []
        for start in range(0, len(ids), ITEMS_PAGE):
            request = GetItemsRequest(ids=ids[start : start + ITEMS_PAGE])
            found += (await self._repeating.call(self._library.GetItems, request)).items
        return found

    async def items_by_chance(self, count: int) -> list[Item]:
        """Return at most so many items, 1 to 1,000, from all over the library."""
        request = SampleItemsRequest(count=count)
        return list((await self._repeating.call(self._library.SampleItems, request)).items)

    async def note_views(self, item_ids: Sequence[str]) -> None:
        """Note that somebody looked at items, at most 1,000."""
        await self._repeating.call(self._library.NoteViews, NoteViewsRequest(item_ids=item_ids))

    async def upsert_items(self, batch: UpsertItemsRequest) -> UpsertItemsResponse:
        """Write items under a job's lease; `LeaseLostError` or `StateError` when it is held no longer."""
        return await self._repeating.call(self._library.UpsertItems, batch)

    async def create_collection(self, slug: str, title: str = "") -> Collection:
        """Make a collection, or give the one that is there another title."""
        request = CreateCollectionRequest(slug=slug, title=title)
        return (await self._repeating.call(self._library.CreateCollection, request)).collection

    async def collection(self, slug: str) -> Collection:
        """Return a collection with its progress."""
        request = GetCollectionRequest(slug=slug)
        return (await self._repeating.call(self._library.GetCollection, request)).collection

    async def collections_page(self, wanted: ListCollectionsRequest) -> ListCollectionsResponse:
        """Return one page of the collections, by slug."""
        return await self._repeating.call(self._library.ListCollections, wanted)

    async def collections(self) -> AsyncGenerator[Collection, None]:
        """Yield all collections by slug, page by page."""
        request = ListCollectionsRequest()
        while True:
            page = await self.collections_page(request)
            for collection in page.collections:
                yield collection
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def cache_stats(self) -> GetCacheStatsResponse:
        """Return how much is cached, and the items by kind and state."""
        return await self._repeating.call(self._library.GetCacheStats, GetCacheStatsRequest())


def _with_id(job: NewJob) -> NewJob:
    if job.id:
        return job
    named = NewJob()
    named.CopyFrom(job)
    named.id = new_job_id()
    return named


def _submissions(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    """Divide *jobs* into submissions, as few as the limits allow; one job is one submission at least."""
    batch: list[NewJob] = []
    size_bytes = 0
    for job in jobs:
        job_bytes = job.ByteSize() + 64
        if batch and (len(batch) == SUBMISSION_MAX or size_bytes + job_bytes > SUBMISSION_BYTES_MAX):
            yield batch
            batch, size_bytes = [], 0
        batch.append(job)
        size_bytes += job_bytes
    if batch:
        yield batch
