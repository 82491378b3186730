"""Looks at what Callsheet needs on this machine, and says of each thing that it is well or what to do."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from callsheet.client import Client
from callsheet.errors import CallsheetError, UnavailableError
from callsheet.media.ffmpeg_says import last_line
from callsheet.service.settings import AnyRootSettings, RootSettings
from callsheet.tls import TlsFolder
from callsheet.v1.fleet_service_pb2 import Worker
from callsheet.v1.library_service_pb2 import Derivative
from callsheet.within import within
from callsheet.worker.ffmpeg import ffmpeg_path, ffmpeg_version
from callsheet.worker.sandbox.rights import lacks, strength

#: A certificate that ends so soon is to be renewed.
RENEW_BEFORE: Final = timedelta(days=14)

#: Free space of a disk that holds a root which is written to, or the spool.
FREE_BYTES_MIN: Final = 1024**3

#: A worker that is connected says something every few seconds.
SILENT_S_MAX: Final = 30.0

#: How far the clock here may lie from the scheduler's, as far as the newest sign of a worker tells.
SKEW_S_MAX: Final = 30.0

#: Items whose pictures are looked for, picked by chance.
SAMPLE: Final = 100

#: Best first; the ladder of the workers tries the card's decoder as well.
CODECS: Final = ("h264_nvenc", "libx264")
TRIAL_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen of one thing."""

    what: str
    said: str
    """How it is."""
    remedy: str = ""
    """What to do; empty where it is well."""


async def scheduler(client: Client, now: datetime) -> list[Finding]:
    """Ask the scheduler for its workers, and find out why where it does not answer."""
    try:
        workers = (await client.fleet()).workers
    except CallsheetError as error:
        trouble = await client.trouble() if isinstance(error, UnavailableError) else ""
        remedy = "see that it and its database run, that --scheduler names it, and that nothing is in between"
        return [Finding(what="scheduler", said=trouble or error.message, remedy=remedy)]
    connected = [worker for worker in workers if worker.connected]
    return [
        Finding(what="scheduler", said="answers, and so does its database"),
        Finding(
            what="workers",
            said=f"{len(connected)} connected",
            remedy="" if connected else "start a worker: nothing is done without one",
        ),
        *signs(connected, now),
        *(
            Finding(
                what=f"worker {worker.id}",
                said=f"its decoders go without {', '.join(worker.sandbox_lacks)}",
                remedy="run `callsheet doctor` on its host",
            )
            for worker in connected
            if worker.sandbox_lacks
        ),
    ]


def signs(connected: Sequence[Worker], now: datetime) -> list[Finding]:
    """Look at when workers were heard last: who is silent, and whether the clock here is right."""
    heard = {one.id: one.last_heartbeat_at.ToDatetime(now.tzinfo) for one in connected}
    newest = max(heard.values(), default=None)
    if newest is None:
        return []
    off_s = (now - newest).total_seconds()
    wrong = f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the scheduler's"
    set_it = "let NTP set the clocks: certificates and leases rest on them"
    found = [
        Finding(what="clock", said=wrong, remedy=set_it)
        if abs(off_s) > SKEW_S_MAX
        else Finding(what="clock", said="agrees with the scheduler's")
    ]
    for worker, at in heard.items():
        silent_s = (newest - at).total_seconds()
        if silent_s > SILENT_S_MAX:
            look = "look at its log; jobs that it holds go to others when its leases end"
            found.append(Finding(what=f"worker {worker}", said=f"silent for {silent_s:.0f} s", remedy=look))
    return found


async def cache(client: Client, named: Mapping[str, AnyRootSettings]) -> list[Finding]:
    """Look for the files of some items' pictures, where this machine has the folder that they lie in."""
    folders = {name: root.path for name, root in named.items() if isinstance(root, RootSettings)}
    if not folders:
        return []
    try:
        items = await client.items_by_chance(SAMPLE)
        made = [one for item in items for one in item.derivatives if one.facts.root in folders]
    except CallsheetError as error:
        said = f"not looked at: {error.message}"
        return [Finding(what="cache", said=said, remedy="see what is said of the scheduler")]
    lacking = [one for one in made if not await asyncio.to_thread(_lies, one, folders)]
    said = f"{len(made) - len(lacking)} of {len(made)} pictures of {len(items)} items are whole"
    again = "`callsheet cache build --force` makes them again; is the folder of the root the right one?"
    return [Finding(what="cache", said=said, remedy=again if lacking else "")]


def _lies(made: Derivative, folders: Mapping[str, Path]) -> bool:
    path = folders[made.facts.root] / made.facts.path
    try:
        return path.stat().st_size == made.facts.size_bytes
    except OSError:
        return False


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


async def encoder(environment: Mapping[str, str]) -> Finding:
    """Encode one frame, on a card if that works and else in software."""
    fault = ""
    for codec in CODECS:
        try:
            fault = await _trial(ffmpeg_path(environment), codec)
        except (CallsheetError, OSError, RuntimeError, TimeoutError) as error:
            fault = str(error)
        if not fault:
            return Finding(what="encoder", said=codec if codec != "libx264" else "libx264, in software")
    remedy = "set CALLSHEET_FFMPEG to a build with libx264"
    return Finding(what="encoder", said=f"no H.264 is encoded here: {fault}", remedy=remedy)


async def _trial(program: Path, codec: str) -> str:
    """Return why a frame was not encoded; empty where it was."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=256x144:rate=25")
    process = await asyncio.create_subprocess_exec(
        *(program, "-hide_banner", "-loglevel", "error", *source, "-frames:v", "1"),
        *("-c:v", codec, "-pix_fmt", "yuv420p", "-f", "null", "-"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        async with within(TRIAL_S):
            _, said = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return "" if process.returncode == 0 else last_line(said.decode(errors="replace")) or "it failed"
