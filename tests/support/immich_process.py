"""``callsheet immich`` as a process."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from tests.support.immich_server import KEY


async def start(folder: Path, address: str, *words: str, **variables: str) -> Process:
    """Start ``callsheet immich`` with *words* beside the server at *address*; it remembers in *folder*."""
    environment = {
        "PATH": os.environ["PATH"],
        "IMMICH_URL": address,
        "API_KEY": KEY,
        "POLL_INTERVAL": "0.5",
        "CALLSHEET_IMMICH_STATE": str(folder / "state"),
        **variables,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callsheet",
        "immich",
        *words,
        env=environment,
        cwd=folder,
        stdout=PIPE,
        stderr=PIPE,
    )
