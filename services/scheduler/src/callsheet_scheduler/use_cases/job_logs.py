"""The logs of jobs, whole and in order, as far as they are written or for as long as they grow."""

from collections.abc import AsyncGenerator

from callsheet.errors import NotFoundError, UnavailableError
from callsheet_scheduler.domain.job import FINAL, JobId
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.history import HistoryStore, LogPiece
from callsheet_scheduler.store.paging import fitting
from callsheet_scheduler.store.queue import MARK_SEQUENCE


class JobLogs:
    """Reads logs."""

    def __init__(self, leadership: Leadership, history: HistoryStore) -> None:
        self._leadership = leadership
        self._history = history

    async def read(self, job_id: JobId, *, follow: bool) -> AsyncGenerator[str]:
        """Yield the log of a job, oldest text first; with *follow*, until the job is final.

        Raises:
            NotFoundError: There is no such job.
            UnavailableError: The leadership has ended; read again.
        """
        term = self._leadership.current()
        place = (0, 0)
        with term.commits.followers.follow(job_id) as news:
            while True:
                news.clear()
                final = await self._is_final(term, job_id)
                if final:
                    await term.commits.logs_written()
                while pieces := await self._pieces(term, job_id, place):
                    place = pieces[-1][:2]
                    yield "".join(text for _, _, text in pieces)
                if final or not follow:
                    return
                await news.wait()
                if term.commits.lost.is_set():
                    raise UnavailableError("this leadership has ended; read the log again")

    async def _is_final(self, term: Term, job_id: JobId) -> bool:
        if job_id in term.engine.queue.jobs:
            return False
        rows = await self._history.jobs([job_id])
        if not rows:
            raise NotFoundError(f"there is no job {job_id}")
        return rows[0].state in FINAL

    async def _pieces(self, term: Term, job_id: JobId, place: tuple[int, int]) -> list[LogPiece]:
        """Return what follows *place*, as much as fits a message.

        A mark is written with the change that it tells of, and may be there before the text that its
        attempt wrote earlier: that is waited for.
        """
        pieces = await self._history.log_pieces(job_id, place)
        if any(sequence >= MARK_SEQUENCE for _, sequence, _ in pieces):
            await term.commits.logs_written()
            pieces = await self._history.log_pieces(job_id, place)
        return list(fitting(pieces, lambda piece: len(piece[2].encode())))
