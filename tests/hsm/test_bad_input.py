"""What goes wrong with a key: its rule, one sentence, what to do, what it cost at the token.

One row each, on real tokens: SoftHSM, behind the shim where the module is what fails, and the
virtual PIV card where it is the card. What a row says that it cost is counted at the token.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from marks import refuses
from tokens.brought import PIN, WRONG_PIN, Brought
from tokens.cards import carded
from tokens.piv_card import AUTHENTICATE, VERIFY

from ceremony.errors import TokenTrouble
from ceremony.preflight import preflight
from ceremony.rules.key import RULES
from ceremony.rules.pin_tries import NO_MORE, NONE, ONE, UNKNOWN, UNLESS_TYPED, pin_try
from ceremony.token import PinState, SignRequest
from ceremony.types import Mode, refusals
from hsm.binding import Binding
from hsm.present import show_tokens
from hsm.token import Pkcs11Token

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

Certify = Callable[..., bytes]
Stage = Literal["probe", "preflight", "login", "after login", "sign"]
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
Told = tuple[Stage, str, str]


@dataclass
class Case:
    """A token to try, with the PINs that are typed one after the other, and those of later uses."""

    token: Pkcs11Token
    certificate: bytes
    pins: tuple[str, ...]
    request: SignRequest
    tries: Callable[[], int]
    now: datetime
    again: tuple[str, ...] = ()

    def use(self, _state: PinState) -> bytearray:
        first, *rest = self.again
        self.again = tuple(rest)
        return bytearray(first.encode())


Make = Callable[["Desk"], Case]


@dataclass
class Desk:
    """What a row makes its case from."""

    bench: Bench
    shim: Path
    key: rsa.RSAPrivateKey
    certify: Certify
    folder: Path
    bring: Callable[[], Brought]

    def case(self, bench: Bench | None = None, does: str = "", after: str = "0") -> Case:
        """Return SoftHSM behind the shim; it says itself whether a PIN was wrong."""
        real = bench or self.bench
        bench = real.shimmed(self.shim, DOES=does, AFTER=after)

        def tries() -> int:
            states = {token.pin_state for token in show_tokens(real.binding).tokens}
            return int("count-low" in states)

        return Case(bench.token(), bench.certificate, (bench.pin,), bench.request(), tries, NOW)

    def module(self, path: Path) -> Case:
        """Return a case whose module is that file."""
        bench = replace(self.bench, binding=Binding(path))
        return Case(bench.token(), bench.certificate, (bench.pin,), bench.request(), lambda: 0, NOW)

    def own(self, **changes: object) -> Case:
        """Return a case with a key of the test's own and a certificate that is changed."""
        self.bench.arrange(self.key)
        return self.case(self.bench.with_certificate(self.certify(self.key, **changes)))

    def imported(self, **attributes: bool) -> Case:
        """Return a case with a key of the test's own whose attributes are changed."""
        self.bench.arrange(self.key, attributes=attributes)
        return self.case(self.bench.with_certificate(self.certify(self.key)))

    def card(
        self,
        *pins: str,
        spoil: Callable[[Brought], object] = lambda _: None,
        again: tuple[str, ...] = (PIN, PIN),
    ) -> Case:
        """Return the virtual card, spoilt."""
        brought = self.bring()
        spoil(brought)
        card = brought.card
        assert card is not None
        pins = pins or (card.pin,)
        certificate = brought.certificates["rsa"]

        def wrong() -> int:
            """Count what the card itself counted as wrong."""
            return sum(
                one.ins == VERIFY and bool(one.data) and not one.data.startswith(card.pin.encode())
                for one in card.commands
            )

        now = datetime.now(UTC)
        return Case(brought.token(), certificate, pins, brought.request(), wrong, now, again)


def no_elf(desk: Desk) -> Case:
    path = desk.folder / "module.so"
    path.write_bytes(b"#!/bin/sh\nexit 0\n")
    return desk.module(path)


def wrong_machine(desk: Desk) -> Case:
    path = desk.folder / "module.so"
    shutil.copy(desk.shim, path)
    data = bytearray(path.read_bytes())
    data[18] ^= 0x40  # e_machine
    path.write_bytes(data)
    return desk.module(path)


def no_token(desk: Desk) -> Case:
    return desk.case(replace(desk.bench, uri="pkcs11:token=elsewhere"))


def two_tokens(desk: Desk) -> Case:
    desk.bench.second_token("rehearsal")
    uri = "pkcs11:token=rehearsal"
    other = desk.certify(desk.key)  # on neither of them, so that no key decides
    return desk.case(replace(desk.bench, uri=uri, certificate=other))


