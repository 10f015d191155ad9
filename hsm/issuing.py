"""A key that lies in a token, where a certificate or a request for one is to be signed by it.

Decides what such a certificate says: not a CA, for digital signatures, for signing code. The
private key here is only a name for the one inside the token: what the X.509 builder asks it
to sign goes there as a digest, and comes back verified.
Source: RFC 5280, 4.2.1; RFC 2986; the key interfaces of `cryptography`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ceremony.errors import TokenTrouble
from ceremony.preflight import SigningKey
from hsm.signature import to_be_signed, verified

Ask = Callable[[bytes], bytes]  # what a token signs, to its raw answer
Readable: TypeAlias = "bytes | bytearray | memoryview[int]"

USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
EXTENSIONS = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (USAGE, True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
)


def self_signed(
    key: SigningKey, ask: Ask, subject: x509.Name, not_before: datetime, not_after: datetime
) -> x509.Certificate:
    """Return a certificate that the key inside the token signed for itself."""
    builder = x509.CertificateBuilder(
        subject, subject, key, x509.random_serial_number(), not_before, not_after
    )
    for extension, critical in EXTENSIONS:
        builder = builder.add_extension(extension, critical=critical)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    certificate = builder.sign(_named(key, ask), hashes.SHA256())
    certificate.verify_directly_issued_by(certificate)
    return certificate


def request_for(key: SigningKey, ask: Ask, subject: x509.Name) -> x509.CertificateSigningRequest:
    """Return a request (RFC 2986) for a certificate with the usages of a code signer."""
    builder = x509.CertificateSigningRequestBuilder(subject)
    for extension, critical in EXTENSIONS:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(_named(key, ask), hashes.SHA256())


def _named(key: SigningKey, ask: Ask) -> _RsaKey | _EcKey:
    return _RsaKey(key, ask) if isinstance(key, rsa.RSAPublicKey) else _EcKey(key, ask)


def _signature(key: SigningKey, ask: Ask, data: Readable) -> bytes:
    """Sign as all is signed here: SHA-256, with PKCS#1 v1.5 or ECDSA."""
    digest = hashlib.sha256(data).digest()
    signature = verified(key, digest, ask(to_be_signed(key, digest)))
    if signature is None:
        raise TokenTrouble("KEY-SIGNATURE", "what the token returned is no signature by the key")
    return signature


class _Inside:
    """What no key that lies in a token can do."""

    def private_numbers(self) -> NoReturn:
        raise self._inside()

    def private_bytes(self, *_: object) -> NoReturn:
        raise self._inside()

    def __copy__(self) -> NoReturn:
        raise self._inside()

    def __deepcopy__(self, memo: dict[Any, Any]) -> NoReturn:
        raise self._inside()

    @staticmethod
    def _inside() -> TypeError:
        return TypeError("the key lies in a token")


class _RsaKey(_Inside, rsa.RSAPrivateKey):
    def __init__(self, key: rsa.RSAPublicKey, ask: Ask) -> None:
        self._key, self._ask = key, ask

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        return self._key

    def sign(self, data: Readable, padding: object, algorithm: object) -> bytes:  # noqa: ARG002 - always the one kind
        return _signature(self._key, self._ask, data)

    def decrypt(self, *_: object) -> NoReturn:
        raise self._inside()


class _EcKey(_Inside, ec.EllipticCurvePrivateKey):
    def __init__(self, key: ec.EllipticCurvePublicKey, ask: Ask) -> None:
        self._key, self._ask = key, ask

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key

    def sign(self, data: Readable, signature_algorithm: object) -> bytes:  # noqa: ARG002 - always the one kind
        return _signature(self._key, self._ask, data)

    def exchange(self, *_: object) -> NoReturn:
        raise self._inside()
