"""A device's word on a key: proved only when key, form, path, dates and origin all hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from attestation.devices import (
    HSM,
    NOW,
    PIV,
    YUBIHSM,
    YUBIKEY,
    Authority,
    attest,
    authority,
    own_certificate,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from marks import accepts, refuses

from ceremony.key_attestation import Attested, Demands, Kept, judge_attestation, relevant
from ceremony.token import Grade
from ceremony.types import Finding, MediaFile, Severity

PROVED: Grade = "proved by attestation chain"
ASSERTED: Grade = "asserted by module"
SOON = NOW - timedelta(days=1)  # ended yesterday


class Desk:
    """One signing key, one device under one pinned root, and a judgement on what is brought."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = own_certificate(self.key)
        self.root = authority("Test PIV Root CA", length=1)
        self.device = authority("Yubico PIV Attestation", self.root, length=0)

    def leaf(self, by: Authority | None = None, **changes: bytes | None) -> bytes:
        said = {**YUBIKEY, **{f"{PIV}.{name[1:]}": value for name, value in changes.items()}}
        kept = {oid: value for oid, value in said.items() if value is not None}
        return attest(by or self.device, self.key.public_key(), kept)

    def judge(
        self,
        *on_token: bytes,
        files: tuple[MediaFile, ...] = (),
        roots: tuple[str, ...] | None = None,
        missing: Severity = Severity.WARN,
    ) -> tuple[Attested, tuple[Finding, ...]]:
        pinned = (self.root.pem,) if roots is None else roots
        demands = Demands(pinned, tuple(file.path for file in files), missing)
        return judge_attestation(self.certificate, on_token, files, demands, NOW)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def rules(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.rule for finding in findings}


def gaps(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.rule for finding in findings if finding.severity is not Severity.INFO}


@accepts(
    "KEY-ATTEST-KEY",
    "KEY-ATTEST-FORM",
    "KEY-ATTEST-CHAIN",
    "KEY-ATTEST-DATES",
    "KEY-ATTEST-ORIGIN",
    "KEY-ATTEST-GRADE",
)
def test_a_yubikey_under_a_pinned_root_proves_the_keys_birth(desk: Desk) -> None:
    attested, findings = desk.judge(desk.leaf(), desk.device.der)
    assert attested.grade == PROVED
    assert attested.device == "YubiKey PIV"
    assert attested.facts == (
        ("firmware", "5.4.3"),
        ("serial", "12345678"),
        ("policy", "PIN always, touch always"),
        ("form factor", "USB-C keychain, FIPS"),
        ("slot", "9c"),
    )
    assert len(attested.chain) == 3
    assert attested.root == "CN=Test PIV Root CA"
    assert [(f.rule, f.severity) for f in findings] == [("KEY-ATTEST-GRADE", Severity.INFO)]
    assert "firmware 5.4.3" in findings[0].text


def test_a_yubihsm_is_proved_from_a_file_of_certificates_in_any_order(desk: Desk) -> None:
    leaf = attest(desk.device, desk.key.public_key(), YUBIHSM, name="YubiHSM Attestation id:0x3")
    pems = [
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        for der in (desk.device.der, leaf)
    ]
    for blocks in (pems, pems[::-1]):
        file = MediaFile("attestation/hsm.pem", b"".join(blocks))
        attested, _ = desk.judge(files=(file,))
        assert (attested.grade, attested.device) == (PROVED, "YubiHSM 2")
        assert ("capabilities", "sign-pkcs (0000000000000020)") in attested.facts
        assert ("origin", "generated") in attested.facts
        assert ("label", "uki") in attested.facts
        assert attested.files[0].verified


@refuses("KEY-ATTEST-KEY")
def test_an_attestation_of_another_key_proves_nothing(desk: Desk) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    attested, findings = desk.judge(attest(desk.device, other, YUBIKEY), desk.device.der)
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-KEY"}


def test_of_several_attestations_the_keys_own_is_taken(desk: Desk) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    strangers = attest(desk.device, other, YUBIKEY, name="YubiKey PIV Attestation 9a")
    attested, findings = desk.judge(strangers, desk.leaf(), desk.device.der)
    assert attested.grade == PROVED
    assert not gaps(findings)


def _swapped(desk: Desk) -> tuple[bytes, ...]:
    """Return a path in which the device's certificate stands under the attestation."""
    leaf = authority("YubiKey PIV Attestation 9c", desk.root, ca=False, extensions=YUBIKEY)
    return (attest(leaf, desk.key.public_key(), YUBIKEY), leaf.der)


def _by_a_users_key(desk: Desk) -> tuple[bytes, ...]:
    """Return a path in which an imported key, attested with a CA's template, attests itself."""
    imported = YUBIHSM | {f"{HSM}.3": b"\x03\x02\x00\x02"}
    users = authority("a user's key", desk.root, length=0, extensions=imported)
    return (attest(users, desk.key.public_key(), YUBIHSM), users.der)


