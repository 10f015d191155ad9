from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.codec import Json
from ceremony.errors import Refused
from transcripts.canon import MOST_DEPTH, canonical, parse

NAMES = st.text(alphabet=[chr(c) for c in range(0x20, 0x7F)], max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@accepts("TRN-LINE")
@given(VALUES)
def test_the_encoder_gives_the_bytes_of_rfc_8785(value: Json) -> None:
    assert canonical(value) == rfc8785.dumps(value)
    assert parse(canonical(value)) == value


@refuses("TRN-LINE")
@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":2}',
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1} ',
        b'{"a":1}\r',
        b'{"a":"\x00"}',
        '{"\u00e4":1}'.encode(),
        b"",
        b"{",
    ],
)
def test_anything_but_canonical_bytes_is_refused(line: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse(line)
    assert refused.value.findings[0].rule == "TRN-LINE"


@refuses("TRN-LINE")
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_and_does_not_recurse(opening: bytes) -> None:
    with pytest.raises(Refused, match="nests deeper"):
        parse(opening * 100_000)


def test_brackets_inside_strings_are_not_depth() -> None:
    value: Json = {"a": "[" * 500 + '"\\'}
    assert parse(canonical(value)) == value


def test_the_deepest_allowed_value_is_read() -> None:
    line = b"[" * MOST_DEPTH + b"]" * MOST_DEPTH
    assert json.dumps(parse(line)).encode() == line


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(line: bytes) -> None:
    try:
        value = parse(line)
    except Refused:
        return
    assert canonical(value) == line
