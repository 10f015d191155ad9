"""Yubico's own module shows a YubiKey's attestations as certificates; they prove its keys."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

from tokens import cards

from ceremony.key_attestation import Demands, judge_attestation
from hsm.token import Pkcs11Token


def test_ykcs11_shows_the_chain_without_a_pin_and_it_leads_to_the_root() -> None:
    with ExitStack() as stack:
        brought = stack.enter_context(cards.carded("ykcs11"))
        token: Pkcs11Token = brought.token()
        stack.callback(token.close)
        evidence = token.probe(brought.certificates["rsa"])
        shown = tuple(bytes.fromhex(der) for der in evidence.attestation)
        now = datetime.now(UTC)
        root = brought.card.attester.root.decode()
        attested, findings = judge_attestation(
            brought.certificates["rsa"], shown, (), Demands((root,)), now
        )
        assert attested.grade == "proved by attestation chain", findings
        facts = dict(attested.facts)
        assert (facts["slot"], facts["serial"]) == ("9c", "12345678")
        assert facts["policy"].startswith("PIN always")
        other, _ = judge_attestation(brought.certificates["rsa"], shown, (), Demands(), now)
        assert other.grade == evidence.grade == "asserted by module"
        assert not brought.card.verifies, "no PIN was sent"
