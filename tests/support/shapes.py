"""What an answer has to look like, written as a value of the same form, and where one does not."""

import re
from collections.abc import Mapping
from typing import TypeAlias

from pydantic import TypeAdapter

from tests.support.rest import OBJECT

Shape: TypeAlias = (
    "type | tuple[type, ...] | re.Pattern[str] | list[Shape] | dict[str, Shape] | str | int | None"
)
"""What a value has to be: of a type, of one of several, matching, made of shapes, or just this."""

LIST: TypeAdapter[list[object]] = TypeAdapter(list[object])


def filled(template: object, names: Mapping[str, str]) -> object:
    """Return *template* with what stands in braces."""
    if isinstance(template, str):
        return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], template)
    if isinstance(template, dict):
        return {key: filled(value, names) for key, value in OBJECT.validate_python(template).items()}
    return template


def misfits(found: object, shape: Shape, at: str = "") -> list[str]:
    """Return where *found* is not as it has to be; further keys of objects may be anything."""
    if isinstance(shape, dict):
        return _misfits_of_object(found, shape, at)
    if isinstance(shape, list) and not _is_plain(shape):
        return _misfits_of_list(found, shape[0], at)
    return [] if _fits(found, shape) else [f"{at}: {found!r} is not {shape}"]


def _misfits_of_object(found: object, shape: dict[str, Shape], at: str) -> list[str]:
    if not isinstance(found, dict):
        return [f"{at}: {found!r} is no object"]
    fields = OBJECT.validate_python(found)
    missing = [f"{at}.{key} is missing" for key in shape if key not in fields]
    there = [(key, wanted) for key, wanted in shape.items() if key in fields]
    return missing + [one for key, wanted in there for one in misfits(fields[key], wanted, f"{at}.{key}")]


def _misfits_of_list(found: object, shape: Shape, at: str) -> list[str]:
    if not isinstance(found, list) or not found:
        return [f"{at}: {found!r} is no list with something in it"]
    entries = enumerate(LIST.validate_python(found))
    return [one for index, entry in entries for one in misfits(entry, shape, f"{at}[{index}]")]


def _is_plain(shape: list[Shape]) -> bool:
    """Return whether a list is to be just this one."""
    return all(isinstance(one, str) for one in shape)


def _fits(found: object, shape: Shape) -> bool:
    """Return whether a value is as it has to be."""
    match shape:
        case re.Pattern():
            return isinstance(found, str) and shape.fullmatch(found) is not None
        case type():
            return type(found) is shape
        case tuple():
            return type(found) in shape
        case _:
            return type(found) is type(shape) and found == shape
