"""Replay names the first event that differs: line, event, rule, member, expected and found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forging import rechained
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.effects import Effect
from ceremony.engine import Rules
from ceremony.events import Begun, Event
from ceremony.ingest.reading import read_folder
from ceremony.states import State
from transcripts import rulesets
from transcripts.differing import AWAITED, NOTHING, first
from transcripts.replay import Difference, Replayed, Verdict, replay

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
HAPPY = read_folder(GOLDEN / "happy" / "bundle")
RESUMED = read_folder(GOLDEN / "resumed" / "bundle")
NAMES = [json.loads(line)["event"] for line in HAPPY["transcript.jsonl"].splitlines()]
Change = Callable[[list[dict[str, Any]]], None]


def forged(change: Change, files: dict[str, bytes] = HAPPY) -> Replayed:
    return replay(rechained(files, change))


def body(values: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next(value for value in values if value["event"] == name)["body"]
    assert isinstance(found, dict)
    return found


def at(name: str, rule: str, path: str, expected: str, found: str) -> Difference:
    return Difference(NAMES.index(name), name, rule, path, expected, found)


def outcome(values: list[dict[str, Any]]) -> None:
    body(values, "judge.verdict")["outcome"] = "refused"


def finding(values: list[dict[str, Any]]) -> None:
    body(values, "verify.verdict")["findings"].append(
        {"rule": "SIG-VALUE", "severity": "info", "text": "x" * 200, "offset": None}
    )


def fact(values: list[dict[str, Any]]) -> None:
    del body(values, "verify.verdict")["facts"]["size"]


def intent(values: list[dict[str, Any]]) -> None:
    old = body(values, "sign.intent")["attributes"]
    body(values, "sign.intent")["attributes"] = old[:200] + "00" + old[202:]


def person(values: list[dict[str, Any]]) -> None:
    body(values, "inspect.meaning")["person"] = "kim"


def dropped(values: list[dict[str, Any]]) -> None:
    values.remove(next(value for value in values if value["event"] == "read_back.words"))


@refuses("TRN-DECISION", "TRN-ORDER")
def test_the_member_and_both_values_are_named() -> None:
    assert forged(outcome).first == at(
        "judge.verdict", "TRN-DECISION", "body.outcome", '"ok"', '"refused"'
    )
    found = forged(finding).first
    assert found is not None
    assert (found.path, found.expected) == ("body.findings[0]", NOTHING)
    assert len(found.found) == 60
    found = forged(fact).first
    assert found is not None
    assert (found.path, found.found) == ("body.facts.size", NOTHING)
    found = forged(intent).first
    assert found is not None
    assert (found.event, found.path) == ("sign.intent", "body.attributes")
    assert found.expected != found.found
    assert found.found.startswith('..."') or found.found.startswith('"...')
    found = forged(person).first
    assert found is not None
    assert (found.rule, found.path) == ("TRN-ORDER", "body.answer")
    assert found.expected.startswith("inspect.meaning by ed (APP-PERSON")
    assert found.found == "kim: UNDERSTOOD"
    assert forged(dropped).first == Difference(
        NAMES.index("read_back.words"), "read_back.verdict", "TRN-ORDER", "event",
        "read_back.words by ed or ines", "read_back.verdict",
    )  # fmt: skip


def test_the_text_says_the_same() -> None:
    found = forged(outcome)
    line = NAMES.index("judge.verdict")
    text = f'event {line + 1}, judge.verdict: body.outcome recomputed "ok", recorded "refused"'
    assert found.findings[0].text == text
    assert found.verdict is Verdict.FORGED  # the people signed another checkpoint


@refuses("TRN-ORDER")
def test_a_recovery_that_names_other_lines_than_there_were() -> None:
    def earlier(values: list[dict[str, Any]]) -> None:
        body(values, "ceremony.recovered")["lines"] -= 1

    found = forged(earlier, RESUMED)
    assert found.verdict is Verdict.FORGED
    assert found.first is not None
    assert (found.first.rule, found.first.path) == ("TRN-ORDER", "body.lines")


def test_every_effect_has_the_name_of_the_event_that_is_awaited() -> None:
    kinds = {kind.__name__ for kind in Effect.__args__}
    assert set(AWAITED) | {"Ask", "Record"} == kinds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab\x00é", max_size=90),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


@given(JSON, JSON)
def test_two_values_that_differ_are_shown_short_and_apart(one: Any, other: Any) -> None:  # noqa: ANN401 - JSON
    if one != other:
        path, expected, found = first(one, other)
        assert path.startswith("body")
        assert max(len(expected), len(found)) <= 120
        assert expected.isascii()
        assert expected.isprintable()
        if max(len(expected), len(found)) < 50:
            assert expected != found


# Rule sets


def renamed(values: list[dict[str, Any]]) -> None:
    values[0]["body"]["ruleset"] = "2"


@refuses("TRN-RULESET")
def test_a_rule_set_that_is_not_carried_is_incomplete_and_says_what_to_install() -> None:
    def later(values: list[dict[str, Any]]) -> None:
        renamed(values)
        values[0]["body"] |= {"tool": "uki-ceremony 2031.2", "hologram": 7}
        values[5] |= {"event": "open.dance", "kind": "waltz"}

    found = forged(later)
    assert found.verdict is Verdict.INCOMPLETE
    (finding,) = found.findings
    assert finding.rule == "TRN-RULESET"
    assert "names rule set 2" in finding.text
    assert "Install uki-ceremony 2031.2" in finding.text


@accepts("TRN-RULESET")
def test_every_transcript_replays_with_the_rule_set_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second rule set: an engine of its own, that here hands over to the first."""
    one = rulesets.carried("1")
    seen: list[str] = []

    def advance(state: State, event: Event, rules: Rules) -> State:
        seen.append(event.name)
        if isinstance(event, Begun):
            assert (event.ruleset, rules.version) == ("2", "2")
            event = replace(event, ruleset="1")
        return one.advance(state, event, replace(rules, version="1"))

    monkeypatch.setitem(rulesets.CARRIED, "2", rulesets.RuleSet(one.begin, advance))
    assert replay(HAPPY).verdict is Verdict.REPRODUCED
    assert seen == []
    found = forged(renamed)
    assert seen == NAMES
    assert {f.rule for f in found.findings} == {"TRN-COUNTERSIGNATURE"}
