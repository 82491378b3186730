"""Joins the clips of a reel, those of a long one in groups first."""

import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from callsheet.media.compilation import Clip, chapters
from callsheet.worker.encode import outputs
from callsheet.worker.encode.commands import concat_list
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.storage.staging import StagedOutput
from callsheet_gpu_worker import clips
from callsheet_gpu_worker.reel_state import CLIPS_PERCENT, Reel, Taken, expected_of


async def join_group(reel: Reel, group: int, numbers: range) -> None:
    """Join the clips of a group, keep it with what it is made of, and remove the clips."""
    taken = [one for one in reel.taken if one.number in numbers]
    if not taken:
        return
    output = await reel.kept.groups.begin(group)
    try:
        lengths = [one.clip.length_s for one in taken]
        async with reel.kept.clips.opened(one.number for one in taken) as fds:
            with _written(concat_list(list(zip(fds, lengths, strict=True)))) as listed:
                one = clips.group_command(fds, listed, output.fd)
                await encode(reel.context, one, Meter(context=reel.context, total_s=0))
        await outputs.checked(reel.context, output.fd, expected_of(taken))
        await _record(reel, group, numbers, taken)
    except BaseException:
        await output.discard()
        raise
    await reel.kept.groups.keep(group, output)
    await reel.kept.clips.remove(numbers)


async def _record(reel: Reel, group: int, numbers: range, taken: Sequence[Taken]) -> None:
    """Keep what a group is made of."""
    record = {
        "taken": [[one.number, one.clip.start_s, one.clip.frames, str(one.clip.rate)] for one in taken],
        "dropped": [[number, reason] for number, reason in reel.dropped if number in numbers],
    }
    await reel.kept.records.write(group, json.dumps(record).encode())


async def take_group(reel: Reel, group: int) -> None:
    """Take in a group that an earlier attempt made."""
    record = json.loads(await reel.kept.records.read(group))
    for number, start_s, frames, rate in record["taken"]:
        clip = Clip(start_s=start_s, frames=frames, rate=Fraction(rate))
        reel.taken.append(Taken(number=number, clip=clip))
        reel.meter.passed(clip.duration_s)
    reel.dropped += [(number, reason) for number, reason in record["dropped"]]


async def join(reel: Reel, taken: Sequence[Taken], output: StagedOutput) -> list[str]:
    """Join into *output*; returns the command."""
    titles = [(reel.plan.parts[one.number].title, one.clip) for one in taken]
    pieces = [(reel.piece_of(one.number), one.clip.length_s) for one in taken]
    lengths: dict[int, Fraction] = {}
    for number, length_s in pieces:
        lengths[number] = lengths.get(number, Fraction(0)) + length_s
    kept = reel.kept.groups if reel.grouped else reel.kept.clips
    async with kept.opened(lengths) as fds:
        with (
            _written(concat_list(list(zip(fds, lengths.values(), strict=True)))) as listed,
            _written(chapters(titles)) as marks,
        ):
            one = clips.join_command(fds, listed, marks, output.fd)
            total_s = float(sum(lengths.values()))
            await encode(reel.context, one, Meter(context=reel.context, total_s=total_s, begin=CLIPS_PERCENT))
            return ["ffmpeg", *one.arguments]


@contextmanager
def _written(text: str) -> Generator[int]:
    """Give a descriptor of a file in memory."""
    fd = os.memfd_create("list")
    try:
        os.write(fd, text.encode())
        yield fd
    finally:
        os.close(fd)
