"""What jobs of a type and size turned out to need: how long they run, and how much memory of a GPU they hold.

Kept are the newest runs themselves, few of each type and size. A result costs one look-up and one append,
old runs are forgotten whole, and any quantile can be had of them, also that of the runs longer than one
that is under way.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from callsheet_scheduler.domain.job import LiveJob

#: The newest runs that are kept of each type and size.
RUNS_KEPT: Final = 64

#: Runs from which on a size class speaks for itself; before, its type speaks for it.
RUNS_OF_A_CLASS: Final = 8

#: Runs whose memory was measured from which on a figure is proposed: fewer have no 95th percentile.
RUNS_TO_PROPOSE: Final = 20

#: Of the runs of the past, the share that ended within what is predicted. See docs/adr/0025.
PREDICTED_SHARE: Final = 0.75

#: Of the runs of the past, the share that the proposed memory would have been enough for.
FITTING_SHARE: Final = 0.95

#: What is proposed is so much more than what was held: runs of one size still differ.
MEMORY_MARGIN: Final = 1.1

#: Figures are rounded up to a multiple of so many MiB, so that jobs have few different needs.
STEP_MIB: Final = 128

#: A run that is longer than all before it is taken to need so much more of the time it has run.
OUTLASTING: Final = 1.25

#: After running out of memory a job gets so much more than it had.
GROWTH: Final = 1.5

#: Larger inputs count as being so large.
SIZE_MAX: Final = 1 << 60

Key = tuple[str, int | None]
"""A job type and a size class; None for all sizes together."""


def size_class(size: float) -> int:
    """Return the class of an input: each is twice as large as the one before, and 0 is for nothing."""
    return int(min(max(0.0, size), SIZE_MAX)).bit_length()


def media_size(duration_s: float, width: int, height: int) -> float:
    """Return how large media are: megapixels times seconds; where one of both is unknown it counts as 1."""
    return (width * height / 1e6 or 1.0) * (duration_s or 1.0)


class Recent:
    """The newest of some figures."""

    __slots__ = ("_figures", "_ordered")

    def __init__(self, figures: Iterable[float] = ()) -> None:
        self._figures = deque(figures, maxlen=RUNS_KEPT)
        self._ordered: list[float] | None = None

    def __len__(self) -> int:
        return len(self._figures)

    def add(self, figure: float) -> None:
        """Add the newest, and forget the oldest where there are enough."""
        self._figures.append(figure)
        self._ordered = None

    def all(self) -> list[float]:
        """Return them, oldest first."""
        return list(self._figures)

    def quantile(self, share: float, *, above: float = float("-inf")) -> float | None:
        """Return the least figure that *share* of those *above* a limit do not exceed; None without any."""
        if self._ordered is None:
            self._ordered = sorted(self._figures)
        passed = bisect_right(self._ordered, above)
        left = len(self._ordered) - passed
        return self._ordered[passed + max(1, ceil(share * left)) - 1] if left else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFootprint:
    """What is known of one type and size, as its row says."""

    key: Key
    runs: int
    run_s: Sequence[float]
    need_mib: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is known of one type and size, for people."""

    size_class: int | None
    runs: int
    """Completed attempts, ever."""
    median_run_s: float
    p95_run_s: float
    p99_run_s: float
    vram_runs: int
    """Recent attempts that the proposal rests on."""
    vram_mib: int | None
    """What is proposed; None where too little is known."""
    p99_vram_mib: int | None
    """What 99 % of them could do with."""


class Footprint:
    """What is known of one type and size."""

    __slots__ = ("changed", "need_mib", "run_s", "runs")

    def __init__(self, *, runs: int = 0, run_s: Iterable[float] = (), need_mib: Iterable[float] = ()) -> None:
        self.runs = runs
        self.run_s = Recent(run_s)
        self.need_mib = Recent(need_mib)
        """What would have been enough for each attempt, as far as it showed."""
        self.changed = False
        """It knows more than its row."""

    def ran(self, run_s: float, need_mib: float) -> None:
        """An attempt did its work; *need_mib* is 0 where nobody knows."""
        self.changed = True
        self.runs += 1
        self.run_s.add(run_s)
        if need_mib:
            self.need_mib.add(need_mib)

    def ran_out(self, need_mib: float) -> None:
        """An attempt had too little memory."""
        self.changed = True
        self.need_mib.add(need_mib)

    def proposal_mib(self, share: float = FITTING_SHARE) -> int | None:
        """Return how much memory of a GPU most runs can do with; None where too little is known."""
        need_mib = self.need_mib.quantile(share) if len(self.need_mib) >= RUNS_TO_PROPOSE else None
        return None if need_mib is None else _stepped(need_mib)

    def learned(self, size: int | None) -> Learned:
        """Return what is known, for people."""
        return Learned(
            size_class=size,
            runs=self.runs,
            median_run_s=self.run_s.quantile(0.5) or 0.0,
            p95_run_s=self.run_s.quantile(0.95) or 0.0,
            p99_run_s=self.run_s.quantile(0.99) or 0.0,
            vram_runs=len(self.need_mib),
            vram_mib=self.proposal_mib(),
            p99_vram_mib=self.proposal_mib(0.99),
        )


