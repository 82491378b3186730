"""The worker's end of an inference process: begun when it is needed, ended with the lease or when idle."""

import asyncio
import importlib.util
import os
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from callsheet.errors import (
    AttemptError,
    BadInputError,
    CapacityError,
    InvalidError,
    OutOfVramError,
    TransientError,
)
from callsheet.media.likeness import Matrix
from callsheet.models.contents import labels_of
from callsheet.models.manifest import Manifest
from callsheet.models.shelf import check_hash, opened
from callsheet.within import within
from callsheet.worker.ffmpeg import CARD_DEVICES, CARD_LIBRARIES, CARD_READABLE, SYSTEM_FOLDERS
from callsheet.worker.inference.limits import ENVIRONMENT, InferenceLimits
from callsheet.worker.inference.works import (
    CARD,
    LOAD,
    SCORE,
    LoadArguments,
    Loaded,
    ScoreArguments,
    Trouble,
)
from callsheet.worker.sandbox.child import ChildSettings
from callsheet.worker.sandbox.child_process import ChildGoneError, ChildProcess, spawn
from callsheet.worker.sandbox.processes import python_folders
from callsheet.worker.sandbox.rights import Rights, SandboxLimits, environment
from callsheet.worker.sandbox.work import Answer, ArgumentsT, Request, ResultT, Work, codec
from callsheet.worker.stopping import Ladder, Stop
from callsheet.worker.stream.devices import DeviceShare
from callsheet.worker.threads import in_thread

RUNTIME: Final = "onnxruntime"
"""The module that computes; the extra ``inference`` brings it."""
_OPEN_FILES: Final = 256
_KINDS: Final = {kind.kind: kind for kind in (BadInputError, CapacityError, OutOfVramError, TransientError)}


def runtime_is_installed() -> bool:
    """Return whether this Python has ONNX Runtime."""
    return importlib.util.find_spec(RUNTIME) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an inference process has to keep to."""

    limits: InferenceLimits
    share: DeviceShare | None
    """The card that it may use; None to compute without one."""
    ladder: Ladder
    """How it is ended."""
    started: Callable[[int], None]
    """Told its process id."""
    stop: Stop
    """Of the attempt that it works for."""
    background: bool = False
    """Whether it yields to everything else on the machine."""


class InferenceHost:
    """One model in a process of its own, for one lease. Used by ``async with``; at the end it is gone.

    The process begins with the first call. It ends when it has had nothing to do for a while, and the next
    call begins another; so that its memory returns, of a card as well.
    """

    def __init__(self, manifest: Manifest, folder: Path, bounds: Bounds) -> None:
        self.manifest = manifest
        self._folder = folder
        self._bounds = bounds
        self._turn = asyncio.Lock()
        self._child: ChildProcess | None = None
        self._loaded = Loaded()
        self._labels: tuple[str, ...] = ()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._ending is not None:
            await self._ending
        await self._end()

    @property
    def pid(self) -> int | None:
        """The process, where there is one."""
        return None if self._child is None else self._child.process.pid

    @property
    def loaded(self) -> Loaded:
        """What became of the model; says nothing before the first call."""
        return self._loaded

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels; none before the first call."""
        return self._labels

    @property
    def on_card(self) -> bool:
        """Whether it computes on a card, as ONNX Runtime says, which takes the processor where it has to."""
        return self._loaded.provider == CARD

    async def start(self) -> None:
        """Begin the process and load the model, where that has not been done; `scores` does it as well.

        Raises:
            AttemptError: As `scores`.
        """
        async with self._working():
            await self._ready()

    async def scores(self, pictures: bytes, count: int) -> Matrix:
        """Return how well each label fits each picture, 0 to 1: ``(pictures, labels)``.

        Args:
            pictures: Of the manifest's size one after another, R'G'B', a byte each.
            count: How many there are.

        Raises:
            BadInputError: The model is not what its manifest says, or does not work.
            CapacityError: It had not enough memory, or was killed from outside.
            OutOfVramError: It had not enough memory of the card.
            TransientError: It took too long, crashed, or cannot be started.
        """
        async with self._working():
            child = await self._ready()
            fd = os.memfd_create("pictures", os.MFD_CLOEXEC)
            try:
                await in_thread(lambda: _fill(fd, pictures))
                answer = await self._ask(child, SCORE, ScoreArguments(pictures=count), [fd])
            finally:
                os.close(fd)
            await self._check(answer.value.trouble)
        return np.frombuffer(answer.blobs[0], np.float32).reshape(count, len(self._labels))

    @asynccontextmanager
    async def _working(self) -> AsyncGenerator[None]:
        async with self._turn, self._bounds.stop.child():
            if self._idle is not None:
                self._idle.cancel()
            try:
                yield
            except asyncio.CancelledError:
                await self._end()
                raise
            self._idle = asyncio.get_running_loop().call_later(self._bounds.limits.idle_s, self._rest)

    def _rest(self) -> None:
        self._ending = asyncio.create_task(self._end_idle())

    async def _end_idle(self) -> None:
        async with self._turn:
            await self._end()

    async def _ready(self) -> ChildProcess:
        if self._child is None:
            await in_thread(self._read_labels)
            self._child = await self._spawned()
            self._loaded = await self._load(self._child)
        return self._child

    def _read_labels(self) -> None:
        file = self.manifest.file(self.manifest.labels.file)
        try:
            with opened(self._folder, file) as fd:
                check_hash(fd, file)
                self._labels = labels_of(file.path, os.pread(fd, file.size_bytes, 0))
        except InvalidError as error:
            raise _unusable(self.manifest, error.message) from error

    async def _spawned(self) -> ChildProcess:
        if not runtime_is_installed():
            raise BadInputError(
                f"model {self.manifest.name}: ONNX Runtime is not installed here;"
                " install callsheet with its extra `inference`"
            )
        share = self._bounds.share
        told = environment("" if share is None else share.uuid) | ENVIRONMENT
        child = await spawn(_settings(self._bounds), told)
        self._bounds.started(child.process.pid)
        try:
            await child.ready()
        except ChildGoneError as error:
            await child.end(self._bounds.ladder)
            said = child.last_words() or "it said nothing"
            raise TransientError(f"the inference process did not start: {said}") from error
        except BaseException:
            await child.end(self._bounds.ladder)
            raise
        return child

    async def _load(self, child: ChildProcess) -> Loaded:
        bounds = self._bounds
        arguments = LoadArguments(
            manifest=self.manifest,
            labels=len(self._labels),
            threads=bounds.limits.threads,
            vram_mib=0 if bounds.share is None else bounds.share.vram_mib,
        )
        with ExitStack() as stack:
            try:
                fds = [
                    stack.enter_context(opened(self._folder, self.manifest.file(name)))
                    for name in _files(self.manifest)
                ]
            except InvalidError as error:
                await self._end()
                raise _unusable(self.manifest, error.message) from error
            answer = await self._ask(child, LOAD, arguments, fds)
        await self._check(answer.value.trouble)
        return answer.value

    async def _ask(
        self,
        child: ChildProcess,
        work: Work[ArgumentsT, ResultT],
        arguments: ArgumentsT,
        descriptors: Sequence[int],
    ) -> Answer[ResultT]:
        limits = self._bounds.limits
        request = Request(
            function=work.function,
            arguments_json=codec(work.arguments).dump_json(arguments).decode(),
            cpu_s=round(limits.deadline_s * limits.threads) + 1,
        )
        try:
            async with within(limits.deadline_s):
                await child.send(request, descriptors)
                reply, blobs = await child.receive()
        except TimeoutError as error:
            await self._end()
            raise TransientError(
                f"model {self.manifest.name} took longer than {limits.deadline_s:g} s and was ended"
            ) from error
        except ChildGoneError as error:
            raise death(await self._end(), child.last_words()) from error
        if reply.failure:
            await self._end()
            raise AttemptError(f"model {self.manifest.name}: {reply.reason}")
        return Answer(value=codec(work.result).validate_json(reply.value_json), blobs=tuple(blobs))

    async def _check(self, trouble: Trouble | None) -> None:
        if trouble is not None:
            await self._end()
            raise _KINDS.get(trouble.kind, AttemptError)(f"model {self.manifest.name}: {trouble.reason}")

    async def _end(self) -> int:
        child, self._child = self._child, None
        return 0 if child is None else await child.end(self._bounds.ladder)


