"""The data folder, its secrets and its logs."""

import json
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from callsheet_scheduler.local.data_folder import check_media, open_data_folder, reserve_port
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.logs import rotate
from callsheet_scheduler.local.services import Site, start_order
from callsheet_scheduler.local.supervise import last_words

from callsheet.private_files import private_secret, write_private


@pytest.fixture
def site(tmp_path: Path) -> Site:
    data, lock = open_data_folder(tmp_path / "data")
    os.close(lock)
    return Site(
        data=data,
        media=tmp_path / "media",
        dsn="postgresql://callsheet:secret@/callsheet",
        scheduler_port=1,
        gateway_port=2,
        surroundings={"DATABASE_URL": "postgresql://secret", "CALLSHEET_LIMIT_CPU": "7", "PATH": "/bin"},
    )


def test_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first, made = private_secret(tmp_path / "token")
    again, made_again = private_secret(tmp_path / "token")

    assert (first, made, made_again) == (again, True, False)
    assert len(first) >= 43
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_secret_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("kept\n")
    (tmp_path / "token").chmod(0o644)

    assert private_secret(tmp_path / "token") == ("kept", False)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_private_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()

    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "token", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_second_user_of_a_data_folder_is_refused_until_the_first_has_left(tmp_path: Path) -> None:
    _, lock = open_data_folder(tmp_path / "data")
    with pytest.raises(StartError, match="Another Callsheet runs with the data folder"):
        open_data_folder(tmp_path / "data")
    os.close(lock)

    _, again = open_data_folder(tmp_path / "data")
    os.close(again)


def test_media_may_lie_in_the_data_folder_but_not_around_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "samples").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)

    assert check_media(data / "samples", data) == data / "samples"
    for around in (tmp_path, data, tmp_path / "link"):
        with pytest.raises(StartError, match="never written to"):
            check_media(around, data)


def test_reserved_port_goes_to_who_asks_for_it_and_to_nobody_else() -> None:
    with reserve_port(0) as reserved, socket.socket() as server:
        port = reserved.getsockname()[1]
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()

        with pytest.raises(StartError, match=rf"Port {port} is not to be had"):
            reserve_port(port)


def test_only_the_scheduler_is_told_of_the_database(site: Site) -> None:
    told = {
        service.name: json.dumps(dict(service.environment))
        for group in start_order(site)
        for service in group
    }

    assert list(told) == ["scheduler", "cpu-worker", "gpu-worker", "gateway"]
    assert {name for name, environment in told.items() if "secret" in environment} == {"scheduler"}
    assert all('"CALLSHEET_LIMIT_CPU": "7"' in environment for environment in told.values())


def test_originals_are_read_only_for_every_service(site: Site) -> None:
    roots = [
        json.loads(service.environment["CALLSHEET_ROOTS"])
        for group in start_order(site)
        for service in group
        if "CALLSHEET_ROOTS" in service.environment
    ]

    assert len(roots) == 3
    assert not any(root["library"].get("writable") for root in roots)


def test_roots_of_the_environment_stand_beside_ours_or_in_their_place(site: Site) -> None:
    bucket = {"url": "s3://made", "writable": True}
    given = json.dumps({"derivatives": bucket, "archive": {"path": "/archive"}})
    further = replace(site, surroundings={**site.surroundings, "CALLSHEET_ROOTS": given})
    _, (worker, _), (gateway,) = start_order(further)

    for service in (worker, gateway):
        roots = json.loads(service.environment["CALLSHEET_ROOTS"])
        assert roots["derivatives"] == bucket
        assert roots["archive"] == {"path": "/archive"}
        assert roots["library"] == {"path": str(site.media)}
    known = json.loads(further.connection())["roots"]
    assert set(known) == {"library", "outputs", "uploads", "archive"}


def test_library_in_a_bucket_is_not_watched(site: Site) -> None:
    given = json.dumps({"library": {"url": "s3://media"}})
    for surroundings, watched in (({}, ["library"]), ({"CALLSHEET_ROOTS": given}, [])):
        _, (worker, _), _ = start_order(replace(site, surroundings=surroundings))
        assert json.loads(worker.environment["CALLSHEET_WATCH"]) == watched


def test_roots_of_the_environment_that_are_none_are_refused(site: Site) -> None:
    with pytest.raises(StartError, match="CALLSHEET_ROOTS is no JSON object of roots"):
        start_order(replace(site, surroundings={"CALLSHEET_ROOTS": "library"}))


def test_log_that_grew_too_large_is_put_aside_and_written_on(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        rotate(log, 1000)
        assert log.read_bytes() == b"old\n" * 100
        rotate(log, 100)
        writer.write(b"new\n")

    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "scheduler.log.1").read_bytes() == b"old\n" * 100


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", ""),
        ("first\nthe port is taken.\n\n", ": the port is taken"),
        ('{"level": "error", "message": "it broke"}\n', ": it broke"),
        ('{"level": "error"}\n', ': {"level": "error"}'),
    ],
)
def test_last_words_are_one_phrase(tmp_path: Path, written: str, words: str) -> None:
    (tmp_path / "log").write_text(written)

    assert last_words(tmp_path / "log") == words
    assert last_words(tmp_path / "absent") == ""
