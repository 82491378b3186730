"""What a law returns when a history breaks it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from callsheet.verify.events import AnyEvent
from callsheet.verify.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One contradiction."""

    sentence: str
    job: str = ""
    events: tuple[AnyEvent, ...] = ()
    """Those that contradict one another."""


Judge = Callable[[History], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A sentence that holds for every history."""

    name: str
    sentence: str
    judge: Judge


def law(name: str) -> Callable[[Judge], Law]:
    """Make a law of a function, whose docstring begins with the law's sentence."""

    def make(judge: Judge) -> Law:
        sentence = (judge.__doc__ or "").strip().split("\n\n", 1)[0]
        return Law(name=name, sentence=" ".join(sentence.split()), judge=judge)

    return make
