"""Imports a program once and forks a process of it whenever a test asks; run by tests/support/warm.py."""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

REQUEST_BYTES_MAX = 1 << 18


def main() -> None:
    """Serve until the test's process is gone; only a process that a test asked for returns from serving."""
    control, program = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = dict(os.environ)
    module = import_module(program)
    assert threading.active_count() == 1, (
        f"{program} starts a thread when it is imported: forks would lack it"
    )
    made = {name: value for name, value in os.environ.items() if name not in before}
    gc.collect()
    gc.freeze()
    become(module, *serve(control), made)
    module.main()


def serve(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for every request; tell the requester the pid of the process and, at its end, the exit code.

    What still runs when the test's process is gone is killed.

    Returns:
        The request and the three streams, in the fork.
    """
    answers: dict[int, tuple[int, socket.socket]] = {}
    while True:
        readable, _, _ = select.select([control.fileno(), *answers], [], [])
        for ended in set(readable) & set(answers):
            pid, answer = answers.pop(ended)
            os.close(ended)
            _tell(answer, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            answer.close()
        if control.fileno() not in readable:
            continue
        request, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, 4)
        if not request:
            for left, _ in answers.values():
                os.kill(left, signal.SIGKILL)
            os._exit(0)
        answer = socket.socket(fileno=descriptors[3])
        pid = os.fork()
        if pid == 0:
            for other in (control, answer, *(others for _, others in answers.values())):
                other.close()
            for watched in answers:
                os.close(watched)
            return json.loads(request), descriptors[:3]
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        answers[os.pidfd_open(pid)] = pid, answer
        _tell(answer, pid)


def become(module: ModuleType, request: dict[str, Any], streams: list[int], made: Mapping[str, str]) -> None:
    """Take on the streams, the folder, the environment and the arguments of a program that begins."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["cold"]:
        command = [sys.executable, "-m", module.__name__, *request["arguments"]]
        os.execve(sys.executable, command, request["environment"])  # noqa: S606 -- there is no shell
    os.environ.clear()
    os.environ.update({**made, **request["environment"]})
    time.tzset()
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [request["folder"], *paths]
    sys.argv[:] = [str(module.__file__), *request["arguments"]]
    sys.modules["__main__"] = module


def _tell(answer: socket.socket, number: int) -> None:
    try:
        answer.send(f"{number}\n".encode())
    except OSError:  # nobody asks any more
        return


if __name__ == "__main__":
    main()
