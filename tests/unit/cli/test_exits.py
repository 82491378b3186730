"""Each error ends a command with the code that scripts rely on."""

from collections.abc import Iterator

import pytest

from callsheet import errors
from callsheet.cli.exits import MEANINGS, ExitCode, exit_code_of
from callsheet.errors import CallsheetError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CallsheetError("x"), 1),
        (errors.NotFoundError("x"), 1),
        (errors.InvalidError("x"), 2),
        (errors.UnavailableError("x"), 3),
        (errors.OverloadedError("x"), 3),
        (errors.StateError("x"), 4),
        (errors.LeaseLostError("x"), 4),
        (errors.ConflictError("x"), 4),
        (errors.UnauthenticatedError("x"), 5),
        (errors.DeniedError("x"), 5),
    ],
)
def test_the_code_of_each_error(error: CallsheetError, code: int) -> None:
    assert exit_code_of(error) == code


def test_every_code_has_a_meaning_in_the_help() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_no_error_of_the_tree_looks_like_success() -> None:
    def tree(root: type[CallsheetError]) -> Iterator[type[CallsheetError]]:
        yield root
        for child in root.__subclasses__():
            yield from tree(child)

    assert ExitCode.OK not in {exit_code_of(kind("x")) for kind in tree(CallsheetError)}
