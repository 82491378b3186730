"""Code as an attacker would have it run in a decoder, and what of it works under which protections.

As a program, ``python -I hostile.py TARGETS``, it tries every attack under every choice of layers, each in a
process of its own, and prints what worked as JSON.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.worker.sandbox.rights import Layer, Rights, SandboxLimits, confine
from callsheet.worker.sandbox.work import Answer

LIMITS: Final = SandboxLimits(address_space_mib=1024, file_size_mib=1, cpu_s=5, open_files=64)
WORKED: Final = b"worked"
PATIENCE_S: Final = 120.0
_CLONE_NEWUSER, _CLONE_NEWNS = 0x10000000, 0x00020000
_PTRACE_SEIZE: Final = 0x4206
_IPC_PRIVATE, _IPC_CREAT, _IPC_RMID = 0, 0o1000, 0
_NOBODY: Final = 65534
_FILES: Final = resource.getrlimit(resource.RLIMIT_NOFILE)
"".encode("idna")  # what a name is looked up with is imported before rights are given up

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the attacks aim at."""

    secret: str
    """A file that everybody may read."""
    private: str
    """A file that its owner, the worker's user, may read."""
    folder: str
    """A folder that everybody may write to."""
    tcp_port: int
    udp_port: int
    local_socket: str
    setuid: str
    """A copy of ``id`` that belongs to root and runs as root."""
    victim: int
    """The worker: a process of the same user."""


@dataclass(slots=True)
class Held:
    """The descriptors of the process that attacks."""

    report: int = 1
    file: int = -1


held = Held()
Attack = Callable[[Targets], None]
"""Raises OSError or MemoryError where it was refused."""


def read_secret(targets: Targets) -> None:
    Path(targets.secret).read_bytes()


def read_private(targets: Targets) -> None:
    Path(targets.private).read_bytes()


def read_environment(targets: Targets) -> None:
    Path(f"/proc/{targets.victim}/environ").read_bytes()


def write_file(targets: Targets) -> None:
    made = Path(targets.folder, f"made-{os.getpid()}")
    made.write_bytes(b"")
    made.unlink()


def connect(targets: Targets) -> None:
    socket.create_connection(("127.0.0.1", targets.tcp_port), 5).close()


def send_datagram(targets: Targets) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"secret", ("127.0.0.1", targets.udp_port))


def connect_locally(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(targets.local_socket)


def start_process(_: Targets) -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def signal_worker(targets: Targets) -> None:
    os.kill(targets.victim, signal.SIGURG)  # without effect


def trace_worker(targets: Targets) -> None:
    _checked(_libc.ptrace(_PTRACE_SEIZE, targets.victim, 0, 0))


def limit_worker(targets: Targets) -> None:
    """Change how many descriptors the worker may have; here to what it has."""
    now = struct.pack("=QQ", *_FILES)
    _checked(_libc.prlimit(targets.victim, resource.RLIMIT_NOFILE, now, None))


def take_memory(_: Targets) -> None:
    bytearray((LIMITS.address_space_mib + 512) << 20)


def leave_memory(_: Targets) -> None:
    """Make shared memory, which stays when its maker has gone."""
    segment = _checked(_libc.shmget(_IPC_PRIVATE, 1 << 20, _IPC_CREAT | 0o600))
    _libc.shmctl(segment, _IPC_RMID, None)


def hide_memory_in_file(_: Targets) -> None:
    os.close(os.memfd_create("hidden"))


def write_much(_: Targets) -> None:
    """Write more into a file that was open before than a file may hold."""
    for _number in range(LIMITS.file_size_mib + 1):
        os.write(held.file, bytes(1 << 20))


def open_many(_: Targets) -> None:
    for _number in range(LIMITS.open_files + 16):
        os.dup(held.file)


def make_namespace(_: Targets) -> None:
    _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))


def run_program(_: Targets) -> None:
    os.dup2(held.report, 1)
    os.execv("/bin/echo", ["echo", WORKED.decode()])  # noqa: S606 -- no shell is meant


