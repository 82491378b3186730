"""An event loop whose clock jumps to the next thing that happens."""

import asyncio
import selectors
from collections.abc import Callable

from typing_extensions import override

#: Steps after which a run is held to be going in circles.
STEPS_MAX = 400_000


class EndlessError(AssertionError):
    """Nothing can happen any more, or far too much did."""


class _Jump(selectors.SelectSelector):
    """Waits for nothing: time passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.after_step: Callable[[], None] | None = None

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.steps += 1
        if self.steps > STEPS_MAX:
            message = f"{STEPS_MAX} steps did not come to an end"
            raise EndlessError(message)
        if self.after_step is not None:
            self.after_step()
        if timeout is None:
            message = "nothing is left to happen"
            raise EndlessError(message)
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that is as fast as the machine and always takes the same way."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    @override
    def time(self) -> float:
        return self._jump.now

    @property
    def steps(self) -> int:
        """How many rounds of the loop there were."""
        return self._jump.steps

    def after_step(self, check: Callable[[], None]) -> None:
        """Call *check* after every round; what it raises ends the run."""
        self._jump.after_step = check

    def wind_up(self) -> None:
        """End every task, and close the loop."""
        self._jump.after_step, self._jump.steps = None, 0
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.run_until_complete(asyncio.wait(tasks))
        self.close()
