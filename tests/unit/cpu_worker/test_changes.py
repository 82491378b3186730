"""Which scans follow from changed paths, and when."""

from callsheet_cpu_worker.changes import FILES_OF_A_FOLDER, PATHS_MAX, SCANS_MAX, Changes, targets
from hypothesis import given
from hypothesis import strategies as st

PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map("/".join)


def covers(target: str, path: str) -> bool:
    return target in {"", path} or path.startswith(f"{target}/")


@given(st.lists(PATHS, max_size=400))
def test_few_scans_cover_every_path_and_none_lies_inside_another(paths: list[str]) -> None:
    chosen = targets(paths)
    assert all(any(covers(target, path) for target in chosen) for path in paths)
    assert not any(covers(one, other) for one in chosen for other in chosen if one != other)
    assert len(chosen) <= SCANS_MAX
    assert bool(chosen) == bool(paths)


def test_some_files_are_scanned_by_themselves_and_many_of_a_folder_by_it() -> None:
    few = [f"a/{number}.jpg" for number in range(FILES_OF_A_FOLDER)]
    assert targets(few) == sorted(few)
    assert targets([*few, "a/more.jpg", "b.jpg"]) == ["a", "b.jpg"]


def test_files_in_very_many_folders_are_scanned_by_wider_ones() -> None:
    assert targets([f"a/{number}/x.jpg" for number in range(SCANS_MAX + 1)]) == ["a"]
    assert targets([f"{number}/x.jpg" for number in range(SCANS_MAX + 1)]) == [""]


def test_path_is_ripe_once_it_is_left_alone() -> None:
    changes = Changes(quiet_s=2.0)
    changes.note(["copy.mp4", "done.jpg"], now=10.0)
    changes.note(["copy.mp4"], now=11.0)
    assert changes.ripe(11.9) == []
    assert changes.ripe(12.0) == ["done.jpg"]
    assert changes.ripe(13.0) == ["copy.mp4"]
    assert not changes


def test_flood_of_changes_is_remembered_as_the_whole_root() -> None:
    changes = Changes(quiet_s=0.0)
    changes.note([f"{number}.jpg" for number in range(PATHS_MAX + 1)], now=0.0)
    assert changes.ripe(0.0) == [""]
