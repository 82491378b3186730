"""Starts our programs as forks of processes that have imported them: a test need not wait for imports."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
#: What processes that fork are started with; PYTHONPATH is taken on by each fork.
ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
#: Variables with such names have had their effect before a fork, so one that differs starts the program cold.
READ_EARLY: Final = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "OTEL_", "PYDANTIC_", "TYPER_")


class WarmProcess:
    """A process of a program, as ``asyncio.subprocess.Process`` shows one."""

    def __init__(
        self,
        pid: int,
        end: asyncio.Task[int],
        stdout: asyncio.StreamReader | None,
        stderr: asyncio.StreamReader | None,
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self._end = end

    @property
    def returncode(self) -> int | None:
        """The exit code, less than 0 for a signal; None while it runs."""
        return self._end.result() if self._end.done() else None

    async def wait(self) -> int:
        """Wait until it has ended and return its exit code."""
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes]:
        """Read what it writes until it has ended."""
        streams = [stream.read() if stream else _nothing() for stream in (self.stdout, self.stderr)]
        out, err = await asyncio.gather(*streams)
        await self.wait()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: It has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


async def start_warm(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> WarmProcess:
    """Start ``main`` of a module of ours, as ``python -m`` would.

    Args:
        program: The module. It does nothing but define when it is imported.
        arguments: What stands behind the module's name.
        environment: All of its environment.
        folder: Its working folder, by default that of this process.
        stdin: ``DEVNULL`` or a descriptor; None for that of this process.
        stdout: ``PIPE``, ``DEVNULL`` or a descriptor; None for that of this process.
        stderr: The same.
    """
    request = {
        "cold": _read_early(environment) != _read_early(ENVIRONMENT),
        "arguments": arguments,
        "environment": dict(environment),
        "folder": str(folder or Path.cwd()),
    }
    with ExitStack() as stack:
        answer, theirs = socket.socketpair()
        stack.enter_context(theirs)
        streams = [_stream(number, given, stack) for number, given in enumerate((stdin, stdout, stderr))]
        socket.send_fds(
            _control(program),
            [json.dumps(request).encode()],
            [*(stream[0] for stream in streams), theirs.fileno()],
        )
    answers, writer = await asyncio.open_connection(sock=answer)
    told = await answers.readline()
    assert told, f"{program} could not be imported"
    pid = int(told)
    end = asyncio.create_task(_ended(answers, writer))
    return WarmProcess(pid, end, *[await _reader(stream[1]) for stream in streams[1:]])


def _read_early(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_EARLY) and name != "PYTHONPATH"
    }


async def _ended(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    try:
        return int(await answers.readline())
    finally:
        writer.close()


async def _nothing() -> bytes:
    return b""


def _stream(number: int, given: int | None, stack: ExitStack) -> tuple[int, int | None]:
    """Return the descriptor for the program and, where it is a pipe, the end to read."""
    if given is None or given >= 0:
        return (number if given is None else given), None
    if given == PIPE:
        ours, theirs = os.pipe()
    else:
        ours, theirs = None, os.open(os.devnull, os.O_RDWR)
    stack.callback(os.close, theirs)
    return theirs, ours


async def _reader(descriptor: int | None) -> asyncio.StreamReader | None:
    if descriptor is None:
        return None
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


@cache
def _control(program: str) -> socket.socket:
    """Start the process that forks for *program*, once; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", str(theirs.fileno()), program],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