class Footprints:
    """What is known of all types."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Footprint] = {}

    # ---- learning ----

    def completed(self, job: LiveJob, run_s: float, peak_mib: int) -> None:
        """An attempt of *job* did its work in *run_s*, and held *peak_mib* of a GPU; 0 where nobody knows.

        What it was given was enough, so no more is wanted for the likes of it, however much it filled.
        """
        need_mib = peak_mib * MEMORY_MARGIN
        if peak_mib <= job.vram_mib:
            need_mib = min(need_mib, job.vram_mib)
        self._of((job.type, None)).ran(run_s, need_mib)
        if job.size_class is not None:
            self._of((job.type, job.size_class)).ran(run_s, need_mib)

    def ran_out(self, job: LiveJob, peak_mib: int) -> None:
        """An attempt of *job* wanted more memory than it had."""
        need_mib = max(peak_mib, job.vram_mib) * MEMORY_MARGIN
        self._of((job.type, None)).ran_out(need_mib)
        if job.size_class is not None:
            self._of((job.type, job.size_class)).ran_out(need_mib)

    def _of(self, key: Key) -> Footprint:
        return self._by_key.get(key) or self._by_key.setdefault(key, Footprint())

    # ---- what follows from it ----

    def run_s(self, job: LiveJob, *, elapsed_s: float = 0.0) -> float | None:
        """Return how long an attempt of *job* is expected to run in all; None where nothing is known.

        Of one that has run for *elapsed_s* it is known that it is none of the shorter ones.
        """
        known = self._telling(job.type, job.size_class)
        if known is None or not len(known.run_s):
            return None
        expected_s = known.run_s.quantile(PREDICTED_SHARE, above=elapsed_s)
        return elapsed_s * OUTLASTING if expected_s is None else expected_s

    def end_at(self, job: LiveJob, now: float) -> float | None:
        """Return when the present attempt of *job*, or one begun now, is expected to end; None: unknown."""
        began_at = now if job.started_at is None else min(job.started_at, now)
        run_s = self.run_s(job, elapsed_s=now - began_at)
        return None if run_s is None else began_at + run_s

    def proposal_mib(self, job_type: str, size: int | None) -> int | None:
        """Return how much memory of a GPU such jobs can do with; None where too little is known."""
        own = self._by_key.get((job_type, size))
        proposal_mib = None if own is None else own.proposal_mib()
        if proposal_mib is not None or size is None:
            return proposal_mib
        return self.proposal_mib(job_type, None)

    def more_mib(self, job: LiveJob, peak_mib: int, most_mib: int) -> int | None:
        """Return what *job*, which ran out of memory, gets of *most_mib*; None where it had as much."""
        proposed_mib = self.proposal_mib(job.type, job.size_class) or 0
        wanted_mib = max(job.vram_mib * GROWTH, peak_mib * MEMORY_MARGIN, job.vram_mib + 1, proposed_mib)
        more_mib = min(_stepped(wanted_mib), most_mib)
        return more_mib if more_mib > job.vram_mib else None

    def _telling(self, job_type: str, size: int | None) -> Footprint | None:
        own = self._by_key.get((job_type, size))
        if own is None or (size is not None and len(own.run_s) < RUNS_OF_A_CLASS):
            return self._by_key.get((job_type, None))
        return own

    def of_type(self, job_type: str) -> list[Learned]:
        """Return what is known of a type: of all its sizes together first, then of each."""
        sizes = [size for name, size in self._by_key if name == job_type]
        return [
            self._by_key[job_type, size].learned(size)
            for size in sorted(sizes, key=lambda size: -1 if size is None else size)
        ]

    def runs_of(self, job_type: str, size: int | None) -> list[float]:
        """Return how long the newest attempts of a type and size ran, oldest first, in seconds."""
        known = self._by_key.get((job_type, size))
        return [] if known is None else known.run_s.all()

    # ---- keeping ----

    def take_changed(self) -> list[KeptFootprint]:
        """Return what has changed since this was asked last."""
        changed = [(key, one) for key, one in self._by_key.items() if one.changed]
        for _, one in changed:
            one.changed = False
        return [
            KeptFootprint(key=key, runs=one.runs, run_s=one.run_s.all(), need_mib=one.need_mib.all())
            for key, one in changed
        ]

    def put_back(self, taken: Iterable[KeptFootprint]) -> None:
        """What was taken was not kept."""
        for one in taken:
            self._by_key[one.key].changed = True

    def restore(self, kept: Iterable[KeptFootprint]) -> None:
        """Take over what an earlier leader learned."""
        for one in kept:
            self._by_key[one.key] = Footprint(runs=one.runs, run_s=one.run_s, need_mib=one.need_mib)


def _stepped(mib: float) -> int:
    return ceil(mib / STEP_MIB) * STEP_MIB
