from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.policy_signer import Signer
from ceremony.preflight import preflight, read_certificate, signing_key, spki_sha256
from ceremony.rehearsal_key import REHEARSAL_SPKI_SHA256
from ceremony.rules.key import RULES
from ceremony.token import KeyEvidence, TokenEvidence
from ceremony.types import Finding, Mode, Severity, refusals
from hsm.soft import REHEARSAL_CERTIFICATE_PEM, RehearsalToken

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
Certify = Callable[..., bytes]

GOOD = (
    ("SENSITIVE", "true"),
    ("EXTRACTABLE", "false"),
    ("ALWAYS_SENSITIVE", "true"),
    ("NEVER_EXTRACTABLE", "true"),
    ("LOCAL", "true"),
    ("SIGN", "true"),
)


def evidence(certificate: bytes, **changes: object) -> TokenEvidence:
    key = signing_key(read_certificate(certificate))
    found = KeyEvidence(
        label="uki",
        id="01",
        spki_sha256=spki_sha256(key),
        key_type="RSA",
        bits=key.key_size,
        found_as="private key",
        attributes=GOOD,
        always_authenticate=False,
    )
    good: Any = TokenEvidence(
        module_path="/usr/lib/vendor.so",
        module_sha256="00" * 32,
        library_manufacturer="Vendor",
        library_description="PKCS#11",
        library_version="1.0",
        cryptoki="2.40",
        slot_id=1,
        slot_description="reader",
        slot_manufacturer="Vendor",
        token_label="release",
        token_serial="77",
        token_model="m",
        token_manufacturer="Vendor",
        token_flags=("LOGIN_REQUIRED",),
        mechanisms=("CKM_RSA_PKCS",),
        keys=(found,),
        pin_state="ok",
        protected_path=False,
        libraries=(("/usr/lib/vendor.so", "00" * 32),),
        sandbox="none",
        grade="asserted by module",
        stage="after-login",
        possession="proved",
    )
    changed: TokenEvidence = replace(good, **changes)
    return changed


def graded(certificate: bytes, **attributes: str) -> TokenEvidence:
    good = evidence(certificate)
    values = tuple({**dict(GOOD), **attributes}.items())
    return replace(good, keys=(replace(good.keys[0], attributes=values),))


def judged(evidence: TokenEvidence, certificate: bytes, mode: Mode = Mode.PRODUCTION) -> set[str]:
    return rules(preflight(evidence, certificate, NOW, mode))


def rules(findings: tuple[Finding, ...]) -> set[str]:
    assert {finding.rule for finding in findings} <= set(RULES)
    return {f"{finding.rule} {finding.severity}" for finding in findings}


@pytest.fixture(scope="session")
def good(rsa_key: rsa.RSAPrivateKey, certify: Certify) -> bytes:
    return certify(rsa_key)


@accepts(
    "KEY-MATCH", "KEY-SENSITIVE", "KEY-EXTRACTABLE", "KEY-SIGN", "KEY-LOCAL", "KEY-SIZE",
    "KEY-MECHANISM", "KEY-CERT-FORM", "KEY-CERT-DATES", "KEY-CERT-EKU", "KEY-CERT-USAGE",
    "KEY-PIN-LOCKED", "KEY-PIN-LOW", "KEY-PIN-FINAL", "KEY-POSSESSION", "KEY-REHEARSAL",
    "KEY-SOFTWARE",
)  # fmt: skip
def test_a_good_key_in_production_has_no_finding_at_all(good: bytes) -> None:
    assert preflight(evidence(good), good, NOW, Mode.PRODUCTION) == ()
    assert preflight(evidence(good, stage="before-login"), good, NOW, Mode.PRODUCTION) == ()


@refuses("KEY-MATCH")
def test_no_key_and_two_keys_are_refused_after_login(good: bytes) -> None:
    key = evidence(good).keys[0]
    assert judged(evidence(good, keys=()), good) == {"KEY-MATCH refuse"}
    assert judged(evidence(good, keys=(key, replace(key, id="02"))), good) == {"KEY-MATCH refuse"}
    other = replace(key, spki_sha256="11" * 32)
    assert judged(evidence(good, keys=(other,)), good) == {"KEY-MATCH refuse"}
    public = replace(key, found_as="public key", attributes=())
    assert judged(evidence(good, keys=(public,)), good) == {"KEY-MATCH refuse"}


