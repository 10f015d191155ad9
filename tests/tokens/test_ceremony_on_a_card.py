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
from tokens.brought import PIN, WRONG_PIN, Brought, machine_text
from tokens.piv_card import AUTHENTICATE, VERIFY, Command

from ceremony.events import Event, Intended, LoggedIn, Signed
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from transcripts.checkpoint import Head
from tui import wiring
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace

if TYPE_CHECKING:
    from tests.tokens.conftest import Table


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
    prepared.machine.write_text(machine_text(brought.binding), "utf-8")


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

    def recorded(self, event: Event, head: Head) -> None:
        if event.name == self._at:
            self._at = ""
            self._act()

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


@pytest.mark.parametrize("brought", ["opensc", "ykcs11"], indirect=True)
def test_a_ceremony_signs_with_the_card(prepared: Prepared, brought: Brought) -> None:
    moved(prepared, brought)
    face = Watched(prepared, (WRONG_PIN, PIN, PIN, PIN))
    assert wiring.hold(rehearsing.places_of(prepared), face).released
    assert outcomes(prepared) == ["signed"]
    logins = [e.result for e in rehearsing.events(prepared) if isinstance(e, LoggedIn)]
    assert [login.outcome for login in logins] == ["wrong-pin", "ok"]
    assert logins[1].evidence is not None
    assert logins[1].evidence.keys[0].always_authenticate
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    card = brought.card
    assert card is not None
    # Four PINs were typed, and the card saw four: one wrong, and the right one for each use.
    assert presented(brought) == [False, True, True, True] == typed(face)
    assert card.signatures == 2


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
