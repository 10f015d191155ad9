"""Whether a raw signature fits a public key: what checks it, made once for each key.

Decides nothing of its own: the library's check, with the hash and the padding that go with the
key and the scheme. Refuses to know where the key came from and whose it is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache, partial
from typing import TypeAlias, cast

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

Loaded: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
# Of (signature, message) or (signature, digest); raises what cryptography raises.
Check: TypeAlias = Callable[[bytes, bytes], None]

# FIPS 186-5: the hash that a curve goes with.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_PREHASHED = {
    "sha256": Prehashed(hashes.SHA256()),
    "sha384": Prehashed(hashes.SHA384()),
    "sha512": Prehashed(hashes.SHA512()),
}


class Scheme(StrEnum):
    """How a raw signature was made; the hash of ECDSA is the one its curve goes with."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"
    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"
    RSA_PKCS1_SHA384 = "rsa-pkcs1-sha384"
    RSA_PKCS1_SHA512 = "rsa-pkcs1-sha512"
    RSA_PSS_SHA256 = "rsa-pss-sha256"


@lru_cache(maxsize=4096)
def check_of(spki: bytes, scheme: Scheme) -> Check | None:
    """Return what checks (signature, message) of a key, None where it does not sign so."""
    key = _loaded(spki)
    match key, scheme:
        case Ed25519PublicKey(), Scheme.ED25519:
            return key.verify
        case ec.EllipticCurvePublicKey(), Scheme.ECDSA:
            return partial(_verify_ecdsa, key, ec.ECDSA(_HASHES[key.curve.name]))
        case rsa.RSAPublicKey(), Scheme.RSA_PKCS1_SHA256:
            return partial(_verify_rsa, key, padding.PKCS1v15(), hashes.SHA256())
        case rsa.RSAPublicKey(), Scheme.RSA_PKCS1_SHA512:
            return partial(_verify_rsa, key, padding.PKCS1v15(), hashes.SHA512())
        case rsa.RSAPublicKey(), Scheme.RSA_PSS_SHA256:
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            return partial(_verify_rsa, key, salted, hashes.SHA256())
        case _:
            return None


@lru_cache(maxsize=4096)
def digest_check_of(spki: bytes, name: str) -> Check:
    """Return what checks (signature, digest) of a key."""
    key = _loaded(spki)
    match key:
        case Ed25519PublicKey():
            return key.verify
        case ec.EllipticCurvePublicKey():
            return partial(_verify_ecdsa, key, ec.ECDSA(_PREHASHED[name]))
        case rsa.RSAPublicKey():
            return partial(_verify_rsa, key, padding.PKCS1v15(), _PREHASHED[name])


def _verify_ecdsa(
    key: ec.EllipticCurvePublicKey, algorithm: ec.ECDSA, signature: bytes, message: bytes
) -> None:
    key.verify(signature, message, algorithm)


def _verify_rsa(
    key: rsa.RSAPublicKey,
    padded: padding.AsymmetricPadding,
    algorithm: hashes.HashAlgorithm | Prehashed,
    signature: bytes,
    message: bytes,
) -> None:
    key.verify(signature, message, padded, algorithm)


@lru_cache(maxsize=4096)
def _loaded(spki: bytes) -> Loaded:
    # Every PublicKey is made in this file, from one of the three.
    return cast("Loaded", serialization.load_der_public_key(spki))
