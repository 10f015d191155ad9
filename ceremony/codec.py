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
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias, TypeVar

from ceremony.types import Digest, DigestKind

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
Decoder: TypeAlias = "Callable[[Json, str], object]"
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
            return {name: encode(getattr(value, name)) for name in _members(type(value))}
        case _:
            raise TypeError(f"a {type(value).__name__} has no place in a transcript")


def decode(kind: type[T], value: Json, where: str = "") -> T:
    """Return the `kind` that `value` spells; Malformed names the member that does not fit."""
    decoder = _decoder(typing.cast("Any", kind))  # a type is hashable; its TypeVar does not say so
    return typing.cast("T", decoder(value, where or kind.__name__))


@cache
def _members(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _decoder(kind: Any) -> Decoder:  # noqa: ANN401 - type forms
    """Return the decoder of a type, made once: a transcript may have a million lines."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _optional(kind)
    if origin is tuple:
        return _tuple(typing.get_args(kind))
    if origin is typing.Literal:
        return _literal(typing.get_args(kind))
    if not isinstance(kind, type):
        if kind is Json or isinstance(kind, (str, typing.ForwardRef)):
            return _as_it_is
        raise TypeError(f"no decoder for {kind}")
    if kind in (str, int, bool):
        return _plain(kind)
    if kind is Digest:
        return _decode_digest
    if issubclass(kind, StrEnum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    raise TypeError(f"no decoder for {kind.__name__}")


def _as_it_is(value: Json, _where: str) -> object:
    return value


def _plain(kind: type) -> Decoder:
    def plain(value: Json, where: str) -> object:
        if type(value) is not kind:
            raise Malformed(f"{where}: not a {kind.__name__}")
        return value

    return plain


def _literal(choices: tuple[object, ...]) -> Decoder:
    def literal(value: Json, where: str) -> object:
        if value not in choices:
            raise Malformed(f"{where}: not one of {choices}")
        return value

    return literal


def _enum(kind: type[StrEnum]) -> Decoder:
    choices = {str(member): member for member in kind}

    def enum(value: Json, where: str) -> object:
        if not isinstance(value, str) or value not in choices:
            raise Malformed(f"{where}: not one of {[*choices]}")
        return choices[value]

    return enum


def _optional(kind: Any) -> Decoder:  # noqa: ANN401 - type forms
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    if len(members) != 1:  # the Json alias, any value is one
        return _as_it_is
    inner = _decoder(members[0])
    return lambda value, where: None if value is None else inner(value, where)


def _tuple(members: tuple[Any, ...]) -> Decoder:
    if members[-1] is Ellipsis:
        each = _decoder(members[0])

        def many(value: Json, where: str) -> object:
            if not isinstance(value, list):
                raise Malformed(f"{where}: not an array")
            return tuple([each(item, f"{where}[{i}]") for i, item in enumerate(value)])

        return many
    decoders = tuple(_decoder(member) for member in members)

    def fixed(value: Json, where: str) -> object:
        if not isinstance(value, list):
            raise Malformed(f"{where}: not an array")
        if len(decoders) != len(value):
            raise Malformed(f"{where}: {len(value)} items, not {len(decoders)}")
        pairs = enumerate(zip(decoders, value, strict=True))
        return tuple([inner(item, f"{where}[{i}]") for i, (inner, item) in pairs])

    return fixed


def _decode_digest(value: Json, where: str) -> Digest:
    kind, _, digits = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in set(DigestKind) or not _SHA256_HEX.fullmatch(digits):
        raise Malformed(f"{where}: not a digest")
    return Digest.from_hex(DigestKind(kind), digits)


def _dataclass(kind: type) -> Decoder:
    hints = typing.get_type_hints(kind)
    decoders: dict[str, Decoder] = {}

    def dataclass(value: Json, where: str) -> object:
        if not decoders:  # not earlier: a shape may hold itself
            decoders.update({name: _decoder(hints[name]) for name in _members(kind)})
        if not isinstance(value, dict):
            raise Malformed(f"{where}: not an object")
        for name in value:
            if name not in decoders:
                raise Malformed(f"{where}: unknown member {name[:40]!a}")
        if len(value) != len(decoders):
            missing = next(name for name in decoders if name not in value)
            raise Malformed(f"{where}: member {missing!a} is missing")
        members = {n: inner(value[n], f"{where}.{n}") for n, inner in decoders.items()}
        try:
            return kind(**members)
        except (TypeError, ValueError) as error:
            raise Malformed(f"{where}: {error}") from None

    return dataclass
