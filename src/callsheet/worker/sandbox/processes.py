"""The pool of sandboxed decoders."""

import asyncio
import importlib.util
import signal
import sysconfig
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from callsheet.errors import AttemptError, BadInputError, CallsheetError, CapacityError, TransientError
from callsheet.within import within
from callsheet.worker.decode.works import WARM
from callsheet.worker.sandbox.child import ChildSettings
from callsheet.worker.sandbox.child_process import ChildGoneError, ChildProcess, NonsenseError, spawn
from callsheet.worker.sandbox.rights import CLEAN_ENVIRONMENT, Rights, SandboxLimits
from callsheet.worker.sandbox.work import (
    Answer,
    ArgumentsT,
    Reply,
    Request,
    ResultT,
    Work,
    codec,
)
from callsheet.worker.stopping import TERM_GRACE_S, Climbed, Ladder, nobody

_FAILURES: Final[Mapping[str, type[AttemptError]]] = {
    kind.kind: kind for kind in (BadInputError, CapacityError, TransientError)
}


class ChildFaultError(CallsheetError):
    """A child raised what it should not; a fault of our code, or of a decoder in an unforeseen way."""


class ChildPool:
    """Disposable decoders. Each takes one call at a time; calls beyond their number wait.

    Used by ``async with``; at the end every child is gone.
    """

    def __init__(
        self,
        *,
        size: int,
        limits: SandboxLimits | None = None,
        functions: Sequence[str] = (),
        term_grace_s: float = TERM_GRACE_S,
        background: bool = False,
    ) -> None:
        """Prepare a pool of *size* children, which import *functions*, as works name them, beforehand.

        A child may take *term_grace_s* to end after SIGTERM, before SIGKILL. Those that run in the
        *background* yield to everything else on the machine.
        """
        self.yields = background
        """Whether its children yield to everything else on the machine."""
        self.size = size
        self.term_grace_s = term_grace_s
        self.limits = limits or SandboxLimits()
        self.strength: tuple[str, ...] = ()
        """The protections in force, in words, as the first child reported them; empty before."""
        self._functions = (*(work.function for work in WARM), *functions)
        self._idle: asyncio.LifoQueue[ChildProcess | None] = asyncio.LifoQueue()
        self._children: set[ChildProcess] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        for _ in range(self.size):
            self._in_background(self._refill())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for job in list(self._background):
            job.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def started(self) -> None:
        """Wait until no child is on its way any more: each has come, or could not be started."""
        await asyncio.gather(*self._background)

    async def run(
        self,
        work: Work[ArgumentsT, ResultT],
        arguments: ArgumentsT,
        *,
        descriptors: Sequence[int] = (),
        deadline_s: float,
        cpu_s: int | None = None,
        climbed: Climbed = nobody,
    ) -> Answer[ResultT]:
        """Have a child do *work*. The descriptors stay open here; the child gets copies.

        A cancelled call ends the child before it returns.

        Args:
            work: What to do.
            arguments: Its arguments.
            descriptors: At most eight.
            deadline_s: Seconds that the child may take, from when it begins.
            cpu_s: CPU seconds that it may take; without it the pool's limit.
            climbed: Told what it took to end the child when the call is cancelled.

        Raises:
            BadInputError: The content brought the decoder down, or needs more than the limits allow.
            CapacityError: The child was killed from outside, most likely for memory.
            TransientError: The deadline passed, or no child could be started.
            ChildFaultError: The function raised what it should not.
        """
        request = Request(
            function=work.function,
            arguments_json=codec(work.arguments).dump_json(arguments).decode(),
            cpu_s=cpu_s or self.limits.cpu_s,
        )
        child = await self._idle.get()
        try:
            child = child or await self._start()
        except BaseException:
            self._idle.put_nowait(None)
            raise
        try:
            reply, blobs = await self._converse(child, request, descriptors, deadline_s)
        except asyncio.CancelledError:
            await self._end(child, climbed)
            raise
        if reply.failure:
            raise _FAILURES.get(reply.failure, ChildFaultError)(reply.reason)
        return Answer(value=codec(work.result).validate_json(reply.value_json), blobs=tuple(blobs))

    async def _converse(
        self, child: ChildProcess, request: Request, descriptors: Sequence[int], deadline_s: float
    ) -> tuple[Reply, list[bytes]]:
        sound = False
        try:
            async with within(deadline_s):
                await child.send(request, descriptors)
                reply, blobs = await child.receive()
            child.jobs += 1
            sound = not reply.failure and child.jobs < self.limits.jobs_per_child
        except TimeoutError as error:
            raise TransientError(f"decoding took longer than {deadline_s:g} s and was ended") from error
        except NonsenseError as error:
            raise BadInputError("undecodable: it made the decoder answer nonsense") from error
        except ChildGoneError as error:
            code = await self._hung_up(child)
            raise death(code, child.last_words(), request.cpu_s) from error
        finally:
            if sound:
                self._idle.put_nowait(child)
            else:
                self._in_background(self._replace(child))
        return reply, blobs

    async def _hung_up(self, child: ChildProcess) -> int | None:
        """Return the exit code of a child that closed its socket; None where it had to be ended."""
        code = await child.exit_code(self.term_grace_s)
        await self._end(child)
        return code

    async def _replace(self, child: ChildProcess) -> None:
        if child in self._children:
            await self._end(child)
        await self._refill()

    async def _refill(self) -> None:
        """Put a ready child into the pool; where none can be started, leave it to the next call."""
        child: ChildProcess | None = None
        try:
            child = await self._start()
        except TransientError:
            pass
        finally:
            self._idle.put_nowait(child)

    async def _start(self) -> ChildProcess:
        if self._closed:
            raise TransientError("the pool of decoders is closing")
        settings = ChildSettings(
            limits=self.limits,
            rights=Rights(readable=python_folders(self._functions)),
            functions=self._functions,
            background=self.yields,
        )
        child = await spawn(settings, CLEAN_ENVIRONMENT)
        self._children.add(child)
        try:
            self.strength = await child.ready()
        except ChildGoneError as error:
            await self._end(child)
            raise TransientError(
                f"a decoder did not start: {child.last_words() or 'it said nothing'}"
            ) from error
        except BaseException:
            await self._end(child)
            raise
        return child

    async def _end(self, child: ChildProcess, climbed: Climbed = nobody) -> int:
        code = await child.end(Ladder(term_grace_s=self.term_grace_s, climbed=climbed))
        self._children.discard(child)
        return code

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        running = asyncio.create_task(work)
        self._background.add(running)
        running.add_done_callback(self._background.discard)


