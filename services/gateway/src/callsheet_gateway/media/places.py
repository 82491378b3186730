"""Finds the root and the path in it that a client's ``file_path`` names; touches no file."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from callsheet.errors import BadInputError, NotFoundError
from callsheet.worker.storage.beneath import checked_parts

DERIVATIVES_ROOT: Final = "derivatives"
"""Holds what is made from originals, and no original."""


def place_of(file_path: str, roots: Mapping[str, Path | None], default_root: str) -> tuple[str, str]:
    """Return the name of the root and the path relative to it.

    Args:
        file_path: Absolute, ``root:relative``, or relative to the default root.
        roots: The folder of each root, None for a bucket; where several contain the path, the innermost
            counts.
        default_root: The root of relative paths.

    Raises:
        NotFoundError: It lies outside of every root of originals, or names none of their files.
    """
    originals = {name: folder for name, folder in roots.items() if name != DERIVATIVES_ROOT}
    name, colon, rest = file_path.partition(":")
    if file_path.startswith("/"):
        root, relative = _from_absolute(file_path, originals)
    elif colon and name in roots:
        root, relative = name, rest
    else:
        root, relative = default_root, file_path
    try:
        parts = checked_parts(relative)
    except BadInputError as error:
        raise _outside(file_path, originals) from error
    if not parts or root not in originals:
        raise _outside(file_path, originals)
    return root, "/".join(parts)


def _from_absolute(file_path: str, originals: Mapping[str, Path | None]) -> tuple[str, str]:
    given = PurePosixPath(file_path)
    containing = [
        (len(folder.parts), name, given.relative_to(folder).as_posix())
        for name, folder in originals.items()
        if folder is not None and folder in Path(given).parents
    ]
    if not containing or ".." in given.parts:
        raise _outside(file_path, originals)
    _, root, relative = max(containing)
    return root, relative


def _outside(file_path: str, originals: Mapping[str, Path | None]) -> NotFoundError:
    known = ", ".join(sorted(originals)) or "none"
    return NotFoundError(
        f"file_path: {file_path[:200]!r} names no file in a root; "
        f"give the absolute path of a file in a root, or root:path (roots: {known})"
    )
