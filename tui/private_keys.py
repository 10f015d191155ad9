"""Private keys from files that sign bytes as they are: DSSE envelopes, sigsum leaves.

PEM (PKCS #8 and older) or OpenSSH. A key behind an agent or in a token has no file to read
and makes SSHSIG signatures only (ssh_keys.py). A passphrase comes from the terminal.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ceremony.errors import MediaTrouble, refuse
from ceremony.keys import PublicKey, parse_spki_der
from ceremony.show import escaped
from tui.building.passphrase import SSH_BEGIN, is_locked, passphrase
from tui.given import read_head

MOST_KEY = 2**20
_ECDSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def head_of(key: Path) -> bytes:
    """Return a key file's bytes, as far as a key can be long; KEY-PRIVATE."""
    try:
        return read_head(key, MOST_KEY)
    except OSError as error:
        raise MediaTrouble("KEY-PRIVATE", f"{key}: {error.strerror}") from None


def read(key: Path) -> Private:
    """Return the private key of a file; KEY-PRIVATE for one that holds none that signs here."""
    data = head_of(key)
    if data.startswith(SSH_BEGIN) and is_locked(data):  # its key derivation is not carried here
        text = f"{escaped(str(key))} is an OpenSSH key under a passphrase; a PEM key may have one"
        raise refuse("KEY-PRIVATE", text)
    return load(data, passphrase(key) if is_locked(data) else None)


def load(data: bytes, password: bytes | None) -> Private:
    """Return the private key that a file's bytes hold; KEY-PRIVATE."""
    kind = "OpenSSH" if data.startswith(SSH_BEGIN) else "PEM"
    try:
        private = (
            load_ssh_private_key(data, password=password)
            if kind == "OpenSSH"
            else load_pem_private_key(data, password=password)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = f"the {kind} key does not load: {escaped(str(error))}"
        raise refuse("KEY-PRIVATE", text) from None
    if not isinstance(private, Private):
        raise refuse("KEY-PRIVATE", f"a {kind} key that signs is ECDSA, Ed25519 or RSA")
    return private


def public(private: Private) -> PublicKey:
    """Return the public half under its one identity."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return parse_spki_der(private.public_key().public_bytes(*form))


def sign(private: Private, message: bytes) -> bytes:
    """Return the raw signature: Ed25519, ECDSA in DER with its curve's hash, or RSA-PSS."""
    match private:
        case ec.EllipticCurvePrivateKey():
            return private.sign(message, ec.ECDSA(_ECDSA_HASHES[private.curve.name]))
        case ed25519.Ed25519PrivateKey():
            return private.sign(message)
        case rsa.RSAPrivateKey():
            salt = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return private.sign(message, salt, hashes.SHA256())
