"""Whoever sits at the keyboard and writes policy and binding on the day gets no release signature.

The policy asks for typed approvals, as only a rehearsal's may, and names the release key's own
certificate, or one that the attacker made for it. The token holds the release key and the PIN
is known: what stands between is who may sign a rehearsal.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import rehearsing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from killing import run_and_die
from marks import accepts, refuses

from ceremony.approval import NAMESPACE
from ceremony.effects import Login
from ceremony.errors import MediaTrouble, Refused
from ceremony.events import Outcome, Signed
from ceremony.ports import Interruption
from ceremony.practice import PRACTICE_NAME, require_signer
from ceremony.questions import Answer, Question
from ceremony.types import Mode
from hsm.soft import REHEARSAL_CERTIFICATE_PEM
from tui import ssh_keys
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.tokens import BoundToken
from tui.wiring import hold

TYPED = ('by = "signature"', 'by = "typed"')
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Hash = type[SHA224] | type[SHA256]
BINDINGS = {
    "says-neither": ("", "KEY-BINDING"),
    "for-rehearsals": ("rehearsal = true\n", "APP-PRACTICE"),
    "pins-the-policy-of-the-day": (rehearsing.PINNED, "APP-PRACTICE"),
}

PRODUCTION = {
    "for-rehearsals": ("rehearsal = true\n", "APP-POLICY"),
    "pins-another-policy": (f'policy_sha256 = "{"0" * 64}"\n', "APP-POLICY"),
    "practice-key": (rehearsing.PINNED, "APP-PRACTICE"),
}


class Asked(ScriptFace):
    """Counts how often a PIN is asked for."""

    pins = 0

    def begin(self, mode: Mode) -> None:
        """Let people answer by the sheet in either mode."""

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        self.pins += 1
        return super().pin(login)


class Holders(Asked):
    """Approves with the key holders' own keys, as people do in production."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared.sheet, io.StringIO())
        self._prepared = prepared

    def answer(self, question: Question) -> Answer | Interruption:
        if question.name != "sign.approve":
            return super().answer(question)
        person = question.persons[0]
        key, plan = self._prepared.person_key(person), question.document.encode("ascii")
        signature = self._prepared.folder / f"plan.{person}.sshsig"
        signature.write_bytes(ssh_keys.sign(key, NAMESPACE, plan))
        return Answer(person, str(signature))


@pytest.fixture
def release(prepared: Prepared) -> Prepared:
    """A rehearsal whose token holds a release key, under a policy that was typed on the day."""
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    rehearsing.take_key(prepared)
    rehearsing.edit_policy(prepared, TYPED)
    return prepared


@refuses("APP-PRACTICE", "KEY-BINDING")
@pytest.mark.parametrize("case", BINDINGS)
def test_a_rehearsal_signs_nothing_with_a_release_key(release: Prepared, case: str) -> None:
    line, rule = BINDINGS[case]
    rehearsing.bind(release, line)
    face = Asked(release.sheet, io.StringIO())
    with pytest.raises(Refused) as refused:
        hold(rehearsing.places_of(release), face)
    assert [finding.rule for finding in refused.value.findings] == [rule]
    assert face.pins == 0
    log = release.logs[0] / "transcript.jsonl"
    assert not log.exists() or log.read_bytes() == b""


@refuses("APP-PRACTICE")
@pytest.mark.parametrize("line", ["rehearsal = true\n", rehearsing.PINNED], ids=["open", "pinned"])
def test_the_tokens_process_refuses_where_nobody_did_before(
    release: Prepared, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundToken, "admit", lambda *_: None)
    rehearsing.bind(release, line)
    face = Asked(release.sheet, io.StringIO())
    with suppress(MediaTrouble):  # the script answers the same question until it gives up
        assert not hold(rehearsing.places_of(release), face).released
    tried = [e.result for e in rehearsing.events(release) if isinstance(e, Signed)]
    assert face.pins
    assert {(one.outcome, one.rule, one.signature) for one in tried} == {
        ("failed", "APP-PRACTICE", "")
    }


