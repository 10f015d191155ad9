"""A whole ceremony signs with the virtual card, which is pulled on the way and comes back."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rehearsing
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from marks import refuses
from pin.staged import confirm_plainly, resumed, until_signed
from tokens.brought import PIN, WRONG_PIN, Brought, machine_text
from tokens.piv_card import AUTHENTICATE, VERIFY, Command

from ceremony.effects import Login
from ceremony.events import Ack, Event, Intended, LoggedIn, Signed, TokenFailed
from ceremony.pin_uses import PinUse, shown
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from hsm.shares import dealt
from transcripts.auditor import audit
from transcripts.checkpoint import Head
from tui import wiring
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace

if TYPE_CHECKING:
    from tests.tokens.conftest import Table


CANARY = "hR~q%7Zk"  # as long as a PIV card takes, and in no hex, base64 or word
_SIGNER = re.compile(r'^uri = ".*"$|-----BEGIN CERT[^"]*-----END CERTIFICATE-----\n', re.MULTILINE)


def moved(prepared: Prepared, brought: Brought) -> None:
    """Let the rehearsal's policy name the card's key, and its machine the card's module."""
    policy = prepared.policy.read_text("utf-8")
    certificate = load_der_x509_certificate(brought.certificates["rsa"])
    pem = certificate.public_bytes(Encoding.PEM).decode()
    old = _SIGNER.findall(policy)
    assert len(old) == 2
    new = (f'uri = "{brought.uri}"', pem)
    rehearsing.edit_policy(prepared, *zip(old, new, strict=True))
    prepared.machine.write_text(f"rehearsal = true\n{machine_text(brought.binding)}", "utf-8")


class Watched(ScriptFace):
    """Answers by the script; what happens to the card happens at the event that is named."""

    def __init__(
        self,
        prepared: Prepared,
        pins: tuple[str, ...] = (PIN,) * 4,
        at: str = "",
        act: Callable[[], None] = lambda: None,
        stops_at: str = "",
    ) -> None:
        super().__init__(prepared.sheet, io.StringIO(), {"pin": pins})
        self._at, self._act, self._stops_at = at, act, stops_at
        self.asked: list[Login] = []
        self.pins: list[str] = []

    def recorded(self, event: Event, head: Head) -> None:
        if event.name == self._at:
            self._at = ""
            self._act()

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        self.asked.append(login)
        typed = super().pin(login)
        assert isinstance(typed, tuple)
        self.pins.append(typed[1].decode())
        return typed

    def answer(self, question: Question) -> Answer | Interruption:
        if question.name == self._stops_at:
            raise EOFError  # the machine loses its power here
        return super().answer(question)


@pytest.fixture
def brought(request: pytest.FixtureRequest, table: Table, tmp_path: Path) -> Brought:
    with ExitStack() as stack:
        return table.bring(request.param, tmp_path / "token", stack)


def outcomes(prepared: Prepared) -> list[str]:
    events = rehearsing.events(prepared)
    return [event.result.outcome for event in events if isinstance(event, Signed)]


def presented(brought: Brought) -> list[str]:
    """Return every PIN that was presented to the card, in order, without its padding."""
    card = brought.card
    assert card is not None
    sent = [one.data for one in card.commands if one.ins == VERIFY and one.data]
    return [data.rstrip(b"\xff").decode() for data in sent]


def agreed(prepared: Prepared) -> None:
    """Assert that replay and the stand-alone auditor reproduce what was recorded."""
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    found = audit(str(prepared.out), None)
    assert (found.verdict, found.outcome) == ("REPRODUCED", "ok"), found.faults


# What is typed in one ceremony: "" is a prompt that was cancelled.
COURSES = (
    (WRONG_PIN,),  # at the login
    (PIN, WRONG_PIN), (PIN, ""),  # at the test signature
    (PIN, PIN, WRONG_PIN), (PIN, PIN, ""),  # at the signature
    (PIN, PIN, PIN),
)  # fmt: skip
USES = (PinUse.LOGIN, PinUse.TEST, PinUse.SIGNATURE)


