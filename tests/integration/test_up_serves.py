"""``callsheet up`` from the first start to the second."""

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.command_up import RunningUp, free_ports, running_up
from tests.support.folders import open_folder
from tests.support.media import first_part, quadrants

TOKEN_MODE = 0o600
SWEEP = "30 4 * * 0"

#: A metric of each process, in the order of their ports.
OF_EACH = (
    "media_jobs_pending",
    "callsheet_worker_slots",
    "callsheet_worker_slots",
    "callsheet_gateway_requests",
)


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def media(place: Path) -> Path:
    folder = place / "media"
    (folder / "holidays").mkdir(parents=True)
    quadrants().save(folder / "holidays" / "beach.jpg")
    quadrants(320, 240).save(folder / "house.png")
    first_part(folder / "holidays" / "beach.jpg", folder / "torn.jpg")
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


async def items(up: RunningUp) -> dict[str, object]:
    answer = await up.get("/api/media/items", token=up.token())
    assert answer.status == 200
    content = json.loads(answer.body)
    return {item["path"]: item for item in content["data"]}


async def test_first_start_fills_the_library_and_the_second_goes_on(place: Path, media: Path) -> None:
    data = place / "data"
    before = listing(media)

    async with running_up(data, "--media", str(media), environment={"CALLSHEET_SWEEP_SCHEDULE": SWEEP}) as up:
        await up.ready()
        assert any(up.token() in line for line in up.said)
        assert {stat.S_IMODE((data / name).stat().st_mode) for name in ("admin-token", "join-token")} == {
            TOKEN_MODE
        }
        assert (await up.get("/api/media/items")).status == 401
        assert "torn.jpg" in await up.line("torn.jpg")
        found = await items(up)
        token = up.token()
        nightly = json.loads((await up.get("/api/schedules", token=token)).body)["data"]
        assert [(one["name"], one["cron"], one["job"]["type"]) for one in nightly] == [
            ("cache-build", "0 3 * * *", "cache_build"),
            ("cache-sweep", SWEEP, "cache_sweep"),
        ]
        assert [one["job"]["params"] for one in nightly] == [{"roots": ["library", "uploads"]}] * 2
        assert json.loads((data / "connection.json").read_text())["roots"]["library"] == str(media)

        async with running_up(data) as second:
            assert await second.exit_code() == 1
            assert second.said == [
                f"Another Callsheet runs with the data folder {data}: stop it, or choose another (DATA=)."
            ]

        assert await up.stop(signal.SIGINT) == 0
        assert len([line for line in up.said if line.startswith("Callsheet is ready at ")]) == 1

    first_port = free_ports(4)
    async with running_up(data, "--media", str(media), "--metrics-port", str(first_port)) as again:
        await again.ready()
        assert f"gateway http://127.0.0.1:{first_port + 3}/metrics" in await again.line("Metrics: ")
        async with httpx.AsyncClient() as http:
            pages = [await http.get(f"http://127.0.0.1:{first_port + place}/metrics") for place in range(4)]
        assert [metric in page.text for metric, page in zip(OF_EACH, pages, strict=True)] == [True] * 4
        assert await items(again) == found
        assert again.token() == token
        assert not any(token in line for line in again.said)
        await again.line("3 unchanged")
        assert await again.stop(signal.SIGTERM) == 0

    assert set(found) == {"holidays/beach.jpg", "house.png", "torn.jpg"}
    assert listing(media) == before
    assert not (data / "connection.json").exists()


async def test_samples_are_made_where_no_media_is_given(place: Path) -> None:
    async with running_up(place / "data") as up:
        await up.line("broken_download.mp4")
        found = await items(up)
        assert len(found) == len([path for path in (place / "data/samples").rglob("*") if path.is_file()])
        assert await up.stop() == 0
