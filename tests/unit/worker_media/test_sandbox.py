"""What a confined process can still do, tried from inside one."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from callsheet.worker.sandbox import landlock, rights, seccomp
from callsheet.worker.sandbox.launch import LaunchSettings
from callsheet.worker.sandbox.processes import python_folders
from callsheet.worker.sandbox.rights import CLEAN_ENVIRONMENT, Rights, SandboxLimits
from callsheet.worker.sandbox.work import codec

needs_landlock = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")
SYSTEM = ("/usr/lib", "/lib", "/lib64", "/usr/local/lib")


def confined(
    code: str, *, writable: tuple[str, ...] = (), limits: SandboxLimits | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code as an FFmpeg child would run."""
    program = os.path.realpath(sys.executable)
    settings = LaunchSettings(
        limits=limits or SandboxLimits(),
        rights=Rights(
            runnable=(program, *SYSTEM, sys.base_prefix, *python_folders(())),
            writable=writable,
            keep_user=True,
        ),
    )
    command = [sys.executable, "-I", "-m", "callsheet.worker.sandbox.launch", str(os.getpid())]
    command += [codec(LaunchSettings).dump_json(settings).decode(), program, "-I", "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=CLEAN_ENVIRONMENT, cwd="/"
    )


def test_confined_program_runs_with_a_clean_environment() -> None:
    done = confined("import os; print(sorted(os.environ))")
    assert done.stderr == ""
    assert set(CLEAN_ENVIRONMENT) <= set(eval(done.stdout))  # noqa: S307 -- our own child's list
    assert "HOME" not in done.stdout


@needs_landlock
def test_confined_program_reads_and_writes_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "open").mkdir()
    tried = "\n".join(
        f"try: open({str(tmp_path / name)!r}, {mode!r}).close(); print('{name} opened')\n"
        f"except PermissionError: print('{name} denied')"
        for name, mode in (("secret", "r"), ("new", "w"), ("open/new", "w"))
    )
    done = confined(tried, writable=(str(tmp_path / "open"),))
    assert done.stdout.split("\n")[:3] == ["secret denied", "new denied", "open/new opened"]


@needs_landlock
@pytest.mark.skipif(landlock.abi() < 4, reason="Landlock minds the network from version 4")
def test_confined_program_reaches_nobody_by_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = confined(
            "import socket\n"
            f"try: socket.create_connection(('127.0.0.1', {port}), 5); print('connected')\n"
            "except PermissionError: print('denied')"
        )
    assert done.stdout == "denied\n", done.stderr


def test_confined_program_gets_no_more_memory_than_allowed() -> None:
    done = confined(
        "try: bytearray(900 << 20); print('got it')\nexcept MemoryError: print('refused')",
        limits=SandboxLimits(address_space_mib=512),
    )
    assert done.stdout == "refused\n"


def test_confined_program_can_gain_no_privileges() -> None:
    done = confined("import ctypes; print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))")  # PR_GET_NO_NEW_PRIVS
    assert done.stdout == "1\n"


def test_endless_computing_is_ended_by_the_kernel() -> None:
    done = confined("while True: pass", limits=SandboxLimits(cpu_s=1))
    assert done.returncode == -24  # SIGXCPU


def test_strength_is_said_in_words_and_so_is_what_is_missing() -> None:
    words = rights.strength()
    assert words[:2] == ["rlimits", "no_new_privs"]
    assert (f"landlock {landlock.abi()}" in words) == (landlock.abi() > 0)
    assert rights.lacks(words) == ([] if landlock.abi() and seccomp.available() else ["landlock", "seccomp"])
    assert rights.lacks(["rlimits", "no_new_privs"]) == ["landlock", "seccomp"]
    assert rights.lacks(["rlimits", "no_new_privs", "seccomp"]) == ["landlock"]


def test_process_with_threads_is_not_confined() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="more than one thread"):
            rights.confine(SandboxLimits(), Rights())
    finally:
        go_on.set()
        thread.join()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_for_every_machine_jumps_only_to_what_is_there(machine: str) -> None:
    for permits in (seccomp.Permits(), seccomp.Permits(execution=True, local_sockets=True)):
        program = seccomp.instructions(machine, permits, 1234)
        for place, (code, true, false, _) in enumerate(program):
            jumps = code & 7 == 5
            assert jumps or not (true or false)
            assert place + 1 + max(true, false) < len(program) or not jumps
        assert program[-1][0] == 6


def test_memory_of_a_worker_is_hidden_from_its_own_user() -> None:
    code = (
        "import os, sys; from callsheet.worker.sandbox.rights import hide_memory; hide_memory();"
        "os.setresuid(65534, 65534, 65534) if os.geteuid() == 0 else None; hide_memory();"
        "print(os.stat('/proc/self/environ').st_uid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as hidden:
        said = hidden.communicate("")[0]
    assert said == "0\n"


@pytest.mark.parametrize(
    ("version", "last"), [(1, "MAKE_SYM"), (2, "REFER"), (3, "TRUNCATE"), (4, "TRUNCATE"), (7, "IOCTL_DEV")]
)
def test_each_version_of_landlock_takes_away_what_it_knows(version: int, last: str) -> None:
    rights = landlock.handled(version)
    assert landlock.Access[last] in rights
    assert int(rights) < 2 * int(landlock.Access[last])
