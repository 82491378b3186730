"""A lease as processors and file names know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one attempt of one job."""

    job_id: str
    token: int
    """The fencing token."""
    attempt: int
    """Counted from 1."""

    @property
    def file_tag(self) -> str:
        """The part of a file name that is this lease's alone: hexadecimal digits of the token."""
        return file_tag(self.token)


def file_tag(token: int) -> str:
    """Return how a fencing token is written in file names."""
    return f"{token:016x}"
