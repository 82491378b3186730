"""The model folder: which models lie in it, and whether they can be used."""

import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.errors import InvalidError
from callsheet.models.manifest import FILE_NAME, MANIFEST_BYTES_MAX, Manifest, ModelFile, read_manifest

MODELS_MAX: Final = 1000
"""Models in one folder that are looked at."""
_PART_BYTES: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A folder of the model folder."""

    name: str
    folder: Path
    manifest: Manifest | None
    """None where it cannot be read."""
    problem: str
    """Why the model cannot be used, in one sentence; empty for one that can, as far as sizes tell."""


def installed(folder: Path) -> list[Installed]:
    """Return what lies in the model folder, by name; nothing where it does not exist.

    Raises:
        InvalidError: The folder cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidError(f"the model folder {folder} cannot be read: {error.strerror}") from None
    return [_look(folder / name) for name in names[:MODELS_MAX]]


def find(folder: Path, name: str) -> Installed | None:
    """Return one model; None where there is no such folder."""
    return next((one for one in installed(folder) if one.name == name), None)


def check_hashes(model: Installed) -> None:
    """Read every file of a model and compare it with its manifest.

    Raises:
        InvalidError: A file is not the one that the manifest names.
    """
    if model.manifest is None:
        raise InvalidError(model.problem, field=model.name)
    for file in model.manifest.files:
        with opened(model.folder, file) as fd:
            check_hash(fd, file)


def check_hash(fd: int, file: ModelFile) -> None:
    """Compare what a descriptor gives from its beginning with what the manifest says of the file.

    Raises:
        InvalidError: It is something else.
    """
    found, at = hashlib.sha256(), 0
    while part := os.pread(fd, _PART_BYTES, at):
        found.update(part)
        at += len(part)
    if found.hexdigest() != file.sha256:
        raise InvalidError(
            f"{file.path} is not what the manifest names: its SHA-256 is {found.hexdigest()},"
            f" it should be {file.sha256}; pull the model again",
            field=file.path,
        )


@contextmanager
def opened(folder: Path, file: ModelFile) -> Generator[int]:
    """Give a descriptor of a model's file; symbolic links are not followed.

    Raises:
        InvalidError: It is not there, or has another size.
    """
    try:
        fd = os.open(folder / file.path, _READ)
    except OSError as error:
        raise InvalidError(
            f"{file.path} cannot be opened: {error.strerror}; pull the model again", field=file.path
        ) from None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != file.size_bytes:
            raise InvalidError(
                f"{file.path} has {facts.st_size:,} bytes, it should have {file.size_bytes:,};"
                " pull the model again",
                field=file.path,
            )
        yield fd
    finally:
        os.close(fd)


def _look(folder: Path) -> Installed:
    try:
        manifest = read_manifest(_content(folder / FILE_NAME))
    except InvalidError as error:
        where = f"{FILE_NAME}, {error.field}:" if error.field else FILE_NAME
        return _unusable(folder, f"{where} {error.message}")
    except OSError as error:
        return _unusable(folder, f"{FILE_NAME} cannot be read: {error.strerror}")
    if manifest.name != folder.name:
        return _unusable(folder, f"its manifest names it {manifest.name}; rename the folder")
    return Installed(name=folder.name, folder=folder, manifest=manifest, problem=_missing(folder, manifest))


def _unusable(folder: Path, problem: str) -> Installed:
    return Installed(name=folder.name, folder=folder, manifest=None, problem=problem)


def _missing(folder: Path, manifest: Manifest) -> str:
    """Return which file is not there as a whole, in one sentence; empty for none."""
    try:
        for file in manifest.files:
            with opened(folder, file):
                pass
    except InvalidError as error:
        return error.message
    return ""


def _content(path: Path) -> bytes:
    fd = os.open(path, _READ)
    with os.fdopen(fd, "rb") as file:
        return file.read(MANIFEST_BYTES_MAX + 1)
