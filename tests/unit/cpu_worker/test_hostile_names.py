"""Files whose names were made to do harm, or that no library can keep."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from callsheet_cpu_worker.processors.derivatives_generate import DerivativesGenerate
from callsheet_cpu_worker.processors.scan import Scan
from callsheet_cpu_worker.processors.thumbnail_generate import ThumbnailGenerate
from callsheet_cpu_worker.processors.validate import Validate
from callsheet_cpu_worker.scan_plan import sorted_out
from callsheet_scheduler.domain.library import check_path
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from callsheet.errors import AttemptError, InvalidError
from callsheet.params import DerivativesGenerateParams, ScanParams, ThumbnailGenerateParams, ValidateParams
from callsheet.paths import path_fault
from callsheet.service.settings import RootSettings
from callsheet.v1.library_service_pb2 import ItemFacts
from callsheet.worker.endings import failed, last_words
from callsheet.worker.processor import Outcome
from callsheet.worker.storage.library import FoundFile, PassedOver, Roots
from tests.support.attempts import Desk, Shelf, desk
from tests.support.media import quadrants

FORGED = "a.jpg: broken\n[2026-01-01 00:00:00] All is well\x1b[2J.png"
TAKEN = [FORGED, "\u202egnp.exe.png", "a\\b.png", "--help.png", " .png", "a\tb\r.png", "\u2028.png", "é.png"]
"""Names that the library keeps as they are."""
REFUSED = ["z\\..", "x\\..\\y.png"]
"""Names that another system could take for a way out of the root."""
NOT_UTF8 = b"caf\xe9.png"
TRICKS = set("\n\x1b\r\u202e\u2028")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    quadrants(40, 30).save(folder / "good.png")
    content = (folder / "good.png").read_bytes()
    for name in [*TAKEN, *REFUSED]:
        (folder / name).write_bytes(content)
    (folder / f"half{FORGED}").write_bytes(content[:60])
    (folder / "notes\n.jpg").write_text("words")
    (folder / os.fsdecode(NOT_UTF8)).write_bytes(content)
    deep = folder
    for _ in range(9):
        deep = deep / ("d" * 240)
    deep.mkdir(parents=True)
    (deep / "deep.png").write_bytes(content)
    return folder


async def scan(at: Desk) -> Outcome:
    return await Scan().process(ScanParams(), at.context())


async def test_bad_names_are_passed_over_with_their_reasons_and_stop_nothing(
    tmp_path: Path, library: Path
) -> None:
    async with desk(tmp_path, library) as at:
        outcome = await scan(at)
        kept = set(at.library.paths)
        assert kept == {"good.png", *TAKEN, f"half{FORGED}", "notes\n.jpg"}
        assert (outcome.result["new"], outcome.result["broken"]) == (len(kept), 2)
        assert outcome.result["passedOver"] == 4
        assert isinstance(listed := outcome.result["passedOverFirst"], list)
        assert sum("rename it" in json.dumps(one) for one in listed) == 4
        reasons = " ".join(at.diary.lines)
        for reason in ("is not UTF-8", "at most 2048 are allowed", "must not have an empty part"):
            assert reason in reasons


async def test_no_line_of_the_log_and_no_result_carries_a_trick(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        outcome = await scan(at)
        said = at.diary.lines
        ids = list(at.library.rows)
        made = await DerivativesGenerate().process(
            DerivativesGenerateParams.model_validate({"itemIds": ids}), at.context()
        )
        said += at.diary.lines
        for item_id in ids:
            await Validate().process(ValidateParams.model_validate({"videoId": item_id}), at.context())
            said += at.diary.lines
        assert not TRICKS & set("".join(said))
        assert not TRICKS & set(json.dumps([dict(outcome.result), dict(made.result)], ensure_ascii=False))
        reasons = [item.facts.reason for item in at.library.rows.values()]
        assert not TRICKS & set("".join(reasons))


async def test_reason_of_a_failure_carries_no_trick(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        wanted = ThumbnailGenerateParams.model_validate({"videoId": at.library.at(FORGED).id})
        (library / FORGED).unlink()
        with pytest.raises(AttemptError) as caught:
            await ThumbnailGenerate().process(wanted, at.context())
        reason = failed(caught.value).reason
        assert "a.jpg: broken\\n[2026" in reason
        assert not TRICKS & set(reason)
        assert last_words(caught.value, caught.value).count("\n") == 1


async def test_files_with_odd_names_get_their_pictures(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        params = DerivativesGenerateParams.model_validate({"itemIds": at.queue.items()})
        outcome = await DerivativesGenerate().process(params, at.context())
        assert outcome.result["made"] == 1 + len(TAKEN)


async def test_second_scan_takes_nothing_for_missing(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        again = await scan(at)
        assert (again.result["missing"], again.result["new"], again.result["passedOver"]) == (0, 0, 4)


file_names = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60),
        st.text(alphabet="a.\\\n\x1b\u202eé ", min_size=1, max_size=20).map(str.encode),
    ).filter(lambda name: not {0, 0x2F} & set(name) and name not in {b".", b".."}),
    unique=True,
    max_size=12,
)


@given(file_names)
def test_every_name_is_kept_or_passed_over_with_a_reason(names: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / os.fsdecode(name)).touch()
        entries = list(Roots({"library": RootSettings(path=Path(folder))}).walk("library"))
    passed = [one for one in entries if isinstance(one, PassedOver)]
    good, bad = sorted_out([one for one in entries if isinstance(one, FoundFile)])
    hidden = [name for name in names if name.startswith(b".") or name.endswith(b".partial")]
    assert len(good) + len(bad) + len(passed) == len(names) - len(hidden)
    assert {one.path.encode() for one in good} <= set(names)
    assert all("rename it" in one.reason for one in [*bad, *passed])
    for one in good:
        check_path(one.path, field="path")


@dataclass(slots=True)
class Choosy(Shelf):
    """A library that refuses what is called bad, as a scheduler does, naming the first."""

    @override
    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        for place, item in enumerate(items):
            if "bad" in item.path:
                raise InvalidError("must not be bad", field=f"items[{place}].path")
        return await Shelf.upsert(self, items, missing_ids=missing_ids)


async def test_row_that_the_library_refuses_stops_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    for name in ("bad1.png", "good1.png", "bad2.png", "good2.png", "bad3.png"):
        quadrants(40, 30).save(folder / name)
    (folder / "bad2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    async with desk(tmp_path, folder) as at:
        at.library = Choosy()
        outcome = await scan(at)
        assert at.library.paths == ["good1.png", "good2.png"]
        assert (outcome.result["new"], outcome.result["broken"], outcome.result["passedOver"]) == (2, 0, 3)
        assert "bad3.png: passed over, must not be bad" in at.diary.text
        assert sorted(at.queue.items()) == sorted(at.library.rows)


async def test_refusal_that_names_no_row_fails_the_scan(tmp_path: Path) -> None:
    @dataclass(slots=True)
    class Closed(Shelf):
        @override
        async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
            raise InvalidError("is no job", field="job_id")

    folder = tmp_path / "library"
    folder.mkdir()
    quadrants(40, 30).save(folder / "a.png")
    async with desk(tmp_path, folder) as at:
        at.library = Closed()
        with pytest.raises(InvalidError, match="is no job"):
            await scan(at)


@pytest.mark.parametrize(
    ("path", "says"),
    [("a\0b", "NUL"), ("/a", "relative"), ("", "relative"), ("a//b", "empty part"), ("\udce9", "UTF-8")],
)
def test_path_that_cannot_be_kept_says_why(path: str, says: str) -> None:
    assert says in path_fault(path)
