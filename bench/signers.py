"""The builders of the benchmark: each with a format it attests in, and a key.

Decides which algorithm goes with which format. It refuses to know what is attested.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMATS = ("sshsig", "minisign", "dsse", "openpgp")
ALGORITHMS = ("ed25519", "ecdsa", "rsa")
RSA_BITS = 3072
MADE = datetime.now(UTC).replace(microsecond=0)

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Signer:
    """One builder: its number, the format it attests in, and its key."""

    number: int
    format: str
    algorithm: str
    private: Private

    @property
    def id(self) -> str:
        """Return the builder's id."""
        return f"{self.format}-{self.algorithm}-{self.number}"

    def sign(self, message: bytes) -> bytes:
        """Sign with the algorithm that the formats take for this key."""
        match self.private:
            case ed25519.Ed25519PrivateKey():
                return self.private.sign(message)
            case ec.EllipticCurvePrivateKey():
                return self.private.sign(message, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPrivateKey():
                return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def spki(self) -> bytes:
        """Return the public key in DER."""
        public = self.private.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_signers(count: int) -> tuple[Signer, ...]:
    """Make builders, formats and algorithms in turn; minisign's are Ed25519 all."""
    return tuple(_signer(number) for number in range(count))


def _signer(number: int) -> Signer:
    kind = FORMATS[number % len(FORMATS)]
    algorithm = ALGORITHMS[number // len(FORMATS) % len(ALGORITHMS)]
    if kind == "minisign" or algorithm == "ed25519":
        return Signer(number, kind, "ed25519", ed25519.Ed25519PrivateKey.generate())
    if algorithm == "ecdsa":
        return Signer(number, kind, algorithm, ec.generate_private_key(ec.SECP256R1()))
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return Signer(number, kind, algorithm, key)
