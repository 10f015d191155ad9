"""What attests the virtual card's keys: a root, a device's certificate, and its key in slot F9.

The shape is Yubico's (developers.yubico.com/PIV/Introduction/PIV_attestation.html): raw
octets, not DER, in the extensions for firmware, policies and form factor. The root is a
test's own; Yubico's is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

YUBICO = "1.3.6.1.4.1.41482.3"
USB_A_KEYCHAIN = b"\x01"
FIRST, LAST = datetime(2016, 3, 14, tzinfo=UTC), datetime(2052, 4, 17, tzinfo=UTC)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Attester:
    """The attestation key of one device, its certificate (DER), and the root's (PEM)."""

    key: rsa.RSAPrivateKey
    certificate: bytes
    root: bytes

    def attest(
        self, key: PublicKey, slot: int, policy: bytes, firmware: bytes, serial: int
    ) -> bytes:
        """Return the certificate (DER) that says that `key` was made in `slot`."""
        issuer = x509.load_der_x509_certificate(self.certificate).subject
        builder = x509.CertificateBuilder(
            issuer, named(f"YubiKey PIV Attestation {slot:x}"), key, serial, FIRST, LAST
        )
        number = serial.to_bytes((serial.bit_length() + 8) // 8, "big")
        for part, value in (
            (3, firmware),
            (7, b"\x02" + bytes([len(number)]) + number),
            (8, policy),
            (9, USB_A_KEYCHAIN),
        ):
            oid = x509.ObjectIdentifier(f"{YUBICO}.{part}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def make_attester() -> Attester:
    """Return a device's attestation key under a root of its own."""
    root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root = _authority("Test PIV Root CA", "Test PIV Root CA", root_key.public_key(), root_key, 1)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = _authority("Test PIV Root CA", "Yubico PIV Attestation", key.public_key(), root_key, 0)
    return Attester(key, own.public_bytes(Encoding.DER), root.public_bytes(Encoding.PEM))


def named(common: str) -> x509.Name:
    """Return a name that is a common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority(
    issuer: str, subject: str, key: rsa.RSAPublicKey, by: rsa.RSAPrivateKey, length: int
) -> x509.Certificate:
    limits = x509.BasicConstraints(ca=True, path_length=length)
    return (
        x509.CertificateBuilder(named(issuer), named(subject), key, 2 - length, FIRST, LAST)
        .add_extension(limits, critical=True)
        .sign(by, hashes.SHA256())
    )
