"""What items are tagged with, and what is refused of it."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.errors import InvalidError

#: Tags of one source for one item.
SET_MAX: Final = 200

#: Characters of a tag.
TAG_MAX: Final = 100

#: Tags that one list can ask for.
ASKED_MAX: Final = 20

_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(@[0-9a-f]{1,64})?")
_COMPUTED_ON: Final = frozenset({"", "cpu", "cuda"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSet:
    """What one source says of one item, in place of all that it said before."""

    item_id: str
    source_identity: str
    """The identity of the content that was looked at."""
    source: str
    computed_on: str = ""
    """``cpu`` or ``cuda`` for a model, else empty."""
    tags: tuple[tuple[str, float], ...] = ()
    """Each with its score, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTag:
    """A tag as it stands. Instants are seconds since 1970."""

    name: str
    score: float
    source: str
    computed_on: str
    job_id: str
    created_at: float


def check_tag_set(found: TagSet, *, field: str) -> None:
    """Refuse what cannot be written; item and identity are checked with those of derivatives.

    Raises:
        InvalidError: Names the first value that is wrong.
    """
    if not _SOURCE.fullmatch(found.source):
        message = "must be a name of lower-case letters, digits, dot, hyphen and underscore, @ and a revision"
        raise InvalidError(message, field=f"{field}.source")
    if found.computed_on not in _COMPUTED_ON:
        raise InvalidError("must be cpu, cuda or empty", field=f"{field}.computed_on")
    if len(found.tags) > SET_MAX:
        raise InvalidError(
            f"has {len(found.tags)} tags; at most {SET_MAX} are allowed", field=f"{field}.tags"
        )
    if len({name for name, _ in found.tags}) < len(found.tags):
        raise InvalidError("has the same tag twice", field=f"{field}.tags")
    for index, (name, score) in enumerate(found.tags):
        check_tag(name, field=f"{field}.tags[{index}].name")
        if not (math.isfinite(score) and 0 <= score <= 1):
            raise InvalidError(f"must be from 0 to 1, not {score}", field=f"{field}.tags[{index}].score")


def check_tag(name: str, *, field: str) -> None:
    """Refuse what is no tag.

    Raises:
        InvalidError: It is empty, too long, or not printable.
    """
    if not name or len(name) > TAG_MAX or not name.isprintable():
        raise InvalidError(f"must be 1 to {TAG_MAX} printable characters", field=field)


def check_asked(tags: Sequence[str], *, field: str) -> None:
    """Refuse to look for what cannot be found.

    Raises:
        InvalidError: There are too many, or one is no tag.
    """
    if len(tags) > ASKED_MAX:
        raise InvalidError(f"has {len(tags)} entries; at most {ASKED_MAX} are allowed", field=field)
    for index, name in enumerate(tags):
        check_tag(name, field=f"{field}[{index}]")


def folded(sets: Iterable[tuple[TagSet, str]]) -> list[tuple[TagSet, str]]:
    """Return one set for each item and source, the last of several, each with the job that brought it."""
    return list({(found.item_id, found.source): (found, job_id) for found, job_id in sets}.values())
