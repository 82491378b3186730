"""A lease as processors and file names know it."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

PARTIAL_SUFFIX: Final = ".partial"
"""Ends the names of files that are being written."""
WHOLE_SUFFIX: Final = ".staged"
"""Ends the names of files that are whole and wait to be put where they were asked for."""
KEPT_SUFFIX: Final = ".kept"
"""Ends the names of files that are whole and serve the job's later attempts, such as encoded chunks."""
NAME_BYTES_MAX: Final = 120
"""Bytes of a file's name that the name of its unfinished form repeats."""

_LEASED: Final = re.compile(
    r"\..+\.(?P<job>[0-9A-Za-z-]{1,64})\.(?P<tag>[0-9a-f]{16})\.(?P<kind>partial|staged|kept)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one attempt of one job."""

    job_id: str
    token: int
    """The fencing token."""
    attempt: int
    """Counted from 1."""
    collection: str = ""
    """The slug of the job's collection: items that are written under the lease go there."""

    @property
    def file_tag(self) -> str:
        """The part of a file name that is this lease's alone: hexadecimal digits of the token."""
        return file_tag(self.token)

    def name_for(self, name: str, suffix: str) -> str:
        """Return a name that is this lease's alone, hidden, and short enough for every file system."""
        encoded = name.encode("utf-8", "surrogateescape")
        if len(encoded) > NAME_BYTES_MAX:
            kept = encoded[: NAME_BYTES_MAX - 17].decode("utf-8", "ignore")
            name = f"{kept}~{blake2b(encoded, digest_size=8).hexdigest()}"
        return f".{name}.{self.job_id}.{self.file_tag}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedName:
    """What the name of a file that is not published says."""

    job_id: str
    token: int
    whole: bool
    """Whether the file is whole and may wait to be put where it was asked for."""
    kept: bool = False
    """Whether it serves every attempt of the job, until the job is final."""


def leased_name(name: str) -> LeasedName | None:
    """Return what a file's name says of the lease that makes it; None where it is no such name."""
    match = _LEASED.fullmatch(name)
    if match is None:
        return None
    whole, kept = (match["kind"] == suffix[1:] for suffix in (WHOLE_SUFFIX, KEPT_SUFFIX))
    return LeasedName(job_id=match["job"], token=int(match["tag"], 16), whole=whole, kept=kept)


def file_tag(token: int) -> str:
    """Return how a fencing token is written in file names."""
    return f"{token:016x}"