def two_keys(desk: Desk) -> Case:
    desk.bench.arrange(desk.key, key_id="02")
    desk.bench.arrange(desk.key, key_id="03")
    return desk.case(desk.bench.with_certificate(desk.certify(desk.key)))


def no_key(desk: Desk) -> Case:
    return desk.case(desk.bench.with_certificate(desk.certify(desk.key)))


def swapped(desk: Desk) -> Case:
    """Return a certificate for another key on the token than the one that the URI names."""
    desk.bench.arrange(desk.key, label="other")
    return desk.case(replace(desk.bench, certificate=desk.certify(desk.key)))


def pulled(brought: Brought) -> None:
    brought.pull()


def pulled_at(ins: int, count: int) -> Callable[[Brought], None]:
    def spoil(brought: Brought) -> None:
        assert brought.card is not None
        brought.card.leave_after(count, ins)

    return spoil


def locked(brought: Brought) -> None:
    assert brought.card is not None
    brought.card.tries = 0


def garbling(brought: Brought) -> None:
    assert brought.card is not None
    brought.card.garble = True


DAY = timedelta(days=1)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
WRONG = (WRONG_PIN,) * 3

# What is brought: how far it comes, the rule, words of the sentence, the tries that it costs.
ROWS: dict[str, tuple[Make, Stage, str, str, int]] = {
    "missing-module": (
        lambda d: d.module(d.folder / "no.so"), "probe", "KEY-MODULE", "there is no file", 0),
    "not-elf": (no_elf, "probe", "KEY-MODULE", "is not an ELF file", 0),
    "wrong-architecture": (wrong_machine, "probe", "KEY-MODULE", "another machine", 0),
    "module-that-does-not-start": (
        lambda d: d.case(does="C_Initialize:vendor"), "probe", "KEY-MODULE", "does not start", 0),
    "no-token": (no_token, "probe", "KEY-TOKEN", "no token fits", 0),
    "two-tokens": (two_tokens, "probe", "KEY-TOKEN", "2 tokens fit", 0),
    "no-key": (no_key, "after login", "KEY-MATCH", "no private key", 0),
    "two-keys": (two_keys, "after login", "KEY-MATCH", "2 private keys", 0),
    "non-signing-key": (
        lambda d: d.imported(SIGN=False), "after login", "KEY-SIGN", "SIGN is false", 0),
    "extractable-key": (
        lambda d: d.imported(EXTRACTABLE=True), "after login", "KEY-EXTRACTABLE", "is true", 0),
    "readable-key": (
        lambda d: d.imported(SENSITIVE=False), "after login", "KEY-SENSITIVE", "is false", 0),
    "swapped-certificate": (swapped, "login", "KEY-URI", "another object", 0),
    "expired": (
        lambda d: d.own(first=NOW - 2 * DAY, last=NOW - DAY),
        "preflight", "KEY-CERT-DATES", "expired on", 0),
    "future": (
        lambda d: d.own(first=NOW + DAY, last=NOW + 2 * DAY),
        "preflight", "KEY-CERT-DATES", "still to come", 0),
    "tls-only": (
        lambda d: d.own(purposes=SERVER), "preflight", "KEY-CERT-EKU", "code signing is not", 0),
    "key-encipherment-only": (
        lambda d: d.own(usage="key_encipherment"),
        "preflight", "KEY-CERT-USAGE", "digitalSignature", 0),
    "wrong-pin": (lambda d: d.card(WRONG_PIN), "login", "KEY-PIN-WRONG", "wrong-pin", 1),
    "wrong-pin-three-times": (lambda d: d.card(*WRONG), "login", "KEY-PIN-LOCKED", "locked", 3),
    "wrong-pin-at-the-test-signature": (
        lambda d: d.card(again=(WRONG_PIN,)), "login", "KEY-PIN-WRONG", "wrong-pin", 1),
    "wrong-pin-at-the-signature": (
        lambda d: d.card(again=(PIN, WRONG_PIN)), "sign", "KEY-PIN-WRONG", "refused the PIN", 1),
    "no-pin-at-the-test-signature": (
        lambda d: d.card(again=("",)), "login", "KEY-PIN-USE", "no try was spent", 0),
    "no-pin-at-the-signature": (
        lambda d: d.card(again=(PIN, "")), "sign", "KEY-PIN-USE", "no try was spent", 0),
    "locked": (
        lambda d: d.card(spoil=locked), "preflight", "KEY-PIN-LOCKED", "its PIN is locked", 0),
    "removed-before-probe": (
        lambda d: d.card(spoil=pulled), "probe", "KEY-TOKEN", "no token fits", 0),
    "removed-before-login": (
        lambda d: d.card(spoil=pulled_at(VERIFY, 1)), "login", "KEY-REFUSED", "not succeed", 0),
    "removed-after-login": (
        lambda d: d.card(spoil=pulled_at(AUTHENTICATE, 0)),
        "login", "KEY-REFUSED", "no challenge signed", 0),
    "removed-at-sign": (
        lambda d: d.card(spoil=pulled_at(AUTHENTICATE, 1)), "sign", "KEY-LOST", "C_Sign", 0),
    "corrupted-challenge": (
        lambda d: d.card(spoil=garbling), "login", "KEY-POSSESSION", "does not verify", 0),
    "corrupted-signature": (
        lambda d: d.case(does="C_Sign:flip", after="1"),
        "sign", "KEY-SIGNATURE", "no signature by the key", 0),
    "vendor-code-at-login": (
        lambda d: d.case(does="C_Login:vendor"), "login", "KEY-REFUSED", "80001234", 0),
    "vendor-code-at-sign": (
        lambda d: d.case(does="C_Sign:vendor", after="1"), "sign", "KEY-LOST", "80001234", 0),
    "crash-at-login": (
        lambda d: d.case(does="C_Login:segfault"), "login", "KEY-CHILD", "SIGSEGV", 0),
}  # fmt: skip
# What a refusal may say of the tries that were counted.
COSTS = {NONE: {0}, ONE: {1}, UNKNOWN: {0, 1}, NO_MORE: {0, 3}, UNLESS_TYPED: {0, 1}}


