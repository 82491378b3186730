"""Parameters come as JSON, from a file, or one by one."""

from pathlib import Path

import pytest

from callsheet.cli.jobs import params_object
from callsheet.errors import InvalidError


@pytest.mark.parametrize(
    ("params", "single", "values"),
    [
        ("", [], {}),
        ('{"a": 1}', [], {"a": 1}),
        ('{"a": 1, "b": 2}', ["a=x", "c=3"], {"a": "x", "b": 2, "c": 3}),
        (
            "",
            ["a=true", "b=[1]", "c=1.5", 'd="7"', "e=", "f=x=y"],
            {"a": True, "b": [1], "c": 1.5, "d": "7", "e": "", "f": "x=y"},
        ),
        (
            "",
            ["videoId=01890a5d-ac96-774b-bcce-b302099a8057"],
            {"videoId": "01890a5d-ac96-774b-bcce-b302099a8057"},
        ),
    ],
)
def test_what_the_options_give(params: str, single: list[str], values: object) -> None:
    assert params_object(params, single) == values


def test_parameters_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text('{"a": "ü"}')

    assert params_object(f"@{tmp_path / 'params.json'}", []) == {"a": "ü"}


@pytest.mark.parametrize(
    ("params", "single", "field"),
    [
        ("{", [], "--params"),
        ("[1]", [], "--params"),
        ("[" * 99_999, [], "--params"),
        ("@/nowhere/at/all", [], "--params"),
        ("", ["a"], "--param"),
        ("", ["=1"], "--param"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_option(params: str, single: list[str], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        params_object(params, single)

    assert caught.value.field == field
