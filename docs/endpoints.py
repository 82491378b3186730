"""Turns the gateway's OpenAPI document into a page that reads without a program."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

Json = Mapping[str, JsonValue]

_FACTS: Final = (
    ("format", "{}"),
    ("pattern", "`{}`"),
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} entries"),
    ("maxItems", "at most {} entries"),
)
_FIRST_ERROR: Final = 400


def endpoints(document: Json) -> Iterator[str]:
    """Yield the parts of the page: what holds for all, each resource with its endpoints, the objects."""
    yield f"{_text(_part(document, 'info').get('description'))}\n"
    operations = list(_operations(document))
    for tag in dict.fromkeys(tag for tag, *_ in operations):
        parts = [_operation(method, path, found) for one, method, path, found in operations if one == tag]
        yield "\n".join((f"## {tag.capitalize()}\n", *parts))
    schemas = _part(_part(document, "components"), "schemas")
    yield "\n".join(("## Objects\n", *(_object(name, _of(schemas[name])) for name in sorted(schemas))))


def _operations(document: Json) -> Iterator[tuple[str, str, str, Json]]:
    for path, methods in _part(document, "paths").items():
        for method, operation in _of(methods).items():
            found = _of(operation)
            tags = _several(found.get("tags"))
            yield (str(tags[0]) if tags else "other"), method.upper(), path, found


def _operation(method: str, path: str, operation: Json) -> str:
    said = _text(operation.get("description")).replace("Role: `", "Least role: `")
    parts = [f"### {method} {path}\n", f"{said}\n"]
    parameters = [_of(one) for one in _several(operation.get("parameters"))]
    if parameters:
        parts.append(_table(("parameter", "in", "value", "meaning"), map(_parameter, parameters)))
    body = operation.get("requestBody")
    if body is not None:
        parts.append(f"Body: {_content(_of(body))}.\n")
    responses = {int(code): _of(answer) for code, answer in _part(operation, "responses").items()}
    good = {code: answer for code, answer in responses.items() if code < _FIRST_ERROR}
    rows = ((str(code), _content(answer), _meaning(answer)) for code, answer in sorted(good.items()))
    parts.append(_table(("status", "answer", "meaning"), rows))
    errors = ", ".join(str(code) for code in sorted(responses) if code not in good)
    if errors:
        parts.append(f"Errors: {errors}.\n")
    return "\n".join(parts)


def _parameter(parameter: Json) -> tuple[str, ...]:
    schema = _part(parameter, "schema")
    name = f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else "")
    return name, str(parameter["in"]), _value(schema), _text(parameter.get("description"))


def _content(holder: Json) -> str:
    """Return what a request or an answer carries, in words."""
    content = holder.get("content")
    if not content:
        return "nothing"
    kinds = [(media_type, _of(_of(one).get("schema"))) for media_type, one in _of(content).items()]
    return " or ".join(
        _value(schema) if media_type.endswith("json") else f"`{media_type}`" for media_type, schema in kinds
    )


def _meaning(answer: Json) -> str:
    said = _text(answer.get("description"))
    return "" if said == "Successful Response" else said


def _object(name: str, schema: Json) -> str:
    said = _text(schema.get("description"))
    parts = [f"### {name}\n", *([f"{said}\n"] if said else [])]
    properties = _of(schema.get("properties"))
    needed = {str(one) for one in _several(schema.get("required"))}
    if properties:
        rows = (
            (
                f"`{key}`" + ("" if key in needed else " (optional)"),
                _value(_of(one)),
                _text(_of(one).get("description")),
            )
            for key, one in properties.items()
        )
        parts.append(_table(("field", "value", "meaning"), rows))
    else:
        parts.append(f"{_value(schema).capitalize()}.\n")
    return "\n".join(parts)


def _value(schema: Json) -> str:
    """Return what a schema allows, in words."""
    if "$ref" in schema:
        name = _text(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    choices = [_of(one) for one in _several(schema.get("anyOf"))]
    if choices:
        kinds = " or ".join(_value(one) for one in choices)
        return kinds + _default(schema)
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in _several(schema["enum"])) + _default(schema)
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kind = str(schema.get("type", "any JSON"))
    if kind == "array":
        kind = f"list of {_value(_of(schema.get('items')))}"
    elif kind == "object" and schema.get("additionalProperties"):
        kind = "object"
    facts = [form.format(_number(schema[key])) for key, form in _FACTS if key in schema]
    return ", ".join((kind, *facts)) + _default(schema)


def _default(schema: Json) -> str:
    default = schema.get("default")
    return "" if default is None or default in ("", [], {}) else f", default `{json.dumps(default)}`"


def _number(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in cells)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(value: JsonValue) -> str:
    return value.strip() if isinstance(value, str) else ""


def _part(holder: Json, key: str) -> Json:
    return _of(holder.get(key))


def _of(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def _several(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else []
