"""Messages of the contract as JSON documents.

Keys are the contract's. Enumerations are their names in lower case without the prefix, null where
unspecified; instants are RFC 3339 in UTC, null where unset; a ``…_json`` field is the value itself under
the name without that end; bytes are base64.
"""

import base64
import json
import re
from typing import Final, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import JsonValue

from callsheet.cli.instants import rfc3339

Document = dict[str, JsonValue]

_EMBEDDED: Final = "_json"
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def document(message: Message) -> Document:
    """Return *message* as a JSON object with every field."""
    return dict(_member(message, cast("FieldDescriptor", field)) for field in message.DESCRIPTOR.fields)


def enum_text(enum: EnumDescriptor, number: int) -> str:
    """Return the name of a value as people write it: ``gpu_encode``; empty for the unspecified one."""
    known = enum.values_by_number.get(number)
    if known is None:
        return str(number)
    if number == 0:
        return ""
    prefix = _HUMP.sub("_", enum.name).upper() + "_"
    return known.name.removeprefix(prefix).lower()


def embedded(text: str) -> JsonValue:
    """Return the value that *text* is the JSON of; the text itself where it is none, null for none."""
    if not text:
        return None
    try:
        return cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return text


def _member(message: Message, field: FieldDescriptor) -> tuple[str, JsonValue]:
    value: object = getattr(message, field.name)
    if field.name.endswith(_EMBEDDED):
        return field.name.removesuffix(_EMBEDDED), embedded(str(value))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        pairs = cast("dict[str, JsonValue]", value)
        return field.name, {str(key): pairs[key] for key in sorted(pairs)}
    if field.is_repeated:
        return field.name, [_value(field, one) for one in cast("list[object]", value)]
    if field.has_presence and not message.HasField(field.name):
        return field.name, None
    return field.name, _value(field, value)


def _value(field: FieldDescriptor, value: object) -> JsonValue:
    if isinstance(value, Timestamp):
        return rfc3339(value)
    if isinstance(value, Message):
        return document(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if field.enum_type is not None:
        return enum_text(field.enum_type, cast("int", value)) or None
    return cast("JsonValue", value)
