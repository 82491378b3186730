"""Hostile files, given to decoders and to encoders: what becomes of each, and what each precaution stops."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from callsheet_cpu_worker.processors.compile_gif import CompileGif

from callsheet.errors import AttemptError, BadInputError
from callsheet.media.faults import FaultKind
from callsheet.media.ffmpeg_says import failure_of
from callsheet.media.kinds import FORMAT_WHITELIST
from callsheet.reel_params import CompileGifParams
from callsheet.worker.children import AttemptChildren
from callsheet.worker.decode.works import (
    CHECK,
    PROBE,
    RENDER,
    CheckArguments,
    Checked,
    Picture,
    ProbeArguments,
    RenderArguments,
    Rendered,
)
from callsheet.worker.encode.commands import Input, command, media_input
from callsheet.worker.ffmpeg import ffmpeg_path
from callsheet.worker.processor import Outcome
from callsheet.worker.sandbox import landlock
from callsheet.worker.sandbox.launch import LaunchSettings
from callsheet.worker.sandbox.processes import ChildPool, python_folders
from callsheet.worker.sandbox.rights import CLEAN_ENVIRONMENT, Rights, SandboxLimits
from callsheet.worker.sandbox.work import Answer, codec
from callsheet.worker.stopping import Stop
from tests.support.attempts import desk, scanned
from tests.support.bombs import BOMBS, PLAYED
from tests.support.media import ffmpeg, video

LIMITS = SandboxLimits(address_space_mib=2048, cpu_s=60)
MEMORY_MIB_MAX = 2048
SYSTEM = ("/usr/lib", "/lib", "/lib64", "/usr/local/lib")
REFUSED = {FaultKind.UNSUPPORTED, FaultKind.UNDECODABLE, FaultKind.TRUNCATED}
WORKED = "the other file was read"
ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
"""A tag that players skip before they look at what follows."""
DISGUISES = {
    "concat.mp4": b"ffconcat version 1.0\nfile other.mp4\n",
    "marked.mp4": b"\xef\xbb\xbf \n#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n",
    "list.mkv": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n",
    "tagged.mp3": ID3 + b"ffconcat version 1.0\nfile other.mp4\n",
    "tagged_list.mp3": ID3 + b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="other.mp4"/></svg>',
    "dash.mp4": b'<?xml version="1.0"?><MPD><Period><BaseURL>other.mp4</BaseURL></Period></MPD>',
    "words.txt.mp4": b"file 'other.mp4'\nfile '/etc/passwd'\n",
}


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(size=1, limits=LIMITS) as one:
        yield one


async def fault_of(call: Awaitable[Answer[Rendered] | Answer[Checked]], path: Path) -> str:
    """Return the kind of fault that a decoder tells, or stands for by its death."""
    try:
        answer = await call
    except BadInputError:
        return FaultKind.UNDECODABLE
    assert answer.value.fault is not None, path.name
    return answer.value.fault.kind


async def decoded(pool: ChildPool, path: Path) -> list[str]:
    """Have decoders probe, draw and read a file; return what they say, none of which may be a success."""
    said: list[str] = []
    with path.open("rb") as file:
        probed = await pool.run(
            PROBE, ProbeArguments(name_promises_media=True), descriptors=[file.fileno()], deadline_s=30
        )
        said += [probed.value.fault.kind] if probed.value.fault else []
        drawn = pool.run(
            RENDER, RenderArguments(pictures=(Picture(box=300),)), descriptors=[file.fileno()], deadline_s=120
        )
        said.append(await fault_of(drawn, path))
        read = pool.run(CHECK, CheckArguments(depth="decode"), descriptors=[file.fileno()], deadline_s=120)
        said.append(await fault_of(read, path))
    return said


async def encoded(pool: ChildPool, path: Path, made: Path) -> AttemptError:
    """Have FFmpeg encode a file as jobs do, and return the failure that this is."""
    with path.open("rb") as file, made.open("w+b") as output:
        options = {"f": "matroska", "c:v": "libx264", "c:a": "aac"}
        given = media_input(Input(fd=file.fileno()))
        run = command([given], options, output=output.fileno(), inputs=[file.fileno()])
        ended = await AttemptChildren(pool, Stop()).ffmpeg(
            list(run.arguments),
            deadline_s=120,
            pass_fds=[file.fileno(), output.fileno()],
            writable=[Path(f"/proc/self/fd/{output.fileno()}")],
        )
    assert ended.exit_code, path.name
    return failure_of(ended.exit_code, ended.stderr)


@pytest.mark.parametrize("name", sorted(BOMBS))
async def test_bomb_is_refused_with_words_within_the_memory_of_a_decoder(
    pool: ChildPool, tmp_path: Path, name: str
) -> None:
    BOMBS[name](tmp_path / name)

    said = await decoded(pool, tmp_path / name)

    assert len(said) >= 2
    assert set(said) <= REFUSED
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < MEMORY_MIB_MAX * 1024
    if name in PLAYED:
        assert isinstance(await encoded(pool, tmp_path / name, tmp_path / "made.mkv"), BadInputError)


@pytest.mark.parametrize("name", sorted(DISGUISES))
async def test_playlist_in_disguise_is_refused_by_decoders_and_encoders(
    pool: ChildPool, tmp_path: Path, name: str
) -> None:
    video(tmp_path / "other.mp4")
    (tmp_path / name).write_bytes(DISGUISES[name])

    said = await decoded(pool, tmp_path / name)
    failure = await encoded(pool, tmp_path / name, tmp_path / "made.mkv")

    assert len(said) == 3
    assert set(said) <= REFUSED
    assert isinstance(failure, BadInputError), failure.message


async def test_playlist_within_a_container_stays_a_stream_of_it(pool: ChildPool, tmp_path: Path) -> None:
    video(tmp_path / "plain.mp4")
    (tmp_path / "list.ffconcat").write_bytes(DISGUISES["concat.mp4"])
    ffmpeg("-i", str(tmp_path / "plain.mp4"), "-c", "copy", "-attach", str(tmp_path / "list.ffconcat"),
           "-metadata:s:t", "mimetype=video/mp4", str(tmp_path / "film.mkv"))  # fmt: skip

    with (tmp_path / "film.mkv").open("rb") as file:
        checked = await pool.run(
            CHECK, CheckArguments(depth="decode"), descriptors=[file.fileno()], deadline_s=60
        )

    assert (checked.value.fault, checked.value.frames) == (None, 50)


@pytest.mark.parametrize("name", ["-i", "--help", "-y -f null", "a\nb", "%d", "concat:a|b", "file:x", "'x'"])
async def test_file_named_as_an_option_is_read_as_a_file(tmp_path: Path, name: str) -> None:
    async with desk(tmp_path) as place:
        video(tmp_path / "plain.mp4")
        (tmp_path / "plain.mp4").rename(tmp_path / "library" / name)
        item = await scanned(place, name)
        params = CompileGifParams.model_validate({"videoId": item.id, "duration": 1})
        outcome = await CompileGif().process(params, place.context())

        assert isinstance(outcome, Outcome)
        (made,) = place.kept()
        assert (place.outputs / made).read_bytes()[:4] == b"GIF8"


def tried(words: list[str], *, confined: bool, given: Path | None = None) -> str:
    """Run a program with *given* on its stdin, in Landlock or as it is, and return what it prints."""
    program = os.path.realpath(words[0])
    readable = (sys.base_prefix, program, *SYSTEM, *python_folders(()))
    settings = LaunchSettings(limits=LIMITS, rights=Rights(runnable=readable, keep_user=True))
    launcher = [sys.executable, "-I", "-m", "callsheet.worker.sandbox.launch", str(os.getpid())]
    launcher.append(codec(LaunchSettings).dump_json(settings).decode())
    with (given or Path(os.devnull)).open("rb") as stdin:
        ran = subprocess.run(
            [*(launcher if confined else []), program, *words[1:]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
            stdin=stdin, timeout=60, env=CLEAN_ENVIRONMENT, cwd="/",
        )  # fmt: skip
    return ran.stdout


PYAV = """
import json, sys
path, whitelist, by_descriptor, sys.path[:0] = json.loads(sys.argv[1])
import av
options = {"format_whitelist": whitelist} if whitelist else {}
options |= {"protocol_whitelist": ""} if by_descriptor else {}
file = open(path, "rb") if by_descriptor else path
with av.open(file, options=options) as opened:
    next(opened.decode(video=0))