@pytest.mark.parametrize("brought", ["opensc", "ykcs11"], indirect=True)
@refuses("KEY-PIN-USE", "KEY-PIN-WRONG")
def test_each_typed_pin_is_one_verify_and_a_cancelled_one_is_none(
    prepared: Prepared, brought: Brought
) -> None:
    moved(prepared, brought)
    face = Watched(prepared, tuple(pin for course in COURSES for pin in course))
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert presented(brought) == [pin for pin in face.pins if pin]
    assert [login.use for login in face.asked] == [
        use for course in COURSES for use, _ in zip(USES, course, strict=False)
    ]
    assert {login.persons for login in face.asked if login.use is not PinUse.LOGIN} == {("kim",)}
    events = rehearsing.events(prepared)
    logins = [e.result for e in events if isinstance(e, LoggedIn)]
    assert [login.outcome for login in logins] == ["wrong-pin", "wrong-pin", "ok", "ok", "ok"]
    assert logins[-1].evidence is not None
    assert logins[-1].evidence.keys[0].always_authenticate
    assert [e.rule for e in events if isinstance(e, TokenFailed)] == ["KEY-PIN-USE"]
    signed = [(e.result.outcome, e.result.rule) for e in events if isinstance(e, Signed)]
    assert signed == [("failed", "KEY-PIN-WRONG"), ("failed", "KEY-PIN-USE"), ("signed", "")]
    asked = [e.shown for e in events if isinstance(e, Ack) and e.name == "sign.unknown"]
    assert "PIN: one try was spent." in asked[0]
    assert "PIN: no try was spent." in asked[1]
    assert all(any(line.startswith("Next: ") for line in shown) for shown in asked)
    agreed(prepared)


@pytest.mark.parametrize("brought", ["ykcs11"], indirect=True)
def test_a_wrong_pin_at_a_use_leads_to_the_last_try_by_way_of_another_roles_word(
    prepared: Prepared, brought: Brought
) -> None:
    moved(prepared, brought)
    pins = (PIN, WRONG_PIN, WRONG_PIN, PIN, PIN, PIN)
    face = Watched(prepared, pins)
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert presented(brought) == face.pins == list(pins)
    names = [e.name for e in rehearsing.events(prepared)]
    assert names.count("sign.last_try") == 1
    assert names[names.index("sign.last_try") + 1] == "sign.login"
    agreed(prepared)


@pytest.mark.parametrize("brought", ["opensc"], indirect=True)
def test_halves_are_typed_at_each_use_by_the_same_two_people(
    prepared: Prepared, brought: Brought
) -> None:
    moved(prepared, brought)
    rehearsing.edit_policy(prepared, ("[signer]\n", '[signer]\npin = "halves"\n'))
    halves = (PIN[:3], PIN[3:])
    pins = (*halves, halves[0], "", *halves, *halves, *halves)  # the second holder cancels once
    face = Watched(prepared, pins)
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert face.pins == list(pins)
    assert presented(brought) == [PIN] * 4
    assert [login.persons for login in face.asked[2:4]] == [("kim",), ("kay",)]
    assert outcomes(prepared) == ["signed"]
    agreed(prepared)


@pytest.mark.parametrize("brought", ["ykcs11"], indirect=True)
def test_words_of_shares_are_typed_once_and_what_they_make_is_gone_with_the_signature(
    prepared: Prepared, brought: Brought
) -> None:
    pytest.importorskip("shamir_mnemonic", reason="the package shamir-mnemonic")
    moved(prepared, brought)
    lines = '[signer]\npin = "shares"\npin_shares = 2\n'
    rehearsing.edit_policy(prepared, ("[signer]\n", lines))
    shares = [bytes(share).decode() for share in dealt(bytearray(PIN.encode()), 2, 2)]
    face = Watched(prepared, tuple(shares))
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert face.pins == shares
    assert presented(brought) == [PIN] * 3
    agreed(prepared)


