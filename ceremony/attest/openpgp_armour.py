"""The ASCII armour of OpenPGP (RFC 9580 6): header lines, base64, and a CRC-24 that is passed over.

Decides which bytes the blocks of a file carry, one after another, and which kind they say
they are. Strict but for the line end, LF or CRLF, which no signature covers. A CRC-24 that
does not fit refuses nothing (RFC 9580 6.1: a receiver "MUST NOT reject" for it); it must have its
form. Refuses to know packets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse

SIGNATURE = "PGP SIGNATURE"
PUBLIC_KEY = "PGP PUBLIC KEY BLOCK"
CLEAR_SIGNED = "PGP SIGNED MESSAGE"
MESSAGE = "PGP MESSAGE"
MOST_BLOCKS = 64
MOST_HEADERS = 8
MOST_COLUMNS = 256
ARMOUR = b"-----BEGIN PGP "

_BEGIN = re.compile(r"-----BEGIN ([A-Z ]{1,40})-----")
_HEADER = re.compile(r"[A-Za-z]{1,20}: .*")
_CHECKSUM = re.compile(r"=([A-Za-z0-9+/]{4})")


def dearmoured(data: bytes, kind: str, rule: str) -> bytes:
    """Return what all blocks of the file carry, together; every block must be of `kind`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(rule, "the armour is not text", error.start) from None
    lines = iter(text.replace("\r\n", "\n").rstrip("\n").split("\n"))
    found: list[bytes] = []
    for line in lines:
        begin = _BEGIN.fullmatch(line)
        if begin is None:
            raise refuse(rule, "something stands outside the armour")
        if begin[1] != kind:
            raise refuse(rule, f"the armour is a {begin[1]}, not a {kind}")
        if len(found) == MOST_BLOCKS:
            raise refuse(rule, f"the file has more than {MOST_BLOCKS} blocks of armour")
        found.append(_block(lines, kind, rule))
    return b"".join(found)


def _block(lines: Iterator[str], kind: str, rule: str) -> bytes:
    for number, line in enumerate(lines):
        if not line.strip(" \t"):
            break
        if number >= MOST_HEADERS or len(line) > MOST_COLUMNS or not _HEADER.fullmatch(line):
            raise refuse(rule, "a header line of the armour is not of the form Name: text")
    body: list[str] = []
    end = f"-----END {kind}-----"
    for line in lines:
        if line == end:
            return _checked(body, rule)
        if not 0 < len(line) <= MOST_COLUMNS:
            raise refuse(rule, f"an armour line is empty or longer than {MOST_COLUMNS} columns")
        body.append(line)
    raise refuse(rule, f"the armour does not end with {end}")


def _checked(body: list[str], rule: str) -> bytes:
    checksum = _CHECKSUM.fullmatch(body[-1]) if body else None
    data = decoded("".join(body[:-1] if checksum else body), rule)
    if not data:
        raise refuse(rule, "the armour is empty")
    return data
