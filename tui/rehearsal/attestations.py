"""The builders' keys of a rehearsal, and minisign's format where the tool is not installed.

Keys are throw-away keys in the rehearsal's folder, unencrypted. Attestations themselves are
made by tui.attesting, as any builder makes them.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tui import attesting, ssh_keys
from tui.attesting import Claim

SECONDS = 30
KEY_ID_BYTES = 8


def make_minisign_key(key: Path) -> str:
    """Write a minisign key pair to `key` and `key`.pub; return the public key's base64."""
    public = key.with_name(f"{key.name}.pub")
    key.parent.mkdir(parents=True, exist_ok=True)
    if (program := shutil.which("minisign")) is not None:
        subprocess.run(  # noqa: S603 - the program that was found, and our own paths
            [program, "-G", "-W", "-f", "-p", str(public), "-s", str(key)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
        return public.read_text(encoding="ascii").splitlines()[1]
    private, key_id = Ed25519PrivateKey.generate(), secrets.token_bytes(KEY_ID_BYTES)
    ssh_keys.write_private(key, key_id + private.private_bytes_raw())
    line = _base64(b"Ed" + key_id + private.public_key().public_bytes_raw())
    public.write_text(f"untrusted comment: minisign public key\n{line}\n", encoding="ascii")
    return line


def minisign(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return the minisign attestation by a key of `make_minisign_key`."""
    if shutil.which("minisign") is not None:
        return attesting.minisign(claim, key)
    text, comment = attesting.minisign_texts(claim)
    name = f"{claim.builder}.sha256"
    return {name: text, f"{name}.minisig": _signed(key.read_bytes(), text, comment)}


def make_dsse_key(key: Path) -> str:
    """Write an ECDSA P-256 key to `key` (PKCS#8 PEM) and `key`.pub; return the public PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ssh_keys.write_private(key, pem)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key.with_name(f"{key.name}.pub").write_bytes(public)
    return public.decode("ascii")


def _signed(key: bytes, text: bytes, comment: str) -> bytes:
    """Sign without the tool (minisign's prehashed form, algorithm "ED")."""
    key_id = key[:KEY_ID_BYTES]
    private = Ed25519PrivateKey.from_private_bytes(key[KEY_ID_BYTES:])
    signature = private.sign(hashlib.blake2b(text).digest())
    over_both = private.sign(signature + comment.encode())
    return (
        "untrusted comment: signature of a rehearsal's builder\n"
        f"{_base64(b'ED' + key_id + signature)}\n"
        f"trusted comment: {comment}\n"
        f"{_base64(over_both)}\n"
    ).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
