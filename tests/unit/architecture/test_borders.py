"""Decisions do no I/O, SQL has one door, tests do not sleep, and the tree names no machine."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.unit.architecture import tree

#: Parts of the code that decide and do nothing else.
PURE = [
    tree.PACKAGES["callsheet_scheduler"] / "domain",
    tree.PACKAGES["callsheet"] / "media",
    tree.PACKAGES["callsheet"] / "worker/session.py",
    tree.PACKAGES["callsheet"] / "worker/under_way.py",
    tree.PACKAGES["callsheet_immich_agent"] / "policy.py",
    tree.PACKAGES["callsheet"] / "verify/laws",
    tree.PACKAGES["callsheet"] / "verify/events.py",
    tree.PACKAGES["callsheet"] / "verify/history.py",
    tree.PACKAGES["callsheet"] / "verify/judge.py",
]
IO_CALLS = {"open", "print", "input", "exec", "eval"}
CLOCK = tree.PACKAGES["callsheet"] / "service/clock.py"
SQL_TEXT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|WITH)\s+\S")
MEDIA_PACKAGES = {
    "PIL",
    "av",
    "cv2",
    "ffmpeg",
    "imageio_ffmpeg",
    "numpy",
    "onnxruntime",
    "pillow_heif",
    "pypdfium2",
    "scenedetect",
}
MEDIA_PLACES = [
    tree.PACKAGES["callsheet"] / "media",
    tree.PACKAGES["callsheet"] / "worker",
    tree.PACKAGES["callsheet_cpu_worker"],
    tree.PACKAGES["callsheet_gpu_worker"],
]

#: Written apart, so that this file does not name what it looks for.
FOREIGN = re.compile(
    "|".join(
        [r"/wo" + r"rk/", r"/ro" + r"ot/\w", r"/tm" + r"p/br" + r"ief", r"/home/\w+/", "pypi" + r"\.org"]
    )
)
REGISTRIES = re.compile(
    "|".join(["files.python" + "hosted", "registry.npm" + "js", r"index-ur" + r"l\s*[=:]\s*\S"])
)


def inside(path: Path, places: list[Path]) -> bool:
    return any(place == path or place in path.parents for place in places)


def pure_modules() -> list[Path]:
    return [path for path in tree.shipped() if inside(path, PURE)]


def test_decisions_import_nothing_that_the_contract_forbids() -> None:
    """Single modules, such as worker/session.py, keep to the list that the contract has for packages."""
    project = tomllib.loads(tree.text(tree.ROOT / "pyproject.toml"))
    contracts = project["tool"]["importlinter"]["contracts"]
    forbidden = next(
        set(contract["forbidden_modules"])
        for contract in contracts
        if contract["name"] == "Decisions know no I/O, no clock and no chance"
    )

    impure = [
        f"{path.relative_to(tree.ROOT)}: {name}"
        for path in pure_modules()
        for name in tree.imports(path)
        if name.split(".")[0] in forbidden
    ]

    assert impure == []


def test_type_checkers_see_every_folder_with_code() -> None:
    tools = tomllib.loads(tree.text(tree.ROOT / "pyproject.toml"))["tool"]
    folders = {path.relative_to(tree.ROOT).parts[0] for path in tree.code()}

    assert folders - set(tools["mypy"]["files"]) == set()
    assert folders - set(tools["basedpyright"]["include"]) == set()


def test_decisions_take_pure_paths_only() -> None:
    impure = [
        f"{path.relative_to(tree.ROOT)}: {name}"
        for path in pure_modules()
        for name in tree.imports(path)
        if name.split(".")[0] == "pathlib" and name not in {"pathlib.PurePath", "pathlib.PurePosixPath"}
    ]

    assert impure == []


def test_decisions_call_nothing_that_reads_or_writes() -> None:
    calls = [
        f"{tree.where(path, node)} {node.func.id}"
        for path in pure_modules()
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_CALLS
    ]

    assert calls == []


def test_decisions_are_plain_functions() -> None:
    """What awaits does I/O."""
    awaiting = [
        f"{tree.where(path, node)} {node.name}"
        for path in pure_modules()
        for node in tree.functions(path)
        if isinstance(node, ast.AsyncFunctionDef)
    ]

    assert awaiting == []


def test_only_the_clock_reads_the_loop_clock() -> None:
    """The readings that have a name of their own are banned by ruff (TID251)."""
    readings = [
        f"{path.relative_to(tree.ROOT)}:{number}"
        for path in tree.shipped()
        if path != CLOCK
        for number, line in enumerate(tree.text(path).splitlines(), 1)
        if re.search(r"\bloop(\(\))?\.time\(\)", line)
    ]

    assert readings == []


#: Makes the database itself, before there is a store.
LOCAL = tree.STORE.parent / "local"


def test_limits_of_time_hold_in_clean_ups_too() -> None:
    """``callsheet/within.py`` says which versions of Python break the plain ones."""
    plain = [
        tree.where(path, node)
        for path in tree.shipped()
        if path.name != "within.py"
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr in {"timeout", "timeout_at"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    ]
    assert plain == []


def test_sql_is_written_in_the_store_alone() -> None:
    elsewhere = [
        f"{tree.where(path, node)} {node.value[:60]!r}"
        for path in tree.shipped()
        if tree.STORE not in path.parents and LOCAL not in path.parents
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL_TEXT.match(node.value)
    ]

    assert elsewhere == []


def test_only_workers_import_media_packages() -> None:
    elsewhere = [
        f"{path.relative_to(tree.ROOT)}: {name}"
        for path in tree.shipped()
        if not inside(path, MEDIA_PLACES)
        for name in tree.imports(path)
        if name.split(".")[0] in MEDIA_PACKAGES
    ]

    assert elsewhere == []


def test_tests_wait_for_what_they_wait_for() -> None:
    """A sleep of zero only lets others run; any other sleep is a guess about a machine."""
    sleeps = [
        tree.where(path, node)
        for path in tree.code()
        if tree.ROOT / "tests/unit" in path.parents
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]

    assert sleeps == []


@pytest.mark.parametrize("pattern", [FOREIGN, REGISTRIES], ids=["machine paths", "registries"])
def test_the_tree_names_no_machine_and_no_registry(pattern: re.Pattern[str]) -> None:
    named = [
        f"{path.relative_to(tree.ROOT)}:{number}: {found.group()}"
        for path in tree.files()
        if path.suffix not in {".png", ".jpg", ".woff2", ".ico"} and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (found := pattern.search(line))
    ]

    assert named == []
