"""Keys and signatures by the real gpg, in a home of its own and at a time of the test's choice.

Also a signer of hand-made packets, for what gpg does not write.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MADE = datetime(2026, 10, 1, tzinfo=UTC)
SIGNED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Gpg:
    """One GNUPGHOME. Its path is short: the agent's socket has at most 108 characters."""

    home: Path

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[Gpg]:
        home = Path(tempfile.mkdtemp(prefix="g"))
        try:
            yield cls(home)
        finally:
            ending = ["gpgconf", "--homedir", str(home), "--kill", "all"]
            subprocess.run(ending, check=False, capture_output=True)
            shutil.rmtree(home, ignore_errors=True)

    def __call__(self, *words: str | Path, data: bytes = b"", at: datetime = SIGNED) -> bytes:
        command: list[str | Path] = [
            *("gpg", "--homedir", self.home, "--batch", "--no-tty", "--quiet", "--yes"),
            *("--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always"),
            *("--faked-system-time", f"{at:%Y%m%dT%H%M%S}!"),
        ]
        done = subprocess.run([*command, *words], input=data, capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr.decode())
        return done.stdout

    def key(self, name: str, kind: str, life: str = "never", *options: str) -> str:
        """Make a primary key that signs; return its fingerprint, lower-case."""
        self(*options, "--quick-generate-key", name, kind, "sign", life, at=MADE)
        return self.fingerprints(name)[0]

    def fingerprints(self, name: str) -> list[str]:
        listing = self("--with-colons", "--list-keys", name).decode().split("\n")
        return [line.split(":")[9].lower() for line in listing if line.startswith("fpr:")]

    def export(self, name: str, *options: str) -> bytes:
        return self(*options, "--export", name)

    def sign(self, name: str, data: bytes, *options: str, at: datetime = SIGNED) -> bytes:
        """Sign detached, in armour; a name that ends with "!" is that very (sub)key."""
        return self("--local-user", name, "--armor", *options, "--detach-sign", data=data, at=at)

    def status(self, signature: bytes, data: bytes) -> list[list[str]]:
        """Return the status words with which gpg verifies, whatever its exit code says."""
        (self.home / "s").write_bytes(signature)
        (self.home / "d").write_bytes(data)
        command: list[str | Path] = ["gpg", "--homedir", self.home, "--batch", "--status-fd", "1"]
        command += ["--verify", self.home / "s", self.home / "d"]
        done = subprocess.run(command, capture_output=True, check=False)
        return [line.split()[1:] for line in done.stdout.decode("utf-8", "replace").splitlines()]

    def command(self, dialogue: str, *words: str) -> None:
        """Run what gpg offers in a dialogue only."""
        command = ["gpg", "--homedir", str(self.home), "--no-tty", "--command-fd", "0"]
        command += ["--pinentry-mode", "loopback", "--passphrase", "", *words]
        subprocess.run(command, input=dialogue.encode(), capture_output=True, check=True)


def packet(tag: int, body: bytes) -> bytes:
    """Return a packet in the newer form with five bytes of length."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def subpacket(kind: int, body: bytes) -> bytes:
    """Return a subpacket; `kind` with 0x80 must be understood."""
    return bytes([0xFF]) + (len(body) + 1).to_bytes(4, "big") + bytes([kind]) + body


def area(*subpackets: bytes) -> bytes:
    joined = b"".join(subpackets)
    return len(joined).to_bytes(2, "big") + joined


def mpi(data: bytes) -> bytes:
    number = int.from_bytes(data, "big")
    size = (number.bit_length() + 7) // 8
    return number.bit_length().to_bytes(2, "big") + number.to_bytes(size, "big")


CREATED = subpacket(2, int(SIGNED.timestamp()).to_bytes(4, "big"))


@dataclass(frozen=True)
class HandMade:
    """An Ed25519 key of the newer form (algorithm 27) whose packets are written here."""

    private: Ed25519PrivateKey

    @property
    def body(self) -> bytes:
        made = int(MADE.timestamp()).to_bytes(4, "big")
        return b"\x04" + made + b"\x1b" + self.private.public_key().public_bytes_raw()

    @property
    def key(self) -> bytes:
        return packet(6, self.body)

    @property
    def fingerprint(self) -> bytes:
        framed = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        return hashlib.sha1(framed, usedforsecurity=False).digest()

    def sign(  # noqa: PLR0913 - one field of the packet each
        self,
        content: bytes,
        *,
        kind: int = 0,
        hash_id: int = 8,
        hashed: bytes = area(CREATED),
        unhashed: bytes = area(),
        algorithm: int = 27,
        version: int = 4,
    ) -> bytes:
        """Return the body of a signature packet."""
        fields = bytes([version, kind, algorithm, hash_id]) + hashed
        name = {8: "sha256", 9: "sha384", 10: "sha512"}.get(hash_id, "sha1")
        trailer = bytes([version, 0xFF]) + len(fields).to_bytes(4, "big")
        digest = hashlib.new(name, content + fields + trailer).digest()
        raw = self.private.sign(digest)
        values = mpi(raw[:32]) + mpi(raw[32:]) if algorithm == 22 else raw
        return fields + unhashed + digest[:2] + values