print("the other file was read")
"""


@pytest.fixture
def playlist(tmp_path: Path) -> Path:
    """A playlist in disguise beside the other file that it names."""
    video(tmp_path / "other.mp4")
    (tmp_path / "disguised.mp4").write_bytes(DISGUISES["concat.mp4"])
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return tmp_path / "disguised.mp4"


PRECAUTIONS = ["nothing", "whitelist", "descriptor", "landlock"]


@pytest.mark.parametrize("precaution", PRECAUTIONS)
async def test_each_precaution_alone_keeps_a_decoder_from_the_other_file(
    playlist: Path, precaution: str
) -> None:
    if precaution == "landlock" and not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    whitelist = FORMAT_WHITELIST if precaution == "whitelist" else ""
    told = json.dumps([str(playlist), whitelist, precaution == "descriptor", sys.path])

    said = await asyncio.to_thread(
        tried, [sys.executable, "-I", "-c", PYAV, told], confined=precaution == "landlock"
    )

    assert (WORKED in said) == (precaution == "nothing"), said
    assert "ModuleNotFoundError" not in said


@pytest.mark.parametrize("precaution", PRECAUTIONS)
async def test_each_precaution_alone_keeps_an_encoder_from_the_other_file(
    playlist: Path, precaution: str
) -> None:
    if precaution == "landlock" and not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    source = {
        "whitelist": ["-format_whitelist", FORMAT_WHITELIST, "-i", str(playlist)],
        "descriptor": ["-protocol_whitelist", "fd", "-fd", "0", "-i", "fd:"],
    }.get(precaution, ["-i", str(playlist)])
    words = [str(ffmpeg_path(os.environ)), "-nostdin", "-hide_banner", *source, "-f", "null", "-"]

    said = await asyncio.to_thread(tried, words, confined=precaution == "landlock", given=playlist)

    assert ("frame=   50" in said) == (precaution == "nothing"), said
