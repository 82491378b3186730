"""Reels whose card fails after it was chosen are made without it."""

import json

import pytest
from callsheet_gpu_worker.processors.compile_quad import CompileQuad
from callsheet_gpu_worker.processors.compile_random import CompileRandom
from typing_extensions import override

from callsheet.media.encoders import SOFTWARE, Encoder, named
from callsheet.reel_params import CompileQuadParams, CompileRandomParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.stopping import PausedHereError
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import Desk, library, scanned
from tests.support.media import film
from tests.support.videos import seen


class Chosen(Ladder):
    """A rung of a card that is not there: it worked when it was tried, and does no more."""

    def __init__(self, rung: Encoder) -> None:
        super().__init__()
        self._rung = rung

    @override
    async def choose(self, context: JobContext) -> Encoder:
        return self._rung


def rung(name: str) -> Encoder:
    found = named(name)
    assert found is not None
    return found


async def films(place: Desk) -> None:
    for name in ("a", "b"):
        film(library(place) / f"{name}.mp4", seconds=1, size="160x90")
        await scanned(place, f"{name}.mp4")


@pytest.mark.parametrize("name", ["nvdec+nvenc", "nvenc", "nvdec+libx264"])
async def test_reel_is_made_without_the_card_that_failed(place: Desk, name: str) -> None:
    await films(place)
    maker = CompileRandom(Chosen(rung(name)))

    outcome = await maker.process(CompileRandomParams.model_validate({"seed": "s"}), place.context())
    place.library.take(outcome)

    assert outcome.result["encoder"] == SOFTWARE.name
    assert len(seen(place.output_of(outcome)).instants) == 2 * 30
    assert f"{name} failed" in place.diary.text
    assert place.kept() == [outcome.result["outputPath"]]


async def test_attempt_after_a_pause_does_not_try_the_card_again(place: Desk) -> None:
    await films(place)
    maker = CompileRandom(Chosen(rung("nvenc")))
    params = CompileRandomParams.model_validate({"seed": "s"})
    context = place.context()
    context.stop.ask(StopReason.PAUSED, begun=True)
    with pytest.raises(PausedHereError) as paused:
        await maker.process(params, context)
    assert "nvenc failed" in place.diary.text

    place.checkpoint = json.loads(paused.value.message)
    outcome = await maker.process(params, place.context())

    assert outcome.result["encoder"] == SOFTWARE.name
    assert "nvenc failed" not in place.diary.text
    assert "2 clips, of which 1 are done." in place.diary.text


async def test_grid_is_made_without_the_card_that_failed(place: Desk) -> None:
    await films(place)
    maker = CompileQuad(Chosen(rung("nvenc")))

    outcome = await maker.process(CompileQuadParams.model_validate({"seed": "s"}), place.context())

    assert outcome.result["encoder"] == SOFTWARE.name
