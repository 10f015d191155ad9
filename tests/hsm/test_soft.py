from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import NameOID
from marks import accepts, refuses

import ceremony
import hsm
from ceremony.errors import OutOfOrder
from ceremony.preflight import read_certificate, signing_key, spki_sha256
from ceremony.rehearsal_key import REHEARSAL_SPKI_SHA256
from ceremony.token import (
    ProductionRequest,
    RehearsalRequest,
    SignRequest,
    sign_request,
)
from ceremony.types import Mode
from hsm.soft import REHEARSAL_CERTIFICATE_PEM, REHEARSAL_PIN, REHEARSAL_URI, RehearsalToken
from hsm.uri import parse

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

DIGEST = "c3" * 32


def request() -> RehearsalRequest:
    return RehearsalRequest(Mode.REHEARSAL, 1, REHEARSAL_SPKI_SHA256, "CKM_RSA_PKCS", DIGEST)


def right() -> bytearray:
    return bytearray(REHEARSAL_PIN.encode())


def test_the_certificate_says_what_it_is() -> None:
    certificate = read_certificate(REHEARSAL_CERTIFICATE_PEM)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "REHEARSAL ONLY - NOT A RELEASE KEY"
    assert spki_sha256(signing_key(certificate)) == REHEARSAL_SPKI_SHA256
    certificate.verify_directly_issued_by(certificate)
    assert parse(REHEARSAL_URI).label == "rehearsal"


@accepts("KEY-REHEARSAL", "KEY-SIGNATURE")
def test_it_signs_a_rehearsal() -> None:
    token = RehearsalToken()
    assert token.probe(REHEARSAL_CERTIFICATE_PEM).grade == "embedded rehearsal key"
    pin = right()
    assert token.login(pin).outcome == "ok"
    assert set(pin) == {0}
    signed = token.sign(request())
    key = signing_key(read_certificate(REHEARSAL_CERTIFICATE_PEM))
    assert isinstance(key, rsa.RSAPublicKey)
    sha256 = Prehashed(hashes.SHA256())
    key.verify(bytes.fromhex(signed.signature), bytes.fromhex(DIGEST), padding.PKCS1v15(), sha256)
    token.close()
    assert token.sign(request()).rule == "KEY-LOST"


@refuses("KEY-REHEARSAL")
def test_a_production_request_is_refused_by_type() -> None:
    token = RehearsalToken()
    token.probe(REHEARSAL_CERTIFICATE_PEM)
    token.login(right())
    production = sign_request(Mode.PRODUCTION, 1, REHEARSAL_SPKI_SHA256, "CKM_RSA_PKCS", DIGEST)
    assert isinstance(production, ProductionRequest)
    with pytest.raises(TypeError, match="rehearsal requests only"):
        token.sign(production)  # type: ignore[arg-type]  # what mypy refuses, tried at run time


def test_the_type_checker_refuses_a_production_request_too(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from ceremony.token import ProductionRequest, SignRequest, SignResult\n"
        "from hsm.soft import RehearsalToken\n"
        "def one(token: RehearsalToken, request: ProductionRequest) -> SignResult:\n"
        "    return token.sign(request)\n"
        "def either(token: RehearsalToken, request: SignRequest) -> SignResult:\n"
        "    return token.sign(request)\n"
    )
    # Copied, for mypy reads no sources out of an environment's own packages.
    for package in (ceremony, hsm):
        folder = Path(package.__file__ or "").parent
        shutil.copytree(folder, tmp_path / "sources" / folder.name)
    sources = {"MYPYPATH": str(tmp_path / "sources")}
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary",
         "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=sources,
    )  # fmt: skip
    errors = [line for line in result.stdout.splitlines() if "program.py" in line]
    assert len(errors) == 2, result.stdout + result.stderr
    assert all("[arg-type]" in error for error in errors)


def test_requests_cannot_be_made_for_the_other_mode_or_for_no_digest() -> None:
    made: SignRequest = sign_request(
        Mode.REHEARSAL, 1, REHEARSAL_SPKI_SHA256, "CKM_RSA_PKCS", DIGEST
    )
    assert isinstance(made, RehearsalRequest)
    for kind, mode in ((RehearsalRequest, Mode.PRODUCTION), (ProductionRequest, Mode.REHEARSAL)):
        with pytest.raises(TypeError):
            kind(mode, 1, REHEARSAL_SPKI_SHA256, "CKM_RSA_PKCS", DIGEST)
    for attempt, spki, digest in ((0, DIGEST, DIGEST), (1, "", DIGEST), (1, DIGEST, "C3" * 32)):
        with pytest.raises(TypeError):
            RehearsalRequest(Mode.REHEARSAL, attempt, spki, "CKM_RSA_PKCS", digest)


@refuses("KEY-PIN-WRONG")
def test_three_wrong_pins_lock_it() -> None:
    token = RehearsalToken()
    token.probe(REHEARSAL_CERTIFICATE_PEM)
    seen = [token.login(bytearray(pin)) for pin in (b"a", b"", b"b", b"c", b"rehearse")]
    assert [(one.outcome, one.pin_state) for one in seen] == [
        ("wrong-pin", "count-low"),
        ("cancelled", "count-low"),
        ("wrong-pin", "final-try"),
        ("locked", "locked"),
        ("locked", "locked"),
    ]
    assert token.probe(REHEARSAL_CERTIFICATE_PEM).pin_state == "locked"


def test_a_right_pin_resets_the_counter() -> None:
    token = RehearsalToken()
    with pytest.raises(OutOfOrder):
        token.login(right())
    token.probe(REHEARSAL_CERTIFICATE_PEM)
    token.login(bytearray(b"wrong"))
    assert token.login(right()).pin_state == "ok"
    with pytest.raises(OutOfOrder):
        token.login(right())


@refuses("KEY-MATCH", "KEY-MECHANISM")
def test_it_has_no_key_for_another_certificate(bench: Bench) -> None:
    token = RehearsalToken()
    assert token.probe(bench.certificate).keys == ()
    token.login(right())
    assert token.sign(request()).rule == "KEY-MATCH"
    token.probe(REHEARSAL_CERTIFICATE_PEM)
    ecdsa = RehearsalRequest(Mode.REHEARSAL, 1, REHEARSAL_SPKI_SHA256, "CKM_ECDSA", DIGEST)
    assert token.sign(ecdsa).rule == "KEY-MECHANISM"
    other = RehearsalRequest(Mode.REHEARSAL, 1, DIGEST, "CKM_RSA_PKCS", DIGEST)
    assert token.sign(other).rule == "KEY-MATCH"
