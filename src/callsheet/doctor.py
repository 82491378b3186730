"""Looks at what Callsheet needs on this machine, and says of each thing that it is well or what to do."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from callsheet.client import Client
from callsheet.errors import CallsheetError, UnavailableError
from callsheet.service.settings import AnyRootSettings, RootSettings
from callsheet.tls import TlsFolder
from callsheet.worker.ffmpeg import ffmpeg_path, ffmpeg_version
from callsheet.worker.sandbox.rights import lacks, strength

#: A certificate that ends so soon is to be renewed.
RENEW_BEFORE: Final = timedelta(days=14)

#: Free space of a disk that holds a root which is written to, or the spool.
FREE_BYTES_MIN: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen of one thing."""

    what: str
    said: str
    """How it is."""
    remedy: str = ""
    """What to do; empty where it is well."""


async def scheduler(client: Client) -> list[Finding]:
    """Ask the scheduler for its workers, and find out why where it does not answer."""
    try:
        workers = (await client.fleet()).workers
    except CallsheetError as error:
        trouble = await client.trouble() if isinstance(error, UnavailableError) else ""
        remedy = "see that it runs, that --scheduler names it, and that nothing is in between"
        return [Finding(what="scheduler", said=trouble or error.message, remedy=remedy)]
    connected = sum(worker.connected for worker in workers)
    return [
        Finding(what="scheduler", said="answers"),
        Finding(
            what="workers",
            said=f"{connected} connected",
            remedy="" if connected else "start a worker: nothing is done without one",
        ),
        *(
            Finding(
                what=f"worker {worker.id}",
                said=f"its decoders go without {', '.join(worker.sandbox_lacks)}",
                remedy="run `callsheet doctor` on its host",
            )
            for worker in workers
            if worker.connected and worker.sandbox_lacks
        ),
    ]


def certificates(tls: TlsFolder | None, now: datetime) -> Finding:
    """Look at the certificate that is shown to others."""
    if tls is None:
        return Finding(what="certificate", said="none; gRPC is plain, for one machine or a private network")
    shown = tls.newest
    renew = "renew it by `callsheet certs issue`"
    if trouble := shown.trouble(now):
        return Finding(what="certificate", said=trouble, remedy=renew)
    said = f"{shown.identity.uri} until {shown.ends_at:%Y-%m-%d}"
    soon = shown.ends_at - now < RENEW_BEFORE
    return Finding(what="certificate", said=said, remedy=f"it ends soon: {renew}" if soon else "")


def roots(named: Mapping[str, AnyRootSettings]) -> list[Finding]:
    """Look at the folders among the roots; buckets are looked at by whoever works with them."""
    return [_root(name, root) for name, root in sorted(named.items()) if isinstance(root, RootSettings)]


def _root(name: str, root: RootSettings) -> Finding:
    what, path = f"root {name}", root.path
    try:
        with os.scandir(path) as entries:
            next(entries, None)
    except OSError as error:
        return Finding(
            what=what,
            said=f"{path} cannot be read: {error.strerror}",
            remedy="mount it, or let this account read it, or correct CALLSHEET_ROOTS",
        )
    if not root.writable:
        return Finding(what=what, said=f"{path} can be read")
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding(
            what=what,
            said=f"{path} can be read and not written to",
            remedy="let this account write to it, or set writable to false in CALLSHEET_ROOTS",
        )
    free_bytes = shutil.disk_usage(path).free
    said = f"{path} can be written to; {free_bytes >> 20} MiB are free"
    return Finding(
        what=what, said=said, remedy="" if free_bytes >= FREE_BYTES_MIN else "make room on its disk"
    )


def sandbox() -> Finding:
    """Look at what would hold a decoder that hostile media took over."""
    words = strength()
    missing = lacks(words)
    said = ", ".join(words) or "nothing"
    if not missing:
        return Finding(what="sandbox", said=said)
    return Finding(
        what="sandbox",
        said=f"{said}; not {', '.join(missing)}",
        remedy="run a kernel that has it, and a container that allows it: docs/guides/sandbox.md",
    )


async def ffmpeg(environment: Mapping[str, str]) -> Finding:
    """Look for the program that encodes, and ask it for its version."""
    remedy = "install imageio-ffmpeg, or name a program that can be run in CALLSHEET_FFMPEG"
    try:
        program: Path = ffmpeg_path(environment)
        version = await ffmpeg_version(program)
    except CallsheetError as error:
        return Finding(what="ffmpeg", said=error.message, remedy=remedy)
    except (OSError, RuntimeError, TimeoutError) as error:
        return Finding(what="ffmpeg", said=f"it does not run: {error}", remedy=remedy)
    if not version:
        return Finding(what="ffmpeg", said=f"{program} says nothing of itself", remedy=remedy)
    return Finding(what="ffmpeg", said=version)
