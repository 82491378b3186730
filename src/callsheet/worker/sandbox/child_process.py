"""One child process that answers calls, seen from the worker: how it is started, spoken to, and ended."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from callsheet.errors import BadInputError, TransientError
from callsheet.v1.job_pb2 import STOP_RUNG_KILLED, STOP_RUNG_TERMINATED
from callsheet.within import within
from callsheet.worker.sandbox.child import ChildSettings
from callsheet.worker.sandbox.wire import LENGTH_BYTES, framed
from callsheet.worker.sandbox.work import (
    ANSWER_LIMIT,
    BLOB_LIMIT,
    DESCRIPTOR_LIMIT,
    REQUEST_LIMIT,
    Reply,
    Request,
    codec,
)
from callsheet.worker.stopping import Ladder

START_LIMIT_S: Final = 30.0
"""How long a child may take to get ready."""
_STDERR_BYTES: Final = 4096


class ChildGoneError(Exception):
    """A child ended while it was wanted."""


class NonsenseError(ChildGoneError):
    """A child said what none of ours says; it must not be asked again."""


class ChildProcess:
    """One child and our end of its socket."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.process = process
        self.channel = channel
        self.jobs = 0
        self.stderr = bytearray()
        self.reader = asyncio.create_task(self._read_stderr())

    async def _read_stderr(self) -> None:
        if self.process.stderr is None:
            return
        while part := await self.process.stderr.read(1024):
            self.stderr += part
            del self.stderr[:-_STDERR_BYTES]

    async def ready(self) -> tuple[str, ...]:
        """Wait until it has given up its rights, and return the protections in force, in words.

        Raises:
            ChildGoneError: It ended, or said nothing within `START_LIMIT_S`.
        """
        try:
            async with within(START_LIMIT_S):
                hello, _ = await self.receive()
        except TimeoutError as error:
            raise ChildGoneError from error
        return hello.strength

    async def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Ask it to do something; it gets copies of the descriptors.

        Raises:
            BadInputError: The request is too large.
            ChildGoneError: It is gone.
        """
        message = framed(codec(Request).dump_json(request))
        if len(message) > REQUEST_LIMIT:
            raise BadInputError(
                f"the request to a child process has {len(message):,} bytes, over {REQUEST_LIMIT:,}"
            )
        try:
            sent = socket.send_fds(self.channel, [message], list(descriptors)[:DESCRIPTOR_LIMIT])
            await asyncio.get_running_loop().sock_sendall(self.channel, message[sent:])
        except OSError as error:
            raise ChildGoneError from error

    async def receive(self) -> tuple[Reply, list[bytes]]:
        """Return its next answer, and the blobs that belong to it.

        Raises:
            NonsenseError: What it says is no answer.
            ChildGoneError: It is gone.
        """
        size = int.from_bytes(await self._exactly(LENGTH_BYTES), "big")
        if size > ANSWER_LIMIT:
            raise NonsenseError
        try:
            reply = codec(Reply).validate_json(await self._exactly(size))
        except ValueError as error:
            raise NonsenseError from error
        if any(one < 0 for one in reply.blob_sizes) or sum(reply.blob_sizes) > BLOB_LIMIT:
            raise NonsenseError
        return reply, [await self._exactly(one) for one in reply.blob_sizes]

    async def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            try:
                part = await asyncio.get_running_loop().sock_recv(
                    self.channel, min(count - len(content), 1 << 18)
                )
            except OSError as error:
                raise ChildGoneError from error
            if not part:
                raise ChildGoneError
            content += part
        return bytes(content)

    async def exit_code(self, grace_s: float) -> int | None:
        """Return how it ended by itself; None if it does not within *grace_s*.

        A socket closes before its process is gone: a signal in between would hide how it ended.
        """
        with suppress(TimeoutError):
            async with within(grace_s):
                return await self.process.wait()
        return None

    async def end(self, ladder: Ladder) -> int:
        """End the process, if it has not, and return its exit code."""
        self.channel.close()
        code = await end_group(self.process, ladder)
        await self.reader
        return code

    def last_words(self) -> str:
        """Return the end of what it wrote on stderr."""
        return self.stderr.decode("utf-8", "replace").strip()[-500:]


async def spawn(settings: ChildSettings, environment: Mapping[str, str]) -> ChildProcess:
    """Start a child that imports, then gives up its rights, then answers calls; wait for it to be `ready`.

    Raises:
        TransientError: None can be started now.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 -- the socket's own interface
    arguments = [str(theirs.fileno()), str(os.getpid()), codec(ChildSettings).dump_json(settings).decode()]
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "callsheet.worker.sandbox.child", *arguments,
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, pass_fds=(theirs.fileno(),),
            env=environment, cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        ours.close()
        raise TransientError(f"a child process could not be started: {error.strerror}") from error
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ChildProcess(process, ours)


async def end_group(process: Process, ladder: Ladder | None = None) -> int:
    """End a process that leads its own group, and all in the group; returns its exit code."""
    rules = ladder or Ladder()
    if process.returncode is None:
        rules.climbed(STOP_RUNG_TERMINATED)
        _signal(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with within(rules.term_grace_s):
                await process.wait()
    if process.returncode is None:
        rules.climbed(STOP_RUNG_KILLED)
    _signal(process.pid, signal.SIGKILL)
    return await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
