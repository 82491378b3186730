"""Turns what a person calls a folder into a root and a path in it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from typing_extensions import override

from callsheet.errors import InvalidError

DEFAULT_ROOT: Final = "library"

_NAMED: Final = re.compile(r"(?P<root>[a-z][a-z0-9_-]{0,63}):(?P<path>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder or file in a root."""

    root: str
    path: str = ""
    """Relative to the root, with forward slashes; empty for the root itself."""

    @override
    def __str__(self) -> str:
        return f"{self.root}:{self.path}"


def find_place(text: str, *, here: Path, roots: Mapping[str, Path], field: str) -> Place:
    """Return the place that *text* means.

    ``ROOT:path`` is just that. A path of this machine that lies in one of *roots*, taken from the folder
    *here* where it is relative, is the place there. Another relative path is one inside the default root,
    and ``.`` all of it.

    Raises:
        InvalidError: It leads out of the root, or its root cannot be told; names *field*.
    """
    if "\0" in text:
        raise InvalidError("a path holds no NUL character", field=field)
    named = _NAMED.fullmatch(text)
    if named is not None:
        return Place(root=named["root"], path=_inside(named["path"], field=field))
    found = _in_roots(here / text, roots)
    if found is not None:
        return found
    if text in {"", "."}:
        return Place(root=DEFAULT_ROOT)
    if text.startswith(("/", "./", "../")) or text == "..":
        raise InvalidError(_not_in_roots(text, roots), field=field)
    return Place(root=DEFAULT_ROOT, path=_inside(text, field=field))


def _in_roots(path: Path, roots: Mapping[str, Path]) -> Place | None:
    """Return the place in the innermost root that holds *path*; links are followed."""
    real = Path(os.path.realpath(path))
    holding = [
        (Path(os.path.realpath(folder)), root)
        for root, folder in roots.items()
        if real.is_relative_to(os.path.realpath(folder))
    ]
    if not holding:
        return None
    folder, root = max(holding, key=lambda pair: len(pair[0].parts))
    relative = real.relative_to(folder).as_posix()
    return Place(root=root, path="" if relative == "." else relative)


def _inside(path: str, *, field: str) -> str:
    """Return *path* without superfluous parts."""
    parts = [part for part in PurePosixPath(path).parts if part != "."]
    if path.startswith("/") or ".." in parts:
        raise InvalidError(f"{path!r} leads out of the root; write it relative to the root", field=field)
    return "/".join(parts)


def _not_in_roots(text: str, roots: Mapping[str, Path]) -> str:
    if not roots:
        return (
            f"where {text} lies in a root is not known here: write ROOT:PATH, such as {DEFAULT_ROOT}:holidays"
        )
    known = ", ".join(f"{root} ({folder})" for root, folder in sorted(roots.items()))
    return (
        f"{text} lies in none of the roots {known}: "
        "start `callsheet up --media` on it, or name a folder in one"
    )
