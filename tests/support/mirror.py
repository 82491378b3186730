"""A program that writes what it finds around itself, so that two ways of starting one can be compared."""

import asyncio
import gc
import json
import locale
import os
import random
import resource
import signal
import socket
import sys
import time
import uuid
import warnings
from pathlib import Path

STATUS = ("Umask", "Threads", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "CapEff", "NoNewPrivs", "Seccomp")


def main() -> None:
    """Write what is around, as JSON, and end as the first argument asks."""
    match sys.argv[1]:
        case "look":
            sys.stdout.write(json.dumps(_around(), sort_keys=True))
        case "fail":
            raise RuntimeError(sys.argv[1])
        case "exit":
            sys.exit(7)
        case "term":
            os.kill(os.getpid(), signal.SIGTERM)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        case _:
            signal.pause()


def _around() -> dict[str, object]:
    return {
        "alike": _process() | _interpreter(),
        "drawn": [random.random(), uuid.uuid4().hex, os.getpid()],  # noqa: S311 -- whether forks draw the same
    }


def _process() -> dict[str, object]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "arguments": sys.argv,
        "descriptors": _descriptors(),
        "status": {name: status[name].strip() for name in STATUS},
        "groups": [os.getpgrp(), os.getsid(0), os.nice(0), sorted(os.sched_getaffinity(0))],
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
    }


def _interpreter() -> dict[str, object]:
    main_module = sys.modules["__main__"]
    assert main_module.__spec__ is not None
    return {
        "main": [main_module.__spec__.name, main_module.__package__, main_module.__file__],
        "path": sys.path,
        "flags": repr(sys.flags),
        "streams": [
            [stream.encoding, stream.errors, stream.isatty(), stream.fileno()]
            for stream in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "buffering": [sys.stdout.line_buffering, sys.stderr.line_buffering],
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "warnings": [repr(one) for one in warnings.filters],
        "zone": [*time.tzname, time.localtime(0).tm_hour],
        "locale": [locale.getlocale(), locale.getpreferredencoding()],
        "collector": [gc.isenabled(), gc.get_threshold()],
        "of the loop": asyncio.run(_of_the_loop()),
        "of sockets": socket.getdefaulttimeout(),
    }


async def _of_the_loop() -> list[object]:
    """Return what a child and a signal do below an event loop."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, told.set)
    child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "raise SystemExit(5)")
    os.kill(os.getpid(), signal.SIGUSR1)
    await told.wait()
    return [type(loop).__name__, await child.wait()]


def _descriptors() -> dict[str, str]:
    found: dict[str, str] = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found[descriptor.name] = str(descriptor.readlink()).partition(":")[0]
        except FileNotFoundError:  # the one that lists
            continue
    return found


if __name__ == "__main__":
    main()
