"""As much of JSON Schema 2020-12 as the project's schemas use; an unknown keyword is a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
PROSE = {"$schema", "$id", "$defs", "title", "description"}
KNOWN = PROSE | {
    *("$ref", "oneOf", "type", "enum", "properties", "required", "additionalProperties"),
    *("items", "uniqueItems", "minItems", "maxItems", "minLength", "maxLength", "pattern"),
    *("minimum", "maximum"),
}


def faults(schema: Schema, value: object, root: Schema, where: str = "$") -> Iterator[str]:
    """Yield how a value breaks a schema."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if not schema:
        return  # draft 2020-12, 4.3.1: the empty schema takes any value
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        yield from faults(root["$defs"][name], value, root, where)
        return
    if "oneOf" in schema:
        fits = [s for s in schema["oneOf"] if not list(faults(s, value, root, where))]
        if len(fits) != 1:
            yield f"{where}: fits {len(fits)} of the forms"
        return
    kind = TYPES[schema["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        yield f"{where}: no {schema['type']}"
        return
    match value:
        case dict():
            yield from _members(schema, value, root, where)
        case list():
            yield from _items(schema, value, root, where)
        case str() | bool():
            yield from _text(schema, value, where)
        case int() if kind is int:
            if not schema["minimum"] <= value <= schema["maximum"]:
                yield f"{where}: out of range"


def _members(schema: Schema, value: dict[str, Any], root: Schema, where: str) -> Iterator[str]:
    others = schema["additionalProperties"]
    yield from (f"{where}: {name} is missing" for name in schema["required"] if name not in value)
    for name, member in value.items():
        known = schema["properties"].get(name, others)
        if known is False:
            yield f"{where}: {name} is not known"
        else:
            yield from faults(known, member, root, f"{where}.{name}")


def _items(schema: Schema, value: list[Any], root: Schema, where: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 4096):
        yield f"{where}: {len(value)} items"
    if schema.get("uniqueItems") and any(value.count(item) > 1 for item in value):
        yield f"{where}: an item twice"
    for number, item in enumerate(value):
        yield from faults(schema["items"], item, root, f"{where}[{number}]")


def _text(schema: Schema, value: object, where: str) -> Iterator[str]:
    if value not in schema.get("enum", [value]):
        yield f"{where}: none of the words"
    if not isinstance(value, str):
        return
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 20):
        yield f"{where}: {len(value)} characters"
    if not re.search(schema.get("pattern", ""), value):
        yield f"{where}: not as {schema['pattern']}"
