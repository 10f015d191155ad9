"""A private key in a PEM file: the key of a build host or a test, not of a ceremony.

Decides whether a file holds one RSA or P-256/P-384 key that its passphrase opens, and signs
with it. It refuses to know certificates. A file can be copied unseen: a release key belongs
on a token (token.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ceremony.errors import Refused, refuse

MOST_KEY_BYTES = 64 * 1024
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class FileKey:
    """An opened key; `spki` is its public half as DER SubjectPublicKeyInfo."""

    _key: PrivateKey
    spki: bytes

    def sign(self, message: bytes) -> bytes:
        """Sign SHA-256 of `message`: PKCS#1 v1.5, or a DER Ecdsa-Sig-Value; Refused KEY-FILE."""
        try:
            if isinstance(self._key, rsa.RSAPrivateKey):
                return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
            return self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        except ValueError:
            raise _no_key() from None


def open_file_key(pem: bytes, passphrase: Callable[[], bytearray]) -> FileKey:
    """Read a PEM key, asking for its passphrase only where it has one; Refused KEY-FILE.

    The passphrase is overwritten whatever happens.
    """
    if len(pem) > MOST_KEY_BYTES:
        raise refuse("KEY-FILE", f"the key file is over {MOST_KEY_BYTES} bytes")
    try:
        key: object = _loaded(pem, None)
    except TypeError:  # "Password was not given but private key is encrypted"
        key = _opened(pem, passphrase())
    except (ValueError, UnsupportedAlgorithm):
        raise refuse("KEY-FILE", "the file holds no readable PEM private key") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise refuse("KEY-FILE", "the key is neither RSA nor elliptic curve")
    try:
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise _no_key() from None
    return FileKey(key, spki)


def _no_key() -> Refused:
    return refuse("KEY-FILE", "the key's numbers make no key")


def _opened(pem: bytes, secret: bytearray) -> object:
    try:
        return _loaded(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refuse("KEY-FILE", "the passphrase does not open the key") from None
    finally:
        secret[:] = bytes(len(secret))


def _loaded(pem: bytes, secret: bytearray | None) -> object:
    # The key is its owner's, and no signature leaves that does not verify with the certificate:
    # testing the primes of an RSA key takes ten times as long as all else, and proves less.
    return load_pem_private_key(
        pem,
        secret,  # type: ignore[arg-type] # any buffer will do
        unsafe_skip_rsa_key_validation=True,
    )
