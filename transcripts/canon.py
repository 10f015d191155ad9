"""Canonical JSON: the RFC 8785 bytes of a value, and a reader that takes nothing else.

The domain is small on purpose (no floats, integers within 2^53 - 1, ASCII member names),
and in it the standard library's encoder gives exactly the RFC 8785 bytes: code point order
and UTF-16 order agree on ASCII names, and both escape the same characters the same way.
The reader parses and encodes again; anything but the same bytes is refused (TRN-LINE).
"""

from __future__ import annotations

import json
from typing import NoReturn, cast

from ceremony.codec import MOST_INTEGER, Json
from ceremony.errors import refuse

MOST_LINE = 48 * 2**20  # bytes; the largest event carries the small files of a medium
MOST_DEPTH = 40
MOST_DIGITS = 17
_QUOTE, _BACKSLASH = b'"\\'
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 bytes of `value`; TypeError outside the domain above."""
    _check_names(value)
    return _ENCODER.encode(value).encode("utf-8")


def parse(line: bytes) -> Json:
    """Return the value of one line (without its newline); Refused unless canonical."""
    if len(line) > MOST_LINE:
        raise refuse("TRN-LINE", f"a line has {len(line):,} bytes, at most {MOST_LINE:,}")
    if _depth(line) > MOST_DEPTH:
        raise refuse("TRN-LINE", f"a line nests deeper than {MOST_DEPTH}")
    try:
        value = _DECODER.decode(line.decode("utf-8"))
        again = _ENCODER.encode(value).encode("utf-8")  # _members looked at the names
    except (ValueError, TypeError, RecursionError) as error:
        raise refuse("TRN-LINE", f"a line is not canonical JSON: {_short(error)}") from None
    if again != line:
        raise refuse("TRN-LINE", "a line is not the RFC 8785 form of its event")
    return cast("Json", value)


def _check_names(value: Json) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if not name.isascii():
                raise TypeError("a member name is not ASCII")
            _check_names(member)
    elif isinstance(value, list):
        for item in value:
            _check_names(item)


def _depth(line: bytes) -> int:
    # Opening brackets bound the depth from above without parsing; strings may hold some too.
    if line.count(b"{") + line.count(b"[") <= MOST_DEPTH:
        return 0
    deepest = depth = 0
    quoted = escaped = False
    for byte in line:
        if quoted:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                quoted = False
        elif byte == _QUOTE:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    if not "".join(members).isascii():
        raise ValueError("a member name is not ASCII")
    return members


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS or abs(int(text)) > MOST_INTEGER:
        raise ValueError("an integer is beyond 2^53-1")
    return int(text)


def _no_float(_text: str) -> NoReturn:
    raise ValueError("a number is not an integer")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_float=_no_float,
    parse_constant=_no_float,
    parse_int=_integer,
)


def _short(error: Exception) -> str:
    return type(error).__name__ if isinstance(error, RecursionError) else str(error)[:80]
