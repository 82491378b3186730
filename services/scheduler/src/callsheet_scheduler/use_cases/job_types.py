"""The job types that the scheduler knows, and the check of parameters against them."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast

import jsonschema_rs

from callsheet.catalog import CATALOG
from callsheet.errors import InvalidError
from callsheet.params import ITEM_SIZE, SIZE_MARK, WRITES_MARK
from callsheet_scheduler.domain.fleet import WRITES
from callsheet_scheduler.domain.footprint import size_class
from callsheet_scheduler.domain.job_type import KeptChange, KnownType, TypeChange
from callsheet_scheduler.domain.limits import RESERVED
from callsheet_scheduler.metrics import show_type
from callsheet_scheduler.store.sizes import ItemKey
from callsheet_scheduler.use_cases.refusals import refusal_of

#: Longest text of a job's parameters.
PARAMS_BYTES_MAX: Final = 65_536


#: What says that there are no parameters.
_NO_PARAMS: Final = frozenset({"", "{}"})


class Checked(NamedTuple):
    """Parameters that their job type accepts."""

    text: str
    """A JSON object."""
    root: str | None
    """The roots that they name, as `LiveJob.root` has it."""
    size_class: int | None = None
    """How large the input is, as far as they say."""


class JobTypes:
    """Every known job type by name. A type that a worker brought stays known when it leaves.

    What administrators decided of a type stands before what it declares.
    """

    def __init__(self) -> None:
        self._declared: dict[str, KnownType] = {}
        self._types: dict[str, KnownType] = {}
        self._changes: dict[str, KeptChange] = {}
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._roots: dict[str, str | None] = {}
        self._targets: dict[str, tuple[str, str | None] | None] = {}
        self._params: dict[str, list[str]] = {}
        self._sizes: dict[str, str | None] = {}
        self._items: dict[str, str] = {}
        self._of_none: dict[str, Checked] = {}
        """By type: what no parameters at all come to, where it accepts that."""
        for job_type in CATALOG.values():
            self.learn(
                KnownType(
                    name=job_type.name,
                    description=job_type.description,
                    category=job_type.category,
                    vram_mib=job_type.vram_mib,
                    run_limit_s=job_type.run_limit_s,
                    params_schema=json.dumps(job_type.params.schema_for_wire()),
                    resumable=job_type.resumable,
                    learns_vram=job_type.learns_vram,
                    internal=job_type.internal,
                ),
            )

    def check(self, known: KnownType) -> None:
        """Refuse a declaration that cannot be taken over.

        Raises:
            InvalidError: Its name is taken by a scope of the queue, or its schema is none.
        """
        if self._declared.get(known.name) != known:
            _read_schema(known)

    def learn(self, known: KnownType) -> bool:
        """Take over a declaration; False where it was known just so.

        Raises:
            InvalidError: As `check` does.
        """
        if self._declared.get(known.name) == known:
            return False
        schema, validator = _read_schema(known)
        self._declared[known.name] = known
        self._put_in_force(known.name)
        show_type(known.name)
        self._validators[known.name] = validator
        self._of_none.pop(known.name, None)
        self._roots[known.name] = _default_root(schema)
        self._targets[known.name] = _target_param(schema)
        self._params[known.name] = list(_properties(schema))
        self._sizes[known.name] = size = _marked(schema, SIZE_MARK)
        item = _marked(schema, SIZE_MARK, ITEM_SIZE)
        if size is None and item is not None:
            self._items[known.name] = item
        else:
            self._items.pop(known.name, None)
        return True

    def change(self, kept: KeptChange) -> None:
        """Let a decision hold."""
        self._changes[kept.type] = kept
        self._put_in_force(kept.type)

    def restore(self, kept: Iterable[KeptChange]) -> None:
        """Let these decisions hold, and no others."""
        self._changes = {one.type: one for one in kept}
        for name in self._declared:
            self._put_in_force(name)

    def _put_in_force(self, name: str) -> None:
        declared = self._declared.get(name)
        if declared is not None:
            self._types[name] = self.changed(name).on(declared)

    def changed(self, name: str) -> TypeChange:
        """Return what was decided of a type."""
        kept = self._changes.get(name)
        return TypeChange() if kept is None else kept.change

    def declared(self, name: str) -> KnownType | None:
        """Return the type of this name as it was declared, if it is known."""
        return self._declared.get(name)

    def kept(self) -> list[KeptChange]:
        """Return every decision."""
        return list(self._changes.values())

    def all(self) -> list[KnownType]:
        """Return every type by name, as it is in force."""
        return [self._types[name] for name in sorted(self._types)]

    def find(self, name: str) -> KnownType | None:
        """Return the type of this name as it is in force, if it is known."""
        return self._types.get(name)

    def get(self, name: str, *, field: str) -> KnownType:
        """Return the type of this name as it is in force.

        Raises:
            InvalidError: It is not known; the message lists those that are.
        """
        known = self._types.get(name)
        if known is None:
            message = f"unknown job type {name!r}; known are {', '.join(sorted(self._types))}"
            raise InvalidError(message, field=field)
        return known

    def check_params(self, name: str, text: str, *, field: str) -> Checked:
        """Return *text*, or ``{}`` for none, and the root it names, if the type of this name accepts it.

        Raises:
            InvalidError: It is no JSON object or the schema refuses it; names the parameter.
        """
        if text in _NO_PARAMS:
            known = self._of_none.get(name)
            if known is None:
                known = self._of_none[name] = self._check("{}", name, field)
            return known
        return self._check(text, name, field)

    def _check(self, text: str, name: str, field: str) -> Checked:
        if len(text) > PARAMS_BYTES_MAX:
            message = f"the parameters have {len(text)} characters; at most {PARAMS_BYTES_MAX} are allowed"
            raise InvalidError(message, field=field)
        try:
            value: object = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            message = f"the parameters are not JSON: {error}"
            raise InvalidError(message, field=field) from error
        if not isinstance(value, dict) or "\\u0000" in text:
            message = "the parameters must be a JSON object without NUL characters"
            raise InvalidError(message, field=field)
        try:
            self._validators[name].validate(value)
        except jsonschema_rs.ValidationError as error:
            raise refusal_of(error, field, self._params[name]) from error
        except UnicodeEncodeError as error:
            message = "the parameters must not hold half a surrogate pair"
            raise InvalidError(message, field=field) from error
        given = cast("dict[str, object]", value)
        size = self._sizes[name]
        return Checked(
            text=text,
            root=self._root_of(name, given),
            size_class=None if size is None else _class_of(given.get(size)),
        )

    def sizing_item(self, name: str, text: str) -> ItemKey | None:
        """Return the item whose size is that of a job with these parameters, as far as they name one."""
        param, default_root = self._items.get(name), self._roots.get(name)
        if param is None or len(text) > PARAMS_BYTES_MAX:
            return None
        try:
            given: object = _DECODER.decode(text or "{}")
        except (ValueError, RecursionError):
            return None
        if not isinstance(given, dict):
            return None
        values = cast("dict[str, object]", given)
        item_id, path, root = values.get(param), values.get("inputPath"), values.get("root", default_root)
        if isinstance(item_id, str):
            return item_id
        if not isinstance(root, str) or not isinstance(path, str):
            return None
        return (
            (root, path) if root.isprintable() and path.isprintable() else None
        )  # else the tables refuse it

    def _root_of(self, name: str, given: dict[str, object]) -> str | None:
        root, target = given.get("root", self._roots[name]), self._targets[name]
        read = root if isinstance(root, str) else None
        if target is None:
            return read
        written = given.get(target[0], target[1])
        return f"{read or ''}{WRITES}{written}" if isinstance(written, str) else read


def _read_schema(known: KnownType) -> tuple[object, jsonschema_rs.Draft202012Validator]:
    """Return what a declaration says of its parameters, and the check of it."""
    if known.name in RESERVED:
        message = f"no job type can be named {known.name}: that is a scope of the queue"
        raise InvalidError(message, field="types")
    try:
        schema: dict[str, Any] | bool = json.loads(known.params_schema or "{}")
        return schema, jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        message = f"the parameter schema of job type {known.name} is not valid: {error}"
        raise InvalidError(message, field="types") from error


def _properties(schema: object) -> dict[str, object]:
    """Return the parameters that *schema* knows, and what it says of each."""
    properties = cast("dict[str, object]", schema).get("properties") if isinstance(schema, dict) else None
    return cast("dict[str, object]", properties) if isinstance(properties, dict) else {}


def _default_root(schema: object) -> str | None:
    """Return what the parameter ``root`` is where it is not given; None where there is no such parameter."""
    return _default(schema, "root")


def _target_param(schema: object) -> tuple[str, str | None] | None:
    """Return the parameter that names a root to write to, and what it is where it is not given."""
    name = _marked(schema, WRITES_MARK)
    return None if name is None else (name, _default(schema, name))


def _default(schema: object, param: str) -> str | None:
    match _properties(schema).get(param):
        case {"default": str(value)}:
            return value
        case _:
            return None


def _marked(schema: object, mark: str, value: bool | str = True) -> str | None:  # noqa: FBT001,FBT002 -- a mark
    """Return the first parameter that *schema* marks so."""
    for name, one in _properties(schema).items():
        if isinstance(one, dict) and cast("dict[str, object]", one).get(mark) == value:
            return name
    return None


def _class_of(value: object) -> int | None:
    """Return the class of a number, or of how many a list has."""
    match value:
        case bool():
            return None
        case int() | float():
            return size_class(value)
        case list():
            return size_class(len(cast("list[object]", value)))
        case _:
            return None


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
