"""SSH keys and signatures by them (SSHSIG), for builders, owners and witnesses.

The real `ssh-keygen` signs where it is installed. Keys that
are made here are throw-away keys of a rehearsal, unencrypted.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.errors import MediaTrouble, Trouble, refuse
from ceremony.show import counted, escaped

SECONDS = 120  # a person may have to type a passphrase or touch a token
MOST_KEY = 2**20  # bytes
HASH = "sha512"  # what ssh-keygen takes when it is not told otherwise


def make_key(path: Path, comment: str) -> str:
    """Write an Ed25519 key pair to `path` and `path`.pub; return the public key line."""
    key = Ed25519PrivateKey.generate()
    line = f"{_public(key).decode('ascii')} {comment}"
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.with_name(f"{path.name}.pub").write_text(f"{line}\n", encoding="ascii")
    return line


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that its owner alone can read; ssh-keygen takes no other key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def sign(key: Path, namespace: str, message: bytes) -> bytes:
    """Return the armoured signature of `message` by the key file, in `namespace`."""
    _require_key_file(key)
    program = shutil.which("ssh-keygen")
    if program is None:
        return _sign(key, namespace, message)
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found, fixed words, our path
            [program, "-q", "-Y", "sign", "-f", str(key), "-n", namespace],
            input=message,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble("KEY-PRIVATE", f"ssh-keygen did not answer in {SECONDS} s") from None
    if done.returncode:
        said = "".join(done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:])
        raise Trouble("KEY-PRIVATE", f"ssh-keygen signed nothing with {key}: {escaped(said)}")
    return done.stdout


def _require_key_file(key: Path) -> None:
    """KEY-PRIVATE: ssh-keygen waits for ever at a pipe, and reads whatever is there whole."""
    shown = escaped(str(key), 4096)
    try:
        status = key.stat()
    except OSError:
        return  # KEY.pub may stand for it, and an agent signs; else ssh-keygen says what is wrong
    if not stat.S_ISREG(status.st_mode):
        raise refuse("KEY-PRIVATE", f"{shown} is not a regular file")
    if status.st_size > MOST_KEY:
        raise refuse("KEY-PRIVATE", f"{shown} has {counted(status.st_size)}: too many for a key")


def _sign(key: Path, namespace: str, message: bytes) -> bytes:
    """Sign without ssh-keygen (OpenSSH PROTOCOL.sshsig)."""
    try:
        private = load_ssh_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise MediaTrouble("KEY-PRIVATE", f"{key}: {error.strerror or error}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = f"without ssh-keygen the SSH key does not load: {escaped(str(error))}"
        raise refuse("KEY-PRIVATE", text) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise refuse("KEY-PRIVATE", "without ssh-keygen only an Ed25519 key can sign")
    kind, raw = b"ssh-ed25519", private.public_key().public_bytes_raw()
    signature = private.sign(signed_data(namespace, message, HASH))
    blob = string(kind) + string(raw)
    return armor(blob, namespace, string(kind) + string(signature), HASH)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
