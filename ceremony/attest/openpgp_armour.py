"""The ASCII armour of OpenPGP (RFC 9580 6): header lines, base64, the CRC-24 where it stands.

Decides which bytes the blocks of a file carry, one after another, and which kind they say
they are. Strict but for the line end, LF or CRLF, which no signature covers. Refuses to
know packets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

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
# RFC 9580 6.1.1.
CRC24_START = 0xB704CE
CRC24_POLYNOMIAL = 0x1864CFB
CRC24_BITS = 24
CRC24_MASK = (1 << CRC24_BITS) - 1
FOLDED = 64  # bits that are left to the plain division

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
    if checksum and decoded(checksum[1], rule) != crc24(data).to_bytes(3, "big"):
        raise refuse(rule, "the checksum of the armour does not fit")
    return data


def crc24(data: bytes) -> int:
    """Return the CRC-24 of RFC 9580 6.1.

    The data is one polynomial over GF(2). Its upper part is folded upon its lower part, from one
    power of two to the next, by the remainder of that power of x: for a signature a fraction of
    the time that a table takes.
    """
    rest = int.from_bytes(data, "big") << CRC24_BITS ^ CRC24_START << 8 * len(data)
    while (size := rest.bit_length()) > FOLDED:
        power = (size - 1).bit_length() - 1
        upper = rest >> (1 << power)
        rest ^= upper << (1 << power)
        for shift in _remainder(power):
            rest ^= upper << shift
    found, remainders = 0, _of_bytes()
    for byte in rest.to_bytes(FOLDED // 8, "big"):
        found = (found << 8 & CRC24_MASK | byte) ^ remainders[found >> CRC24_BITS - 8]
    return found


@cache
def _of_bytes() -> tuple[int, ...]:
    """Return the remainder of every byte that goes out of a register of 24 bits."""
    return tuple(_reduced(byte << CRC24_BITS) for byte in range(256))


@cache
def _remainder(power: int) -> tuple[int, ...]:
    """Return the powers of x in the remainder of x ** (2 ** power), by squaring."""
    square = sum(1 << 2 * shift for shift in _remainder(power - 1)) if power else 1 << 1
    value = _reduced(square)
    return tuple(shift for shift in range(CRC24_BITS) if value >> shift & 1)


def _reduced(value: int) -> int:
    while (over := value.bit_length() - CRC24_BITS - 1) >= 0:
        value ^= CRC24_POLYNOMIAL << over
    return value
