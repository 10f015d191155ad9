"""A key that asks for its PIN at every use: what each use sends, shows and refuses to send."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rehearsing
from cryptography.hazmat.primitives.asymmetric import rsa
from marks import accepts, refuses
from pin.console import Console
from tokens.brought import machine_text

from ceremony.effects import Login
from ceremony.errors import TokenTrouble
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_uses import PinUse, require_tries, shown
from ceremony.preflight import preflight
from ceremony.token import PinState
from ceremony.types import Mode, refusals
from hsm.token import Pkcs11Token

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

Certify = Callable[..., bytes]
OK, LOW, FINAL, LOCKED, PAD = "0", "10000", "30000", "70000", "100"  # CKF_..., as they add up
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
RIGHT = b"the right one"
USER, CONTEXT = "1", "2"  # CKU_USER, CKU_CONTEXT_SPECIFIC


@pytest.fixture
def asking(bench: Bench, rsa_key: rsa.RSAPrivateKey, certify: Certify) -> Bench:
    """Return a bench whose key asks for its PIN at every use."""
    bench.arrange(rsa_key, attributes={"ALWAYS_AUTHENTICATE": True})
    return bench.with_certificate(certify(rsa_key))


def test_each_use_is_one_context_login_with_the_pin_typed_for_it(
    asking: Bench, shim: Path, tmp_path: Path
) -> None:
    logins = tmp_path / "logins"
    token = asking.shimmed(shim, LOGINS=str(logins)).token()
    token.probe(asking.certificate)
    asked: list[PinState] = []

    def again(state: PinState) -> bytearray:
        asked.append(state)
        return asking.typed()

    assert token.login(asking.typed(), use=again).outcome == "ok"
    assert token.sign(asking.request(), again).outcome == "signed"
    token.close()
    assert logins.read_text().split() == [USER, CONTEXT, CONTEXT]
    assert asked == ["ok", "ok"]


@refuses("KEY-PIN-FINAL", "KEY-PIN-LOCKED")
@pytest.mark.parametrize(
    ("flags", "rule"), [(FINAL, "KEY-PIN-FINAL"), (LOCKED, "KEY-PIN-LOCKED")], ids=["1", "0"]
)
def test_tries_that_went_away_since_the_login_are_not_asked_for_more(
    asking: Bench, shim: Path, tmp_path: Path, flags: str, rule: str
) -> None:
    told, logins = tmp_path / "flags", tmp_path / "logins"
    told.write_text(OK)
    token = asking.shimmed(shim, FLAGS=str(told), LOGINS=str(logins)).token()
    token.probe(asking.certificate)
    assert token.login(asking.typed(), use=lambda _: asking.typed()).outcome == "ok"
    told.write_text(flags)

    def never(_state: PinState) -> bytearray:
        raise AssertionError("nobody is asked")

    result = token.sign(asking.request(), never)
    assert (result.outcome, result.rule) == ("failed", rule)
    assert logins.read_text().split() == [USER, CONTEXT]
    assert token._child is None
    token.close()


@accepts("KEY-PIN-FINAL", "KEY-PIN-LOCKED")
def test_old_flags_that_another_role_allowed_at_the_login_stop_no_use(
    asking: Bench, shim: Path
) -> None:
    token = asking.shimmed(shim, FLAGS=FINAL).token()
    assert token.probe(asking.certificate).pin_state == "final-try"
    assert token.login(asking.typed(), use=lambda _: asking.typed()).outcome == "ok"
    assert token.sign(asking.request(), lambda _: asking.typed()).outcome == "signed"
    token.close()


@pytest.mark.parametrize("now", ["final-try", "locked"])
@pytest.mark.parametrize("before", ["ok", "count-low", "unknown"])
def test_only_a_counter_that_went_down_to_the_end_is_refused(
    before: PinState, now: PinState
) -> None:
    with pytest.raises(TokenTrouble):
        require_tries(PinUse.TEST, before, now)
    require_tries(PinUse.TEST, now, now)
    for state in ("ok", "count-low", "unknown"):
        require_tries(PinUse.SIGNATURE, before, state)


@refuses("KEY-PIN-PAD")
def test_a_pad_and_a_key_that_asks_at_every_use_are_refused_before_another_pin(
    asking: Bench, shim: Path, tmp_path: Path
) -> None:
    """PKCS#11 v2.40, 4.9: such a key is CKA_PRIVATE, so it is seen after the login alone."""
    bench = asking
    logins = tmp_path / "logins"
    token = bench.shimmed(shim, FLAGS=PAD, PAD=bench.pin, LOGINS=str(logins)).token()
    found = preflight(token.probe(bench.certificate), bench.certificate, NOW, Mode.REHEARSAL)
    assert "KEY-PIN-PAD" not in {finding.rule for finding in found}
    login = token.login(bytearray())
    assert login.evidence is not None
    found = preflight(login.evidence, bench.certificate, NOW, Mode.REHEARSAL)
    assert "KEY-PIN-PAD" in {finding.rule for finding in refusals(found)}
    seen = replace(login.evidence, stage="before-login")  # by a module that shows it all the same
    found = preflight(seen, bench.certificate, NOW, Mode.REHEARSAL)
    assert "KEY-PIN-PAD" in {finding.rule for finding in refusals(found)}
    assert token.sign(bench.request()).rule == "KEY-PIN-USE"
    assert logins.read_text().split() == [USER]
    token.close()


