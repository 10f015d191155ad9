"""JSON Schema (draft 2020-12) of one line of a transcript, made from the event dataclasses.

One definition an event name, the whole line with its envelope; one a shape that stands inside
them. What a schema cannot say stays with the reader: the canonical bytes, the chain, the order.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Iterable
from enum import Enum

from ceremony.codec import MOST_INTEGER
from ceremony.events import NAMED, Ack, Decided, Event
from ceremony.types import Digest, DigestKind
from transcripts.log import MOST_LINES, Stamp

Schema: typing.TypeAlias = "dict[str, typing.Any]"
INTEGER: Schema = {"type": "integer", "minimum": -MOST_INTEGER, "maximum": MOST_INTEGER}
SIMPLE: dict[object, Schema] = {
    str: {"type": "string"},
    int: INTEGER,
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    Digest: {"type": "string", "pattern": f"^({'|'.join(DigestKind)}):[0-9a-f]{{64}}$"},
}


def line_schema(acks: Iterable[str], decisions: Iterable[str]) -> str:
    """Return docs/spec/line.schema.json; the names of acks and decisions come from the engine."""
    shapes: dict[str, Schema] = {}
    stamp = _spelled(Stamp, shapes)
    kinds: dict[str, type] = {
        **NAMED,
        **dict.fromkeys(acks, Ack),
        **dict.fromkeys(decisions, Decided),
    }
    events = {name: _line(name, shape, stamp, shapes) for name, shape in kinds.items()}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "line.schema.json",
        "title": "One line of a uki-ceremony transcript",
        "description": "Made by scripts/docs.py. A reader demands more, see transcript.md.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in sorted(events)],
        "$defs": dict(sorted((events | shapes).items())),
    }
    return json.dumps(schema, indent=1) + "\n"


def _line(name: str, shape: type[Event], stamp: Schema, shapes: dict[str, Schema]) -> Schema:
    kind = str(shape.kind)
    envelope = {
        "body": _spelled(shape, shapes) if shape in (Ack, Decided) else _object(shape, shapes),
        "ceremony": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "event": {"type": "string", "enum": [name]},
        "kind": {"type": "string", "enum": [kind]},
        "prev": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "seq": {"type": "integer", "minimum": 0, "maximum": MOST_LINES - 1},
        "time": stamp,
    }
    return {
        "type": "object",
        "required": [*envelope],
        "additionalProperties": False,
        "properties": envelope,
    }


def _object(shape: type, shapes: dict[str, Schema]) -> Schema:
    hints = typing.get_type_hints(shape)
    # An event's name stands in the envelope, so an Ack's or Decided's is no member of the body.
    left_out = {"name"} if shape in (Ack, Decided) else set()
    names = [f.name for f in dataclasses.fields(shape) if f.name not in left_out]
    return {
        "description": " ".join(inspect.cleandoc(shape.__doc__ or "").split()),
        "type": "object",
        "required": names,
        "additionalProperties": False,
        "properties": {name: _spelled(hints[name], shapes) for name in names},
    }


def _spelled(hint: object, shapes: dict[str, Schema]) -> Schema:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if origin is tuple:
        items: Schema = {"type": "array", "items": _spelled(inside[0], shapes)}
        fixed = {} if inside[-1] is Ellipsis else {"minItems": len(inside), "maxItems": len(inside)}
        return items | fixed
    if origin is typing.Literal:
        return {"type": "string", "enum": [*inside]}
    if origin in (typing.Union, types.UnionType) and types.NoneType in inside and len(inside) == 2:  # noqa: PLR2004 - X | None
        return {"oneOf": [_spelled(part, shapes) for part in inside]}
    if not isinstance(hint, type):
        return {}  # any JSON value, as the decision defines it
    if issubclass(hint, Enum):
        return {"type": "string", "enum": [str(member.value) for member in hint]}
    if hint.__name__ not in shapes:
        shapes[hint.__name__] = {}  # before its members, which may hold it
        shapes[hint.__name__] = _object(hint, shapes)
    return {"$ref": f"#/$defs/{hint.__name__}"}