class Stops(Watched):
    """Holds a ceremony up to the first PIN."""

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        raise EOFError


@pytest.mark.parametrize("brought", ["ykcs11"], indirect=True)
def test_plain_prompts_ask_at_each_use_and_the_face_holds_no_pin_while_it_waits(
    prepared: Prepared, brought: Brought, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(prepared, brought)
    monkeypatch.setattr(brought.card, "pin", CANARY)
    with suppress(EOFError):
        wiring.hold(rehearsing.places_of(prepared), Stops(prepared))
    with resumed(prepared, "--plain", size=(25, 80)) as console:
        confirm_plainly(console)
        console.wait("Who types the PIN")
        console.type(b"kim\n", 0)
        console.wait("kim (key holder): PIN (not shown):")
        console.type(CANARY.encode() + b"\n", 0)
        for use in (PinUse.TEST, PinUse.SIGNATURE):
            seen = len(console.screen)
            console.wait(f"kim (key holder): PIN, {use.counted} (not shown):")
            said = console.screen[seen:].decode().splitlines()
            assert all(f"  {line}" in said for line in shown(use, "ok", ("kim",)))
            assert console.copies(CANARY.encode()) == [], "the one before is not kept here"
            console.type(CANARY.encode() + b"\n", 0)
        until_signed(console, prepared)
        assert console.copies(CANARY.encode()) == []
        assert CANARY.encode() not in console.screen
    assert presented(brought) == [CANARY] * 3


def at_first_pin(brought: Brought) -> None:
    """Pull the card when the first PIN reaches it."""
    assert brought.card is not None
    brought.card.leave = lambda command: command.ins == VERIFY and bool(command.data)


def at_image(brought: Brought) -> None:
    """Pull the card inside C_Sign, after the challenge, before it answers."""
    seen: list[Command] = []

    def leave(command: Command) -> bool:
        seen.extend([command] if command.ins == AUTHENTICATE else [])
        return len(seen) > 1

    assert brought.card is not None
    brought.card.leave = leave


PLACES: dict[str, tuple[str, Callable[[Brought], None], list[str]]] = {
    "before-login": ("sign.preflight", lambda b: b.pull(), ["signed"]),
    "at-login": ("sign.preflight", at_first_pin, ["signed"]),
    "after-login": ("sign.login_verdict", lambda b: b.pull(), ["unknown", "signed"]),
    "at-c-sign": ("sign.preflight", at_image, ["unknown", "signed"]),
}


@pytest.mark.parametrize(
    ("brought", "place"),
    [
        ("opensc", "before-login"),
        ("ykcs11", "at-login"),
        ("opensc", "after-login"),
        ("opensc", "at-c-sign"),
    ],
    indirect=["brought"],
)
def test_a_card_pulled_on_the_way_is_put_back_and_the_ceremony_resumed(
    prepared: Prepared, brought: Brought, place: str
) -> None:
    moved(prepared, brought)
    at, pull, expected = PLACES[place]
    card = brought.card
    assert card is not None
    # The first ceremony ends where it asks what to do about the card that is gone.
    first = Watched(prepared, at=at, act=lambda: pull(brought), stops_at="sign.again")
    with suppress(EOFError):
        ended = wiring.hold(rehearsing.places_of(prepared), first)
        pytest.fail(f"it ended by itself: {ended.closed.outcome}")
    assert outcomes(prepared) == expected[:-1]
    assert not prepared.out.exists() or not list(prepared.out.glob("*.signed.efi"))
    card.renew()
    again = Watched(prepared)
    assert wiring.hold(rehearsing.places_of(prepared), again).released
    assert outcomes(prepared) == expected
    intents = [e for e in rehearsing.events(prepared) if isinstance(e, Intended)]
    assert len({intent.attributes for intent in intents}) == 1
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
