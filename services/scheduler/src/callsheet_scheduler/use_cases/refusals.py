"""Says what the schema of a job type has against parameters, and what would be right."""

from collections.abc import Sequence
from typing import TypeAlias

from jsonschema_rs import ValidationError, ValidationErrorKind

from callsheet.errors import InvalidError

Kind: TypeAlias = ValidationErrorKind


def refusal_of(error: ValidationError, field: str, known: Sequence[str]) -> InvalidError:
    """Return *error* with the path of the parameter that it speaks of.

    Args:
        error: The first thing that is wrong.
        field: The path of the parameters as the caller wrote it.
        known: The names of all parameters of the job type.
    """
    error = _telling(error)
    where = field + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path
    )
    match error.kind:
        case Kind.Required(property=name):
            return InvalidError("is required", field=f"{where}.{name}")
        case Kind.AdditionalProperties(unexpected=[name, *_]) if where == field:
            names = ", ".join(sorted(known)) or "none"
            message = f"is no parameter of this job type; leave it out. Its parameters: {names}"
            return InvalidError(message, field=f"{where}.{name}")
        case Kind.AdditionalProperties(unexpected=[name, *_]):
            return InvalidError("is not known here; leave it out", field=f"{where}.{name}")
        case _:
            return InvalidError(error.message, field=where)


def _telling(error: ValidationError) -> ValidationError:
    """Return the error that says most of a value that may be of several kinds.

    Where it is of the right type for one of them, what is wrong there; else that it is of none.
    """
    match error.kind:
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            for branch in branches:
                for inner in branch:
                    told = _telling(inner)
                    if not isinstance(told.kind, Kind.Type):
                        return told
            return branches[0][0] if branches and branches[0] else error
        case _:
            return error
