"""Child processes: the pool of sandboxed decoders, and how any child is ended."""

import asyncio
import importlib.util
import os
import signal
import socket
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from callsheet.errors import AttemptError, BadInputError, CallsheetError, CapacityError, TransientError
from callsheet.v1.job_pb2 import STOP_RUNG_KILLED, STOP_RUNG_TERMINATED
from callsheet.worker.child import ChildSettings
from callsheet.worker.decode.works import WARM
from callsheet.worker.sandbox import CLEAN_ENVIRONMENT, SandboxLimits
from callsheet.worker.stopping import TERM_GRACE_S, Climbed, Ladder, nobody
from callsheet.worker.wire import LENGTH_BYTES, framed
from callsheet.worker.work import (
    ANSWER_LIMIT,
    BLOB_LIMIT,
    DESCRIPTOR_LIMIT,
    REQUEST_LIMIT,
    Answer,
    ArgumentsT,
    Reply,
    Request,
    ResultT,
    Work,
    codec,
)

START_LIMIT_S: Final = 30.0
"""How long a child may take to get ready."""
_STDERR_BYTES: Final = 4096
_FAILURES: Final[Mapping[str, type[AttemptError]]] = {
    kind.kind: kind for kind in (BadInputError, CapacityError, TransientError)
}


class ChildFaultError(CallsheetError):
    """A child raised what it should not; a fault of our code, or of a decoder in an unforeseen way."""


class _ChildGoneError(Exception):
    """A child ended while it was wanted."""


