"""A history is read whole or refused with a sentence that says where."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import InvalidError
from callsheet.verify.events import AnyEvent, Granted, JobRow
from callsheet.verify.history import read
from callsheet.verify.recorder import Recorder
from tests.support.command_line import CommandLine
from tests.support.histories import good_history, without


def lines(events: list[AnyEvent]) -> list[str]:
    return [event.model_dump_json() for event in events]


def test_what_was_written_is_read() -> None:
    events = good_history()

    assert read(lines(events)).events == events


def test_empty_lines_do_not_matter() -> None:
    events = good_history()

    assert read([line for one in lines(events) for line in (one, "\n")]).events == events


@given(st.integers(0, len(good_history()) - 1))
def test_a_history_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(InvalidError, match=r"cut off|its `begin`"):
        read(lines(good_history())[:length])


@pytest.mark.parametrize("gap", [1, 5, 20])
def test_a_history_with_a_line_missing_is_refused(gap: int) -> None:
    written = lines(good_history())

    with pytest.raises(InvalidError, match="cut off"):
        read(written[:gap] + written[gap + 1 :])


@given(st.binary(max_size=60))
def test_whatever_is_no_history_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidError):
        read([content])


def test_a_line_torn_in_the_middle_is_named() -> None:
    written = lines(good_history())
    written[7] = written[7][:30]

    with pytest.raises(InvalidError, match="line 8 is no event of a history"):
        read(written)


def test_another_version_is_refused() -> None:
    written = lines(good_history())
    written[0] = json.dumps(json.loads(written[0]) | {"version": 2})

    with pytest.raises(InvalidError, match="version 2"):
        read(written)


def test_recorders_of_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Recorder(path, by="one") as one, Recorder(path, by="two") as two:
        for number in range(3):
            for recorder in (one, two):
                recorder.note(
                    Granted(**recorder.stamp(), worker="w", job=f"j{number}", token=number, attempt=1)
                )

    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["by"] for event in events] == ["one", "two"] * 3
    assert all(older["at"] <= newer["at"] for older, newer in pairwise(events))


async def test_a_history_that_holds_ends_the_command_with_0(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("\n".join(lines(good_history())))

    ended = await CommandLine(tmp_path).run("verify", "history.jsonl")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1].endswith("laws hold.")


async def test_a_history_that_breaks_a_law_ends_the_command_with_1(tmp_path: Path) -> None:
    events = without(good_history(), JobRow, id="a")
    (tmp_path / "history.jsonl").write_text("\n".join(lines(events)))

    ended = await CommandLine(tmp_path).run("verify", "history.jsonl", "--json")

    assert ended.code == 1
    document = ended.document()
    assert document["holds"] is False
    assert "acknowledged" in json.dumps(document["broken"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "history.jsonl cannot be read: No such file or directory"),
        ("", "the first line of a history is its `begin`"),
        ("\n".join(lines(good_history())[:-1]), "the history is cut off"),
        ("no history", "line 1 is no event of a history"),
    ],
)
async def test_a_file_that_is_no_whole_history_ends_the_command_with_2(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / "history.jsonl").write_text(content)

    ended = await CommandLine(tmp_path).run("verify", "history.jsonl")

    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err
