"""Whether one certificate's key signed another, asked to revoke and never to trust.

Whatever their names: a revoked key stays revoked under another name. What cannot be read or
checked counts as issued where the names fit, or where not even those can be read. It
refuses to know chains that are to be trusted (trust.py).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from ceremony.pe.certificate import UNREADABLE, Certificate, load


def key_issued(issuer: Certificate, certificate: Certificate) -> bool:
    """Say whether the issuer's key signed the certificate, or may have."""
    try:
        above, below = load(issuer), load(certificate)
    except UNREADABLE:
        return True
    same_name = _may_be_named(above, below)
    try:
        key, how = above.public_key(), below.signature_algorithm_parameters
        value, tbs = below.signature, below.tbs_certificate_bytes
        match key, how, below.signature_hash_algorithm:
            case rsa.RSAPublicKey(), padding.PKCS1v15() | padding.PSS(), HashAlgorithm() as hashed:
                key.verify(value, tbs, how, hashed)
            case ec.EllipticCurvePublicKey(), ec.ECDSA(), _:
                key.verify(value, tbs, how)
            case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey(), _, _:
                return False
            case _:
                return same_name
    except InvalidSignature:
        return False
    except UNREADABLE:
        return same_name
    return True


def _may_be_named(above: x509.Certificate, below: x509.Certificate) -> bool:
    """Say whether the one is named as the other's issuer, also where a name cannot be read."""
    try:
        return above.subject == below.issuer
    except UNREADABLE:  # an umlaut in a TeletexString, a postal address
        return True
