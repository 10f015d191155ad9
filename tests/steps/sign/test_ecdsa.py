"""ECDSA where the policy takes it: planned, signed, verified, sealed and replayed end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import rehearsing
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from killing import run_and_die
from marks import accepts, refuses

from ceremony.errors import MediaTrouble
from ceremony.events import Decided, Intended, Outcome, Signed
from tui.rehearsal.prepare import Prepared


@pytest.fixture
def with_ecdsa(prepared: Prepared) -> tuple[Prepared, ec.EllipticCurvePublicKey]:
    if prepared.key_source != "SoftHSM token":
        pytest.skip("softhsm2 is not installed")
    return prepared, rehearsing.take_ecdsa(prepared)


def intents(prepared: Prepared) -> list[Intended]:
    return [e for e in rehearsing.events(prepared) if isinstance(e, Intended)]


@accepts("KEY-SIZE", "SIG-ATTEMPTS")
def test_a_policy_that_takes_ecdsa_signs_with_a_p256_key(
    with_ecdsa: tuple[Prepared, ec.EllipticCurvePublicKey],
) -> None:
    prepared, key = with_ecdsa
    assert rehearsing.held(prepared).released
    (intent,) = intents(prepared)
    assert intent.mechanism == "CKM_ECDSA"
    (signed,) = (e for e in rehearsing.events(prepared) if isinstance(e, Signed))
    attributes = bytes.fromhex(intent.attributes)
    key.verify(bytes.fromhex(signed.result.signature), attributes, ec.ECDSA(hashes.SHA256()))
    (first,) = rehearsing.decisions(prepared, "sign.preflight")
    assert {f.rule: f.severity for f in first.findings}["KEY-SIZE"] == "warn"
    (verdict,) = rehearsing.decisions(prepared, "verify.verdict")
    assert "SIG-ATTEMPTS" not in {f.rule for f in verdict.findings}
    found = rehearsing.replayed(prepared)
    assert (found.verdict, found.outcome) == ("REPRODUCED", "ok")
    assert "attempts" not in dict(found.anchors)


@refuses("SIG-ATTEMPTS")
def test_a_lost_attempt_may_have_left_another_signature_and_the_record_says_so(
    with_ecdsa: tuple[Prepared, ec.EllipticCurvePublicKey],
) -> None:
    prepared, _ = with_ecdsa
    run_and_die(prepared, "after", "29")
    assert rehearsing.held(prepared).released
    first, second = intents(prepared)
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.attributes, first.plan_sha256) == (second.attributes, second.plan_sha256)
    (verdict,) = rehearsing.decisions(prepared, "verify.verdict")
    assert verdict.outcome is Outcome.OK
    assert "SIG-ATTEMPTS" in {f.rule for f in verdict.findings}
    found = rehearsing.replayed(prepared)
    assert found.verdict == "REPRODUCED"
    said = "2, of one plan; up to 2 different signatures may exist"
    assert dict(found.anchors)["attempts"] == said


@refuses("KEY-SIZE")
def test_a_policy_that_does_not_say_so_refuses_the_same_key(
    with_ecdsa: tuple[Prepared, ec.EllipticCurvePublicKey],
) -> None:
    prepared, _ = with_ecdsa
    rehearsing.edit_policy(prepared, ("ecdsa = true", "ecdsa = false"))
    with pytest.raises(MediaTrouble, match=r"sign\.again"):  # the script knows no other key
        rehearsing.held(prepared)
    decided = rehearsing.decisions(prepared, "sign.preflight")
    assert isinstance(decided[0], Decided)
    assert "KEY-SIZE" in {f.rule for f in decided[0].findings if f.severity == "refuse"}


def test_a_rehearsal_is_copied_with_its_key(
    with_ecdsa: tuple[Prepared, ec.EllipticCurvePublicKey], tmp_path: Path
) -> None:
    prepared, _ = with_ecdsa
    assert rehearsing.held(rehearsing.copy(prepared, tmp_path / "again")).released
