"""The job types that the scheduler knows, and the check of parameters against them."""

import json
from typing import Any, Final, NamedTuple, cast

import jsonschema_rs

from callsheet.catalog import CATALOG
from callsheet.errors import InvalidError
from callsheet.params import SIZE_MARK, WRITES_MARK
from callsheet_scheduler.domain.fleet import WRITES
from callsheet_scheduler.domain.footprint import size_class
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.domain.limits import RESERVED
from callsheet_scheduler.use_cases.refusals import refusal_of

#: Longest text of a job's parameters.
PARAMS_BYTES_MAX: Final = 65_536


class Checked(NamedTuple):
    """Parameters that their job type accepts."""

    text: str
    """A JSON object."""
    root: str | None
    """The roots that they name, as `LiveJob.root` has it."""
    size_class: int | None = None
    """How large the input is, as far as they say."""


class JobTypes:
    """Every known job type by name. A type that a worker brought stays known when it leaves."""

    def __init__(self) -> None:
        self._types: dict[str, KnownType] = {}
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._roots: dict[str, str | None] = {}
        self._targets: dict[str, tuple[str, str | None] | None] = {}
        self._params: dict[str, list[str]] = {}
        self._sizes: dict[str, str | None] = {}
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
                ),
            )

    def learn(self, known: KnownType) -> bool:
        """Take over a declaration; False where it was known just so.

        Raises:
            InvalidError: Its name is taken by a scope of the queue, or its schema is none.
        """
        if self._types.get(known.name) == known:
            return False
        if known.name in RESERVED:
            message = f"no job type can be named {known.name}: that is a scope of the queue"
            raise InvalidError(message, field="types")
        try:
            schema: dict[str, Any] | bool = json.loads(known.params_schema or "{}")
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        except (ValueError, jsonschema_rs.ValidationError) as error:
            message = f"the parameter schema of job type {known.name} is not valid: {error}"
            raise InvalidError(message, field="types") from error
        self._types[known.name] = known
        self._validators[known.name] = validator
        self._roots[known.name] = _default_root(schema)
        self._targets[known.name] = _target_param(schema)
        self._params[known.name] = list(_properties(schema))
        self._sizes[known.name] = _marked(schema, SIZE_MARK)
        return True

    def all(self) -> list[KnownType]:
        """Return every type by name."""
        return [self._types[name] for name in sorted(self._types)]

    def find(self, name: str) -> KnownType | None:
        """Return the type of this name, if it is known."""
        return self._types.get(name)

    def get(self, name: str, *, field: str) -> KnownType:
        """Return the type of this name.

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
        if not text or text == "{}":
            text = "{}"
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
        given = cast("dict[str, object]", value)
        size = self._sizes[name]
        return Checked(
            text=text,
            root=self._root_of(name, given),
            size_class=None if size is None else _class_of(given.get(size)),
        )

    def _root_of(self, name: str, given: dict[str, object]) -> str | None:
        root, target = given.get("root", self._roots[name]), self._targets[name]
        read = root if isinstance(root, str) else None
        if target is None:
            return read
        written = given.get(target[0], target[1])
        return f"{read or ''}{WRITES}{written}" if isinstance(written, str) else read


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


def _marked(schema: object, mark: str) -> str | None:
    """Return the first parameter that *schema* marks so."""
    for name, one in _properties(schema).items():
        if isinstance(one, dict) and cast("dict[str, object]", one).get(mark) is True:
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
