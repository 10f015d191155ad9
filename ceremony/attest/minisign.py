"""minisign signatures: legacy `Ed` over the file, `ED` over its BLAKE2b-512.

    untrusted comment: <text>
    base64(algorithm 2 | key id 8 | signature 64)
    trusted comment: <text>
    base64(signature 64 over the first signature and the trusted comment)

Decides whether a file is such a signature and whether both signatures fit. The trusted
comment's `github.com/<org>/<repo>/commit/<hex>` and `name:value` words are pins.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ceremony.attest import contents
from ceremony.attest.record import Claims, Pins
from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme

RULE = "ATT-MINISIGN"
UNTRUSTED = "untrusted comment: "
TRUSTED = "trusted comment: "
PLAIN = b"Ed"
HASHED = b"ED"
MOST_BYTES = 1 << 16
# minisign.c: COMMENTMAXBYTES and TRUSTEDCOMMENTMAXBYTES, each with a newline and a NUL.
MOST_UNTRUSTED = 1022  # bytes of a line
MOST_COMMENT = 8190
FIELDS_BYTES = 74
SIGNATURE_BYTES = 64
LINES = 4

_COMMIT = re.compile(
    r"(?:https://)?github\.com/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/commit/([0-9a-f]{40})"
)
_WORD = re.compile(r"([a-z][a-z0-9_]*):([!-~]+)")
_WORDS = re.compile(r"[^ \t]+")
# minisign's own default comment: "timestamp:1700000000\tfile:name\thashed"
_OWN_WORDS = ("file", "https", "http")


@dataclass(frozen=True, slots=True)
class Minisignature:
    """A parsed minisign signature file."""

    algorithm: bytes
    key_id: str
    signature: bytes
    trusted_comment: str
    global_signature: bytes


def looks_like_minisign(path: str, data: bytes) -> bool:
    """Say whether the file begins as a minisign signature does (a public key begins so too)."""
    begins = data.startswith(UNTRUSTED.encode())
    return begins and (path.endswith(".minisig") or b"\n" + TRUSTED.encode() in data)


def read_minisign(data: bytes) -> Minisignature:
    """Read a signature file strictly; Refused (ATT-MINISIGN) says what is wrong."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the signature has more than {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(RULE, "the signature is not UTF-8", error.start) from None
    lines = text.split("\n")
    if len(lines) != LINES + 1 or lines[-1] or "\r" in text:
        raise refuse(RULE, f"a signature has {LINES} lines, each ended by one newline")
    if not lines[0].startswith(UNTRUSTED) or not lines[2].startswith(TRUSTED):
        raise refuse(RULE, "a comment line does not begin as it must")
    if "\0" in text:
        raise refuse(RULE, "a NUL stands in it, where minisign takes the line to end")
    for line, name, most in ((0, "untrusted", MOST_UNTRUSTED), (2, "trusted", MOST_COMMENT)):
        if len(lines[line].encode()) > most:
            raise refuse(RULE, f"the line of the {name} comment is longer than {most} bytes")
    fields, outer = decoded(lines[1], RULE), decoded(lines[3], RULE)
    if len(fields) != FIELDS_BYTES or len(outer) != SIGNATURE_BYTES:
        raise refuse(RULE, "a signature line has the wrong length")
    if fields[:2] not in (PLAIN, HASHED):
        raise refuse(RULE, "the algorithm is neither Ed nor ED")
    comment = lines[2].removeprefix(TRUSTED)
    return Minisignature(fields[:2], fields[2:10].hex(), fields[10:], comment, outer)


def verify_minisign(signature: Minisignature, message: bytes, key: PublicKey) -> None:
    """Refuse (ATT-SIGNATURE) unless both the file's and the comment's signature fit."""
    signed = _signed(signature.algorithm, message)
    key.verify(signature.signature, signed, Scheme.ED25519)
    comment = signature.signature + signature.trusted_comment.encode()
    key.verify(signature.global_signature, comment, Scheme.ED25519)


def read_comment(comment: str) -> Pins:
    """Return the pins of a trusted comment; Refused (ATT-PIN) where they contradict."""
    pins = Pins()
    for word in _WORDS.findall(comment):
        commit, pair = _COMMIT.fullmatch(word), _WORD.fullmatch(word)
        if commit:
            pins.add("git_commit", commit[1])
        elif pair and pair[1] not in _OWN_WORDS:
            pins.add(pair[1], pair[2])
    return pins


def comment_claims(said: Claims, comment: str) -> Claims:
    """Return what a checksum file says together with the trusted comment.

    The comment's time is the signature's; without one it is the time that the file says.
    """
    pins = read_comment(comment)
    for name, value in (*said.pins, *said.self_claims):
        pins.add(name, value)
    both = pins.claims(said.artifacts)
    return both if both.time else replace(both, time=said.time)


def write_minisign(
    key: Ed25519PrivateKey, key_id: bytes, message: bytes, trusted_comment: str
) -> bytes:
    """Return an `ED` signature file over `message`; `key_id` has 8 bytes, as in the .pub."""
    signature = key.sign(_signed(HASHED, message))
    outer = key.sign(signature + trusted_comment.encode())
    lines = (
        UNTRUSTED + "signature from uki-ceremony",
        base64.b64encode(HASHED + key_id + signature).decode(),
        TRUSTED + trusted_comment,
        base64.b64encode(outer).decode(),
        "",
    )
    return "\n".join(lines).encode()


def _signed(algorithm: bytes, message: bytes) -> bytes:
    return message if algorithm == PLAIN else contents.digest(message, "blake2b")
