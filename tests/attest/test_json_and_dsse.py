"""Strict JSON, strict base64 and DSSE envelopes."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.attest import strict_json
from ceremony.attest.dsse import (
    MOST_BYTES,
    looks_like_dsse,
    pae,
    read_envelope,
    write_envelope,
)
from ceremony.attest.strict_base64 import decoded, decoded_either
from ceremony.errors import Refused

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@accepts("ATT-JSON")
@given(plain)
def test_plain_json_reads_as_python_reads_it(value: object) -> None:
    data = json.dumps(value).encode()
    try:
        assert strict_json.loads(data, len(data)) == value
    except Refused:
        assert "\\ud" in data.decode()


@refuses("ATT-JSON")
@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1,]", "{'a': 1}", '{"a": 1} x', "\ufeff{}", "nul", '"\x01"'),
        *('{"a": 1, "a": 1}', '{"b": {"a": 1, "\\u0061": 2}}'),
        *("1.0", "1e3", "NaN", "Infinity", "-Infinity", "-0.0"),
        *("9007199254740992", "-9007199254740992", "1" * 5000),
        *('"\\ud800"', '{"\\udfff": 1}', '["\\udc00\\ud800"]'),
        *("[" * 33 + "]" * 33, "[" * 100_000, '{"a":' * 40 + "1" + "}" * 40),
    ],
)
def test_json_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-JSON"):
        strict_json.loads(text.encode(), 1 << 20)


def test_json_is_capped_in_size_depth_and_must_be_utf_8() -> None:
    assert strict_json.loads(b"[" * 31 + b"1" + b"]" * 31, 63)
    with pytest.raises(Refused, match="more than 62 bytes"):
        strict_json.loads(b"[" * 31 + b"1" + b"]" * 31, 62)
    with pytest.raises(Refused, match="not UTF-8"):
        strict_json.loads(b'"\xff"', 9)


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decoded(text, "ATT-DSSE") == decoded_either(text, "ATT-DSSE") == data
    assert decoded_either(base64.urlsafe_b64encode(data).decode(), "ATT-DSSE") == data
    for spoiled in (text + "=", text + "\n", " " + text, text[:-1], text + "A", "\u0430" + text):
        if spoiled != text:
            with pytest.raises(Refused):
                decoded(spoiled, "ATT-DSSE")


def test_two_alphabets_are_not_mixed() -> None:
    for text in ("ab-+", "ab_/", "a-b/"):
        with pytest.raises(Refused, match="mixes"):
            decoded_either(text, "ATT-DSSE")


def test_pae_is_the_specifications_example_and_counts_bytes() -> None:
    # secure-systems-lab/dsse, protocol.md, "Test Vectors"
    wanted = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == wanted
    assert pae("\u00e9", b"\xff") == b"DSSEv1 2 \xc3\xa9 1 \xff"


@accepts("ATT-DSSE")
@given(
    st.text(st.characters(codec="utf-8"), max_size=9),
    st.binary(max_size=30),
    st.lists(st.tuples(st.sampled_from(("", "k")), st.binary(min_size=1, max_size=9)), min_size=1),
)
def test_what_is_written_is_read_back(
    kind: str, payload: bytes, signatures: list[tuple[str, bytes]]
) -> None:
    data = write_envelope(kind, payload, tuple(signatures[:16]))
    assert looks_like_dsse("any.name", data)
    envelope = read_envelope(data)
    assert (envelope.payload_type, envelope.payload) == (kind, payload)
    assert envelope.signatures == tuple(signatures[:16])


def test_unknown_members_and_a_null_keyid_are_let_be() -> None:
    document = {
        "payload": "",
        "payloadType": "t",
        "extra": [1],
        "signatures": [{"keyid": None, "sig": "AA==", "certificate": "x"}],
    }
    assert read_envelope(json.dumps(document).encode()).signatures == (("", b"\0"),)


@refuses("ATT-DSSE")
@pytest.mark.parametrize(
    "change",
    [
        *({"payload": None}, {"payload": 1}, {"payloadType": None}, {"signatures": {}}),
        *({"signatures": []}, {"signatures": [{"sig": "AA=="}] * 17}, {"signatures": [{}]}),
        *({"signatures": ["AA=="]}, {"signatures": [{"sig": 1}]}, {"signatures": [{"sig": ""}]}),
        *({"payload": "AA"}, {"payload": "AB=="}, {"payload": "A A="}, {"payload": "+-+-"}),
        {"signatures": [{"sig": base64.b64encode(bytes(4097)).decode()}]},
    ],
)
def test_what_is_no_envelope_is_refused(change: dict[str, object]) -> None:
    good = {"payload": "", "payloadType": "t", "signatures": [{"sig": "AA=="}]}
    assert read_envelope(json.dumps(good).encode()).payload_type == "t"
    with pytest.raises(Refused, match="ATT-DSSE"):
        read_envelope(json.dumps(good | change).encode())


def test_an_envelope_is_capped_in_size() -> None:
    with pytest.raises(Refused, match=f"more than {MOST_BYTES}"):
        read_envelope(b" " * (MOST_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        read_envelope(b'{"payload": "' + data)


def test_finding_the_name_that_stands_twice_does_not_grow_with_the_square() -> None:
    """400,000 names fit in a document: each was once counted among all the others."""
    names = [f"{number:x}" for number in range(400_000)]
    data = "{" + ",".join(f'"{name}":1' for name in (*names, names[-1])) + "}"
    before = time.process_time()
    with pytest.raises(Refused, match="the name 61a7f stands twice"):
        strict_json.loads(data.encode(), len(data))
    assert time.process_time() - before < 300, "it took half an hour"