PATHS: dict[str, Callable[[Desk], tuple[bytes, ...]]] = {
    "other-root": lambda d: _under(d, authority("Test PIV Root CA", length=1)),
    "no-intermediate": lambda d: (d.leaf(),),
    "not-a-ca": lambda d: _under(d, d.root, ca=False),
    "no-constraints": lambda d: _under(d, d.root, ca=None),
    "key-usage-does-not-sign": lambda d: _under(d, d.root, signs=False),
    "issued-by-an-attestation": _swapped,
    "issued-by-a-users-key-that-is-attested-as-a-ca": _by_a_users_key,
    "too-many-cas": lambda d: _under_two(d, 0),
    "signature-of-another": lambda d: (d.leaf(authority("Yubico PIV Attestation")), d.device.der),
}


def _under(desk: Desk, above: Authority, **facts: bool | None) -> tuple[bytes, ...]:
    device = authority("Yubico PIV Attestation", above, **facts)
    return (desk.leaf(device), device.der)


def _under_two(desk: Desk, length: int) -> tuple[bytes, ...]:
    middle = authority("Intermediate", desk.root, length=length)
    device = authority("Yubico PIV Attestation", middle)
    return (desk.leaf(device), device.der, middle.der)


@refuses("KEY-ATTEST-CHAIN")
@pytest.mark.parametrize("defect", PATHS)
def test_a_path_that_does_not_lead_to_the_root_proves_nothing(desk: Desk, defect: str) -> None:
    attested, findings = desk.judge(*PATHS[defect](desk))
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-CHAIN"}
    assert attested.facts, "what the device says is told all the same"


def test_a_longer_path_is_followed_as_far_as_the_root_allows(desk: Desk) -> None:
    root = authority("Root 1", length=2)
    middle = authority("Intermediate", root, length=1)
    device = authority("Yubico PIV Attestation B 1", middle, length=0)
    brought = (middle.der, device.der, desk.leaf(device))
    attested, _ = desk.judge(*brought, roots=(root.pem,))
    assert (attested.grade, len(attested.chain)) == (PROVED, 4)


def test_many_authorities_that_signed_each_other_end_soon(desk: Desk) -> None:
    name = "Yubico PIV Attestation"
    ring = [authority(name)]
    ring += [authority(name, ring[-1]) for _ in range(63)]
    attested, findings = desk.judge(desk.leaf(ring[-1]), *(one.der for one in reversed(ring)))
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-CHAIN"}


@refuses("KEY-ATTEST-DATES")
@pytest.mark.parametrize("part", ["attestation", "intermediate", "root"])
def test_a_path_out_of_its_dates_proves_nothing(desk: Desk, part: str) -> None:
    last = {part: SOON}
    root = authority("Root", last=last.get("root", NOW + timedelta(days=9)))
    device = authority("Device", root, last=last.get("intermediate", NOW + timedelta(days=9)))
    leaf = attest(
        device,
        desk.key.public_key(),
        YUBIKEY,
        last=last.get("attestation", NOW + timedelta(days=9)),
    )
    attested, findings = desk.judge(leaf, device.der, roots=(root.pem,))
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-DATES"}


FORMS: dict[str, dict[str, bytes | None]] = {
    "firmware-missing": {"_3": None},
    "firmware-of-two-bytes": {"_3": b"\x05\x04"},
    "firmware-as-der": {"_3": b"\x04\x03\x05\x04\x03"},
    "serial-not-minimal": {"_7": b"\x02\x05\x00\x00\xbc\x61\x4e"},
    "serial-negative": {"_7": b"\x02\x01\x80"},
    "serial-and-more": {"_7": b"\x02\x01\x01\x00"},
    "serial-empty": {"_7": b""},
    "policy-of-one-byte": {"_8": b"\x03"},
    "pin-policy-unknown": {"_8": b"\x09\x01"},
    "touch-policy-unknown": {"_8": b"\x01\x09"},
    "form-factor-unknown": {"_9": b"\x0f"},
    "form-factor-of-two-bytes": {"_9": b"\x01\x01"},
    "unknown-extension": {"_99": b"\x01"},
}


@refuses("KEY-ATTEST-FORM")
@pytest.mark.parametrize("defect", FORMS)
def test_a_yubikeys_extension_of_another_form_proves_nothing(desk: Desk, defect: str) -> None:
    attested, findings = desk.judge(desk.leaf(**FORMS[defect]), desk.device.der)
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-FORM"}


@refuses("KEY-ATTEST-FORM")
@pytest.mark.parametrize("unused", [0, 9], ids=["bit-string", "broken-bit-string"])
def test_an_attestation_whose_name_is_no_text_proves_nothing(desk: Desk, unused: int) -> None:
    """It comes from a token or a medium, and its name is read before any of its issuers."""
    name = b"\x0c\x1aYubiKey PIV Attestation 9c"
    leaf = desk.leaf()
    assert leaf.count(name) == 1
    bad = leaf.replace(name, b"\x03\x1a" + bytes([unused]) + name[3:])
    attested, findings = desk.judge(bad, desk.device.der)
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-FORM"}


