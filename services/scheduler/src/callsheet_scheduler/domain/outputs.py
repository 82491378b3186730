"""Committed outputs that do not lie yet where they were asked for, and who is about to put them there."""

from collections.abc import Iterable
from dataclasses import dataclass

from callsheet_scheduler.domain.effects import Output
from callsheet_scheduler.domain.job import JobId

OutputKey = tuple[JobId, str, str]
"""Job, root, path."""


def key_of(output: Output) -> OutputKey:
    """Return what tells *output* from every other."""
    return (output.job_id, output.root, output.path)


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """An output on its way."""

    output: Output
    session: int | None = None
    """Who was asked to put it there; None for nobody."""
    settling: bool = False
    """Its end is being written."""


class Outputs:
    """Every output that is not settled, by what names it."""

    def __init__(self) -> None:
        self._pending: dict[OutputKey, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, output: Output) -> None:
        """Take over a committed output."""
        self._pending.setdefault(key_of(output), Pending(output=output))

    def job_ids(self) -> set[JobId]:
        """Return the jobs that have such outputs."""
        return {job_id for job_id, _, _ in self._pending}

    def get(self, output: Output) -> Pending | None:
        """Return what is known of *output*."""
        return self._pending.get(key_of(output))

    def remove(self, output: Output) -> None:
        """Forget *output*."""
        self._pending.pop(key_of(output), None)

    def give(self, session: int, roots: Iterable[str]) -> list[Output]:
        """Let *session* put what lies in *roots*, which it writes to, and nobody else was asked for."""
        if not self._pending:
            return []
        reached = frozenset(roots)
        given: list[Output] = []
        for pending in self._pending.values():
            if pending.session is None and not pending.settling and pending.output.root in reached:
                pending.session = session
                given.append(pending.output)
        return given

    def take_back(self, session: int) -> bool:
        """The session has ended. Return whether somebody else has to be asked."""
        mine = [pending for pending in self._pending.values() if pending.session == session]
        for pending in mine:
            pending.session = None
        return bool(mine)
