"""What one Python takes or words otherwise than the next stands in no decision."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from quorum.casebook import provenance

from ceremony.attest import strict_json
from ceremony.attest.jail import read_jail
from ceremony.attest.minisign import read_comment
from ceremony.attest.statement import read_statement
from ceremony.clock import day_text, minute_text, wall_text, wall_time
from ceremony.codec import Malformed, decode
from ceremony.errors import Refused
from ceremony.ledger import Entry
from ceremony.policy import load

# json of Python 3.13 has words of its own for the first, others for the place of the second.
NO_JSON = (b'{"a": 1,}', b"[1, ]", b"{", b"[" * 32, b'"\x01"', b"nul", b"1 2", b'{"a" 1}')
DEEP = (b"[" * 33, b"[" * 100_000, b'{"a":' * 5000, b'{"a": 1, "a": ' + b"[" * 40)


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_told_in_our_words(text: bytes) -> None:
    with pytest.raises(Refused) as error:
        strict_json.loads(text, 1 << 20)
    assert [(f.text, f.offset) for f in error.value.findings] == [("the document is no JSON", None)]


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_how_deep_json_may_nest_is_asked_of_no_stack(text: bytes) -> None:
    with pytest.raises(Refused, match="nests deeper than 32"):
        strict_json.loads(text, 1 << 20)


@pytest.mark.parametrize(
    "inside", [b'"' + b"[{" * 50 + b'"', b'"\\"' + b"[" * 50 + b'\\\\"', b"[1], " * 50 + b"2"]
)
def test_brackets_in_texts_and_side_by_side_are_not_deep(inside: bytes) -> None:
    assert strict_json.loads(b"[" + inside + b"]", 1 << 20)


def finished(text: str) -> datetime | None:
    document = provenance()
    document["predicate"] = {"runDetails": {"metadata": {"finishedOn": text}}}
    return read_statement(json.dumps(document).encode()).time


@pytest.mark.parametrize("text", ["T24:00:00Z", "T12:60:00Z", "T12:00:60Z", "T12:00:00+24:00"])
def test_an_hour_24_is_none_though_python_3_14_takes_it(text: str) -> None:
    assert finished("2026-11-20T23:59:59Z") == datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(Refused, match="ATT-TIME"):
        finished(f"2026-11-20{text}")


def test_years_have_four_digits_in_every_python() -> None:
    early = datetime(999, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (day_text(early), minute_text(early)) == ("0999-01-02", "0999-01-02 03:04")
    assert wall_time(wall_text(early)) == early


def test_an_unknown_members_name_is_written_by_its_numbers() -> None:
    with pytest.raises(Malformed, match=r"'\\u2ffc'"):
        decode(Entry, {"\u2ffc": ""})


def test_words_are_parted_by_spaces_and_digits_are_those_of_ascii() -> None:
    assert read_comment("a:1\u00a0b:2").claims(()).pins == ()
    assert read_comment("https://github.com/\u00e4/b/commit/" + "a" * 40).claims(()).pins == ()
    assert read_comment("a:1\tb:2  c:3").claims(()).pins == (("a", "1"), ("b", "2"), ("c", "3"))
    with pytest.raises(Refused, match="neither parameters nor a mount"):
        read_jail("a /b c ro \u0661 \u0660\n".encode())


def test_toml_is_told_by_its_place_and_no_words_of_a_parser() -> None:
    with pytest.raises(Refused) as error:
        load(b"a = 1\nb = = 2\n")
    said = "= is no value: a text stands in quotes, true and false are written small"
    assert error.value.findings[0].text == f"the policy is no TOML: line 2, column 5: {said}"
