"""The live jobs, those that wait for their turn, and those that wait for an instant."""

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import JobId, JobState, LiveJob, move
from callsheet_scheduler.domain.lanes import Lane
from callsheet_scheduler.domain.sized_lane import SizedLane
from callsheet_scheduler.domain.ties import Knots

HOUR_S = 3600.0


class Queue:
    """Every live job by id, counted by state, and the order of those that wait."""

    def __init__(self) -> None:
        self.jobs: dict[JobId, LiveJob] = {}
        self.cpu_lane = Lane()
        self.gpu_lanes = {category: SizedLane() for category in (Category.GPU_ENCODE, Category.GPU_AI)}
        self.lanes: dict[Category, Lane | SizedLane] = {Category.CPU: self.cpu_lane, **self.gpu_lanes}
        self.counts: Counter[tuple[JobState, str, Category]] = Counter()
        self.created: Counter[tuple[int, str]] = Counter()
        """Live jobs by hour of creation (hours since 1970) and type."""
        self.arriving: Counter[Category] = Counter()
        """Jobs without a lease that are being inserted."""
        self.knots = Knots()
        self.collections: dict[str, Counter[JobState]] = {}
        """The jobs of each collection that has some, by state."""
        self._later: list[tuple[float, JobId]] = []

    def add(self, job: LiveJob) -> None:
        """Count *job* in. It waits nowhere yet."""
        self.jobs[job.id] = job
        self.counts[job.state, job.type, job.category] += 1
        self.created[int(job.created_at // HOUR_S), job.type] += 1
        if job.ties is not None:
            self.knots.tie(job.id, job.ties)
        if job.collection is not None:
            self.collections.setdefault(job.collection, Counter())[job.state] += 1

    def remove(self, job: LiveJob) -> None:
        """Count *job* out."""
        del self.jobs[job.id]
        if job.ties is not None:
            self.knots.untie(job.id, job.ties)
        if job.collection is not None:
            self._leave(job.collection, job.state)
        self._uncount((job.state, job.type, job.category), 1)
        hour = (int(job.created_at // HOUR_S), job.type)
        left = self.created[hour] - 1
        if left:
            self.created[hour] = left
        else:
            self.created.pop(hour)

    def move(self, jobs: Sequence[LiveJob], state: JobState) -> None:
        """Put *jobs*, which are alike in state, type and category, into *state*."""
        first = jobs[0]
        self._uncount((first.state, first.type, first.category), len(jobs))
        self.counts[state, first.type, first.category] += len(jobs)
        for job in jobs:
            if job.collection is not None:
                self.collections[job.collection][job.state] -= 1
                self.collections[job.collection][state] += 1
            move(job, state)

    def end(self, job: LiveJob, state: JobState) -> None:
        """Put *job* into *state*, which is final, and count it out."""
        self.remove(job)
        move(job, state)

    def wait(self, job: LiveJob, now: float) -> None:
        """Let a pending job wait for its turn, or first for its instant.

        One that needs others does not yet, nor does one that is held back with its parent.
        """
        if job.needs_others or (job.parent_id is not None and self.holder(job) is not None):
            return
        if (job.run_at or job.retry_after) and job.ready_at > now:
            heappush(self._later, (job.ready_at, job.id))
        else:
            self.lanes[job.category].add(job)

    def wake(self, now: float) -> None:
        """Let the jobs whose instant has come wait for their turn."""
        while self._later and self._later[0][0] <= now:
            ready_at, job_id = heappop(self._later)
            job = self.jobs.get(job_id)
            if (
                job is not None
                and job.state is JobState.PENDING
                and not job.busy
                and job.ready_at == ready_at
                and job not in self.lanes[job.category]
                and self.holder(job) is None
            ):
                self.lanes[job.category].add(job)

    def holder(self, job: LiveJob) -> LiveJob | None:
        """Return the paused job with which *job*, its child or a child's child, is held back."""
        parent = None if job.parent_id is None else self.jobs.get(job.parent_id)
        if parent is None or not parent.waits_for_child(job.id):
            return None
        return parent if parent.state is JobState.PAUSED else self.holder(parent)

    def belonging(self, parent: LiveJob) -> Iterator[LiveJob]:
        """Yield the live jobs that *parent* caused and has yielded to, and those that belong to them."""
        for job_id in sorted(parent.ties.open) if parent.ties is not None and parent.ties.children else ():
            child = self.jobs.get(job_id)
            if child is not None and child.parent_id == parent.id:
                yield child
                yield from self.belonging(child)

    def hold_back(self, parent: LiveJob) -> None:
        """*parent* is paused: what belongs to it waits for no turn; what runs goes on."""
        for child in self.belonging(parent):
            self.lanes[child.category].discard(child)

    def left_gpu_lanes(self) -> set[JobId]:
        """Return the GPU jobs that do not wait any more, or not as they did, since this was asked last."""
        left: set[JobId] = set()
        for lane in self.gpu_lanes.values():
            left, lane.left = left | lane.left, set()
        return left

    def next_instant(self) -> float | None:
        """Return the soonest instant that a job waits for."""
        return self._later[0][0] if self._later else None

    def _leave(self, collection: str, state: JobState) -> None:
        counts = self.collections[collection]
        counts[state] -= 1
        if not any(counts.values()):
            del self.collections[collection]

    def _uncount(self, key: tuple[JobState, str, Category], jobs: int) -> None:
        left = self.counts[key] - jobs
        if left:
            self.counts[key] = left
        else:
            self.counts.pop(key)
