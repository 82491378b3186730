"""The laws of uploads: what clients may say, what names become, and that bytes are never lost or doubled."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.uploads.arrivals import Arrivals
from callsheet_gateway.uploads.names import NAME_BYTES_MAX, checked_folder, hidden_name, numbered, safe_name
from callsheet_gateway.uploads.protocol import (
    check_offset,
    check_room,
    checksum_of,
    metadata_of,
    number,
)
from callsheet_gateway.uploads.receiving import Uploads
from callsheet_gateway.uploads.records import GRACE, Record, Standing, standing
from callsheet_gateway.uploads.sums import Sum, Sums
from callsheet_gateway.uploads.turns import Turns
from fastapi import HTTPException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callsheet.client import Client
from callsheet.errors import CapacityError, InvalidError, NotFoundError, UnavailableError
from callsheet.paths import path_fault
from callsheet.service.clock import SystemClock
from callsheet.service.plain import plain_line
from callsheet.service.settings import RootSettings
from callsheet.worker.storage.folder import FolderStore
from callsheet.worker.storage.library import Roots

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TTL_S = 3600.0
STEPS = ("keep", "cut", "two")


def record(length: int = 10, **changes: object) -> Record:
    given = {
        "id": "0" * 32,
        "folder": "trip",
        "name": "film.mp4",
        "length": length,
        "metadata": "",
        "created_at": NOW,
        "scan_job_id": "a",
        "pictures_job_id": "b",
    }
    return Record.model_validate(given | changes)


@given(st.text())
def test_any_name_becomes_one_that_every_file_system_takes(given_name: str) -> None:
    name = safe_name(given_name)
    assert not path_fault(name)
    assert plain_line(name) == name
    assert not set(name) & set('/\\<>:"|?*')
    assert not name.startswith(".")
    assert not name.endswith((".", " ", ".partial"))
    assert len(name.encode()) <= NAME_BYTES_MAX
    assert len(hidden_name(name, "0" * 32).encode()) <= 255
    assert hidden_name(name, "0" * 32).startswith(".")
    assert len({numbered(name, count) for count in range(1, 50)}) == 49


@given(st.text(max_size=60))
def test_any_folder_is_refused_or_lies_below_its_root(given_folder: str) -> None:
    try:
        folder = checked_folder(given_folder)
    except InvalidError:
        return
    assert not folder or not path_fault(folder)
    assert not any(part.startswith(".") for part in folder.split("/") if part)


@given(st.dictionaries(st.from_regex(r"[!-+\--~]{1,20}", fullmatch=True), st.text(max_size=40), max_size=8))
def test_metadata_means_what_was_written(pairs: dict[str, str]) -> None:
    sent = ", ".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())
    assert metadata_of(sent) == pairs


@given(st.text(max_size=80))
def test_any_header_is_read_or_refused_as_malformed(sent: str) -> None:
    assert {status_of(read, sent) for read in (metadata_of, checksum_of, offset_of)} <= {200, 400}


def offset_of(sent: str) -> int:
    return number("Upload-Offset", sent)


def status_of(read: Callable[[str], object], sent: str) -> int:
    try:
        read(sent)
    except HTTPException as error:
        return error.status_code
    return 200


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_only_what_goes_on_where_the_upload_is_and_fits_is_taken(at: int, piece: int, length: int) -> None:
    check_offset(at, at)
    with pytest.raises(HTTPException):
        check_offset(at + 1, at)
    if at + piece <= length:
        check_room(at, piece, length)
    else:
        with pytest.raises(HTTPException):
            check_room(at, piece, length)


@given(
    st.one_of(st.none(), st.integers(0, 20)), st.booleans(), st.integers(0, 10_000), st.integers(0, 10_000)
)
def test_whole_uploads_never_expire_and_others_do_when_nothing_comes(
    size: int | None,
    named: bool,  # noqa: FBT001 -- a case
    age_s: int,
    idle_s: int,
) -> None:
    one = record(path="trip/film.mp4" if named else "", created_at=NOW - timedelta(seconds=age_s))
    changed_at = NOW - timedelta(seconds=idle_s)
    how_far = standing(one, size, changed_at=changed_at, now=NOW, ttl_s=TTL_S)
    if size is not None and size >= one.length:
        assert how_far is Standing.WHOLE
    elif size is None:
        young = timedelta(seconds=age_s) < GRACE
        assert how_far is (Standing.PLACED if named else Standing.OPEN if young else Standing.LOST)
    else:
        assert how_far is (Standing.EXPIRED if idle_s >= TTL_S else Standing.OPEN)


@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=10))
def test_sum_is_that_of_the_whole_or_not_known(pieces: list[tuple[bytes, bool]]) -> None:
    sums, whole = Sums(), b""
    for piece, forgotten in pieces:
        known = (Sums() if forgotten else sums).take("x", len(whole))
        known.add(piece)
        whole += piece
        sums.keep("x", known)
    digest = sums.take("x", len(whole)).digest
    assert digest in {"", hashlib.sha256(whole).hexdigest()}
    assert sums.take("x", 99).digest == ""
    assert Sum().digest == hashlib.sha256(b"").hexdigest()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from(["keep", "cut", "two"])), max_size=8
    )
)
def test_bytes_are_neither_lost_nor_doubled_whatever_comes_between(
    tmp_path: Path, steps: Sequence[tuple[bytes, str]]
) -> None:
    """A cut forgets a piece; a second writer is not let in, also not by another gateway on the same root."""
    here, there = (Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=0) for _ in range(2))
    expected = b"".join(piece for piece, what in steps if what != "cut")
    one = record(len(expected), id=hashlib.md5(repr(steps).encode(), usedforsecurity=False).hexdigest())
    here.begin(one)
    for turn, (piece, what) in enumerate(steps):
        mine, others = (here, there) if turn % 2 else (there, here)
        writer = mine.writer(one)
        assert writer is not None
        before = writer.size
        writer.append(piece)
        if what == "cut":
            writer.cut(before)
        if what == "two":
            assert others.writer(one) is None
        writer.close()
    writer = there.writer(one)
    assert writer is not None
    assert writer.digest(writer.size) == hashlib.sha256(expected).hexdigest()
    placed = there.place(one, writer)
    writer.close()
    assert (tmp_path / placed.path).read_bytes() == expected
    with pytest.raises(FileNotFoundError):
        here.writer(one)
    found = here.find(one.id)
    assert found is not None
    assert found.record.path == placed.path


def test_upload_that_was_linked_but_not_renamed_when_its_gateway_died_is_placed_once(tmp_path: Path) -> None:
    arrivals = Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=0)
    one = record(0)
    arrivals.begin(one)
    (tmp_path / "trip/film.mp4").hardlink_to(tmp_path / one.hidden_path)
    writer = arrivals.writer(one)
    assert writer is not None
    assert arrivals.place(one, writer).path == "trip/film.mp4"
    writer.close()
    assert [path.name for path in (tmp_path / "trip").iterdir()] == ["film.mp4"]


def test_upload_leaves_the_free_space_that_it_has_to(tmp_path: Path) -> None:
    arrivals = Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=1 << 60)
    with pytest.raises(CapacityError, match="no room"):
        arrivals.begin(record())
    generous = Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=0)
    generous.begin(record())
    writer = arrivals.writer(record())
    assert writer is not None
    with pytest.raises(CapacityError, match="the disk is full"):
        writer.append(b"x")
    assert writer.size == 0
    writer.close()


def test_what_holds_no_record_is_passed_over_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals = Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=0)
    arrivals.begin(record())
    (tmp_path / ".uploads" / f"{'1' * 32}.json").write_bytes(b"\x00" * 100)
    (tmp_path / ".uploads" / f"{'2' * 32}.json").write_text("{}", encoding="ascii")
    assert [one.id for one in arrivals.open_ones()] == [record().id]
    assert len(caplog.records) == 2


async def test_upload_is_unknown_only_where_every_root_can_be_read(tmp_path: Path) -> None:
    settings = GatewaySettings(
        roots={name: RootSettings(path=tmp_path / name, writable=True) for name in ("one", "other")}
    )
    (tmp_path / "one").mkdir()
    Arrivals("one", FolderStore("one", tmp_path / "one"), floor_bytes=0).begin(record())
    async with Client("127.0.0.1:1") as client:
        uploads = Uploads(settings, Roots(settings.roots), client, SystemClock())
        assert (await uploads.find(record().id)).arrivals.root == "one"
        with pytest.raises(UnavailableError, match="other"):
            await uploads.find("1" * 32)
        (tmp_path / "other").mkdir()
        with pytest.raises(NotFoundError):
            await uploads.find("1" * 32)


async def test_only_one_of_two_that_ask_has_the_turn(tmp_path: Path) -> None:
    arrivals = Arrivals("uploads", FolderStore("uploads", tmp_path), floor_bytes=0)
    arrivals.begin(record())
    turns = Turns(GatewaySettings().upload_idle_s)

    async def nothing() -> AsyncIterator[bytes]:
        for _ in range(0):
            yield b""

    async with turns.turn(arrivals, record()) as (first, _):
        first.end()
        with pytest.raises(HTTPException) as refused:
            [_ async for _ in first.pieces(nothing())]
        assert refused.value.status_code == 423
    async with turns.turn(arrivals, record()) as (second, _):
        assert [piece async for piece in second.pieces(nothing())] == []
