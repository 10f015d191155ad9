"""The wire types of OpenPGP (RFC 9580 3 and 4): packets, multiprecision integers, subpackets.

Decides where packets and subpackets begin and end. Refuses partial and indeterminate
lengths, which serve streamed data only. Refuses to know what they mean.
"""

from __future__ import annotations

from typing import NamedTuple

from ceremony.attest.ssh_wire import WireReader
from ceremony.errors import refuse

MOST_SUBPACKETS = 64
PACKET_BIT = 0x80
NEW_FORMAT_BIT = 0x40
CRITICAL_BIT = 0x80
TWO_BYTES = 192
PARTIAL = 224
FOUR_BYTES = 255
INDETERMINATE = 3


class Packet(NamedTuple):
    """One packet: its type id ("tag") and its body."""

    tag: int
    body: bytes


class Subpacket(NamedTuple):
    """One signature subpacket: its type, whether it must be understood, its body."""

    kind: int
    critical: bool
    body: bytes


def read_packets(data: bytes, rule: str, most: int) -> tuple[Packet, ...]:
    """Read a sequence of at most `most` packets that ends with the data."""
    found: list[Packet] = []
    at = 0
    while at < len(data):
        if len(found) == most:
            raise refuse(rule, f"more than {most} packets", at)
        tag, start, size = _header(data, at, rule)
        if size > len(data) - start:
            raise refuse(rule, "a packet is longer than its file", at)
        at = start + size
        found.append(Packet(tag, data[start:at]))
    return tuple(found)


def packet_tag(first: int) -> int:
    """Return the type id that a packet's first byte says, 0 where it begins no packet."""
    if not first & PACKET_BIT:
        return 0
    return first & 0x3F if first & NEW_FORMAT_BIT else first >> 2 & 0x0F


def _header(data: bytes, at: int, rule: str) -> tuple[int, int, int]:
    """Return a packet's tag, the offset of its body and the body's length."""
    first = data[at]
    if not first & PACKET_BIT:
        raise refuse(rule, "these bytes are no OpenPGP packet", at)
    if first & NEW_FORMAT_BIT:
        if data[at + 1 : at + 2] and PARTIAL <= data[at + 1] < FOUR_BYTES:
            raise refuse(rule, "a packet comes in parts", at)
        size, start = _length(data, at + 1, rule)
        return packet_tag(first), start, size
    # RFC 9580 4.2.2: legacy format, 1, 2 or 4 bytes of length.
    if first & 3 == INDETERMINATE:
        raise refuse(rule, "a packet has no length", at)
    start = at + 1 + (1 << (first & 3))
    if start > len(data):
        raise refuse(rule, "a packet ends in its header", at)
    return packet_tag(first), start, int.from_bytes(data[at + 1 : start], "big")


def _length(data: bytes, at: int, rule: str) -> tuple[int, int]:
    """Return a length of one, two or five bytes and the offset behind it."""
    first = data[at] if at < len(data) else 0
    size = 1 if first < TWO_BYTES else 5 if first == FOUR_BYTES else 2
    if at + size > len(data):
        raise refuse(rule, "a length is cut off", at)
    if first < TWO_BYTES:
        return first, at + 1
    if first == FOUR_BYTES:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    return (first - TWO_BYTES << 8) + data[at + 1] + TWO_BYTES, at + 2


def read_subpackets(data: bytes, rule: str) -> tuple[Subpacket, ...]:
    """Read a subpacket area (RFC 9580 5.2.3.7)."""
    found: list[Subpacket] = []
    at = 0
    while at < len(data):
        if len(found) == MOST_SUBPACKETS:
            raise refuse(rule, f"more than {MOST_SUBPACKETS} subpackets")
        size, start = _length(data, at, rule)
        if not 0 < size <= len(data) - start:
            raise refuse(rule, "a subpacket is empty or longer than its area")
        at = start + size
        kind = data[start]
        found.append(
            Subpacket(kind & ~CRITICAL_BIT, bool(kind & CRITICAL_BIT), data[start + 1 : at])
        )
    return tuple(found)


def read_mpi(wire: WireReader, rule: str) -> int:
    """Read a multiprecision integer (RFC 9580 3.2), which must have the length that it says."""
    bits = int.from_bytes(wire.take(2), "big")
    number = int.from_bytes(wire.take((bits + 7) // 8), "big")
    if number.bit_length() != bits:
        raise refuse(rule, "a number has another length than it says")
    return number
