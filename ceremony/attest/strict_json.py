"""JSON that means one thing: no name twice, no fraction, bounded depth and numbers.

Decides whether bytes are such a document (RFC 7493 I-JSON without floating point).
Refuses to know what it says.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import NoReturn, TypeAlias

from ceremony.errors import refuse
from ceremony.show import escaped

RULE = "ATT-JSON"
MOST_DEPTH = 32
MOST_NUMBER = 2**53 - 1
MOST_DIGITS = 16

_BRACKETS = re.compile(r"[][{}]")

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"


def loads(data: bytes, most: int) -> Json:
    """Return the document; Refused (ATT-JSON) says what is not allowed in it."""
    if len(data) > most:
        raise refuse(RULE, f"the document has more than {most} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the document is not UTF-8", error.start) from None
    check_depth(text)
    try:
        value: Json = _DECODER.decode(text)
    except json.JSONDecodeError:  # what it says, and of which place, is each Python's own
        raise refuse(RULE, "the document is no JSON") from None
    if "\\u" in text:  # UTF-8 has no surrogates: only an escape can make one
        _check(value)
    return value


def check_depth(text: str, most: int = MOST_DEPTH) -> None:
    """Refuse (ATT-JSON) what nests too deep, before decoding: how deep a Python goes is its own.

    Each level opens a bracket.
    """
    if text.count("[") + text.count("{") > most and _is_deep(text, most):
        raise refuse(RULE, f"the document nests deeper than {most}")


def _is_deep(text: str, most: int) -> bool:
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    depth = 0
    for found in _BRACKETS.finditer(outside):
        depth += 1 if found[0] in "[{" else -1
        if depth > most:
            return True
    return False


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise refuse(RULE, f"the name {escaped(twice)} stands twice in an object")
    return members


def integer(digits: str) -> int:
    """Return a number of JSON; Refused (ATT-JSON) where other readers would round it."""
    if len(digits) > MOST_DIGITS + 1 or abs(int(digits)) > MOST_NUMBER:
        raise refuse(RULE, "a number beyond 2^53-1")
    return int(digits)


def _no_number(text: str) -> NoReturn:
    raise refuse(RULE, f"a number that is no integer: {escaped(text, 30)}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=integer,
    parse_float=_no_number,
    parse_constant=_no_number,
)


def _check(root: Json) -> None:
    level: list[Json] = [root]
    while level:
        below: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                for name in value:
                    _check_text(name)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                _check_text(value)
        level = below


def _check_text(text: str) -> None:
    # RFC 7493 2.1: strings "MUST NOT include code points that identify Surrogates".
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise refuse(RULE, "a text with half a surrogate pair")
