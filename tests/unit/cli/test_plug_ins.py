"""Other distributions add commands, and a broken one harms nobody but itself."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from callsheet.cli.plug_ins import BROUGHT_BY, GROUP, lacking
from tests.support.command_line import CommandLine

MODULES = {
    "stranger_function.py": (
        "def greet(name: str = 'you') -> None:\n    '''Greets.'''\n    print('hello', name)\n"
    ),
    "stranger_single.py": (
        "import typer\napp = typer.Typer()\n"
        "@app.command()\ndef whatever(times: int = 1) -> None:\n    '''Sings.'''\n    print('la' * times)\n"
    ),
    "stranger_group.py": (
        "import typer\napp = typer.Typer()\n"
        "@app.command()\ndef one() -> None:\n    print('one')\n"
        "@app.command()\ndef two() -> None:\n    print('two')\n"
    ),
    "stranger_broken.py": "raise RuntimeError('no\\nlibrary')\n",
    "stranger_number.py": "app = 7\n",
    "stranger_error.py": (
        "from callsheet.errors import StateError\ndef fail() -> None:\n    raise StateError('not now')\n"
    ),
}

ENTRIES = """[callsheet.commands]
greet = stranger_function:greet
sing = stranger_single:app
count = stranger_group:app
broken = stranger_broken:app
number = stranger_number:app
absent = stranger_absent:app
fail = stranger_error:fail
jobs = stranger_function:greet
"""


@pytest.fixture
def strangers(tmp_path: Path) -> CommandLine:
    """A command line that finds the distribution ``stranger``."""
    site = tmp_path / "site"
    described = site / "stranger-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRIES)
    for name, text in MODULES.items():
        (site / name).write_text(text)
    command_line = CommandLine(tmp_path)
    command_line.environment["PYTHONPATH"] = str(site)
    return command_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("greet", "--name", "all"), "hello all\n"),
        (("sing", "--times", "3"), "lalala\n"),
        (("count", "two"), "two\n"),
    ],
)
async def test_functions_and_apps_become_commands(
    strangers: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ended = await strangers.run(*arguments)

    assert (ended.code, ended.out, ended.err) == (0, said, "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "RuntimeError: no library"),
        ("absent", "ModuleNotFoundError: No module named 'stranger_absent'"),
        ("number", "stranger_number:app is neither a Typer app nor a function"),
    ],
)
async def test_a_broken_command_says_so_in_one_line(strangers: CommandLine, name: str, reason: str) -> None:
    ended = await strangers.run(name, "--any", "thing")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"The command {name} of stranger cannot be loaded: {reason}\n"


async def test_help_lists_all_of_them(strangers: CommandLine) -> None:
    ended = await strangers.run("--help")

    assert ended.code == 0
    for line in ("greet", "Greets.", "sing", "Sings.", "count", "broken", "Cannot be loaded."):
        assert line in ended.out


async def test_no_stranger_takes_the_name_of_a_command_of_ours(strangers: CommandLine) -> None:
    ended = await strangers.run("jobs", "--help")

    assert "submit" in ended.out


async def test_an_error_of_the_tree_has_its_exit_code(strangers: CommandLine) -> None:
    ended = await strangers.run("fail")

    assert (ended.code, ended.out, ended.err) == (4, "", "Error: not now\n")


def test_a_command_of_ours_that_is_not_installed_says_what_brings_it() -> None:
    assert lacking(set())["up"] == "The command up is not installed: pip install 'callsheet[local]'"
    assert lacking({"up", "simulate"}).keys() == {"backup", "immich", "restore"}


def test_commands_that_other_packages_of_ours_bring_are_all_known() -> None:
    ours = {entry.name for entry in entry_points(group=GROUP) if entry.value.startswith("callsheet_")}

    assert ours == BROUGHT_BY.keys()
