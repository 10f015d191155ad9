"""Whether a key file is locked, and asking for its passphrase on the terminal.

Decides from the file's first bytes alone. A passphrase comes from the controlling terminal,
never from a pipe, an option or the environment; without a terminal the key is refused.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from ceremony.errors import Trouble
from ceremony.show import escaped
from tui.secret import read_secret

SSH_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
# OpenSSH PROTOCOL.key: "openssh-key-v1" NUL, string ciphername
MAGIC = b"openssh-key-v1\0"
OPEN_CIPHER = b"\0\0\0\x04none"


def is_locked(head: bytes) -> bool:
    """Say whether an OpenSSH or PEM private key needs a passphrase."""
    if not head.startswith(SSH_BEGIN):
        return head.startswith(b"-----BEGIN ") and b"ENCRYPTED" in head
    body = b"".join(head.split(b"-----")[2].split())
    try:
        blob = base64.b64decode(body)
    except binascii.Error:
        return False
    return blob.startswith(MAGIC) and not blob.startswith(MAGIC + OPEN_CIPHER)


def passphrase(key: Path) -> bytes:
    """Ask for a key's passphrase; KEY-PRIVATE where there is no terminal to ask on."""
    shown = escaped(str(key))
    try:
        reader = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        text = f"{shown} is locked and there is no terminal to ask for its passphrase"
        raise Trouble("KEY-PRIVATE", text) from None
    with os.fdopen(reader, "w") as terminal:
        try:
            secret = read_secret(reader, terminal, f"passphrase of {shown}: ")
        except EOFError:
            raise Trouble("KEY-PRIVATE", f"no passphrase of {shown} was typed") from None
        terminal.write("\n")
        return bytes(secret)
