"""Shows four videos at once, two by two: each in one shape, kept, then laid side by side and encoded."""

from typing import Final

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import COMPILE_QUAD
from callsheet.errors import BadInputError, TransientError
from callsheet.media.compilation import (
    RATE,
    CompilationWish,
    expected_bytes,
)
from callsheet.media.encoders import SOFTWARE, Encoder
from callsheet.media.grids import TILES, grid_recipe, tile_size
from callsheet.reel_params import CompileQuadParams
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Expected, Made, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.storage.staging import StagedOutput
from callsheet_gpu_worker import reel
from callsheet_gpu_worker.compilations import KIND, chosen_by, named, place_of, plan_of, wish_of
from callsheet_gpu_worker.grids import Grid, grid_command
from callsheet_gpu_worker.reel_state import Reel

_CLIPS_PERCENT: Final = 60
"""The progress that the last clip's end stands for."""
_ENCODED_PERCENT: Final = 97


class CompileQuad(Processor[CompileQuadParams]):
    """Publishes an MP4 that becomes an item of the library; a video that cannot be used is a black tile."""

    job_type = COMPILE_QUAD

    def __init__(self, ladder: Ladder | None = None) -> None:
        self._ladder = ladder or Ladder()

    @override
    async def process(self, params: CompileQuadParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: An item is not there, no video fits, or none can be used.
            CapacityError: No room on the disk or the card.
        """
        wish = wish_of(params, context)
        if params.video_ids:
            chosen = await named(context, params.video_ids)
        else:
            chosen = await chosen_by(context, params, wish)
        recipe = grid_recipe(wish, [one.facts.identity for one in chosen])
        place = place_of(params, recipe, chosen[0])
        known = await reel.earlier(context, chosen[0], kind=KIND, place=place)
        if known is not None:
            return known
        made = await reel.begun(context, self._ladder, plan_of(wish, place, chosen, tile_size(wish.size)))
        made.meter.until = _CLIPS_PERCENT
        await reel.fill(made)
        published = await _published(made, wish, made.kept.encoder)
        await reel.remove_kept(made)
        return reel.outcome(made, published, {"seed": wish.seed, "tiles": _tiles(made), **_ids(made)})


async def _published(made: Reel, wish: CompilationWish, encoder: Encoder) -> Made:
    """Lay the clips side by side; what a card refuses, libx264 may take."""
    try:
        return await _laid(made, wish, encoder)
    except (BadInputError, TransientError) as error:
        if not encoder.on_card:
            raise
        made.context.report.log(f"{encoder.name} failed ({error.message}); it is done by {SOFTWARE.name}.")
        return await _laid(made, wish, SOFTWARE)


async def _laid(made: Reel, wish: CompilationWish, encoder: Encoder) -> Made:
    """Lay the clips side by side, as long as the longest lasts, check the result and publish it."""
    frames = max(one.clip.frames for one in made.taken)
    length_s = frames / RATE
    place = made.plan.place
    output = await outputs.begin(made.context, place, expected_bytes=expected_bytes(length_s, wish.size))
    try:
        argv = await _encoded(made, wish, encoder, output)
        return await outputs.publish(
            made.context,
            output,
            Expected(duration_s=length_s, audio_s=length_s, frames=frames),
            Recorded(encoder=encoder.name, ffmpeg=made.ffmpeg, argv=argv, further={"tiles": _tiles(made)}),
            recipe=place.recipe,
            sources=list({item.id: item for item in _items(made)}.values()),
        )
    except BaseException:
        await output.discard()
        raise


async def _encoded(made: Reel, wish: CompilationWish, encoder: Encoder, output: StagedOutput) -> list[str]:
    """Encode into *output*; returns the command."""
    frames = max(one.clip.frames for one in made.taken)
    numbers = [one.number for one in made.taken]
    async with made.kept.clips.opened(numbers) as fds:
        grid = Grid(size=wish.size, frames=frames, tiles=dict(zip(numbers, fds, strict=True)))
        one = grid_command(grid, encoder, output.fd)
        rest = (_ENCODED_PERCENT - _CLIPS_PERCENT) / _ENCODED_PERCENT
        total_s = frames / RATE / rest
        meter = Meter(
            context=made.context, total_s=total_s, until=_ENCODED_PERCENT, done_s=total_s * (1 - rest)
        )
        await encode(made.context, one, meter)
        return ["ffmpeg", *one.arguments]


def _items(made: Reel) -> list[Item]:
    return [made.plan.parts[one.number].item for one in made.taken]


def _tiles(made: Reel) -> list[JsonValue]:
    """Return whose each tile is, in reading order; null for a black one."""
    shown = {one.number: item.id for one, item in zip(made.taken, _items(made), strict=True)}
    return [shown.get(number) for number in range(TILES)]


def _ids(made: Reel) -> dict[str, JsonValue]:
    return {"videoIds": [item.id for item in _items(made)]}
