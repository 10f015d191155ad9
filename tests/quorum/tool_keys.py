"""Keys that sign through the real tools: ssh-keygen, minisign, and cryptography for DSSE."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ceremony.attest.dsse import IN_TOTO, pae, write_envelope

NAMESPACE = "uki-attestation"


@dataclass(frozen=True)
class SshKey:
    """A key pair in files, used through ssh-keygen only."""

    path: Path

    @classmethod
    def make(cls, path: Path, kind: str = "ed25519", bits: int = 0) -> SshKey:
        size = ["-b", str(bits)] if bits else []
        command: list[str | Path] = [
            "ssh-keygen",
            "-q",
            "-t",
            kind,
            *size,
            "-N",
            "",
            "-C",
            path.name,
            "-f",
            path,
        ]
        subprocess.run(command, check=True)
        return cls(path)

    @property
    def line(self) -> str:
        return Path(f"{self.path}.pub").read_text(encoding="ascii").strip()

    def sign(self, message: bytes, namespace: str = NAMESPACE) -> bytes:
        command: list[str | Path] = [
            "ssh-keygen",
            "-q",
            "-Y",
            "sign",
            "-n",
            namespace,
            "-f",
            self.path,
        ]
        return subprocess.run(command, input=message, capture_output=True, check=True).stdout


@dataclass(frozen=True)
class MinisignKey:
    """An unencrypted key pair in files, used through minisign only."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> MinisignKey:
        command: list[str | Path] = ["minisign", "-G", "-W", "-p", f"{path}.pub", "-s", path]
        subprocess.run(command, check=True, capture_output=True)
        return cls(path)

    @property
    def line(self) -> str:
        return Path(f"{self.path}.pub").read_text(encoding="ascii").split("\n")[1]

    def sign(self, message: bytes, comment: str, *options: str) -> bytes:
        content, out = self.path.with_suffix(".content"), self.path.with_suffix(".minisig")
        content.write_bytes(message)
        command: list[str | Path] = [
            "minisign",
            "-S",
            *options,
            "-s",
            self.path,
            "-m",
            content,
            "-x",
            out,
        ]
        subprocess.run([*command, "-t", comment], check=True, capture_output=True)
        return out.read_bytes()


@dataclass(frozen=True)
class BareKey:
    """An Ed25519 or P-256 key that signs DSSE envelopes."""

    private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @property
    def line(self) -> str:
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    def envelope(self, payload: bytes, kind: str = IN_TOTO, hint: str = "") -> bytes:
        return write_envelope(kind, payload, ((hint, self.sign(pae(kind, payload))),))


Key = SshKey | MinisignKey | BareKey
