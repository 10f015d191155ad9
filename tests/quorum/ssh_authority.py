"""Certificate authorities: the real ssh-keygen -s, and in memory what no tool would write."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.security_key import SecurityKey
from quorum.tool_keys import NAMESPACE, SshKey

from ceremony.attest.ssh_wire import string, uint32
from ceremony.attest.sshsig import armor, signed_data

VALID = "20261101:20261201"
FOREVER = (1 << 64) - 1


@dataclass(frozen=True)
class SshAuthority:
    """A key that certifies others, through ssh-keygen only."""

    key: SshKey

    @classmethod
    def make(cls, path: Path, kind: str = "ed25519", bits: int = 0) -> SshAuthority:
        return cls(SshKey.make(path, kind, bits))

    @property
    def line(self) -> str:
        return self.key.line

    def certify(self, public: Path, principal: str = "dan", *more: str, valid: str = VALID) -> str:
        """Certify the key in a .pub file; the line stands in the -cert.pub file beside it."""
        words: list[str | Path] = ["ssh-keygen", "-q", "-s", self.key.path, "-I", "build host"]
        words += ["-n", principal] if principal else []
        words += ["-z", "4711", "-V", valid, *more, public]
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"})
        return Path(f"{public}".removesuffix(".pub") + "-cert.pub").read_text("ascii").strip()


def blob_of(line: str) -> bytes:
    return base64.b64decode(line.split(" ")[1])


def sign_certified(user: SshKey, message: bytes, namespace: str = NAMESPACE) -> bytes:
    """Sign as a builder does who has KEY-cert.pub beside KEY."""
    sign: list[str | Path] = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f"]
    command = [*sign, f"{user.path}-cert.pub"]
    return subprocess.run(command, input=message, capture_output=True, check=True).stdout


def listed(*names: str) -> bytes:
    return b"".join(string(name.encode()) for name in names)


def options(*pairs: tuple[str, bytes]) -> bytes:
    return b"".join(string(name.encode()) + string(data) for name, data in pairs)


def uint64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def public_blob(key: Ed25519PrivateKey) -> bytes:
    return string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw())


@dataclass
class Making:
    """A certificate as its fields, each of which a test may spoil."""

    authority: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    user: Ed25519PrivateKey | SecurityKey = field(default_factory=Ed25519PrivateKey.generate)
    kind: bytes = b""
    serial: int = 7
    use: int = 1
    key_id: bytes = b"build host"
    principals: bytes = listed("dan")
    after: int = 0
    before: int = FOREVER
    critical: bytes = b""
    extensions: bytes = b""
    reserved: bytes = b""
    authority_blob: bytes = b""
    signature: bytes = b""

    @property
    def signed(self) -> bytes:
        if isinstance(self.user, SecurityKey):
            plain, key = self.user.kind, self.user.blob
        else:
            plain, key = "ssh-ed25519", public_blob(self.user)
        kind = self.kind or plain.removesuffix("@openssh.com").encode() + b"-cert-v01@openssh.com"
        return b"".join(
            (
                *(string(kind), string(b"nonce" * 6), key[4 + len(plain) :]),
                *(uint64(self.serial), uint32(self.use), string(self.key_id)),
                *(string(self.principals), uint64(self.after), uint64(self.before)),
                *(string(self.critical), string(self.extensions), string(self.reserved)),
                string(self.authority_blob or public_blob(self.authority)),
            )
        )

    @property
    def blob(self) -> bytes:
        made = string(b"ssh-ed25519") + string(self.authority.sign(self.signed))
        return self.signed + string(self.signature or made)

    @property
    def line(self) -> str:
        """Return the authority's public key as a policy enrols it."""
        return f"ssh-ed25519 {base64.b64encode(public_blob(self.authority)).decode()} authority"

    @property
    def user_line(self) -> str:
        """Return the certified key as a policy enrols a plain one."""
        assert isinstance(self.user, Ed25519PrivateKey)
        return f"ssh-ed25519 {base64.b64encode(public_blob(self.user)).decode()} user"

    def sign_plain(self, message: bytes) -> bytes:
        """Sign by the certified key, without its certificate."""
        assert isinstance(self.user, Ed25519PrivateKey)
        raw = self.user.sign(signed_data(NAMESPACE, message))
        made = string(b"ssh-ed25519") + string(raw)
        return armor(public_blob(self.user), NAMESPACE, made, "sha512")

    def sign(self, message: bytes, namespace: str = NAMESPACE, flags: int = 1) -> bytes:
        if isinstance(self.user, SecurityKey):
            plain = self.user.sign(message, namespace, flags)
            whole = base64.b64decode(b"".join(plain.split(b"\n")[1:-2]))
            signature = whole[whole.rindex(string(b"sha512")) + 14 :]
        else:
            raw = self.user.sign(signed_data(namespace, message))
            signature = string(b"ssh-ed25519") + string(raw)
        return armor(self.blob, namespace, signature, "sha512")
