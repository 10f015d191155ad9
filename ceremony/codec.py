"""Frozen dataclasses to JSON values and back, for events and decisions.

Only these shapes exist in a transcript: objects (dataclasses), arrays (tuples), strings,
integers within +-(2^53 - 1), booleans and null. A Digest is the string "kind:hex". No
float and no bytes ever. Unknown or missing members are refused here; the reader of a
transcript also re-encodes and compares bytes, so nothing non-canonical gets through.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias, TypeVar

from ceremony.types import Digest, DigestKind

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")

MOST_INTEGER = 2**53 - 1
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class Malformed(ValueError):
    """A JSON value that is not of the wanted shape; the text says where and why."""


def encode(value: object) -> Json:
    """Return `value` as a JSON value; TypeError for a shape that may not be written."""
    match value:
        case None | bool():
            return value
        case StrEnum():
            return str(value)
        case str():
            return value
        case int():
            if abs(value) > MOST_INTEGER:
                raise TypeError(f"the integer {value} is beyond 2^53-1")
            return value
        case Digest():
            return f"{value.kind}:{value.hex}"
        case tuple() | list():
            return [encode(item) for item in value]
        case dict():
            return {str(key): encode(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} has no place in a transcript")


def decode(kind: type[T], value: Json, where: str = "") -> T:
    """Return the `kind` that `value` spells; Malformed names the member that does not fit."""
    return typing.cast("T", _decode(kind, value, where or kind.__name__))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, value: Json, where: str) -> object:  # noqa: ANN401 - type forms
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _decode_optional(kind, value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise Malformed(f"{where}: not one of {typing.get_args(kind)}")
        return value
    if not isinstance(kind, type):
        if kind is Json or isinstance(kind, (str, typing.ForwardRef)):
            return value
        raise TypeError(f"no decoder for {kind}")
    return _decode_class(kind, value, where)


def _decode_class(kind: type, value: Json, where: str) -> object:
    if kind in (str, int, bool):
        if type(value) is not kind:
            raise Malformed(f"{where}: not a {kind.__name__}")
        return value
    if kind is Digest:
        return _decode_digest(value, where)
    if issubclass(kind, StrEnum):
        if not isinstance(value, str) or value not in set(kind):
            raise Malformed(f"{where}: not one of {[str(v) for v in kind]}")
        return kind(value)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    raise TypeError(f"no decoder for {kind.__name__}")


def _decode_optional(kind: Any, value: Json, where: str) -> object:  # noqa: ANN401 - type forms
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    if value is None or len(members) != 1:  # more than one: the Json alias, any value is one
        return value
    return _decode(members[0], value, where)


def _decode_tuple(members: tuple[Any, ...], value: Json, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise Malformed(f"{where}: not an array")
    if members[-1] is Ellipsis:
        return tuple(_decode(members[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(members) != len(value):
        raise Malformed(f"{where}: {len(value)} items, not {len(members)}")
    return tuple(
        _decode(member, item, f"{where}[{i}]")
        for i, (member, item) in enumerate(zip(members, value, strict=True))
    )


def _decode_digest(value: Json, where: str) -> Digest:
    kind, _, digits = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in set(DigestKind) or not _SHA256_HEX.fullmatch(digits):
        raise Malformed(f"{where}: not a digest")
    return Digest.from_hex(DigestKind(kind), digits)


def _decode_dataclass(kind: type, value: Json, where: str) -> object:
    if not isinstance(value, dict):
        raise Malformed(f"{where}: not an object")
    hints = _hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    for name in value:
        if name not in names:
            raise Malformed(f"{where}: unknown member {name[:40]!r}")
    missing = [name for name in names if name not in value]
    if missing:
        raise Malformed(f"{where}: member {missing[0]!r} is missing")
    members = {name: _decode(hints[name], value[name], f"{where}.{name}") for name in names}
    try:
        return kind(**members)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{where}: {error}") from None
