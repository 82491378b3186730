"""``callsheet models`` as a process: what it lists, fetches and checks, without a scheduler."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.model_server import serving
from tests.support.onnx_models import NAN_GRAPH, REVISION, manifest_text, put_model, usual_files


@pytest.fixture
def alone(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


async def test_model_is_pulled_listed_and_verified(alone: CommandLine, tmp_path: Path) -> None:
    files = usual_files()
    with serving({f"/{REVISION}/{path}": content for path, content in files.items()}) as served:
        manifest = manifest_text(files, url=f"{served.address}/{REVISION}/")
        (tmp_path / "colours.toml").write_text(manifest)
        pulled = await alone.run("models", "pull", "colours.toml")
    assert pulled.code == 0, pulled.err
    assert pulled.out == "var/models/colours\n"

    listed = await alone.run("models", "list")
    head, row = listed.out.splitlines()
    assert head.split() == ["MODEL", "REVISION", "LICENCE", "SIZE", "VRAM", "STATE", "REASON"]
    assert row.split()[:3] == ["colours", "0123456789ab", "CC0-1.0"]
    assert row.split()[-1] == "ok"

    verified = await alone.run("models", "verify", "--json")
    document = verified.document()
    assert verified.code == 0
    assert (document["name"], document["usable"], document["labels"]) == ("colours", True, 3)


async def test_verify_says_what_was_changed_since(alone: CommandLine, tmp_path: Path) -> None:
    put_model(tmp_path / "shelf")
    put_model(tmp_path / "shelf", name="other")
    path = tmp_path / "shelf/other/labels.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    verified = await alone.run("models", "verify", "--models", "shelf", "--hashes-only", "--json")
    states = {str(one["name"]): (one["usable"], str(one["problem"])) for one in verified.documents()}

    assert verified.code == 1
    assert states["colours"] == (True, "")
    assert states["other"][1].startswith("labels.npy is not what the manifest names")


async def test_verify_says_that_a_model_does_not_work_though_its_hashes_are_right(
    alone: CommandLine, tmp_path: Path
) -> None:
    put_model(tmp_path / "shelf", NAN_GRAPH)

    verified = await alone.run("models", "verify", "colours", "--models", "shelf")

    assert verified.code == 1
    assert "computes what is no number" in verified.out


async def test_what_cannot_be_done_is_one_line_and_an_exit_code(alone: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(manifest_text(usual_files()).replace(f'"{REVISION}"', '"main"', 1))

    nothing = await alone.run("models", "list")
    unknown = await alone.run("models", "verify", "colours")
    missing = await alone.run("models", "pull", "there-is-none.toml")
    unpinned = await alone.run("models", "pull", "bad.toml")
    address = await alone.run("models", "pull", "https://models.example/manifest.toml")

    assert (nothing.code, nothing.out, nothing.err) == (0, "", "No models in var/models.\n")
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert unpinned.code == 2
    assert "a branch or tag can change" in unpinned.err
    assert (address.code, "--sha256" in address.err) == (2, True)
    assert not (tmp_path / "var").exists()
    assert json.loads((await alone.run("models", "list", "--json")).out or "[]") == []
