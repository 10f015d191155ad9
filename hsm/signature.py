"""Wrap a SHA-256 digest for the token and verify what comes back, outside its process.

Decides whether a token's answer is a signature of that digest by that key. It refuses to
know who asked and why. Only PKCS#1 v1.5 and ECDSA over a digest exist here: CKM_RSA_PKCS and
CKM_ECDSA are the two mechanisms that tokens have in common.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from ceremony.preflight import SigningKey

# RFC 8017, 9.2, note 1: DER of DigestInfo up to the 32 octets of a SHA-256 digest.
SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def to_be_signed(key: SigningKey, digest: bytes) -> bytes:
    """Return what the token signs: DigestInfo for RSA, the bare digest for EC."""
    return SHA256_DIGEST_INFO + digest if isinstance(key, rsa.RSAPublicKey) else digest


def verified(key: SigningKey, digest: bytes, answer: bytes) -> bytes | None:
    """Return the signature in CMS form if `answer` is one of `digest` by `key`, else None.

    RSA answers pass unchanged; PKCS#11's r || s (v2.40, 2.3.1) becomes DER Ecdsa-Sig-Value.
    """
    sha256 = Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(answer, digest, padding.PKCS1v15(), sha256)
            return answer
        half = (key.curve.key_size + 7) // 8
        if len(answer) != 2 * half:
            return None
        r, s = int.from_bytes(answer[:half], "big"), int.from_bytes(answer[half:], "big")
        signature = encode_dss_signature(r, s)
        key.verify(signature, digest, ec.ECDSA(sha256))
    except (InvalidSignature, ValueError):
        return None
    return signature
