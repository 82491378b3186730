"""The instants of a leadership: database time that never steps back, not even from one leader to the next."""

from dataclasses import dataclass
from typing import Final

#: A step back of the database's clock by more than this is taken over at once: to live far ahead of the
#: time would refuse good ids and run jobs early for longer than anybody would bear.
STEP_BACK_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """Instants, in seconds since 1970, by the seconds since a leadership began."""

    began_at: float
    """The database's time at the beginning."""
    last_at: float
    """An instant that an earlier leader has used."""

    @property
    def steps_back(self) -> bool:
        """Whether the earlier instant is too far ahead to be respected."""
        return self.last_at - self.began_at > STEP_BACK_MAX_S

    def after(self, elapsed_s: float) -> float:
        """Return the instant *elapsed_s* after the beginning.

        Where an earlier leader was ahead of the database, instants go on from there at half their pace
        until the database has caught up.
        """
        real = self.began_at + elapsed_s
        return real if self.steps_back else max(real, self.last_at + elapsed_s / 2)
