"""Devices that attest keys, of the test's own making: roots, intermediates, statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
FIRST, LAST = NOW - timedelta(days=400), NOW + timedelta(days=4000)
PIV, HSM = "1.3.6.1.4.1.41482.3", "1.3.6.1.4.1.41482.4"
YUBIKEY = {
    f"{PIV}.3": b"\x05\x04\x03",
    f"{PIV}.7": b"\x02\x04\x00\xbc\x61\x4e",
    f"{PIV}.8": b"\x03\x02",
    f"{PIV}.9": b"\x83",
}
# As a real YubiHSM 2 writes them: DER in each extension.
YUBIHSM = {
    f"{HSM}.1": b"\x04\x03\x02\x04\x01",
    f"{HSM}.2": b"\x02\x04\x02\x0b\xd9\xfd",
    f"{HSM}.3": b"\x03\x02\x00\x01",
    f"{HSM}.4": b"\x03\x03\x00\x00\x01",
    f"{HSM}.5": b"\x03\x09\x00\x00\x00\x00\x00\x00\x00\x00\x20",
    f"{HSM}.6": b"\x02\x01\x03",
    f"{HSM}.9": b"\x0c\x03uki",
}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Authority:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def authority(  # noqa: PLR0913 - one fact of a certificate each
    name: str,
    above: Authority | None = None,
    *,
    ca: bool | None = True,
    length: int | None = None,
    signs: bool = True,
    last: datetime = LAST,
    extensions: Mapping[str, bytes] | None = None,
) -> Authority:
    """Make a CA, self-signed or under another; `ca` None leaves the constraints out."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, above.certificate.subject if above else named(name), key.public_key())
    builder = builder.not_valid_after(last)
    if ca is not None:
        limits = x509.BasicConstraints(ca=ca, path_length=length if ca else None)
        builder = builder.add_extension(limits, critical=True)
    usage = x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = with_extensions(builder.add_extension(usage, critical=True), extensions or {})
    return Authority(key, builder.sign(above.key if above else key, hashes.SHA256()))


def attest(
    by: Authority,
    key: PublicKey,
    extensions: Mapping[str, bytes],
    *,
    name: str = "YubiKey PIV Attestation 9c",
    last: datetime = LAST,
) -> bytes:
    """Return the certificate (DER) by which a device speaks of `key`."""
    builder = _builder(name, by.certificate.subject, key).not_valid_after(last)
    signed = with_extensions(builder, extensions).sign(by.key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def own_certificate(key: rsa.RSAPrivateKey) -> bytes:
    """Return the signing key's certificate (PEM)."""
    builder = _builder("UKI signer", named("UKI signer"), key.public_key()).not_valid_after(LAST)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def with_extensions(
    builder: x509.CertificateBuilder, extensions: Mapping[str, bytes]
) -> x509.CertificateBuilder:
    for oid, value in extensions.items():
        raw = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(raw, critical=False)
    return builder


def named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(name: str, issuer: x509.Name, key: PublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST)
    )
