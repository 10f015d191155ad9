"""OpenBSD signify: two lines, a free comment and base64; the comment is signed by nobody.

    untrusted comment: <text>
    base64(algorithm `Ed` | key id 8 | key 32 or signature 64)
    [the signed message, where `signify -S -e` embedded it]

Decides whether a file is such a key or signature, and whether a signature fits. It says
neither when nor from what: there is no trusted comment. Sources: signify(1), signify.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ceremony.attest.strict_base64 import decoded
from ceremony.characters import is_printable
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme, from_ed25519

RULE = "ATT-SIGNIFY"
KEY_RULE = "ATT-KEY"
COMMENT = "untrusted comment: "
ALGORITHM = b"Ed"
KEY_BYTES = 42
FIELDS_BYTES = 74
MOST_BYTES = 1 << 20
MOST_COMMENT = 1024  # COMMENTMAXLEN
LINES = 2
# "Ed" begins with RW in base64 and 74 bytes are 100 characters.
_SECOND = re.compile(rb"\nRW[+/-9A-Za-z]{97}=(?:\n|$)")
_MINISIGN = b"\ntrusted comment: "


@dataclass(frozen=True, slots=True)
class SignifyKey:
    """A public key file; its id is random and a hint only."""

    key: PublicKey
    key_id: str
    comment: str

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Return the one signing key."""
        return (self.key,)


@dataclass(frozen=True, slots=True)
class SignifySignature:
    """A parsed signature file; the comment is not signed. `message` is b"" unless embedded."""

    key_id: str
    signature: bytes
    comment: str
    message: bytes


def parse_signify_key(text: str) -> SignifyKey:
    """Read a .pub file of both its lines, or its second line alone; Refused (ATT-KEY)."""
    lines = text.strip().split("\n")
    comment = ""
    if len(lines) == LINES:
        comment = _comment(lines[0], KEY_RULE)
    elif len(lines) != 1:
        raise refuse(KEY_RULE, f"a signify key has {LINES} lines, not {len(lines)}")
    raw = decoded(lines[-1], KEY_RULE)
    if len(raw) != KEY_BYTES or not raw.startswith(ALGORITHM):
        raise refuse(KEY_RULE, f"a signify key is {KEY_BYTES} bytes that begin with Ed")
    return SignifyKey(from_ed25519(raw[10:]), raw[2:10].hex(), comment)


def looks_like_signify(path: str, data: bytes) -> bool:
    """Say whether a file begins as a signature does, or is named so (a key begins alike)."""
    if not data.startswith(COMMENT.encode()) or _MINISIGN in data[: 2 * MOST_COMMENT]:
        return False
    return path.endswith(".sig") or _SECOND.search(data, 0, 2 * MOST_COMMENT) is not None


def read_signify(data: bytes) -> SignifySignature:
    """Read a signature file strictly; Refused (ATT-SIGNIFY) says what is wrong."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the signature has more than {MOST_BYTES} bytes")
    lines = data.split(b"\n", LINES)
    if len(lines) != LINES + 1:
        raise refuse(RULE, f"a signature has {LINES} lines, each ended by one newline")
    try:
        comment = _comment(lines[0].decode("utf-8"), RULE)
        fields = decoded(lines[1].decode("ascii"), RULE)
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the signature is not UTF-8", error.start) from None
    if len(fields) != FIELDS_BYTES or not fields.startswith(ALGORITHM):
        raise refuse(RULE, f"a signature is {FIELDS_BYTES} bytes that begin with Ed")
    return SignifySignature(fields[2:10].hex(), fields[10:], comment, lines[2])


def verify_signify(signature: SignifySignature, message: bytes, key: PublicKey) -> None:
    """Refuse (ATT-SIGNATURE) unless `signature` over `message` is this key's."""
    key.verify(signature.signature, message, Scheme.ED25519)


def _comment(line: str, rule: str) -> str:
    if not line.startswith(COMMENT):
        raise refuse(rule, f'the first line does not begin with "{COMMENT.strip()}"')
    if len(line) > len(COMMENT) + MOST_COMMENT:
        raise refuse(rule, f"the comment line is longer than {MOST_COMMENT} characters")
    if not is_printable(line):
        raise refuse(rule, "the comment has a control or invisible character")
    return line.removeprefix(COMMENT)