def death(code: int, last_words: str) -> AttemptError:
    """Return the failure that an inference process's unwanted end stands for; never one of the media.

    Args:
        code: Its exit code; negative for a signal.
        last_words: The end of its stderr.
    """
    said = f" ({last_words.splitlines()[-1][:200]})" if last_words else ""
    if "bad_alloc" in last_words or "MemoryError" in last_words:
        return CapacityError(f"the inference process had not enough memory{said}")
    if code >= 0:
        return TransientError(f"the inference process ended with code {code}{said}")
    name = signal.Signals(-code).name
    if -code in {signal.SIGKILL, signal.SIGTERM}:
        return CapacityError(
            f"the inference process was killed from outside ({name}), most likely for want of memory"
        )
    return TransientError(f"the inference process crashed ({name}){said}")


def _settings(bounds: Bounds) -> ChildSettings:
    card = bounds.share is not None
    readable = python_folders((RUNTIME,))
    cards = sorted(str(one) for one in Path("/dev").glob(CARD_DEVICES)) if card else ()
    return ChildSettings(
        limits=SandboxLimits(
            address_space_mib=0 if card else bounds.limits.memory_mib, open_files=_OPEN_FILES
        ),
        rights=Rights(
            readable=(*readable, *SYSTEM_FOLDERS, *CARD_LIBRARIES, *CARD_READABLE) if card else readable,
            devices=tuple(cards),
        ),
        functions=(LOAD.function, SCORE.function),
        background=bounds.background,
    )


def _files(manifest: Manifest) -> Sequence[str]:
    """Return the files that the process gets, in the order of `LoadArguments`."""
    if manifest.text is not None:
        return manifest.image.file, manifest.text.file, manifest.text.tokens
    return manifest.image.file, manifest.labels.embeddings or ""


def _unusable(manifest: Manifest, reason: str) -> BadInputError:
    return BadInputError(f"model {manifest.name}: {reason}")


def _fill(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
