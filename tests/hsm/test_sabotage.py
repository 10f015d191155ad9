"""Modules that crash, hang, print, lie and lose their token; the parent says what happened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import refuses

from ceremony.errors import TokenTrouble
from ceremony.token import TokenEvidence
from hsm.binding import Limits

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

HANGS = 1.5  # a limit for what hangs; what ends by itself is noticed at once
LOST = [
    ("segfault", r"it crashed \(SIGSEGV\)"),
    ("abort", r"it crashed \(SIGABRT\)"),
    ("exit", r"it ended by itself \(status 0\)"),
    ("hang", f"no answer within {HANGS} seconds"),
]


@refuses("KEY-CHILD")
@pytest.mark.parametrize(("does", "fact"), LOST)
def test_a_module_that_fails_while_it_signs_leaves_an_unknown_outcome(
    bench: Bench, shim: Path, does: str, fact: str
) -> None:
    # The challenge after login is the first signature, so the image's is the second.
    limits = Limits(sign=HANGS) if does == "hang" else Limits()
    token = bench.shimmed(shim, limits, DOES=f"C_Sign:{does}", AFTER="1").token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    lost = token.sign(bench.request())
    assert (lost.outcome, lost.rule, lost.signature) == ("unknown", "KEY-CHILD", "")
    assert re.search(fact, lost.text)
    assert isinstance(token.probe(bench.certificate), TokenEvidence)
    assert token.login(bench.typed()).outcome == "ok"
    token.close()


@refuses("KEY-CHILD")
@pytest.mark.parametrize(("does", "fact"), LOST)
def test_a_module_that_fails_at_login_is_a_trouble_and_the_next_probe_works(
    bench: Bench, shim: Path, does: str, fact: str
) -> None:
    limits = Limits(login=HANGS) if does == "hang" else Limits()
    token = bench.shimmed(shim, limits, DOES=f"C_Login:{does}").token()
    token.probe(bench.certificate)
    pin = bench.typed()
    with pytest.raises(TokenTrouble, match=f"KEY-CHILD: .*{fact}; whether the PIN try was"):
        token.login(pin)
    assert set(pin) == {0}
    assert token.probe(bench.certificate).stage == "before-login"
    token.close()


@refuses("KEY-CHILD")
@pytest.mark.parametrize(("does", "fact"), LOST)
def test_a_module_that_fails_while_it_loads_is_a_trouble(
    bench: Bench, shim: Path, does: str, fact: str
) -> None:
    limits = Limits(start=HANGS) if does == "hang" else Limits()
    token = bench.shimmed(shim, limits, DOES=f"C_Initialize:{does}").token()
    with pytest.raises(TokenTrouble, match=f"KEY-CHILD: .*{fact}"):
        token.probe(bench.certificate)


def test_a_module_that_prints_more_than_a_pipe_holds_disturbs_nothing(
    bench: Bench, shim: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for function in ("C_Initialize", "C_Login", "C_Sign"):
        token = bench.shimmed(shim, DOES=f"{function}:print").token()
        token.probe(bench.certificate)
        assert token.login(bench.typed()).outcome == "ok"
        assert token.sign(bench.request()).outcome == "signed"
        token.close()
    assert capfd.readouterr() == ("", "")


@refuses("KEY-SIGNATURE")
def test_a_flipped_bit_in_the_images_signature_is_a_failure(bench: Bench, shim: Path) -> None:
    token = bench.shimmed(shim, DOES="C_Sign:flip", AFTER="1").token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    failed = token.sign(bench.request())
    assert (failed.outcome, failed.rule, failed.signature) == ("failed", "KEY-SIGNATURE", "")
    token.close()


@refuses("KEY-POSSESSION")
@pytest.mark.parametrize(
    ("does", "fact"),
    [("flip", "does not verify"), ("invalid", "MechanismInvalid"), ("vendor", "80001234")],
)
def test_a_challenge_that_is_not_signed_stops_before_the_image(
    bench: Bench, shim: Path, does: str, fact: str
) -> None:
    token = bench.shimmed(shim, DOES=f"C_Sign:{does}").token()
    token.probe(bench.certificate)
    with pytest.raises(TokenTrouble, match=f"KEY-POSSESSION: .*{fact}"):
        token.login(bench.typed())
    assert token.sign(bench.request()).outcome == "failed"
    token.close()


@refuses("KEY-LOST", "KEY-REFUSED")
@pytest.mark.parametrize(
    ("does", "outcome", "rule"),
    [
        ("vendor", "unknown", "KEY-LOST"),
        ("removed", "unknown", "KEY-LOST"),
        ("invalid", "failed", "KEY-REFUSED"),
    ],
)
def test_only_an_answer_that_rules_a_signature_out_is_a_failure(
    bench: Bench, shim: Path, does: str, outcome: str, rule: str
) -> None:
    token = bench.shimmed(shim, DOES=f"C_Sign:{does}", AFTER="1").token()
    token.probe(bench.certificate)
    assert token.login(bench.typed()).outcome == "ok"
    result = token.sign(bench.request())
    assert (result.outcome, result.rule) == (outcome, rule)
    token.close()


@refuses("KEY-REFUSED", "KEY-PIN-WRONG")
def test_the_answers_to_a_pin(bench: Bench, shim: Path) -> None:
    for does, outcome in (("pinlocked", "locked"), ("cancel", "cancelled")):
        token = bench.shimmed(shim, DOES=f"C_Login:{does}").token()
        token.probe(bench.certificate)
        assert token.login(bench.typed()).outcome == outcome
        token.close()
    token = bench.shimmed(shim, DOES="C_Login:vendor").token()
    token.probe(bench.certificate)
    with pytest.raises(TokenTrouble, match="KEY-REFUSED"):
        token.login(bench.typed())
    token.close()


def test_each_typed_pin_is_one_login(bench: Bench, shim: Path, tmp_path: Path) -> None:
    logins = tmp_path / "logins"
    token = bench.shimmed(shim, LOGINS=str(logins)).token()
    token.probe(bench.certificate)
    assert not logins.exists()
    for count, pin in enumerate((b"wrong-1", b"", b"wrong-2", bench.pin.encode()), start=1):
        token.login(bytearray(pin))
        sent = count - (1 if count > 1 else 0)  # the empty one was not sent
        assert logins.read_text().splitlines() == ["1"] * sent
    assert token.sign(bench.request()).outcome == "signed"
    assert token.sign(bench.request()).outcome == "signed"
    token.probe(bench.certificate)
    token.close()
    assert logins.read_text().splitlines() == ["1"] * 3


@pytest.mark.parametrize(
    ("flags", "state"), [("10000", "count-low"), ("30000", "final-try"), ("70000", "locked")]
)
def test_the_tokens_pin_flags_are_read_before_a_pin_is_asked_for(
    bench: Bench, shim: Path, flags: str, state: str
) -> None:
    token = bench.shimmed(shim, FLAGS=flags).token()
    assert token.probe(bench.certificate).pin_state == state
    token.close()


def test_a_broken_slot_beside_the_token_is_passed_over(bench: Bench, shim: Path) -> None:
    token = bench.shimmed(shim, BROKEN="1").token()
    assert len(token.probe(bench.certificate).keys) == 1
    token.close()


def test_an_empty_pin_goes_to_the_tokens_own_reader(
    bench: Bench, shim: Path, tmp_path: Path
) -> None:
    logins = tmp_path / "logins"
    token = bench.shimmed(shim, FLAGS="100", LOGINS=str(logins)).token()
    assert token.probe(bench.certificate).protected_path
    # SoftHSM has no reader: it takes the missing PIN for bad arguments.
    with pytest.raises(TokenTrouble, match="KEY-REFUSED"):
        token.login(bytearray())
    assert logins.read_text() == "1\n"
    token.close()
