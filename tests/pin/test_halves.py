"""A PIN in two halves: two people, one after the other, joined in the token's process alone."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony.effects import Login
from ceremony.engine import Rules, fold
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import Excepted, LoggedIn
from ceremony.pin_parts import PinEntry, PinPart, judge_entry, may_have_typed
from ceremony.policy import load
from ceremony.ports import Interruption
from ceremony.states import Close
from ceremony.types import Severity
from tui import wiring
from tui.plain import PlainFace
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace

HALVES = ("[signer]\n", '[signer]\npin = "halves"\n')


def logins(prepared: Prepared) -> list[LoggedIn]:
    return [e for e in rehearsing.events(prepared) if isinstance(e, LoggedIn)]


@accepts("KEY-PIN-PARTS", "KEY-PIN-PART")
def test_two_holders_type_a_half_each_and_the_event_says_who(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, HALVES)
    assert rehearsing.held(prepared).released
    assert [e.persons for e in logins(prepared)] == [("kim", "kay")]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    (decided,) = rehearsing.decisions(prepared, "sign.preflight")
    assert "KEY-PIN-PARTS" in {f.rule for f in decided.findings}


def test_a_wrong_half_spends_one_try_and_both_type_again(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, HALVES)
    half = len(prepared.pin) // 2
    halves = (prepared.pin[:half], "no", prepared.pin[:half], prepared.pin[half:])
    assert rehearsing.held(prepared, {"pin": halves}).released
    assert [e.result.outcome for e in logins(prepared)] == ["wrong-pin", "ok"]


class _Typed(ScriptFace):
    """A script that keeps what was asked, and lets one person try to type both halves."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared.sheet)
        self.asked: list[Login] = []
        self.told: list[str] = []

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        self.asked.append(login)
        return ("kim", bytearray(b"123")) if len(self.asked) == 2 else super().pin(login)

    def tell(self, news: object) -> None:
        if isinstance(news, tuple):
            self.told += [f"{finding.rule}: {finding.text}" for finding in news]


def test_one_person_may_not_type_both_halves(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, HALVES)
    face = _Typed(prepared)
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert [login.persons for login in face.asked] == [("kim", "kay"), ("kay",), ("kay",)]
    assert [login.part.number for login in face.asked] == [1, 2, 2]
    assert any("another's" in told for told in face.told)
    assert "kim typed the half 1 of 2 of the PIN." in face.asked[1].shown
    assert logins(prepared)[0].persons == ("kim", "kay")


@refuses("KEY-PIN-PART")
def test_a_half_that_cannot_be_one_is_asked_for_again_and_costs_no_try(
    prepared: Prepared,
) -> None:
    rehearsing.edit_policy(prepared, HALVES)
    half = len(prepared.pin) // 2
    halves = ("", prepared.pin[:half], "x" * 128, prepared.pin[half:])
    assert rehearsing.held(prepared, {"pin": halves}).released
    assert [e.result.outcome for e in logins(prepared)] == ["ok"]


def test_an_exception_between_the_halves_has_both_typed_again(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, HALVES)

    class Stops(ScriptFace):
        asked = 0

        def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
            self.asked += 1
            if self.asked == 2:
                return Excepted("ines", "a half", "a cough", "again")
            return super().pin(login)

    face = Stops(prepared.sheet)
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert face.asked == 4
    assert [e.persons for e in logins(prepared)] == [("kim", "kay")]


@refuses("KEY-PIN-PARTS")
def test_a_reader_of_the_tokens_own_and_halves_exclude_each_other() -> None:
    part = PinPart(PinEntry.HALVES, 1, 2)
    (finding,) = judge_entry(part, on_reader=True)
    assert (finding.rule, finding.severity) == ("KEY-PIN-PARTS", Severity.REFUSE)
    assert not list(judge_entry(PinPart(), on_reader=True))


@pytest.mark.parametrize(
    "persons",
    [("kim",), ("kim", "kim"), ("kim", "carol"), ("kim", "kay", "kim"), ()],
    ids=["one", "twice", "no-holder", "three", "nobody"],
)
def test_a_transcript_in_which_others_typed_is_out_of_order(persons: tuple[str, ...]) -> None:
    assert not may_have_typed(persons, ("kim", "kay"), PinPart(PinEntry.HALVES, 1, 2))
    assert may_have_typed(("kay", "kim"), ("kim", "kay"), PinPart(PinEntry.HALVES, 1, 2))


def test_a_log_in_which_one_person_typed_both_is_not_taken(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, HALVES)
    assert rehearsing.held(prepared).released
    image = (prepared.folder / "in" / "anchor.efi").read_bytes()
    rules = Rules({hashlib.sha256(image).hexdigest(): image})
    events = rehearsing.events(prepared)
    assert isinstance(fold(events, rules), Close)
    forged = tuple(
        replace(e, persons=("kim", "kim")) if isinstance(e, LoggedIn) else e for e in events
    )
    with pytest.raises(OutOfOrder):
        fold(forged, rules)


@refuses("POL-THRESHOLD")
def test_halves_need_two_key_holders(prepared: Prepared) -> None:
    text = prepared.policy.read_text().replace(*HALVES)
    alone = text.replace('key_holders = ["kim", "kay"]', 'key_holders = ["kim"]')
    assert alone != text
    load(text.encode())
    with pytest.raises(Refused) as refused:
        load(alone.encode())
    assert {f.rule for f in refused.value.findings} == {"POL-THRESHOLD"}


@pytest.mark.parametrize(
    "lines",
    ['pin = "thirds"', 'pin = "shares"', 'pin = "shares"\npin_shares = 1', "pin_shares = 2"],
    ids=["thirds", "shares-without-count", "one-share", "count-without-shares"],
)
def test_a_policy_that_says_the_pin_wrong_is_refused(prepared: Prepared, lines: str) -> None:
    text = prepared.policy.read_text().replace("[signer]\n", f"[signer]\n{lines}\n")
    with pytest.raises(Refused) as refused:
        load(text.encode())
    assert {f.rule for f in refused.value.findings} <= {"POL-VALUE", "POL-MISSING"}


def test_plain_prompts_ask_for_each_half_and_show_none() -> None:
    reader, typed = os.pipe()
    shown = io.StringIO()
    face = PlainFace(reader, shown)
    part = PinPart(PinEntry.HALVES, 1, 2)
    first = Login(("kim", "kay"), ("look",), "ok", protected_path=False, part=part)
    os.write(typed, b"kim\nheron-\n")
    assert face.pin(first) == ("kim", bytearray(b"heron-"))
    os.write(typed, b"4082\n")
    assert face.pin(first.after("kim")) == ("kay", bytearray(b"4082"))
    assert "half 2 of 2" in shown.getvalue()
    assert "heron" not in shown.getvalue()
    assert "4082" not in shown.getvalue()
    os.close(reader)
    os.close(typed)
