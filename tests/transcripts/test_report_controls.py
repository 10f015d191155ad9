"""Controls: what evidences them, what does not, and a data file without mistakes."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from reporting import SPOILED, bundle, controls, happy, record

from ceremony.events import NAMED
from ceremony.rules.register import ALL
from transcripts.report.controls import Control, evidence, matches, parse, section
from transcripts.report.document import Mark, Table
from transcripts.report.record import Record

ROOT = Path(__file__).resolve().parents[2]
NEVER = ("video", "key-attested", "media-keeping", "change-tested")
NOT_HERE = ("two-holders", "earlier-records", "offline")  # one approval, no ledger, a network
HOLDING = [c for c in controls() if c.id not in (*NEVER, *NOT_HERE)]


def without(found: Record, names: set[int]) -> Record:
    """Return the record without the events of some numbers; the others keep theirs."""
    lines = tuple(line for line in found.log.lines if line.seq + 1 not in names)
    return Record(found.files, replace(found.log, lines=lines), found.found)


def test_the_undisturbed_ceremony_evidences_what_it_should() -> None:
    held = {control.id for control in controls() if evidence(control, happy()).holds}
    assert held == {control.id for control in HOLDING}
    assert len(held) == 24


@pytest.mark.parametrize("control", HOLDING, ids=lambda control: control.id)
def test_without_an_event_that_it_needs_a_control_is_not_evidenced(control: Control) -> None:
    assert evidence(control, happy()).events or evidence(control, happy()).proofs
    for clause in control.all:
        if clause.event:
            gone = {n.number for n in happy().numbered if matches(clause, n.event)}
            assert gone
            found = evidence(control, without(happy(), gone))
            assert clause.words in found.lacking


@pytest.mark.parametrize("control", controls(), ids=lambda control: control.id)
@pytest.mark.parametrize("verdict", SPOILED)
def test_a_record_that_does_not_hold_evidences_nothing(verdict: str, control: Control) -> None:
    found = section(_spoiled(verdict), (control,))
    (table,) = (block for block in found.blocks if isinstance(block, Table))
    assert table.rows[0][-1] == (Mark("not evidenced", good=False), f": replay says {verdict}")


_SPOILED: dict[str, Record] = {}


def _spoiled(verdict: str) -> Record:
    if verdict not in _SPOILED:
        _SPOILED[verdict] = record(SPOILED[verdict](bundle("happy")))
    return _SPOILED[verdict]


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_is_lacking_is_said(name: str) -> None:
    (control,) = (c for c in controls() if c.id == name)
    assert evidence(control, happy()).lacking


def test_what_need_not_be_there_is_taken_where_it_is() -> None:
    (control,) = (c for c in controls() if c.id == "deviations")
    assert evidence(control, happy()).events == (38,)
    assert evidence(control, record(bundle("resumed"))).events == (30, 31, 47)


def test_who_does_not_agree_has_not_signed_off() -> None:
    named = {control.id: control for control in controls()}
    disputed = record(bundle("disputed"))
    assert not evidence(named["sign-off"], disputed).holds
    assert not evidence(named["deviations"], disputed).holds
    assert evidence(named["log-content"], disputed).holds


def test_two_holders_are_two_persons() -> None:
    (control,) = (c for c in controls() if c.id == "two-holders")
    lines = list(happy().log.lines)
    place = next(n for n, line in enumerate(lines) if line.event.name == "sign.approve")
    for person, holds in (("kim", False), ("kay", True)):
        again = replace(lines[place], event=replace(lines[place].event, person=person))
        log = replace(happy().log, lines=(*lines, again))
        found = Record(happy().files, log, happy().found)
        assert evidence(control, found).holds is holds


# The data file


def test_there_are_enough_and_each_has_one_name() -> None:
    assert len(controls()) >= 28
    assert len({control.id for control in controls()}) == len(controls())
    sources = " ".join(source for control in controls() for source in control.sources)
    for wanted in ("BR 5.4.1", "BR 6.1.1.1", "BR 6.2.7", "NetSec", "CSBR 6.2.7.3", "CSBR 6.2.7.4",
                   "GEN-6.5.1", "AU-3", "AU-8", "AU-9", "AU-10", "AC-5", "MP-4", "MP-5", "MP-7",
                   "SI-7", "CM-3"):  # fmt: skip
        assert wanted in sources


def test_every_clause_names_events_roles_and_rules_that_exist() -> None:
    spec = importlib.util.spec_from_file_location("docs_of_events", ROOT / "scripts/docs.py")
    assert spec
    assert spec.loader
    docs = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = docs
    spec.loader.exec_module(docs)
    known = {*NAMED, *(asked.name for asked in docs.questions()), *docs.decided_names()}
    roles = {"", "administrator", "internal witness", "external witness", "key holder"}
    for control in controls():
        for clause in (*control.all, *control.any, *control.also):
            assert clause.proof or clause.event in known
            assert clause.role in roles
            assert clause.rule in ("", *ALL)


@pytest.mark.parametrize(
    "text",
    [
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\n',
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\nnote = "n"\nmore = 1\n',
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\nall = 1\n',
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\nall = [{ proof = "x" }]\n',
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\nall = [{ role = "x" }]\n',
        '[[control]]\nid = "a"\ntitle = "t"\nsources = []\nsays = "s"\nall = [{ name = "x" }]\n',
    ],
    ids=["no-query", "unknown-member", "no-array", "unknown-proof", "no-event", "unknown-word"],
)
def test_a_data_file_with_a_mistake_is_a_bug(text: str) -> None:
    with pytest.raises(TypeError):
        parse(text)