HSM_FORMS: dict[str, dict[str, bytes | None]] = {
    "firmware-bare": {"1": b"\x02\x04\x01"},
    "firmware-missing": {"1": None},
    "capabilities-missing": {"5": None},
    "origin-of-no-kind": {"3": b"\x03\x02\x00\x04"},
    "origin-with-unused-bits": {"3": b"\x03\x02\x01\x02"},
    "label-not-utf8": {"9": b"\x0c\x01\xff"},
    "object-as-octets": {"6": b"\x04\x01\x03"},
    "unknown-extension": {"7": b"\x02\x01\x01"},
}


@pytest.mark.parametrize("defect", HSM_FORMS)
def test_a_yubihsms_extension_of_another_form_proves_nothing(desk: Desk, defect: str) -> None:
    changes = {f"{HSM}.{name}": value for name, value in HSM_FORMS[defect].items()}
    said = {oid: value for oid, value in (YUBIHSM | changes).items() if value is not None}
    attested, findings = desk.judge(
        attest(desk.device, desk.key.public_key(), said), desk.device.der
    )
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-FORM"}


def test_an_imported_key_is_not_proved_by_a_yubikeys_words_beside_the_hsms(desk: Desk) -> None:
    said = YUBIHSM | {f"{HSM}.3": b"\x03\x02\x00\x02"} | YUBIKEY
    attested, findings = desk.judge(
        attest(desk.device, desk.key.public_key(), said), desk.device.der
    )
    assert attested.grade == ASSERTED
    assert gaps(findings) == {"KEY-ATTEST-FORM"}


@refuses("KEY-ATTEST-ORIGIN")
@pytest.mark.parametrize(
    ("number", "value", "said"),
    [
        ("3", b"\x03\x02\x00\x02", "origin imported"),
        ("3", b"\x03\x02\x00\x10", "origin imported wrapped"),
        ("5", b"\x03\x09\x00\x00\x00\x00\x00\x00\x01\x00\x20", "exportable-under-wrap"),
    ],
    ids=["imported", "imported-wrapped", "exportable"],
)
def test_a_key_that_came_from_outside_or_may_leave_is_not_proved(
    desk: Desk, number: str, value: bytes, said: str
) -> None:
    extensions = YUBIHSM | {f"{HSM}.{number}": value}
    leaf = attest(desk.device, desk.key.public_key(), extensions)
    attested, findings = desk.judge(leaf, desk.device.der)
    assert attested.grade == ASSERTED
    (finding,) = findings
    assert finding.rule == "KEY-ATTEST-ORIGIN"
    assert said in finding.text


@accepts("KEY-ATTEST-KEPT")
def test_a_file_of_another_form_is_kept_and_told_as_unverified(desk: Desk) -> None:
    file = MediaFile("luna/pkc.p7b", b"\x30\x80 whatever a vendor's tool wrote")
    attested, findings = desk.judge(files=(file,))
    (kept,) = attested.files
    assert isinstance(kept, Kept)
    assert (kept.path, kept.size, kept.verified) == ("luna/pkc.p7b", len(file.data), False)
    (finding,) = findings
    assert (finding.rule, finding.severity) == ("KEY-ATTEST-KEPT", Severity.INFO)
    assert "unverified, kept" in finding.text
    assert attested.grade == ASSERTED


@refuses("KEY-ATTEST-KEPT")
def test_a_file_that_the_policy_names_and_nobody_brought_is_told(desk: Desk) -> None:
    demands = Demands((desk.root.pem,), ("a.pem",), Severity.REFUSE)
    _, findings = judge_attestation(desk.certificate, (), (), demands, NOW)
    assert gaps(findings) == {"KEY-ATTEST-KEPT", "KEY-ATTEST-GRADE"}


@refuses("KEY-ATTEST-GRADE")
def test_where_the_policy_demands_a_proof_every_gap_is_refused(desk: Desk) -> None:
    attested, findings = desk.judge(desk.leaf(), missing=Severity.REFUSE)
    assert attested.grade == ASSERTED
    assert {(f.rule, f.severity) for f in findings} == {
        ("KEY-ATTEST-CHAIN", Severity.REFUSE),
        ("KEY-ATTEST-GRADE", Severity.REFUSE),
    }


def test_without_a_pinned_root_an_attestation_is_told_and_proves_nothing(desk: Desk) -> None:
    attested, findings = desk.judge(desk.leaf(), desk.device.der, desk.root.der, roots=())
    assert attested.grade == ASSERTED
    assert [f.text for f in findings] == ["the policy pins no root"]


def test_a_token_that_attests_nothing_says_nothing(desk: Desk) -> None:
    assert desk.judge(desk.root.der) == (Attested(ASSERTED), ())
    assert not relevant((desk.root.der, desk.device.der))


def test_of_a_tokens_certificates_the_attesting_ones_and_their_issuers_are_kept(
    desk: Desk,
) -> None:
    leaf = desk.leaf()
    der = x509.load_pem_x509_certificate(desk.certificate).public_bytes(Encoding.DER)
    assert relevant((der, desk.device.der, leaf, b"junk")) == (leaf, desk.device.der)
