"""Programs that an attempt runs: which GPU they see, and what their complaints about it mean."""

from collections.abc import Mapping

import pytest

from callsheet.errors import CapacityError, OutOfVramError
from callsheet.worker.children import AttemptChildren
from callsheet.worker.ffmpeg import gpu_shortage
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.stopping import Stop
from tests.support.worker_processes import environment_of

#: Written after the sources of FFmpeg; not seen on a card.
CONTEXT = (
    "[AVHWDeviceContext @ 0x5581] cu->cuCtxCreate(&hwctx->cuda_ctx, desired_flags, device)"
    " failed -> CUDA_ERROR_OUT_OF_MEMORY: out of memory\nDevice creation failed: -12.\n"
)
BUFFER = "[h264_nvenc @ 0x5581] CreateInputBuffer failed: out of memory (10): (no details)\n"
SESSION = "[h264_nvenc @ 0x5581] OpenEncodeSessionEx failed: out of memory (10): (no details)\n"
NO_ENCODER = "[h264_nvenc @ 0x5581] OpenEncodeSessionEx failed: unsupported device (2): (no details)\n"
FOREIGN = (
    "Input #0, matroska,webm, from 'fd:':\n  Metadata:\n"
    "    title           : [h264_nvenc @ 0x1] failed: out of memory (10)\n"
    "                    : CUDA_ERROR_OUT_OF_MEMORY\n"
)
SHORT = ["-f", "lavfi", "-re", "-i", "testsrc2=size=64x64:rate=10:duration=2", "-f", "null", "-"]
COMPLAINING = [
    "-f", "lavfi", "-i", "testsrc2=size=64x64", "-vf", "scale=CUDA_ERROR_OUT_OF_MEMORY", "-f", "null", "-",
]  # fmt: skip


@pytest.mark.parametrize("stderr", [CONTEXT, BUFFER, FOREIGN + CONTEXT])
def test_card_without_memory_is_out_of_vram(stderr: str) -> None:
    assert isinstance(gpu_shortage(stderr), OutOfVramError)


def test_card_without_an_encoder_session_is_want_of_capacity() -> None:
    assert isinstance(gpu_shortage(SESSION), CapacityError)


@pytest.mark.parametrize("stderr", ["", FOREIGN, NO_ENCODER, "[h264 @ 0x1] Invalid NAL unit size (10)\n"])
def test_what_a_file_says_and_a_card_without_an_encoder_is_no_shortage(stderr: str) -> None:
    assert gpu_shortage(stderr) is None


async def test_program_that_complains_of_the_card_fails_as_out_of_vram() -> None:
    async with ChildPool(size=0) as pool:
        with pytest.raises(OutOfVramError, match="no memory left for this"):
            await AttemptChildren(pool, Stop(), "GPU-a").ffmpeg(COMPLAINING, deadline_s=60)
        without_card = await AttemptChildren(pool, Stop()).ffmpeg(COMPLAINING, deadline_s=60)

    assert without_card.exit_code != 0


@pytest.mark.parametrize("uuid", ["GPU-a", ""])
async def test_program_sees_the_card_of_its_attempt_and_no_other(uuid: str) -> None:
    told: list[str] = []
    async with ChildPool(size=0) as pool:
        children = AttemptChildren(pool, Stop(), uuid)

        def look(block: Mapping[str, str]) -> None:
            if block["progress"] == "continue":
                (pid,) = children.pids
                told.extend(environment_of(pid))

        await children.ffmpeg(SHORT, deadline_s=60, on_progress=look)

    assert {word for word in told if "VISIBLE" in word} == {f"CUDA_VISIBLE_DEVICES={uuid}"}
