"""Tries the image of the Immich controller, in the daemon's place beside the tests' stand-in for a server.

``python -m tests.deploy.immich_trial IMAGE``, as `trial.sh` calls it: podman has to know the image. Both
generations of Immich's API are tried, the key once in a variable and once in a file.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from callsheet_immich_agent.policy import UNMANAGED

from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.patience import PATIENCE_S

CONTAINER: Final = "callsheet-trial-immich"
BACKLOG: Final = {"videoConversion": 4, "smartSearch": 4, "sidecar": 4}
"""Least urgent first: the controller has to find the order by itself."""
URGENT_FIRST: Final = ["resume sidecar", "resume smartSearch", "resume videoConversion"]
HARDENED: Final = (
    "--network=host",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp:size=64m",
    "--memory=512m",
    "--env=POLL_INTERVAL=0.5",
    "--env=MAX_CONCURRENT_JOBS=1",
    "--env=CALLSHEET_LOG_LEVEL=debug",
)


async def podman(*words: str, fails: bool = False) -> str:
    """Run podman, and return what it says."""
    process = await asyncio.create_subprocess_exec(
        "podman", *words, stdout=PIPE, stderr=STDOUT, env={**os.environ, "API_KEY": KEY}
    )
    said = (await process.communicate())[0].decode()
    assert fails or process.returncode == 0, f"podman {words[0]}: {said}"
    return said


def lay_out(folder: Path) -> tuple[Path, Path]:
    """Make what the container's user, who is nobody here, writes to and reads: its state and the key."""
    folder.chmod(0o755)
    state, key = folder / "state", folder / "key"
    state.mkdir()
    state.chmod(0o777)
    key.write_text(KEY, encoding="ascii")
    key.chmod(0o644)
    return state, key


async def start(image: str, immich: StandIn, state: Path, key: Path | None = None) -> None:
    """Start the controller; the key is in a variable, or in the file *key*."""
    secret = ["--env=API_KEY"]
    if key is not None:
        secret = [f"--volume={key}:/run/key:ro", "--env=CALLSHEET_IMMICH_API_KEY_FILE=/run/key"]
    await podman(
        "run",
        "--detach",
        f"--name={CONTAINER}",
        *HARDENED,
        *secret,
        f"--env=IMMICH_URL={immich.address}",
        f"--volume={state}:/var/lib/callsheet/immich",
        image,
        "callsheet",
        "immich",
        "run",
    )


async def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for *what*; a controller that ended first is told of."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            running = await podman("inspect", "--format={{.State.Running}}", CONTAINER)
            assert running.strip() == "true", f"before {what}: {await podman('logs', CONTAINER)}"
            await asyncio.sleep(0.2)
    say(what)


async def end(*signal: str) -> tuple[int, str]:
    """End the controller, and return its exit code and its log."""
    await podman("kill", *signal, CONTAINER)
    code = int(await podman("wait", CONTAINER))
    logged = await podman("logs", CONTAINER)
    await podman("rm", CONTAINER)
    return code, logged


async def try_generation(image: str, folder: Path, *, new: bool) -> None:
    """Have a backlog drained in order, then have everything opened: by SIGTERM, and after a SIGKILL."""
    found = SimulatedImmich(BACKLOG, follow_on={})
    for name in set(NAMES) - UNMANAGED:
        found.pause(name)
    state, key = lay_out(folder)
    async with standing_in(found) as immich:
        immich.jobs_api, immich.queues_api, immich.per_look_s = not new, new, 5.0
        say(f"a server with {'/api/queues' if new else '/api/jobs'}, all paused as the daemon leaves it")
        await start(image, immich, state, key if new else None)
        await until("all is drained", lambda: not found.left(BACKLOG))
        resumed = [one for one in immich.commands if one in URGENT_FIRST]
        assert resumed == URGENT_FIRST, immich.commands
        assert found.wrong_pauses == 0
        ready = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7430/readyz', timeout=60)"
        await podman("exec", CONTAINER, "python3", "-c", ready)
        used = await podman("stats", "--no-stream", "--format={{.MemUsage}}", CONTAINER)
        say(f"at rest: {used.strip()}")
        killed, logged = await end("--signal=KILL")
        assert found.open() < set(NAMES), "a process that is killed opens nothing"
        await start(image, immich, state, key if new else None)
        looks = len(immich.asked)
        await until("started again it looks", lambda: len(immich.asked) > looks + 2)
        code, more = await end("--signal=TERM")
        assert (killed, code) == (137, 0), more
        assert found.open() == set(NAMES)
        assert immich.keys == {KEY}
        assert KEY not in logged + more
        say("told to stop it ended with 0; every queue is open; the key is in no log")


def say(what: str) -> None:
    """Tell what was seen."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(image: str) -> None:
    """Try one image."""
    (seen,) = json.loads(await podman("image", "inspect", image))
    say(f"{image}: {seen['Size'] / 1e6:.0f} MB, user {seen['Config']['User']}")
    await podman("rm", "--force", "--ignore", CONTAINER)
    for new in (False, True):
        with TemporaryDirectory() as folder:
            try:
                await try_generation(image, Path(folder), new=new)
            finally:
                await podman("rm", "--force", "--ignore", CONTAINER, fails=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