def python_folders(functions: Sequence[str]) -> tuple[str, ...]:
    """Return the folders that hold Python's own modules and those of *functions*, as works name them.

    Not the search path: that may hold the folder that a worker was started in, and media in it.
    """
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for package in {"callsheet", *(name.partition(".")[0].partition(":")[0] for name in functions)}:
        spec = importlib.util.find_spec(package)
        folders.update(spec.submodule_search_locations or () if spec else ())
    return tuple(sorted(folders))


def death(code: int | None, last_words: str, cpu_s: int) -> AttemptError:
    """Return the failure that a decoder's unwanted end stands for.

    Args:
        code: Its exit code; negative for a signal, None where it fell silent and was ended.
        last_words: The end of its stderr.
        cpu_s: The CPU seconds that it had.
    """
    said = f" ({last_words.splitlines()[-1][:200]})" if last_words else ""
    if code is None:
        return TransientError(f"the decoder fell silent and was ended{said}")
    if code >= 0:
        return TransientError(f"the decoder ended with code {code}{said}")
    name = signal.Signals(-code).name
    if -code == signal.SIGXCPU:
        return BadInputError(f"undecodable: decoding it needs more than {cpu_s} s of CPU time")
    if -code in {signal.SIGKILL, signal.SIGTERM}:
        return CapacityError(f"the decoder was killed from outside ({name}), most likely for want of memory")
    return BadInputError(f"undecodable: it brought the decoder down ({name}){said}")
