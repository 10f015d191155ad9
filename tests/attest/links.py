"""Links, layouts and keys as in-toto's own tools make them, and a policy that enrols the keys."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.release import NOW, Release
from quorum.toml_text import Table

from ceremony.attest.key_ids import in_toto_key_id
from ceremony.attest.olpc_json import canonical
from ceremony.keys import PublicKey, parse_spki
from ceremony.policy import Policy

Private = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KINDS = {
    "ed25519": ("ed25519", "ed25519"),
    "ecdsa-p256": ("ecdsa", "ecdsa-sha2-nistp256"),
    "ecdsa-p384": ("ecdsa", "ecdsa-sha2-nistp384"),
    "rsa-3072": ("rsa", "rsassa-pss-sha256"),
}
ARTIFACT = b"an unsigned unified kernel image"


def tool(name: str) -> str:
    """Return the path of one of in-toto's commands, or skip the test."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} (PyPI: in-toto) is not installed")
    return found


@dataclass(frozen=True)
class LinkKey:
    """A private key, also as a PEM file for in-toto-run."""

    name: str
    private: Private
    pem: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> LinkKey:
        private: Private
        match name:
            case "ed25519":
                private = Ed25519PrivateKey.generate()
            case "ecdsa-p256":
                private = ec.generate_private_key(ec.SECP256R1())
            case "ecdsa-p384":
                private = ec.generate_private_key(ec.SECP384R1())
            case _:
                private = rsa.generate_private_key(65537, 3072)
        pem = folder / f"{name}.pem"
        pem.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pem.with_suffix(".pub").write_bytes(cls(name, private, pem).public_pem.encode())
        return cls(name, private, pem)

    @property
    def public_pem(self) -> str:
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    @property
    def public(self) -> PublicKey:
        return parse_spki(self.public_pem)

    @property
    def key_id(self) -> str:
        return in_toto_key_id(self.public)

    @property
    def described(self) -> dict[str, object]:
        """Return the key as a layout names it."""
        keytype, scheme = KINDS[self.name]
        public = self.public_pem if keytype != "ed25519" else self.public.spki[-32:].hex()
        return {
            "keyid": self.key_id,
            "keytype": keytype,
            "scheme": scheme,
            "keyval": {"public": public},
        }

    def run(
        self, folder: Path, *options: str, output: str = "", name: str = "build"
    ) -> tuple[Path, bytes]:
        """Let in-toto-run record `anchor.efi` as the product; return where and the link."""
        (folder / "anchor.efi").write_bytes(ARTIFACT)
        metadata = folder / f"links-{self.name}"
        metadata.mkdir(exist_ok=True)
        command: list[str | Path] = [
            tool("in-toto-run"),
            "-q",
            "-n",
            name,
            "-p",
            "anchor.efi",
            "-d",
            metadata,
        ]
        command += [*options, "--signing-key", self.pem, "--", "printf", output or "built"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
        link = metadata / f"{name}.{self.key_id[:8]}.link"
        return link, link.read_bytes()


def metablock(signed: Mapping[str, object], *keys: Ed25519PrivateKey, hint: str = "") -> bytes:
    """Return a metablock signed by Ed25519 keys."""
    # What is written must be what is signed, whatever the JSON types of the caller.
    document = json.loads(json.dumps(signed))
    signatures = [{"keyid": hint, "sig": key.sign(canonical(document)).hex()} for key in keys]
    return json.dumps({"signed": document, "signatures": signatures}).encode()


def enrolling(release: Release, keys: Mapping[str, tuple[str, ...]], **changes: Table) -> Policy:
    """Return a policy that enrols PEM keys by builder id, for every format."""
    formats = ["in-toto-link", "rebuilderd", "dsse"]
    builders = [
        {
            "id": name,
            "organisation": name.title(),
            "persons": [name],
            "isolation": "bare-metal",
            "formats": formats,
            "key": [
                {
                    "type": "spki",
                    "public": pem,
                    "from": NOW - timedelta(days=300),
                    "to": NOW + timedelta(days=300),
                }
                for pem in pems
            ],
        }
        for name, pems in keys.items()
    ]
    quorum: Table = {"threshold": 1}
    return release.policy(**{"builder": builders, "quorum": quorum, **changes})