@refuses("APP-PRACTICE")
def test_a_ceremony_that_died_before_it_read_a_policy_is_resumed_under_the_same_look(
    prepared: Prepared,
) -> None:
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    run_and_die(prepared, "after", "1")
    assert rehearsing.names(prepared) == ["open.begin"]
    rehearsing.take_key(prepared)
    rehearsing.edit_policy(prepared, TYPED)
    face = Asked(prepared.sheet, io.StringIO())
    with pytest.raises(Refused) as refused:
        hold(rehearsing.places_of(prepared), face)
    assert [finding.rule for finding in refused.value.findings] == ["APP-PRACTICE"]
    assert face.pins == 0


@accepts("APP-POLICY", "APP-PRACTICE", "KEY-BINDING")
def test_under_its_pinned_policy_each_mode_signs_with_its_own_key(prepared: Prepared) -> None:
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    other = rehearsing.copy(prepared, prepared.folder.with_name("rehearsal"))
    rehearsing.bind(other, rehearsing.PINNED)
    assert rehearsing.held(other).released
    ended = hold(rehearsing.production(prepared), Holders(prepared))
    assert (ended.closed.outcome, ended.needed) == (Outcome.OK, 2)
    assert [e.result.outcome for e in rehearsing.events(prepared) if isinstance(e, Signed)] == [
        "signed"
    ]


@refuses("APP-POLICY", "APP-PRACTICE")
@pytest.mark.parametrize("case", PRODUCTION)
def test_a_release_is_signed_under_the_pinned_policy_and_with_a_release_key(
    prepared: Prepared, case: str
) -> None:
    line, rule = PRODUCTION[case]
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    rehearsing.bind(prepared, line)
    places = replace(rehearsing.places_of(prepared), mode=Mode.PRODUCTION)
    face = Asked(prepared.sheet, io.StringIO())
    with pytest.raises(Refused) as refused:
        hold(places, face)
    assert [finding.rule for finding in refused.value.findings] == [rule]
    assert face.pins == 0


@refuses("KEY-BINDING")
def test_a_release_without_any_binding_is_not_begun(prepared: Prepared) -> None:
    places = replace(rehearsing.places_of(prepared), mode=Mode.PRODUCTION, machine=None)
    with pytest.raises(Refused, match=r"KEY-BINDING: .*--machine FILE"):
        hold(places, Asked(prepared.sheet, io.StringIO()))


def certified(
    name: str, key: PrivateKey, by: PrivateKey | None = None, hashed: Hash = SHA256
) -> bytes:
    """Return a certificate of `key` under one name, signed by `by` where it is not its own."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    days = timedelta(days=30)
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number(), now - days, now + days
    )
    return builder.sign(by or key, hashed()).public_bytes(Encoding.PEM)


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC, ATTACKER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


@accepts("APP-PRACTICE")
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
def test_each_mode_takes_the_certificates_that_are_made_for_it(mode: Mode, key: PrivateKey) -> None:
    name = PRACTICE_NAME if mode is Mode.REHEARSAL else "UKI signer"
    require_signer(mode, certified(name, key))
    require_signer(Mode.REHEARSAL, REHEARSAL_CERTIFICATE_PEM)


FORGED = {
    "says-nothing": certified("UKI signer", RSA),
    "marked-by-the-attacker": certified(PRACTICE_NAME, RSA, ATTACKER),
    "ec-marked-by-the-attacker": certified(PRACTICE_NAME, EC, ATTACKER),
    "nearly-marked": certified(f"{PRACTICE_NAME}.", RSA),
    "sha-224": certified(PRACTICE_NAME, RSA, hashed=SHA224),
}


@refuses("APP-PRACTICE")
@pytest.mark.parametrize("case", FORGED)
def test_nobody_else_makes_a_release_key_one_for_rehearsals(case: str) -> None:
    with pytest.raises(Refused, match="APP-PRACTICE"):
        require_signer(Mode.REHEARSAL, FORGED[case])


@refuses("APP-PRACTICE")
@pytest.mark.parametrize("case", ["practice", "marked-by-the-attacker"])
def test_no_release_bears_a_certificate_for_rehearsals(case: str) -> None:
    certificate = FORGED.get(case, REHEARSAL_CERTIFICATE_PEM)
    with pytest.raises(Refused, match="APP-PRACTICE"):
        require_signer(Mode.PRODUCTION, certificate)
