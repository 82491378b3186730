"""Runs ``callsheet`` as a process of its own."""

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import PATIENCE_S
from tests.support.warm import WarmProcess, start_warm


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, object]:
        """Return the one JSON document that it wrote."""
        [document] = self.documents()
        return document

    def documents(self) -> list[dict[str, object]]:
        """Return the JSON documents that it wrote."""
        return [json.loads(line) for line in self.out.splitlines()]


class CommandLine:
    """``callsheet`` in *folder*, with nothing of the tester's own environment in its way."""

    def __init__(self, folder: Path, *, scheduler: str | None = None) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CALLSHEET_")
        }
        if scheduler is not None:
            self.environment["CALLSHEET_SCHEDULER"] = scheduler

    async def start(self, *arguments: str) -> WarmProcess:
        """Start a command and return its process."""
        return await start_warm(
            "callsheet.cli.app",
            *arguments,
            folder=self.folder,
            environment=self.environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def run(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*arguments)
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Ended(code=process.returncode, out=out.decode(), err=err.decode())
