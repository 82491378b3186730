"""What the files of a model may hold: graphs, arrays, text; nothing that runs when it is read."""

import ast
import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from callsheet.errors import InvalidError
from callsheet.models.manifest import LABEL_CHARS_MAX, LABELS_MAX

HEAD_BYTES: Final = 4096
"""Bytes from the beginning of a file that `check_head` wants to see."""
_NPY: Final = b"\x93NUMPY"
_PICKLES: Final = re.compile(rb"\x80[\x00-\x05]|\(dp0|\(lp0|ccopy_reg|c__builtin__")
_ZIP: Final = b"PK\x03\x04"
_TYPES: Final = {"<f4": 4, "<i8": 8}


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    descr: Literal["<f4", "<i8"]
    fortran_order: Literal[False]
    shape: tuple[Annotated[int, Field(ge=1, le=LABELS_MAX)], Annotated[int, Field(ge=1, le=1 << 16)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayHeader:
    """What the beginning of a NumPy file says."""

    kind: str
    """``<f4`` or ``<i8``."""
    rows: int
    columns: int
    offset: int
    """Where its numbers begin."""

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the whole file."""
        return self.offset + self.rows * self.columns * _TYPES[self.kind]


def check_head(name: str, head: bytes) -> None:
    """Refuse a file that is not what its name says, as far as its first `HEAD_BYTES` bytes tell.

    Raises:
        InvalidError: It is a pickle, an archive that may hold one, or an array of objects.
    """
    if _PICKLES.match(head):
        raise InvalidError(f"{name} is a pickle, which can run programs; it is not taken", field=name)
    if head.startswith(_ZIP):
        raise InvalidError(f"{name} is an archive, in which pickles travel; it is not taken", field=name)
    if name.endswith(".npy"):
        array_header(name, head)


def array_header(name: str, head: bytes) -> ArrayHeader:
    """Return the header of a NumPy file of two dimensions and plain numbers, row by row.

    Raises:
        InvalidError: It is none.

    Source:
        numpy.lib.format: magic, version, length of the header, a Python literal.
    """
    if not head.startswith(_NPY) or len(head) < len(_NPY) + 6:
        raise InvalidError(f"{name} is no NumPy array", field=name)
    major = head[len(_NPY)]
    wide = 4 if major > 1 else 2
    start = len(_NPY) + 2 + wide
    length = int.from_bytes(head[start - wide : start], "little")
    if start + length > len(head):
        raise InvalidError(f"{name} has a header of {length:,} bytes; that is too long", field=name)
    try:
        said = _Header.model_validate(ast.literal_eval(head[start : start + length].decode("ascii").strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise InvalidError(
            f"{name} must be an array of float32 or int64 with two dimensions, row by row", field=name
        ) from None
    rows, columns = said.shape
    return ArrayHeader(kind=said.descr, rows=rows, columns=columns, offset=start + length)


def labels_of(name: str, content: bytes) -> tuple[str, ...]:
    """Return the labels of a file, one a line.

    Raises:
        InvalidError: They cannot be tags.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise InvalidError(f"{name} is not UTF-8", field=name) from None
    labels = tuple(line.strip() for line in lines if line.strip())
    if not 0 < len(labels) <= LABELS_MAX:
        raise InvalidError(f"{name} has {len(labels):,} labels; 1 to {LABELS_MAX:,} are allowed", field=name)
    for label in labels:
        if len(label) > LABEL_CHARS_MAX or not label.isprintable():
            raise InvalidError(
                f"{name}: a label must be printable and at most {LABEL_CHARS_MAX} long", field=name
            )
    if len(set(labels)) < len(labels):
        raise InvalidError(f"{name} has the same label twice", field=name)
    return labels
