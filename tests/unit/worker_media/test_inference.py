"""Models in processes of their own: what they say, what they may do, and how they end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsheet.errors import BadInputError, CapacityError, OutOfVramError, TransientError
from callsheet.media.likeness import centred
from callsheet.models.manifest import Manifest, read_manifest
from callsheet.worker.children import AttemptChildren
from callsheet.worker.inference.hosts import InferenceHost, death
from callsheet.worker.inference.limits import InferenceLimits, card_options
from callsheet.worker.inference.works import CARD, PROCESSOR
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.stopping import Stop
from callsheet.worker.stream.devices import DeviceShare
from tests.support.onnx_models import (
    COLOURS,
    HUNGRY_GRAPH,
    NAN_GRAPH,
    SLOW_GRAPH,
    TEXT_GRAPH,
    array,
    graph,
    manifest_text,
    pictures,
    put_model,
    usual_files,
)
from tests.support.processes import cpu_ticks, ended, until
from tests.support.worker_processes import environment_of

LIMITS = InferenceLimits(memory_mib=2048, threads=2, deadline_s=60)
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


@pytest.fixture
async def children() -> AsyncIterator[AttemptChildren]:
    async with ChildPool(size=0) as pool:
        yield AttemptChildren(pool, Stop())


def host(
    children: AttemptChildren,
    shelf: Path,
    manifest: Manifest,
    *,
    limits: InferenceLimits = LIMITS,
    share: DeviceShare | None = None,
) -> InferenceHost:
    return children.inference(manifest, shelf / manifest.name, limits, share)


async def test_model_tells_colours_apart_where_onnx_runtime_says_it_computes(
    children: AttemptChildren, tmp_path: Path
) -> None:
    async with host(children, tmp_path, put_model(tmp_path)) as model:
        found = await model.scores(pictures(RED, GREEN, BLUE, RED, (100, 100, 100)), 5)
        pid = model.pid

    assert model.labels == COLOURS
    assert [COLOURS[place] for place in found[:4].argmax(axis=1)] == ["red", "green", "blue", "red"]
    assert found[:4].max(axis=1) == pytest.approx(1.0, abs=0.01)
    assert found[4] == pytest.approx(1 / 3, abs=0.01)
    assert model.loaded.provider == PROCESSOR
    assert not model.on_card
    assert pid is not None
    assert pid in children.pids
    assert ended(pid)


async def test_labels_can_go_through_a_text_encoder(children: AttemptChildren, tmp_path: Path) -> None:
    files = usual_files()
    del files["labels.npy"]
    files |= {"text.onnx": graph(TEXT_GRAPH), "tokens.npy": array(np.array([[0], [1], [2]]))}
    labels = '[labels]\nfile = "labels.txt"\n[text]\nfile = "text.onnx"\ntokens = "tokens.npy"\n'
    manifest = read_manifest(manifest_text(files, labels=labels).encode())
    (tmp_path / "colours").mkdir()
    for path, content in files.items():
        (tmp_path / "colours" / path).write_bytes(content)

    async with host(children, tmp_path, manifest) as model:
        found = await model.scores(pictures(BLUE), 1)

    assert COLOURS[int(found.argmax())] == "blue"


async def test_file_that_was_changed_is_refused_before_it_is_loaded(
    children: AttemptChildren, tmp_path: Path
) -> None:
    manifest = put_model(tmp_path)
    path = tmp_path / "colours/image.onnx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    async with host(children, tmp_path, manifest) as model:
        with pytest.raises(BadInputError, match=r"image\.onnx is not what the manifest names.*pull"):
            await model.start()
        assert model.pid is None


async def test_graph_that_is_none_is_the_models_fault(children: AttemptChildren, tmp_path: Path) -> None:
    files = usual_files() | {"image.onnx": b"no graph at all"}
    manifest = read_manifest(manifest_text(files).encode())
    (tmp_path / "colours").mkdir()
    for path, content in files.items():
        (tmp_path / "colours" / path).write_bytes(content)

    async with host(children, tmp_path, manifest) as model:
        with pytest.raises(BadInputError, match="model colours: the model does not work"):
            await model.start()


async def test_score_that_is_no_number_is_never_told(children: AttemptChildren, tmp_path: Path) -> None:
    async with host(children, tmp_path, put_model(tmp_path, NAN_GRAPH)) as model:
        with pytest.raises(BadInputError, match="no number"):
            await model.scores(pictures(RED), 1)


async def test_model_that_wants_more_memory_than_its_process_may_have_is_want_of_capacity(
    children: AttemptChildren, tmp_path: Path
) -> None:
    async with host(children, tmp_path, put_model(tmp_path, HUNGRY_GRAPH)) as model:
        with pytest.raises(CapacityError, match="memory"):
            await model.scores(pictures(RED), 1)
        assert model.pid is None


async def test_host_that_is_killed_in_mid_inference_is_want_of_capacity_and_begins_again(
    children: AttemptChildren, tmp_path: Path
) -> None:
    put_model(tmp_path, name="quick")
    slow = put_model(tmp_path, SLOW_GRAPH, name="slow")
    async with host(children, tmp_path, slow) as model:
        await model.start()
        pid = model.pid
        assert pid is not None
        before = cpu_ticks(pid)
        running = asyncio.create_task(model.scores(pictures(RED), 1))
        await until(lambda: cpu_ticks(pid) > before + 10)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(CapacityError, match="killed from outside"):
            await running
        await model.start()
        assert model.pid not in {None, pid}


async def test_host_that_takes_too_long_is_ended(children: AttemptChildren, tmp_path: Path) -> None:
    limits = replace(LIMITS, deadline_s=2)
    async with host(children, tmp_path, put_model(tmp_path, SLOW_GRAPH), limits=limits) as model:
        with pytest.raises(TransientError, match="took longer than 2 s"):
            await model.scores(pictures(RED), 1)
        assert model.pid is None


async def test_cancelled_attempt_ends_the_host_before_it_goes_on(
    children: AttemptChildren, tmp_path: Path
) -> None:
    async with host(children, tmp_path, put_model(tmp_path, SLOW_GRAPH)) as model:
        await model.start()
        pid = model.pid
        assert pid is not None
        running = asyncio.create_task(model.scores(pictures(RED), 1))
        await asyncio.wait({running}, timeout=0.2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended(pid)


async def test_host_that_is_idle_ends_and_begins_again_when_it_is_needed(
    children: AttemptChildren, tmp_path: Path
) -> None:
    limits = replace(LIMITS, idle_s=0.2)
    async with host(children, tmp_path, put_model(tmp_path), limits=limits) as model:
        await model.start()
        first = model.pid
        assert first is not None
        await until(lambda: model.pid is None)
        await until(lambda: ended(first))
        found = await model.scores(pictures(GREEN), 1)

    assert COLOURS[int(found.argmax())] == "green"


async def test_host_with_a_card_but_no_cuda_says_that_it_computed_without(
    children: AttemptChildren, tmp_path: Path
) -> None:
    share = DeviceShare(uuid="GPU-none", vram_mib=100, encoder_sessions=0)
    async with host(children, tmp_path, put_model(tmp_path), share=share) as model:
        await model.start()

    assert model.loaded.provider == PROCESSOR
    assert not model.on_card
    assert CARD not in model.loaded.offered


async def test_host_knows_no_secret_and_sees_only_its_card(
    children: AttemptChildren, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSHEET_SECRET", "canary")
    share = DeviceShare(uuid="GPU-5b1c", vram_mib=100, encoder_sessions=0)
    async with host(children, tmp_path, put_model(tmp_path), share=share) as model:
        await model.start()
        assert model.pid is not None
        told = environment_of(model.pid)

    assert not [one for one in told if "canary" in one]
    assert "CUDA_VISIBLE_DEVICES=GPU-5b1c" in told
    assert "ORT_DISABLE_TELEMETRY=1" in told


def test_session_on_a_card_is_capped_at_what_was_granted() -> None:
    options = card_options(6000)

    assert options["gpu_mem_limit"] == str(6000 << 20)
    assert options["arena_extend_strategy"] == "kSameAsRequested"


def test_pictures_are_brought_about_zero_as_the_manifest_says() -> None:
    text = manifest_text(usual_files()).replace("batch = 4", "mean = [0.5, 0.0, 0.0]\nstd = [0.5, 1.0, 0.25]")
    image = read_manifest(text.encode()).image

    made = centred(np.full((1, 32, 32, 3), 255, np.uint8), image.mean, image.std)

    assert made.shape == (1, 3, 32, 32)
    assert made[0, :, 0, 0].tolist() == [1.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (-signal.SIGKILL, "", CapacityError),
        (-signal.SIGABRT, "terminate called after throwing an instance of 'std::bad_alloc'", CapacityError),
        (-signal.SIGSEGV, "", TransientError),
        (1, "ImportError: libcudart.so", TransientError),
    ],
)
def test_end_of_a_host_is_never_the_medias_fault(code: int, said: str, kind: type[Exception]) -> None:
    assert type(death(code, said)) is kind
    assert not isinstance(death(code, said), BadInputError | OutOfVramError)
