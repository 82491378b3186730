"""Finds the best encoder that works here, by encoding one frame with each until one does."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import ffmpeg

from callsheet.errors import AttemptError, OutOfVramError, TransientError
from callsheet.media.encoders import SOFTWARE, Encoder, h264_options, rungs
from callsheet.media.ffmpeg_says import last_line
from callsheet.worker.context import JobContext
from callsheet.worker.ffmpeg import ffmpeg_path, ffmpeg_version

PROBE_S: Final = 60.0
"""How long the try of one rung may take."""
_CARD: Final = "testsrc2=size=256x144:rate=25"


class Ladder:
    """What was found out, by GPU: each is tried once in a worker's life.

    A rung that failed only for want of room on the card is tried again by the next attempt.
    """

    def __init__(self) -> None:
        self._found: dict[str, Encoder] = {}
        self._version = ""
        self._trying = asyncio.Lock()

    async def choose(self, context: JobContext) -> Encoder:
        """Return the best rung that works for this attempt.

        Raises:
            OutOfVramError: The card has no memory left to try it.
            TransientError: Not even libx264 works.
        """
        device = context.device
        sessions = device.encoder_sessions if device else 0
        key = f"{device.uuid if device else ''}:{sessions > 0}"
        async with self._trying:
            rung = self._found.get(key)
            if rung is None:
                tried = rungs(card=device is not None, sessions=sessions)
                rung, lasting = await _first_that_works(context, tried)
                if lasting:
                    self._found[key] = rung
        context.report.log(f"Encoder: {rung.name}")
        return rung

    async def version(self) -> str:
        """Return what the program calls itself."""
        if not self._version:
            self._version = await ffmpeg_version(ffmpeg_path(os.environ))
        return self._version


async def _first_that_works(context: JobContext, tried: Sequence[Encoder]) -> tuple[Encoder, bool]:
    """Return a rung, and whether that will stay so."""
    fault, lasting = "", True
    for rung in tried:
        try:
            fault = await _fault(context, rung)
        except OutOfVramError:
            raise
        except AttemptError as error:
            fault, lasting = error.message, False
        if not fault:
            return rung, lasting
        context.report.log(f"Encoder {rung.name} does not work here: {fault}")
    raise TransientError(
        f"ffmpeg encodes no H.264 here: {fault}; set CALLSHEET_FFMPEG to a build with libx264"
    )


async def _fault(context: JobContext, rung: Encoder) -> str:
    """Encode one frame and return why that failed; empty where it works."""
    if not rung.decodes_on_card:
        return await _run(context, _one_frame(ffmpeg.input(_CARD, f="lavfi"), rung))
    fd = os.memfd_create("frame")
    try:
        one: dict[str, str | float] = {"frames:v": 1, "c:v": SOFTWARE.codec}
        made = ffmpeg.input(_CARD, f="lavfi").output(f"file:/proc/self/fd/{fd}", f="h264", **one)
        fault = await _run(context, made.overwrite_output().compile()[1:], fd=fd)
        os.lseek(fd, 0, os.SEEK_SET)
        card = {"hwaccel": "cuda", "hwaccel_output_format": "cuda"}
        source = ffmpeg.input("fd:", fd=fd, protocol_whitelist="fd", f="h264", **card)
        down = source.filter("hwdownload").filter("format", "nv12")
        return fault or await _run(context, _one_frame(down, rung), fd=fd)
    finally:
        os.close(fd)


def _one_frame(source: ffmpeg.Stream, rung: Encoder) -> list[str]:
    options = h264_options(rung, preset="medium", crf=23, maxrate_kbps=2000, gop_s=2.0)
    return source.output("-", f="null", **{**options, "frames:v": 1}).compile()[1:]


async def _run(context: JobContext, arguments: Sequence[str], *, fd: int | None = None) -> str:
    run = await context.children.ffmpeg(
        ["-loglevel", "warning", *arguments],
        deadline_s=PROBE_S,
        pass_fds=[] if fd is None else [fd],
        writable=[] if fd is None else [Path(f"/proc/self/fd/{fd}")],
    )
    return "" if run.exit_code == 0 and run.said_end else last_line(run.stderr)
