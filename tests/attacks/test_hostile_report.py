"""What strangers wrote into a record reaches a report's reader as text, and as nothing else."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import pytest
from reporting import GOLDEN, KINDS, controls, record

from ceremony.ingest.reading import read_folder
from transcripts.report.compose import compose
from transcripts.report.html import html
from transcripts.report.record import Record
from transcripts.report.text import WIDTH, text

TAGS = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*)")
EVIL = {
    "markup": "\"'><script>alert(1)</script><img src=x onerror=alert(1)><!--",
    "entity": "&lt;script&gt;&#x202e;&amp",
    "style": "</style><style>*{display:none}</style>}*{",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m\r\b\x7f",
    "bidi": "\u202egro.live\u202c\u2066\u2069\u200b\u200f\ufeff",
    "lines": "\nFORGED no more\n\nREPRODUCED - PRODUCTION\x0c\u2028\x85",
    "long": "A" * 50_000,
    "wide": "\u6f22\u5b57\u0301\u05d0\u05d1 \u0639\u0631\u0628",
}
FORBIDDEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def spoiled(value: Any, evil: str) -> Any:  # noqa: ANN401 - every shape of every event
    """Return an event with `evil` behind each of its texts."""
    match value:
        case Enum() | bool() | int() | None:
            return value
        case str():
            return value + evil
        case tuple() | list():
            return type(value)(spoiled(item, evil) for item in value)
        case dict():
            return {name: spoiled(item, evil) for name, item in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            kept = {"name", "kind", "outcome", "signature", "answer"}
            changed = {
                field.name: spoiled(getattr(value, field.name), evil)
                for field in fields(value)
                if field.name not in kept
            }
            return replace(value, **changed)
        case _:
            return value


def hostile(kind: str, evil: str) -> Record:
    files = read_folder(GOLDEN / kind / "bundle")
    good = record(files)
    lines = tuple(replace(line, event=spoiled(line.event, evil)) for line in good.log.lines)
    findings = tuple(
        replace(f, rule=f.rule + evil, text=f.text + evil)
        for line in good.log.lines
        for f in getattr(line.event, "findings", ())
    )
    found = replace(good.found, findings=findings, witnesses=("ed" + evil,), outcome="ok" + evil)
    named = {f"checkpoint.{evil}.sshsig": b"", **files}
    return Record(named, replace(good.log, lines=lines), found)


@pytest.fixture(scope="module")
def known_tags() -> set[str]:
    page = html(compose(record(read_folder(GOLDEN / "happy/bundle")), controls(), (), "tests"))
    return {*TAGS.findall(page), "bdi", "/bdi", "ul", "/ul", "li", "/li"}


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_shown_and_not_obeyed(kind: str, evil: str, known_tags: set[str]) -> None:
    report = compose(hostile(kind, EVIL[evil]), controls(), (), "tests")
    page, plain = html(report), text(report)
    assert set(TAGS.findall(page)) <= known_tags
    assert page.count("<style>") == 1
    assert "<!--" not in page
    assert FORBIDDEN.search(page) is None
    assert FORBIDDEN.search(plain) is None
    assert max(map(len, plain.splitlines())) <= WIDTH
    assert plain.splitlines()[0] == report.banner.line
    assert len(page) < 12_000_000


def test_letters_from_right_to_left_cannot_turn_what_stands_beside_them() -> None:
    page = html(compose(hostile("happy", EVIL["wide"]), controls(), (), "tests"))
    turning = re.compile("[\u0590-\u08ff]")
    outside = re.sub(r"<bdi>[^<]*</bdi>", "", page)
    assert turning.search(page)
    assert turning.search(outside) is None
