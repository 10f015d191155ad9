"""The key that is looked for on a token: a certificate, and what objects are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ceremony.preflight import SigningKey, read_certificate, signing_key


@dataclass(frozen=True, slots=True)
class Target:
    """The certificate (DER) whose key is looked for."""

    certificate: bytes
    key: SigningKey

    @property
    def fields(self) -> dict[str, str]:
        """What the child compares objects with, in hex."""
        wanted = {"certificate": self.certificate.hex(), "modulus": "", "exponent": "", "point": ""}
        if isinstance(self.key, rsa.RSAPublicKey):
            numbers = self.key.public_numbers()
            wanted["modulus"] = _unsigned(numbers.n)
            wanted["exponent"] = _unsigned(numbers.e)
        else:
            point = self.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            wanted["point"] = point.hex()
        return wanted


def target_of(certificate: bytes) -> Target:
    """Return the target of a certificate, PEM or DER; Refused (KEY-CERT-FORM)."""
    read = read_certificate(certificate)
    return Target(read.public_bytes(Encoding.DER), signing_key(read))


def _unsigned(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex()
