"""Calls the decoders in this process, for tests that are about their answers."""

import io
from pathlib import Path

from PIL import Image

from callsheet.media.facts import MediaFacts, MediaLimits
from callsheet.media.faults import Fault
from callsheet.media.kinds import promised_kind
from callsheet.media.outputs import picture_size
from callsheet.worker.decode.check import check
from callsheet.worker.decode.probe import probe
from callsheet.worker.decode.render import render
from callsheet.worker.decode.works import (
    CheckArguments,
    Checked,
    Picture,
    ProbeArguments,
    Probed,
    RenderArguments,
    Rendered,
)

USUAL = RenderArguments(pictures=(Picture(box=300), Picture(box=1600)), hash_too=True)


def probed(path: Path, limits: MediaLimits | None = None) -> Probed:
    arguments = ProbeArguments(
        name_promises_media=promised_kind(path.name) is not None, limits=limits or MediaLimits()
    )
    with path.open("rb") as file:
        return probe(arguments, [file.fileno()]).value


def facts(path: Path) -> MediaFacts:
    found = probed(path)
    assert found.facts is not None, found.fault
    return found.facts


def fault(path: Path, limits: MediaLimits | None = None) -> Fault:
    found = probed(path, limits)
    assert found.fault is not None, found.facts
    return found.fault


def rendered(path: Path, arguments: RenderArguments = USUAL) -> tuple[Rendered, list[Image.Image]]:
    with path.open("rb") as file:
        answer = render(arguments, [file.fileno()])
    made = zip(answer.blobs, arguments.pictures, strict=False)
    assert [picture_size(blob, one.format) for blob, one in made] == list(answer.value.sizes)
    return answer.value, [Image.open(io.BytesIO(blob)) for blob in answer.blobs]


def checked(path: Path, depth: str) -> Checked:
    with path.open("rb") as file:
        return check(CheckArguments(depth=depth), [file.fileno()]).value
