"""What an inference process can be asked to do: arguments, answers and the functions' names."""

from dataclasses import dataclass
from typing import Final

from callsheet.models.manifest import Manifest
from callsheet.worker.sandbox.work import Work

CARD: Final = "CUDAExecutionProvider"
"""ONNX Runtime's name for computing on a card."""
PROCESSOR: Final = "CPUExecutionProvider"
"""Its name for computing without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why it could not be done."""

    kind: str
    """The kind of an `AttemptError`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadArguments:
    """Takes two descriptors: the graph for pictures, the embeddings of the labels; or three: the graph for
    pictures, that for texts, the tokens of the labels.
    """

    manifest: Manifest
    labels: int
    """How many there are."""
    threads: int
    """Threads that compute."""
    vram_mib: int = 0
    """Memory of a card that may be filled; 0 for none, to compute without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of a model."""

    provider: str = ""
    """Where it computes, as ONNX Runtime says: `CARD` or `PROCESSOR`."""
    offered: tuple[str, ...] = ()
    """What this ONNX Runtime could compute on."""
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreArguments:
    """Takes one descriptor: pictures of the model's size one after another, R'G'B', a byte each."""

    pictures: int
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The blob is float32, ``(pictures, labels)``; none with trouble."""

    trouble: Trouble | None = None


LOAD: Final = Work("callsheet.worker.inference.host:load", LoadArguments, Loaded)
"""Check the files of a model and make it ready; once in a process."""
SCORE: Final = Work("callsheet.worker.inference.host:score", ScoreArguments, Scored)
"""Score the labels for pictures."""
