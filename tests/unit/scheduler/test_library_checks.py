"""What the library refuses, and what it must take."""

from dataclasses import replace
from typing import Any

import pytest
from callsheet_scheduler.domain.library import (
    BrokenItem,
    DerivativeFacts,
    ItemFacts,
    ItemId,
    ItemState,
    LibraryChanges,
    MediaKind,
    check_changes,
    check_path,
    folded_items,
)
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import InvalidError
from callsheet.ids import new_job_id
from callsheet.paths import PATH_BYTES_MAX

ITEM = ItemFacts(root="library", path="a/b.jpg", kind=MediaKind.IMAGE)
FILE = DerivativeFacts(
    item_id=ItemId(new_job_id()),
    kind="thumbnail",
    recipe="box300",
    source_identity="aa",
    root="derivatives",
    path="a.webp",
)
BROKEN = BrokenItem(item_id=ItemId(new_job_id()), source_identity="aa", reason="truncated")


def refused(changes: LibraryChanges) -> str:
    with pytest.raises(InvalidError) as caught:
        check_changes(changes)
    return caught.value.field


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "./a",
        "a/.",
        "..",
        "../a",
        "a/../b",
        "a\\..\\b",
        "..\\a",
        "a/..\\b",
        "a\0b",
        "é" * 1025,
    ],
)
def test_path_that_may_lead_out_of_its_root_is_refused(path: str) -> None:
    assert refused(LibraryChanges(items=(replace(ITEM, path=path),))) == "library.items[0].path"


@pytest.mark.parametrize(
    "path", ["a", "..a", "a..", "a/...", "a\\b", "a\nb", " ", "-rf", "é" * 1024, "a/" * 1000 + "b"]
)
def test_odd_name_of_a_real_file_is_taken(path: str) -> None:
    check_changes(LibraryChanges(items=(replace(ITEM, path=path),)))


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_path_that_is_taken_stays_in_its_root_on_every_system(path: str) -> None:
    try:
        check_path(path, field="path")
    except InvalidError:
        return
    depth = 0
    for part in path.replace("\\", "/").split("/"):
        depth += -1 if part == ".." else 1
        assert depth > 0
    assert len(path.encode()) <= PATH_BYTES_MAX
    assert "\0" not in path


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("root", {"root": ""}),
        ("root", {"root": "Library"}),
        ("root", {"root": "a/b"}),
        ("kind", {"kind": MediaKind.UNSPECIFIED}),
        ("state", {"state": ItemState.UNSPECIFIED}),
        ("state", {"state": ItemState.MISSING}),
        ("state", {"reason": "but it is well"}),
        ("reason", {"state": ItemState.BROKEN, "reason": "  "}),
        ("reason", {"state": ItemState.BROKEN, "reason": "x" * 1001}),
        ("reason", {"state": ItemState.BROKEN, "reason": "a\0b"}),
        ("size_bytes", {"size_bytes": 1 << 63}),
        ("mtime_ns", {"mtime_ns": -(1 << 63)}),
        ("identity", {"identity": "xyz"}),
        ("identity", {"identity": "a" * 129}),
        ("width", {"width": -1}),
        ("height", {"height": 1 << 32}),
        ("duration_s", {"duration_s": float("nan")}),
        ("duration_s", {"duration_s": -0.1}),
        ("frame_rate", {"frame_rate": float("inf")}),
        ("rotation", {"rotation": 45}),
        ("bitrate_kbps", {"bitrate_kbps": 1 << 32}),
        ("pages", {"pages": -1}),
        ("format", {"format": "x" * 201}),
        ("video_codec", {"video_codec": "h\0"}),
        ("audio_codec", {"audio_codec": "x" * 201}),
        ("extra_json", {"extra": ""}),
        ("extra_json", {"extra": "[]"}),
        ("extra_json", {"extra": '{"a": NaN}'}),
        ("extra_json", {"extra": '{"a": -Infinity}'}),
        ("extra_json", {"extra": '{"a": "\\u0000"}'}),
        ("extra_json", {"extra": '{"a": "\\ud800"}'}),
        ("extra_json", {"extra": "[" * 10_000}),
        ("extra_json", {"extra": '{"a":' * 3000}),
        ("extra_json", {"extra": "9" * 5000}),
        ("extra_json", {"extra": '{"a": "' + "x" * 16_400 + '"}'}),
    ],
)
def test_item_that_cannot_be_written_is_refused_by_the_field(field: str, change: dict[str, Any]) -> None:
    changes = LibraryChanges(items=(ITEM, replace(ITEM, **change)))
    assert refused(changes) == f"library.items[1].{field}"


