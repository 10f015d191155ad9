"""Real SoftHSM tokens, copied from one that is made once, and a shim around the module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ceremony.preflight import mechanism_for, read_certificate, signing_key, spki_sha256
from ceremony.token import SignRequest, sign_request
from ceremony.types import Mode
from hsm.binding import Binding, Limits, find_module, read_binding
from hsm.provision import Provisioned, make_rehearsal_token
from hsm.token import Pkcs11Token

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
PIN = "correct-horse-7351"
HERE = Path(__file__).parent

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Bench:
    """One token in a folder of its own, and what is needed to reach it."""

    folder: Path
    binding: Binding
    uri: str
    certificate: bytes
    pin: str = PIN

    def token(self) -> Pkcs11Token:
        return Pkcs11Token(self.binding, self.uri)

    def typed(self) -> bytearray:
        return bytearray(self.pin.encode())

    def request(self, digest: str = "ab" * 32, mode: Mode = Mode.REHEARSAL) -> SignRequest:
        key = signing_key(read_certificate(self.certificate))
        return sign_request(mode, 1, spki_sha256(key), mechanism_for(key), digest)

    def arrange(  # noqa: PLR0913 - one fact of the key each
        self,
        key: PrivateKey,
        *,
        label: str = "uki",
        key_id: str = "02",
        public: bool = True,
        token: str = "rehearsal",
        attributes: Mapping[str, bool] | None = None,
    ) -> None:
        """Put a key on the token, with its public half or without."""
        kind = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ec"
        form = PrivateFormat.TraditionalOpenSSL
        private = key.private_bytes(Encoding.DER, form, NoEncryption()).hex()
        half = PublicFormat.PKCS1 if kind == "rsa" else PublicFormat.SubjectPublicKeyInfo
        halves = key.public_key().public_bytes(Encoding.DER, half).hex()
        wanted = {
            "module": str(find_module()),
            "token": token,
            "pin": self.pin,
            "type": kind,
            "key": private,
            "label": label,
            "id": key_id,
            "attributes": attributes or {},
            "public": halves if public else "",
        }
        result = subprocess.run(
            [sys.executable, "-I", str(HERE / "arrange.py")],
            input=json.dumps(wanted),
            text=True,
            env=dict(self.binding.environment),
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr

    def second_token(self, label: str) -> None:
        """Make another token, empty, in the same SoftHSM."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        environment = {"PATH": os.environ["PATH"], **dict(self.binding.environment)}
        pins = ["--pin", self.pin, "--so-pin", "so-pin-77"]
        subprocess.run(command + pins, env=environment, capture_output=True, check=True)

    def with_certificate(self, certificate: bytes) -> Bench:
        uri = self.uri.replace("object=uki;", "")
        return replace(self, certificate=certificate, uri=uri)

    def shimmed(self, shim: Path, limits: Limits | None = None, **settings: str) -> Bench:
        environment = (
            *self.binding.environment,
            ("SHIM_REAL", str(find_module())),
            *((f"SHIM_{name}", value) for name, value in settings.items()),
        )
        return replace(self, binding=Binding(shim, environment, limits or Limits()))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Provisioned]:
    folder = tmp_path_factory.mktemp("made") / "token"
    first, last = NOW - timedelta(days=1), NOW + timedelta(days=90)
    return folder, make_rehearsal_token(folder, PIN, not_before=first, not_after=last)


@pytest.fixture
def bench(made: tuple[Path, Provisioned], tmp_path: Path) -> Bench:
    source, provisioned = made
    folder = tmp_path / "token"
    shutil.copytree(source, folder)
    moved = provisioned.binding_toml.replace(str(source), str(folder))
    configuration = folder / "softhsm2.conf"
    configuration.write_text(configuration.read_text().replace(str(source), str(folder)))
    return Bench(folder, read_binding(moved.encode()), provisioned.uri, provisioned.certificate_pem)


@pytest.fixture
def token(bench: Bench) -> Iterator[Pkcs11Token]:
    token = bench.token()
    yield token
    token.close()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the sabotaged modules cannot be built")
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    source = str(HERE / "shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(built), source, "-ldl"], check=True)
    return built


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def certify() -> Callable[..., bytes]:
    return certificate


def certificate(
    key: PrivateKey,
    *,
    first: datetime = NOW - timedelta(days=1),
    last: datetime = NOW + timedelta(days=90),
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,),
    usage: str | None = "digital_signature",
) -> bytes:
    """Make a self-signed certificate; no purposes or no usage leaves the extension out."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(first)
        .not_valid_after(last)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if usage:
        names = (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        )
        usages = x509.KeyUsage(**{name: name == usage for name in names})
        builder = builder.add_extension(usages, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
