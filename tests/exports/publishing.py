"""A publisher's keys of every kind, and the command that signs a summary with them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)

from tui.commands.dispatch import dispatch

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
PRODUCTION = GOLDEN / "production" / "bundle"
KINDS = {
    "ed25519": ("-algorithm", "ed25519"),
    "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
}


def openssl(*words: object, data: bytes = b"") -> bytes:
    program = shutil.which("openssl") or pytest.skip("openssl is not installed")
    return subprocess.run(
        [program, *map(str, words)], input=data, capture_output=True, check=True
    ).stdout


def keys(folder: Path, kind: str = "ed25519") -> tuple[Path, Path]:
    """Make a key pair; an OpenSSH private key where `kind` is ssh."""
    private, public = folder / f"{kind}.key", folder / f"{kind}.pub.pem"
    if kind == "ssh":
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kim", "-f", str(private)]
        subprocess.run(words, check=True)
        known = load_ssh_public_key(private.with_name(f"{private.name}.pub").read_bytes())
        public.write_bytes(known.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return private, public
    openssl("genpkey", *KINDS[kind], "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def export(bundle: Path, key: Path, output: Path, *options: str) -> int:
    words = ("export", "vsa", bundle, "--key", key, "--output", output, *options)
    return dispatch([str(word) for word in words])


def other_key(folder: Path, kind: str) -> Path:
    (folder / "other").mkdir()
    return keys(folder / "other", kind)[1]