class _Child:
    """One decode process and our end of its socket."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.process = process
        self.channel = channel
        self.jobs = 0
        self.strength: tuple[str, ...] = ()
        self.stderr = bytearray()
        self.reader = asyncio.create_task(self._read_stderr())

    async def _read_stderr(self) -> None:
        if self.process.stderr is None:
            return
        while part := await self.process.stderr.read(1024):
            self.stderr += part
            del self.stderr[:-_STDERR_BYTES]

    async def send(self, request: Request, descriptors: Sequence[int]) -> None:
        message = framed(codec(Request).dump_json(request))
        if len(message) > REQUEST_LIMIT:
            raise BadInputError(
                f"the request to a decoder has {len(message):,} bytes, over {REQUEST_LIMIT:,}"
            )
        try:
            sent = socket.send_fds(self.channel, [message], list(descriptors)[:DESCRIPTOR_LIMIT])
            await asyncio.get_running_loop().sock_sendall(self.channel, message[sent:])
        except OSError as error:
            raise _ChildGoneError from error

    async def receive(self) -> tuple[Reply, list[bytes]]:
        size = int.from_bytes(await self._exactly(LENGTH_BYTES), "big")
        if size > ANSWER_LIMIT:
            raise _ChildGoneError
        try:
            reply = codec(Reply).validate_json(await self._exactly(size))
        except ValueError as error:
            raise _ChildGoneError from error
        if any(one < 0 for one in reply.blob_sizes) or sum(reply.blob_sizes) > BLOB_LIMIT:
            raise _ChildGoneError
        return reply, [await self._exactly(one) for one in reply.blob_sizes]

    async def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            try:
                part = await asyncio.get_running_loop().sock_recv(
                    self.channel, min(count - len(content), 1 << 18)
                )
            except OSError as error:
                raise _ChildGoneError from error
            if not part:
                raise _ChildGoneError
            content += part
        return bytes(content)

    async def end(self, ladder: Ladder) -> int:
        """End the process, if it has not, and return its exit code."""
        self.channel.close()
        code = await end_group(self.process, ladder)
        await self.reader
        return code

    def last_words(self) -> str:
        """Return the end of what it wrote on stderr."""
        return self.stderr.decode("utf-8", "replace").strip()[-500:]


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
    ) -> None:
        """Prepare a pool of *size* children, which import *functions*, as works name them, beforehand.

        A child may take *term_grace_s* to end after SIGTERM, before SIGKILL.
        """
        self.size = size
        self.term_grace_s = term_grace_s
        self.limits = limits or SandboxLimits()
        self.strength: tuple[str, ...] = ()
        """The protections in force, in words, as the first child reported them; empty before."""
        self._functions = (*(work.function for work in WARM), *functions)
        self._idle: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        self._children: set[_Child] = set()
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
        self, child: _Child, request: Request, descriptors: Sequence[int], deadline_s: float
    ) -> tuple[Reply, list[bytes]]:
        sound = False
        try:
            async with asyncio.timeout(deadline_s):
                await child.send(request, descriptors)
                reply, blobs = await child.receive()
            child.jobs += 1
            sound = not reply.failure and child.jobs < self.limits.jobs_per_child
        except TimeoutError as error:
            raise TransientError(f"decoding took longer than {deadline_s:g} s and was ended") from error
        except _ChildGoneError as error:
            raise death(await self._end(child), child.last_words(), request.cpu_s) from error
        finally:
            if sound:
                self._idle.put_nowait(child)
            else:
                self._in_background(self._replace(child))
        return reply, blobs

    async def _replace(self, child: _Child) -> None:
        if child in self._children:
            await self._end(child)
        await self._refill()

    async def _refill(self) -> None:
        """Put a ready child into the pool; where none can be started, leave it to the next call."""
        child: _Child | None = None
        try:
            child = await self._start()
        except TransientError:
            pass
        finally:
            self._idle.put_nowait(child)

    async def _start(self) -> _Child:
        if self._closed:
            raise TransientError("the pool of decoders is closing")
        child = await self._spawn()
        try:
            async with asyncio.timeout(START_LIMIT_S):
                hello, _ = await child.receive()
        except (TimeoutError, _ChildGoneError) as error:
            await self._end(child)
            raise TransientError(
                f"a decoder did not start: {child.last_words() or 'it said nothing'}"
            ) from error
        except BaseException:
            await self._end(child)
            raise
        child.strength = self.strength = hello.strength
        return child

    async def _spawn(self) -> _Child:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 -- the socket's own interface
        readable = python_folders(self._functions)
        settings = ChildSettings(limits=self.limits, readable=readable, functions=self._functions)
        arguments = [
            str(theirs.fileno()),
            str(os.getpid()),
            codec(ChildSettings).dump_json(settings).decode(),
        ]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-m", "callsheet.worker.child", *arguments,
                stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, pass_fds=(theirs.fileno(),),
                env=CLEAN_ENVIRONMENT, cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise TransientError(f"a decoder could not be started: {error.strerror}") from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        child = _Child(process, ours)
        self._children.add(child)
        return child

    async def _end(self, child: _Child, climbed: Climbed = nobody) -> int:
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


def death(code: int, last_words: str, cpu_s: int) -> AttemptError:
    """Return the failure that a decoder's unwanted end stands for.

    Args:
        code: Its exit code; negative for a signal.
        last_words: The end of its stderr.
        cpu_s: The CPU seconds that it had.
    """
    said = f" ({last_words.splitlines()[-1][:200]})" if last_words else ""
    if code >= 0:
        return TransientError(f"the decoder ended with code {code}{said}")
    name = signal.Signals(-code).name
    if -code == signal.SIGXCPU:
        return BadInputError(f"undecodable: decoding it needs more than {cpu_s} s of CPU time")
    if -code in {signal.SIGKILL, signal.SIGTERM}:
        return CapacityError(f"the decoder was killed from outside ({name}), most likely for want of memory")
    return BadInputError(f"undecodable: it brought the decoder down ({name}){said}")


async def end_group(process: Process, ladder: Ladder | None = None) -> int:
    """End a process that leads its own group, and all in the group; returns its exit code."""
    rules = ladder or Ladder()
    if process.returncode is None:
        rules.climbed(STOP_RUNG_TERMINATED)
        _signal(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(rules.term_grace_s):
                await process.wait()
    if process.returncode is None:
        rules.climbed(STOP_RUNG_KILLED)
    _signal(process.pid, signal.SIGKILL)
    return await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