@pytest.mark.parametrize(
    "change",
    [
        {"state": ItemState.BROKEN, "reason": "x" * 1000},
        {"mtime_ns": -1},
        {"size_bytes": (1 << 63) - 1},
        {"identity": "0" * 128},
        {"extra": '{"a": "\\\\u0000", "b": "\\ud83d\\ude00"}'},
        {"extra": '{"a": "' + "x" * 16_000 + '"}'},
        {"duration_s": 0.0, "rotation": 270},
    ],
)
def test_item_at_the_edge_of_what_is_allowed_is_taken(change: dict[str, Any]) -> None:
    check_changes(LibraryChanges(items=(replace(ITEM, **change),)))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("item_id", {"item_id": "x"}),
        ("kind", {"kind": "Thumbnail"}),
        ("recipe", {"recipe": ""}),
        ("recipe", {"recipe": "x" * 201}),
        ("source_identity", {"source_identity": "../"}),
        ("media_type", {"media_type": "image/\0"}),
        ("width", {"width": -1}),
        ("size_bytes", {"size_bytes": 1 << 63}),
        ("root", {"root": ""}),
        ("root", {"root": "", "path": ""}),
        ("root", {"root": "", "inline": b"x"}),
        ("root", {"root": "A"}),
        ("path", {"path": "../x"}),
        ("inline", {"inline": b"x"}),
        ("inline", {"root": "", "path": "", "inline": b"x" * 257}),
    ],
)
def test_derivative_that_is_neither_a_file_nor_a_few_bytes_is_refused(
    field: str, change: dict[str, Any]
) -> None:
    changes = LibraryChanges(derivatives=(replace(FILE, **change),))
    assert refused(changes) == f"library.derivatives[0].{field}"


def test_derivative_may_be_a_few_bytes() -> None:
    check_changes(LibraryChanges(derivatives=(replace(FILE, root="", path="", inline=b"x" * 256),)))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("item_id", {"item_id": BROKEN.item_id.upper()}),
        ("source_identity", {"source_identity": "A"}),
        ("reason", {"reason": ""}),
    ],
)
def test_broken_item_needs_its_id_content_and_reason(field: str, change: dict[str, Any]) -> None:
    changes = LibraryChanges(broken=(BROKEN, replace(BROKEN, **change)))
    assert refused(changes) == f"library.broken[1].{field}"


def test_batch_of_more_than_a_thousand_is_refused() -> None:
    items = tuple(replace(ITEM, path=f"{n}") for n in range(1000))
    check_changes(LibraryChanges(items=items))
    assert refused(LibraryChanges(items=(*items, ITEM))) == "library.items"
    assert refused(LibraryChanges(derivatives=(FILE,) * 1001)) == "library.derivatives"
    assert refused(LibraryChanges(broken=(BROKEN,) * 1001)) == "library.broken"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text("aAé/", min_size=1, max_size=3)), max_size=12))
def test_folding_keeps_the_last_of_each_path_in_the_order_of_bytes(keys: list[tuple[str, str]]) -> None:
    items = [replace(ITEM, root=root, path=path, size_bytes=place) for place, (root, path) in enumerate(keys)]
    folded = folded_items(items)
    assert [(item.root, item.path.encode()) for item in folded] == sorted(
        {(root, path.encode()) for root, path in keys}
    )
    last = {key: place for place, key in enumerate(keys)}
    assert all(item.size_bytes == last[item.root, item.path] for item in folded)
