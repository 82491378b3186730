"""Makes of the names that strangers give names that every file system takes; values alone."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from callsheet.errors import InvalidError
from callsheet.paths import path_fault
from callsheet.service.plain import plain_line
from callsheet.worker.lease import PARTIAL_SUFFIX
from callsheet.worker.storage.store import PATHS_DEEP

NAME_BYTES_MAX: Final = 200
"""Bytes of a file's name, so that its hidden form and a number fit into 255."""
ENDING_BYTES_MAX: Final = 20
PART_BYTES_MAX: Final = 255
FOLDER_BYTES_MAX: Final = 1500
NAMELESS: Final = "upload"

_NOT_IN_NAMES: Final = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Where an upload is to lie, and what it is to be called."""

    name: str
    root: str
    """Empty for the usual one."""
    folder: str
    """Relative to the root; empty for the root itself."""
    collection: str


def wish_of(metadata: Mapping[str, str]) -> Wish:
    """Return what the pairs of Upload-Metadata ask for; what is not known here is passed over.

    Raises:
        InvalidError: The folder or the collection is not acceptable.
    """
    given = metadata.get("filename") or metadata.get("name") or ""
    collection = metadata.get("collection", "")
    if collection and not _SLUG.fullmatch(collection):
        raise InvalidError(
            "must be 1 to 100 of a-z, 0-9, dot, hyphen and underscore, the first a letter or digit",
            field="collection",
        )
    return Wish(
        name=safe_name(given),
        root=metadata.get("root", ""),
        folder=checked_folder(metadata.get("folder", "")),
        collection=collection,
    )


def safe_name(given: str) -> str:
    """Return a name like the given one that is one part of a path, visible, without tricks, not too long."""
    last = re.split(r"[/\\]", given)[-1]
    known = unicodedata.normalize("NFC", _NOT_IN_NAMES.sub("_", last))
    shown = "".join(one if plain_line(one) == one else "_" for one in known).lstrip(". ").rstrip(". ")
    name = _shortened(shown or NAMELESS, NAME_BYTES_MAX - 1)
    if name.endswith(PARTIAL_SUFFIX):
        name += "_"
    if _DEVICES.match(name):
        name = f"_{name}"
    return name


def numbered(name: str, count: int) -> str:
    """Return *name* with a number before its ending; without one for the first."""
    if count <= 1:
        return name
    stem, ending = parted(name)
    return f"{stem}-{count}{ending}"


def parted(name: str) -> tuple[str, str]:
    """Return a name's stem and its ending with the dot; the latter may be empty."""
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > ENDING_BYTES_MAX:
        return name, ""
    return stem, dot + ending


def hidden_name(name: str, upload_id: str) -> str:
    """Return the name of an upload's bytes while they arrive."""
    return f".{name}.{upload_id}.upload"


def checked_folder(given: str) -> str:
    """Return a folder, relative to its root, as items have it.

    Raises:
        InvalidError: No upload can lie there; says why.
    """
    parts = [part for part in given.split("/") if part not in {"", "."}]
    folder = "/".join(parts)
    fault = path_fault(folder) if folder else ""
    if given.startswith("/"):
        fault = "must be relative to its root; remove the leading slash"
    elif any(part.startswith(".") or plain_line(part) != part or "\\" in part for part in parts):
        fault = fault or "must not have hidden parts or characters that cannot be shown"
    elif len(parts) >= PATHS_DEEP or any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        fault = fault or f"must have fewer than {PATHS_DEEP} parts of at most {PART_BYTES_MAX} bytes"
    elif len(folder.encode()) > FOLDER_BYTES_MAX:
        fault = fault or f"must have at most {FOLDER_BYTES_MAX:,} bytes"
    if fault:
        raise InvalidError(fault, field="folder")
    return folder


def _shortened(name: str, bytes_max: int) -> str:
    if len(name.encode()) <= bytes_max:
        return name
    stem, ending = parted(name)
    kept = stem.encode()[: bytes_max - len(ending.encode())].decode("utf-8", "ignore")
    return f"{kept.rstrip('. ') or NAMELESS}{ending}"