@accepts("KEY-PIN-PAD")
def test_a_pad_and_a_key_that_asks_once_sign(
    bench: Bench, shim: Path, rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    bench.arrange(rsa_key)
    bench = bench.with_certificate(certify(rsa_key))
    token = bench.shimmed(shim, FLAGS=PAD, PAD=bench.pin).token()
    token.probe(bench.certificate)
    assert token.login(bytearray()).outcome == "ok"
    assert token.sign(bench.request()).outcome == "signed"
    token.close()


def test_what_a_person_does_instead_logs_out_of_a_login_and_leaves_a_signature_waiting(
    asking: Bench,
) -> None:
    class Instead(Exception):
        pass

    def instead(_state: PinState) -> bytearray:
        raise Instead

    token: Pkcs11Token = asking.token()
    token.probe(asking.certificate)
    with pytest.raises(Instead):
        token.login(asking.typed(), use=instead)
    assert token._child is None
    assert token.login(asking.typed(), use=lambda _: asking.typed()).outcome == "ok"
    with pytest.raises(Instead):
        token.sign(asking.request(), instead)
    assert token.sign(asking.request(), lambda _: asking.typed()).outcome == "signed"
    token.close()


def test_each_half_is_typed_again_by_whom_it_belongs_to() -> None:
    part = PinPart(PinEntry.HALVES, 1, 2)
    login = Login(("kim", "kay", "ed"), (), "ok", protected_path=False, part=part)
    first = login.after("kay").before(PinUse.TEST, ("kay", "kim"), "count-low")
    assert (first.persons, first.part.number, first.pin_state) == (("kay",), 1, "count-low")
    second = first.after("kay")
    assert (second.persons, second.part.number, second.use) == (("kim",), 2, PinUse.TEST)


def test_each_prompt_says_why_what_is_left_and_what_cancelling_means() -> None:
    for use in (PinUse.TEST, PinUse.SIGNATURE):
        said = shown(use, "final-try", ("kim", "kay"))
        assert said[0] == "This key asks for its PIN at every use; no copy is kept."
        assert said[1].startswith(f"{use.value[0]} of 3: the ")
        assert "Its PIN: ONE try is left." in said
        assert "kim and kay type it again, as at the login." in said
        assert said[-2].startswith("No PIN given cancels: ")
        assert all(len(line) <= 60 for line in said), "a row of the screen at 80x25"


@dataclass
class Outside:
    """sbsign on a terminal, with a key that asks at every use and a module that notes logins."""

    folder: Path
    words: tuple[str, ...]

    def run(self, *more: str, pass_fds: tuple[int, ...] = ()) -> Console:
        words = ("-I", "-m", "tui", *self.words, *more, "image.efi")
        return Console(*words, folder=self.folder, pass_fds=pass_fds)

    @property
    def logins(self) -> list[str]:
        return (self.folder / "logins").read_text().split()

    @property
    def signed(self) -> bool:
        return (self.folder / "image.efi.signed").exists()


@pytest.fixture
def outside(asking: Bench, shim: Path, tmp_path: Path) -> Outside:
    shimmed = asking.shimmed(shim, LOGINS=str(tmp_path / "logins"))
    (tmp_path / "machine.toml").write_text(machine_text(shimmed.binding))
    (tmp_path / "signer.pem").write_bytes(asking.certificate)
    (tmp_path / "image.efi").write_bytes(rehearsing.tiny_uki())
    words = ("sbsign", "--key", asking.uri, "--cert", "signer.pem", "--machine", "machine.toml")
    return Outside(tmp_path, words)


@accepts("KEY-PIN-USE")
def test_outside_of_a_ceremony_the_pin_is_asked_for_at_each_use(
    outside: Outside, asking: Bench
) -> None:
    pin = asking.pin.encode()
    with outside.run() as console:
        for asked in ("PIN of token", "2 of 3, the test signature.", "3 of 3, the signature."):
            console.wait(asked)
            console.type(pin + b"\n", 0)
        assert console.end() == 0, console.text()
        assert pin not in console.screen
    assert outside.logins == [USER, CONTEXT, CONTEXT]
    assert outside.signed


@refuses("KEY-PIN-USE", "KEY-PIN-WRONG")
@pytest.mark.parametrize(
    ("typed", "rule", "cost"),
    [
        ((b"",), "KEY-PIN-USE", "no try was spent"),
        ((b"wrong-pin",), "KEY-PIN-WRONG", "one try was spent"),
        ((RIGHT, b""), "KEY-PIN-USE", "no try was spent"),
        ((RIGHT, b"wrong-pin"), "KEY-PIN-WRONG", "one try was spent"),
    ],
    ids=["none-for-the-test", "wrong-for-the-test", "none", "wrong"],
)
def test_outside_of_a_ceremony_a_use_that_fails_says_its_rule_and_cost(
    outside: Outside, asking: Bench, typed: tuple[bytes, ...], rule: str, cost: str
) -> None:
    with outside.run() as console:
        for asked, pin in zip(
            ("PIN of token", "the test signature.", "the signature."),
            (RIGHT, *typed),
            strict=False,
        ):
            console.wait(asked)
            console.type((asking.pin.encode() if pin == RIGHT else pin) + b"\n", 0)
        assert console.end() != 0
        assert rule in console.text()
        assert cost in console.text()
    assert outside.logins == [USER, *(CONTEXT for pin in typed if pin)]
    assert not outside.signed


def test_a_pin_from_a_descriptor_is_asked_for_once(outside: Outside, asking: Bench) -> None:
    reader, writer = os.pipe()
    os.write(writer, asking.pin.encode() + b"\n")
    with outside.run("--pin-fd", str(reader), pass_fds=(reader,)) as console:
        assert console.end() == 0, console.text()
    os.close(reader)
    os.close(writer)
    assert outside.logins == [USER, CONTEXT, CONTEXT]
    assert outside.signed


@refuses("KEY-PIN-ENTRY")
def test_an_empty_pin_at_the_login_is_not_told_as_a_try_that_was_spent(outside: Outside) -> None:
    with outside.run() as console:
        console.wait("PIN of token")
        console.type(b"\n", 0)
        assert console.end() != 0
        assert "KEY-PIN-ENTRY: cancelled" in console.text()
        assert "no try was spent" in console.text()
    assert not (outside.folder / "logins").exists()
