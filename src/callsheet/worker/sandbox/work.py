"""A call into a child process: its name, what it takes, what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast

from pydantic import TypeAdapter

ArgumentsT = TypeVar("ArgumentsT")
ResultT = TypeVar("ResultT")
ValueT = TypeVar("ValueT")

REQUEST_LIMIT: Final = 64 * 1024
"""Bytes of a request."""
ANSWER_LIMIT: Final = 1 << 20
"""Bytes of an answer without its blobs."""
BLOB_LIMIT: Final = 64 << 20
"""Bytes of all blobs of one answer."""
DESCRIPTOR_LIMIT: Final = 8
"""Descriptors that go with one request."""


@dataclass(frozen=True, slots=True)
class Work(Generic[ArgumentsT, ResultT]):
    """A function that children run: ``module:name``, called with arguments and descriptors."""

    function: str
    arguments: type[ArgumentsT]
    result: type[ResultT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[ResultT]):
    """What a child answers."""

    value: ResultT
    blobs: Sequence[bytes] = ()
    """Bytes that belong to it, such as pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """On the wire: which function, and its arguments as JSON."""

    function: str
    arguments_json: str
    cpu_s: int
    """CPU time it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """On the wire: a value or a failure, and the sizes of the blobs that follow."""

    value_json: str = ""
    blob_sizes: tuple[int, ...] = ()
    failure: str = ""
    """The class of the attempt's failure: BAD_INPUT, CAPACITY, TRANSIENT or BUG; empty for none."""
    reason: str = ""
    strength: tuple[str, ...] = field(default=())
    """Only in the first message: the protections in force."""


def codec(of: type[ValueT]) -> TypeAdapter[ValueT]:
    """Return what turns a dataclass into JSON and checks it on the way back."""
    found = _CODECS.get(of)
    if found is None:
        found = _CODECS[of] = TypeAdapter(of)
    return cast("TypeAdapter[ValueT]", found)


_CODECS: Final[dict[type, object]] = {}