def gain_rights(targets: Targets) -> None:
    """Run a program that makes its user root, as somebody who is not."""
    if os.geteuid() == 0:
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.dup2(writing, 1)
        os.execv(targets.setuid, ["id", "-u"])  # noqa: S606 -- no shell is meant
    os.waitpid(pid, 0)
    os.close(writing)
    if os.read(reading, 16).strip() != b"0":
        raise PermissionError


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


ATTACKS: Final[Mapping[str, Attack]] = {
    "read a file that everybody may read": read_secret,
    "read a file of the worker's user": read_private,
    "read the worker's environment": read_environment,
    "write a file": write_file,
    "connect by TCP": connect,
    "send by UDP": send_datagram,
    "connect to a local socket": connect_locally,
    "start a process": start_process,
    "run another program": run_program,
    "gain rights by a setuid program": gain_rights,
    "send the worker a signal": signal_worker,
    "trace the worker": trace_worker,
    "change the worker's limits": limit_worker,
    "take memory without end": take_memory,
    "leave memory behind": leave_memory,
    "hide memory in a file without a name": hide_memory_in_file,
    "fill the disk through an open file": write_much,
    "open files without end": open_many,
    "make namespaces": make_namespace,
}


def attack(arguments: Targets, descriptors: Sequence[int]) -> Answer[dict[str, str]]:
    """Try every attack that leaves the process alive; a work for a decode child, with one open file."""
    held.file = descriptors[0]
    return Answer(value={name: _tried(one, arguments) for name, one in ATTACKS.items()})


def descend(arguments: Targets, descriptors: Sequence[int]) -> Answer[str]:
    """Do what ends a process, or should: as the victim's secret names it."""
    del descriptors
    match arguments.secret:
        case "compute":
            while True:
                pass
        case "swell":
            kept = [bytearray(64 << 20) for _ in range(1024)]
            return Answer(value=str(len(kept)))
        case "crash":
            ctypes.string_at(8)
        case "hang":
            signal.pause()
        case "babble":
            for number in range(3, 64):
                with suppress(OSError):
                    os.write(number, b"\0\0\0\5hello" * 99)
        case _:
            for _ in range(100_000):
                os.fork()
    return Answer(value=WORKED.decode())


def _tried(one: Attack, targets: Targets) -> str:
    try:
        one(targets)
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return WORKED.decode()


def works(one: Attack, targets: Targets, layers: Sequence[Layer], rights: Rights) -> bool:
    """Return whether an attack works in a process with these protections and no others."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        _strike(one, targets, layers, rights, writing)
    os.close(writing)
    said = b""
    while select.select([reading], [], [], PATIENCE_S)[0] and (part := os.read(reading, 64)):
        said += part
    os.close(reading)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return said.strip() == WORKED


def _strike(one: Attack, targets: Targets, layers: Sequence[Layer], rights: Rights, report: int) -> None:
    held.report = report
    held.file = os.open(targets.folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        confine(LIMITS, rights, layers)
        one(targets)
        os.write(report, WORKED)
    except (OSError, MemoryError) as error:
        os.write(report, type(error).__name__.encode())
    finally:
        os._exit(0)


def main() -> None:
    """Print, for each choice of layers, the attacks that work."""
    os.set_inheritable(1, True)  # noqa: FBT003 -- the function's own interface
    targets = Targets(**json.loads(sys.argv[1]), victim=os.getpid())
    program = os.path.realpath("/bin/ls")
    decoder, encoder = Rights(), Rights(runnable=(program,), keep_user=True)
    every = list(Layer)
    needed = {Layer.LANDLOCK, Layer.SECCOMP}
    choices: dict[str, tuple[list[Layer], Rights]] = {"none": ([], decoder)}
    for layer in every:
        alone = [Layer.NO_NEW_PRIVS, layer] if layer in needed else [layer]
        choices[layer] = (alone, decoder)
        choices[f"all but {layer}"] = ([one for one in every if one is not layer], decoder)
    choices |= {"all": (every, decoder), "encoder": (every, encoder)}
    made = {
        name: [what for what, one in ATTACKS.items() if works(one, targets, layers, rights)]
        for name, (layers, rights) in choices.items()
    }
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
