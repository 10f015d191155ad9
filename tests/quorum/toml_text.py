"""Nested tables as TOML text, as much of it as a policy needs."""

from __future__ import annotations

import json
from datetime import datetime

Table = dict[str, object]


def toml(tables: Table) -> bytes:
    """Write nested tables as TOML."""
    lines: list[str] = []
    _write(lines, "", tables)
    return ("\n".join(lines) + "\n").encode()


def _write(lines: list[str], path: str, table: Table) -> None:
    below = []
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            below.append((key, value))
        elif isinstance(value, dict) and path == "":
            below.append((key, [value]))
        else:
            lines.append(f"{key} = {_value(value)}")
    for key, entries in below:
        full = f"{path}.{key}" if path else key
        brackets = "[[{}]]" if isinstance(table[key], list) else "[{}]"
        for entry in entries:
            lines.append(brackets.format(full))
            _write(lines, full, entry)


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=True)
