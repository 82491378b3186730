"""Processors that tests register as somebody's package would: a resumable one, and one that encodes."""

import asyncio
import hashlib
import os
import signal
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import Category, JobType
from callsheet.errors import BadInputError, TransientError
from callsheet.params import JobParams
from callsheet.v1.library_service_pb2 import Item, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import PROBE, ProbeArguments
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import StagedOutput
from callsheet.worker.threads import in_thread

ROOT: Final = "made"
STRIDE_BYTES: Final = 64 * 1024
ENTRIES: Final = (
    "[callsheet.processors]\n"
    "test_digest = tests.support.plug_ins:Digest\n"
    "test_encode = tests.support.plug_ins:Encode\n"
    "test_gpu = tests.support.plug_ins:OnGpu\n"
    "test_deadly = tests.support.plug_ins:Deadly\n"
    "test_deadly_many = tests.support.plug_ins:DeadlyMany\n"
    "test_deadly_scan = tests.support.deadly_scan:DeadlyScan\n"
)


class DigestParams(JobParams):
    path: str
    pace_s: float = 0.0
    """Seconds between two strides, as an admin may want of work that is not urgent."""


class Digest(Processor[DigestParams]):
    """Folds a file into one hash, stride by stride; what it has after any stride is enough to go on."""

    job_type = JobType(name="test_digest", description="Hashes a file.", params=DigestParams, resumable=True)

    @override
    async def process(self, params: DigestParams, context: JobContext) -> Outcome:
        begin = context.checkpoint or {}
        offset, state = int(str(begin.get("offset", 0))), bytes.fromhex(str(begin.get("state", "")))
        strides = 0
        context.report.log(f"from byte {offset}")
        with await opened(context, params.path) as file:
            while stride := await asyncio.to_thread(os.pread, file.fd, STRIDE_BYTES, offset):
                state = folded(state, stride)
                offset += len(stride)
                strides += 1
                context.report.progress(100 * offset // file.size_bytes)
                context.save({"offset": offset, "state": state.hex()})
                await asyncio.sleep(params.pace_s)
        return Outcome(result={"digest": state.hex(), "strides": strides, "bytes": offset})


class EncodeParams(JobParams):
    path: str
    output_path: str
    live: bool = False
    """Read the input no faster than it plays."""


class Encode(Processor[EncodeParams]):
    """Encodes a video by FFmpeg and puts it where it was asked for."""

    job_type = JobType(name="test_encode", description="Encodes a video.", params=EncodeParams)

    @override
    async def process(self, params: EncodeParams, context: JobContext) -> Outcome:
        with await opened(context, params.path) as source:
            output = await context.stage(ROOT, params.output_path)
            try:
                seconds = await _encoded(context, source, output, live=params.live)
            except BaseException:
                await output.discard()
                raise
            await context.publish(output)
        return Outcome(result={"outputPath": params.output_path, "seconds": seconds})


class OnGpuParams(JobParams):
    scale: str = "iw"
    """The width; what is none, FFmpeg complains of."""
    seconds: int = 900


class OnGpu(Processor[OnGpuParams]):
    """Stands for an encoder: runs FFmpeg for a while, or until it is told to end, without touching a card."""

    job_type = JobType(
        name="test_gpu",
        description="Encodes.",
        params=OnGpuParams,
        category=Category.GPU_ENCODE,
        vram_mib=2000,
    )

    @override
    async def process(self, params: OnGpuParams, context: JobContext) -> Outcome:
        share = context.device
        place = f"on {share.vram_mib} MiB of {share.uuid}" if share else "in software"
        context.report.log(f"encodes {place}")
        source = ["-f", "lavfi", "-re", "-i", f"testsrc2=size=64x64:rate=10:duration={params.seconds}"]
        run = await context.children.ffmpeg(
            [*source, "-vf", f"scale={params.scale}:ih", "-f", "null", "-"], deadline_s=900
        )
        if run.exit_code:
            raise TransientError(f"ffmpeg ended with {run.exit_code}: {run.stderr[-300:]}")
        return Outcome()


class DeadlyParams(JobParams):
    video_id: UUID


class Deadly(Processor[DeadlyParams]):
    """Stands for media that brings down whoever reads it: kills its worker where the name says so."""

    job_type = JobType(name="test_deadly", description="Kills.", params=DeadlyParams)

    @override
    async def process(self, params: DeadlyParams, context: JobContext) -> Outcome:
        (item,) = await context.library.items([str(params.video_id)])
        _read(item)
        return Outcome()


class DeadlyManyParams(JobParams):
    item_ids: list[UUID]


class DeadlyMany(Processor[DeadlyManyParams]):
    """Reads one item after the other, those alone that are not broken."""

    job_type = JobType(name="test_deadly_many", description="Kills by one.", params=DeadlyManyParams)

    @override
    async def process(self, params: DeadlyManyParams, context: JobContext) -> Outcome:
        items = await context.library.items([str(one) for one in params.item_ids])
        usable = [item for item in items if item.facts.state == ItemState.ITEM_STATE_OK]
        for item in sorted(usable, key=lambda item: item.facts.path):
            if context.lease.attempt > 1:
                await context.library.take_in_hand(item)
            _read(item)
        return Outcome(result={"read": len(usable)})


def _read(item: Item) -> None:
    if item.facts.path.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)


async def opened(context: JobContext, path: str) -> OpenedFile:
    return await in_thread(lambda: context.roots.open_file(ROOT, path), OpenedFile.close)


async def _encoded(context: JobContext, source: OpenedFile, output: StagedOutput, *, live: bool) -> JsonValue:
    run = await context.children.ffmpeg(
        [
            *(["-re"] if live else []),
            *("-protocol_whitelist", "fd", "-fd", str(source.fd), "-i", "fd:"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
            *("-f", "matroska", "-fd", str(output.fd), "fd:"),
        ],
        deadline_s=900,
        pass_fds=[source.fd, output.fd],
        on_progress=lambda block: context.report.log(f"out_time_us={block.get('out_time_us')}"),
    )
    if run.exit_code or not run.said_end:
        raise TransientError(f"ffmpeg ended with {run.exit_code}: {run.stderr[-300:]}")
    wanted, made = [await _duration(context, fd) for fd in (source.fd, output.fd)]
    if abs(wanted - made) > max(0.5, 0.02 * wanted):
        raise TransientError(f"{made:.2f} s were made of {wanted:.2f} s")
    return round(made, 1)


async def _duration(context: JobContext, fd: int) -> float:
    arguments = ProbeArguments(name_promises_media=True)
    found = (await context.children.run(PROBE, arguments, descriptors=[fd], deadline_s=60)).value
    if found.facts is None or found.facts.duration_s is None:
        raise BadInputError(f"no video: {found.fault}")
    return found.facts.duration_s


def folded(state: bytes, stride: bytes) -> bytes:
    return hashlib.blake2b(state + stride, digest_size=32).digest()


def digest_of(content: bytes) -> str:
    """Return what `Digest` finds for a file, however often it is paused."""
    state = b""
    for start in range(0, len(content), STRIDE_BYTES):
        state = folded(state, content[start : start + STRIDE_BYTES])
    return state.hex()


def installed(site: Path) -> Path:
    """Install the processors below *site*, which belongs on a worker's PYTHONPATH, and return it."""
    described = site / "plug_ins-1.0.dist-info"
    described.mkdir(parents=True, exist_ok=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-ins\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRIES)
    return site
