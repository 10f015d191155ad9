"""Attest an image in the three formats: SHA256SUMS with SSHSIG, minisign, DSSE with SLSA.

Each function returns the files to put on the media, by name. The real `ssh-keygen` and
`minisign` sign where they are installed. It refuses to know who may attest what.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tui.rehearsal import ssh_keys

NAMESPACE = "uki-attestation"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SOURCE = "github.com/example/anchor"
SECONDS = 30
KEY_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Claim:
    """What a builder says: this file, of this SHA-256 (hex), came of these inputs, then."""

    name: str
    sha256: str
    git_commit: str
    flake_lock: str
    made: datetime


def sums(claim: Claim, stem: str, key: Path) -> dict[str, bytes]:
    """Return `stem`.SHA256SUMS and its SSHSIG by the OpenSSH private key file `key`."""
    text = (
        f"# git_commit {claim.git_commit}\n"
        f"{claim.sha256}  {claim.name}\n"
        f"{claim.flake_lock}  flake.lock\n"
    ).encode()
    name = f"{stem}.SHA256SUMS"
    return {name: text, f"{name}.sig": ssh_keys.sign(key, NAMESPACE, text)}


def make_minisign_key(key: Path) -> str:
    """Write a minisign key pair to `key` and `key`.pub; return the public key's base64."""
    public = key.with_name(f"{key.name}.pub")
    key.parent.mkdir(parents=True, exist_ok=True)
    if (program := shutil.which("minisign")) is not None:
        _run([program, "-G", "-W", "-f", "-p", str(public), "-s", str(key)])
        return public.read_text(encoding="ascii").splitlines()[1]
    private, key_id = Ed25519PrivateKey.generate(), secrets.token_bytes(KEY_ID_BYTES)
    ssh_keys.write_private(key, key_id + private.private_bytes_raw())
    line = _base64(b"Ed" + key_id + private.public_key().public_bytes_raw())
    public.write_text(f"untrusted comment: minisign public key\n{line}\n", encoding="ascii")
    return line


def minisign(claim: Claim, stem: str, key: Path) -> dict[str, bytes]:
    """Return `stem`.sha256 and its minisign signature by a key of `make_minisign_key`."""
    text = f"{claim.sha256}  {claim.name}\n".encode()
    comment = (
        f"timestamp:{int(claim.made.timestamp())} flake_lock:{claim.flake_lock}"
        f" {SOURCE}/commit/{claim.git_commit}"
    )
    name = f"{stem}.sha256"
    program = shutil.which("minisign")
    if program is None:
        return {name: text, f"{name}.minisig": _minisign(key.read_bytes(), text, comment)}
    with tempfile.TemporaryDirectory(prefix="uki-ceremony-") as folder:
        (Path(folder) / name).write_bytes(text)
        options = ["-t", comment, "-x", f"{folder}/signature"]
        _run([program, "-S", "-W", "-s", str(key), "-m", f"{folder}/{name}", *options])
        return {name: text, f"{name}.minisig": (Path(folder) / "signature").read_bytes()}


def make_dsse_key(key: Path) -> str:
    """Write an ECDSA P-256 key to `key` (PKCS#8 PEM) and `key`.pub; return the public PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ssh_keys.write_private(key, pem)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key.with_name(f"{key.name}.pub").write_bytes(public)
    return public.decode("ascii")


def dsse(claim: Claim, stem: str, key: Path) -> dict[str, bytes]:
    """Return `stem`.intoto.json: a DSSE envelope over an in-toto Statement v1, SLSA v1."""
    private = load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("a rehearsal's DSSE key is ECDSA")
    payload = json.dumps(_statement(claim, stem), sort_keys=True).encode()
    # DSSE v1: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
    signed = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    signature = private.sign(signed, ec.ECDSA(hashes.SHA256()))
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": "", "sig": _base64(signature)}],
    }
    return {f"{stem}.intoto.json": json.dumps(envelope).encode() + b"\n"}


def _statement(claim: Claim, builder: str) -> dict[str, object]:
    """Return the in-toto Statement v1 with SLSA provenance v1."""
    made = f"{claim.made:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": claim.name, "digest": {"sha256": claim.sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.org/uki-ceremony/demo",
                "externalParameters": {"target": claim.name},
                "resolvedDependencies": [
                    {"uri": f"git+https://{SOURCE}", "digest": {"gitCommit": claim.git_commit}},
                    {"name": "flake.lock", "digest": {"sha256": claim.flake_lock}},
                ],
            },
            "runDetails": {
                "builder": {"id": f"https://example.org/builders/{builder}"},
                "metadata": {"finishedOn": made},
            },
        },
    }


def _minisign(key: bytes, text: bytes, comment: str) -> bytes:
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


def _run(command: list[str]) -> None:
    subprocess.run(  # noqa: S603 - the program that was found, and our own paths
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