@pytest.fixture(scope="module")
def _in_the_reader() -> Iterator[Brought]:
    with carded("opensc") as brought:
        yield brought


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, bench: Bench, shim: Path, certify: Certify, tmp_path: Path
) -> Desk:
    def bring() -> Brought:
        brought: Brought = request.getfixturevalue("_in_the_reader")
        assert brought.card is not None
        brought.card.renew()
        return brought

    key: rsa.RSAPrivateKey = request.getfixturevalue("rsa_key")
    return Desk(bench, shim, key, certify, tmp_path, bring)


@pytest.mark.parametrize("row", ROWS)
@refuses(
    "KEY-MODULE", "KEY-TOKEN", "KEY-MATCH", "KEY-SIGN", "KEY-EXTRACTABLE", "KEY-SENSITIVE",
    "KEY-URI", "KEY-CERT-DATES", "KEY-CERT-EKU", "KEY-CERT-USAGE", "KEY-PIN-WRONG",
    "KEY-PIN-LOCKED", "KEY-REFUSED", "KEY-POSSESSION", "KEY-LOST", "KEY-SIGNATURE", "KEY-CHILD",
)  # fmt: skip
def test_each_is_refused_with_its_rule_and_says_what_it_cost(desk: Desk, row: str) -> None:
    make, stage, rule, words, cost = ROWS[row]
    case = make(desk)
    at, found, text = told(case)
    assert (at, found) == (stage, rule), text
    assert words in text
    assert text.isprintable()
    assert RULES[rule].next
    assert case.tries() == cost
    assert cost in COSTS[pin_try(rule)]


def told(case: Case) -> Told:
    """Go the way of a ceremony and return where it stopped, the rule and the sentence."""
    stage: Stage = "probe"
    token = case.token
    try:
        for pin in case.pins:
            stage = "probe"
            evidence = token.probe(case.certificate)
            if found := refusals(preflight(evidence, case.certificate, case.now, Mode.PRODUCTION)):
                return "preflight", found[0].rule, found[0].text
            stage = "login"
            login = token.login(bytearray(pin.encode()), use=case.use)
        if login.evidence is None:
            locked = login.outcome == "locked"
            return stage, "KEY-PIN-LOCKED" if locked else "KEY-PIN-WRONG", login.outcome
        after = preflight(login.evidence, case.certificate, case.now, Mode.PRODUCTION)
        if found := refusals(after):
            return "after login", found[0].rule, found[0].text
        stage = "sign"
        result = token.sign(case.request, case.use)
    except TokenTrouble as trouble:
        return stage, trouble.rule, trouble.text
    finally:
        token.close()
    return stage, result.rule, result.text


def test_every_rule_that_says_what_it_cost_is_a_rule() -> None:
    for rule in RULES:
        assert pin_try(rule) in (*COSTS, "")
    assert not pin_try("POL-TOML")