@accepts("KEY-MATCH")
def test_what_cannot_be_seen_before_login_is_not_refused_yet(good: bytes) -> None:
    public = replace(evidence(good).keys[0], found_as="public key", attributes=())
    before = evidence(good, stage="before-login", possession="not-tried")
    assert judged(replace(before, keys=()), good) == {"KEY-MATCH warn"}
    assert judged(replace(before, keys=(public,)), good) == {"KEY-MATCH info"}
    twice = (before.keys[0], before.keys[0])
    assert judged(replace(before, keys=twice), good) == {"KEY-MATCH refuse"}


@pytest.mark.parametrize(
    ("attributes", "finding"),
    [
        ({"SENSITIVE": "false"}, "KEY-SENSITIVE refuse"),
        ({"SENSITIVE": "unreadable"}, "KEY-SENSITIVE refuse"),
        ({"ALWAYS_SENSITIVE": "false"}, "KEY-SENSITIVE refuse"),
        ({"ALWAYS_SENSITIVE": "unreadable"}, "KEY-SENSITIVE warn"),
        ({"EXTRACTABLE": "true"}, "KEY-EXTRACTABLE refuse"),
        ({"EXTRACTABLE": "unreadable"}, "KEY-EXTRACTABLE refuse"),
        ({"NEVER_EXTRACTABLE": "false"}, "KEY-EXTRACTABLE refuse"),
        ({"NEVER_EXTRACTABLE": "unreadable"}, "KEY-EXTRACTABLE warn"),
        ({"SIGN": "false"}, "KEY-SIGN refuse"),
        ({"SIGN": "unreadable"}, "KEY-SIGN refuse"),
        ({"LOCAL": "false"}, "KEY-LOCAL warn"),
        ({"LOCAL": "unreadable"}, "KEY-LOCAL warn"),
    ],
)
@refuses("KEY-SENSITIVE", "KEY-EXTRACTABLE", "KEY-SIGN", "KEY-LOCAL")
def test_attributes_are_graded(good: bytes, attributes: dict[str, str], finding: str) -> None:
    assert judged(graded(good, **attributes), good) == {finding}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"first": NOW + timedelta(seconds=1)}, "KEY-CERT-DATES refuse"),
        ({"last": NOW - timedelta(seconds=1)}, "KEY-CERT-DATES refuse"),
        ({"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "KEY-CERT-EKU refuse"),
        ({"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "KEY-CERT-EKU refuse"),
        ({"usage": "key_encipherment"}, "KEY-CERT-USAGE refuse"),
        ({"usage": None}, "KEY-CERT-USAGE info"),
    ],
)
@refuses("KEY-CERT-DATES", "KEY-CERT-EKU", "KEY-CERT-USAGE")
def test_certificates_not_for_code_signing_now_are_refused(
    rsa_key: rsa.RSAPrivateKey, certify: Certify, changes: dict[str, object], finding: str
) -> None:
    certificate = certify(rsa_key, **changes)
    assert judged(evidence(certificate), certificate) == {finding}


@accepts("KEY-CERT-DATES", "KEY-CERT-EKU")
def test_a_certificate_holds_at_its_first_and_last_second_and_without_purposes(
    rsa_key: rsa.RSAPrivateKey, certify: Certify
) -> None:
    for changes in ({"first": NOW}, {"last": NOW}, {"purposes": ()}):
        certificate = certify(rsa_key, **changes)
        assert judged(evidence(certificate), certificate) == set()


@refuses("KEY-SIZE", "KEY-MECHANISM")
def test_small_rsa_and_ec_keys_are_refused(certify: Certify) -> None:
    small = certify(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    assert judged(evidence(small), small) == {"KEY-SIZE refuse"}
    curve = certify(ec.generate_private_key(ec.SECP256R1()))
    assert judged(evidence(curve), curve) == {"KEY-SIZE refuse", "KEY-MECHANISM refuse"}


@pytest.mark.parametrize(
    ("curve", "severity"),
    [(ec.SECP256R1(), "warn"), (ec.SECP384R1(), "warn"), (ec.SECP521R1(), "refuse")],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_policy_that_takes_ecdsa_takes_two_curves(
    certify: Certify, curve: ec.EllipticCurve, severity: str
) -> None:
    made = certify(ec.generate_private_key(curve))
    both = Signer("", "", (), ecdsa=True).mechanisms
    found = preflight(evidence(made), made, NOW, Mode.PRODUCTION, both)
    assert f"KEY-SIZE {severity}" in rules(found)


@refuses("KEY-PIN-LOCKED", "KEY-PIN-LOW", "KEY-PIN-FINAL")
def test_pin_counters_count_before_login_only(good: bytes) -> None:
    before = evidence(good, stage="before-login")
    assert judged(replace(before, pin_state="locked"), good) == {"KEY-PIN-LOCKED refuse"}
    assert judged(replace(before, pin_state="final-try"), good) == {"KEY-PIN-FINAL warn"}
    assert judged(replace(before, pin_state="count-low"), good) == {"KEY-PIN-LOW warn"}
    assert judged(replace(before, pin_state="unknown"), good) == set()
    assert judged(evidence(good, pin_state="final-try"), good) == set()


@refuses("KEY-POSSESSION")
def test_a_login_without_a_signed_challenge_is_refused(good: bytes) -> None:
    assert judged(evidence(good, possession="not-tried"), good) == {"KEY-POSSESSION refuse"}


@refuses("KEY-SOFTWARE")
def test_softhsm_is_a_warning_in_production_only(good: bytes) -> None:
    soft = evidence(good, library_manufacturer="SoftHSM")
    assert judged(soft, good) == {"KEY-SOFTWARE warn"}
    assert judged(soft, good, Mode.REHEARSAL) == set()


@refuses("KEY-REHEARSAL")
def test_the_rehearsal_key_is_refused_in_production_whatever_holds_it() -> None:
    certificate = REHEARSAL_CERTIFICATE_PEM
    assert evidence(certificate).keys[0].spki_sha256 == REHEARSAL_SPKI_SHA256
    assert judged(evidence(certificate), certificate) == {"KEY-REHEARSAL refuse"}


@refuses("KEY-REHEARSAL")
@accepts("KEY-REHEARSAL")
def test_the_embedded_key_practises_with_a_warning() -> None:
    token = RehearsalToken()
    before = token.probe(REHEARSAL_CERTIFICATE_PEM)
    after = token.login(bytearray(b"rehearse")).evidence
    assert after is not None
    for seen in (before, after):
        certificate = REHEARSAL_CERTIFICATE_PEM
        assert judged(seen, certificate, Mode.REHEARSAL) == {"KEY-REHEARSAL warn"}
        assert judged(seen, certificate) == {"KEY-REHEARSAL refuse"}


@refuses("KEY-CERT-FORM")
def test_what_is_no_certificate_is_one_finding(good: bytes) -> None:
    for bad in (b"", b"x", good + good, good[:-80], b"\0" * 70000):
        findings = preflight(evidence(good), bad, NOW, Mode.PRODUCTION)
        assert rules(findings) == {"KEY-CERT-FORM refuse"}
        assert refusals(findings)


@refuses("KEY-CERT-FORM")
def test_a_serial_number_that_is_not_positive_is_refused_and_warns_nobody(good: bytes) -> None:
    der = read_certificate(good).public_bytes(Encoding.DER)
    serial = bytes.fromhex("020107")  # the certificate's serial number is 7
    bad = der.replace(serial, bytes.fromhex("020180"), 1)
    assert rules(preflight(evidence(good), bad, NOW, Mode.PRODUCTION)) == {"KEY-CERT-FORM refuse"}


@refuses("KEY-CERT-FORM")
def test_a_certificate_for_another_kind_of_key_is_refused() -> None:
    # An Ed25519 certificate, self-signed; the builder takes no hash for it.
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = _ed25519_certificate(key)
    with pytest.raises(Refused, match="neither RSA nor EC"):
        read_certificate(certificate)


def _ed25519_certificate(key: ed25519.Ed25519PrivateKey) -> bytes:
    name = x509.Name([])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, None)
        .public_bytes(Encoding.DER)
    )


@given(st.data())
def test_damaged_certificates_are_judged_or_refused_and_nothing_else(data: st.DataObject) -> None:
    der = bytearray(read_certificate(REHEARSAL_CERTIFICATE_PEM).public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(der) - 1))
        der[position] = data.draw(st.integers(0, 255))
    token = evidence(REHEARSAL_CERTIFICATE_PEM)
    for finding in preflight(token, bytes(der), NOW, Mode.REHEARSAL):
        assert finding.rule in RULES
        assert finding.severity in Severity
