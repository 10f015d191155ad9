"""Mutations of an image: edits of its fields, flips, cuts, splices and growth.

A `Mutation` is four numbers, so that hypothesis draws and shrinks it fast; what they mean
depends on the image that they are applied to. A value for a field is an edge of the integer
ranges, the field's own value a little off, another field's value, or an offset that matters
in this file: those are the ones that checks get wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

EDGES = (
    *(0, 1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 39, 40, 96, 97, 0x7F, 0x80, 0xFF, 0x10B, 0x20B),
    *(0x1FF, 0x200, 0x1000, 0x7FFF, 0xFFFF, 0x10000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8),
    0xFFFF_FFFF,
)
STEPS = (1, -1, 2, -2, 4, -4, 7, -7, 8, -8, 40, -40, 512, -512, 4096, -4096)
SHORT, LONG = 48, 6000


@dataclass(frozen=True)
class Mutation:
    """What is done, and three numbers that say where and how."""

    kind: str
    a: int
    b: int
    c: int

    def apply(self, image: bytes) -> bytes:
        """Return the changed image; an image that is too short to be changed stays."""
        return KINDS[self.kind](image, self.a, self.b, self.c) if len(image) > 64 else image


@dataclass(frozen=True)
class Place:
    """A field: its offset and its size in bytes."""

    at: int
    size: int


def headers_of(image: bytes) -> tuple[int, int, int, int] | None:
    """Return optional header, certificate directory, section table and count, if readable."""
    (lfanew,) = struct.unpack_from("<I", image, 0x3C)
    if lfanew + 300 > len(image):
        return None
    count, optional_size = struct.unpack_from("<H12xH", image, lfanew + 6)
    optional = lfanew + 24
    fixed = 112 if image[optional : optional + 2] == b"\x0b\x02" else 96
    rows = optional + optional_size
    return optional, optional + fixed + 32, rows, min(count, (len(image) - rows) // 40, 16)


def places(image: bytes) -> list[Place]:
    """Return the fields of headers, section table and certificate table."""
    found = [Place(0x3C, 4), Place(0, 2)]
    read = headers_of(image)
    if read is None:
        return found
    optional, directory, rows, count = read
    found += [Place(optional - 20, 2), Place(optional - 18, 2), Place(optional - 4, 2)]
    found += [Place(optional - 2, 2), Place(optional, 2), Place(optional + 16, 4)]
    found += [Place(optional + at, 4) for at in (32, 36, 56, 60, 64)]
    found += [Place(optional + 68, 2), Place(optional + 70, 2), Place(directory - 36, 4)]
    found += [Place(directory, 4), Place(directory + 4, 4)] * 4
    found += [Place(directory + at, 4) for at in (-16, -12, 8, 12, 16, 20)]
    for row in range(rows, rows + 40 * count, 40):
        found += [Place(row + at, 4) for at in (0, 8, 12, 16, 20, 36)]
    at, size = struct.unpack_from("<II", image, directory)
    while 0 < at < len(image) - 80 and size:
        found += [Place(at, 4), Place(at + 4, 2), Place(at + 6, 2)] * 3
        found += [Place(at + 8 + near, 1) for near in range(70)]
        (length,) = struct.unpack_from("<I", image, at)
        at += max(length + -length % 8, 8)
    return found


def edit(image: bytes, a: int, b: int, c: int) -> bytes:
    """Write a value into a field."""
    fields = [p for p in places(image) if p.at + p.size <= len(image)]
    place = fields[a % len(fields)]
    now = int.from_bytes(image[place.at : place.at + place.size], "little")
    other = fields[c % len(fields)]
    value = (
        EDGES[c % len(EDGES)],
        now + STEPS[c % len(STEPS)],
        int.from_bytes(image[other.at : other.at + other.size], "little"),
        len(image) + STEPS[c % len(STEPS)],
        other.at,
        c,
    )[b % 6]
    octets = (value % (1 << 8 * place.size)).to_bytes(place.size, "little")
    return image[: place.at] + octets + image[place.at + place.size :]


def flip(image: bytes, a: int, b: int, c: int) -> bytes:
    """Change one byte: of the headers, of anything, behind the headers, of the last 2 KiB."""
    end = len(image)
    start, stop = ((0, min(1024, end)), (0, end), (end // 2, end), (max(end - 2048, 0), end))[b % 4]
    at = start + a % (stop - start)
    return image[:at] + bytes([image[at] ^ (1 + c % 255)]) + image[at + 1 :]


def cut(image: bytes, a: int, b: int, c: int) -> bytes:
    """Take bytes away, mostly at the end and few."""
    length = 1 + c % (SHORT if b % 2 else LONG)
    if b % 3:
        return image[: max(len(image) - length, 0)]
    at = a % len(image)
    return image[:at] + image[at + length :]


def grow(image: bytes, a: int, b: int, c: int) -> bytes:
    """Put bytes in, mostly at the end and few: zeros or others."""
    filler = (b"\0", b"\xff", b"MZ", b"\x30\x82")[a % 4] * (1 + c % (SHORT if b % 2 else LONG))
    at = len(image) if b % 3 else a % len(image)
    return image[:at] + filler + image[at:]


def splice(image: bytes, a: int, b: int, c: int) -> bytes:
    """Copy a range of the image over another one, or in between."""
    source, target, length = a % len(image), b % len(image), 1 + c % (SHORT if a % 2 else LONG)
    chunk = image[source : source + length]
    if c % 3:
        return image[:target] + chunk + image[target + len(chunk) :]
    return image[:target] + chunk + image[target:]


def exchange(image: bytes, a: int, b: int, c: int) -> bytes:
    """Exchange two rows of the section table, or copy one over the other."""
    read = headers_of(image)
    if read is None or read[3] < 1:
        return image
    _, _, rows, count = read
    one, other = rows + 40 * (a % count), rows + 40 * (b % count)
    changed = bytearray(image)
    changed[other : other + 40] = image[one : one + 40]
    if c % 2:
        changed[one : one + 40] = image[other : other + 40]
    return bytes(changed)


def retable(image: bytes, a: int, b: int, c: int) -> bytes:
    """Let the certificate table's end, or a whole new table, fit the file as it stands."""
    read = headers_of(image)
    if read is None or read[1] + 8 > len(image):
        return image
    at, size = struct.unpack_from("<II", image, read[1])
    if not size or b % 2:
        at = len(image) - len(image) % 8 - 8 * (a % 200)
    changed = bytearray(image)
    struct.pack_into("<II", changed, read[1], at % (1 << 32), (len(image) - at) % (1 << 32))
    if c % 2 and 0 < at < len(image) - 8:
        struct.pack_into("<IHH", changed, at, len(image) - at - c // 2 % 8, 0x200, 2)
    return bytes(changed)


KINDS: dict[str, Callable[[bytes, int, int, int], bytes]] = {
    "edit": edit,
    "flip": flip,
    "cut": cut,
    "grow": grow,
    "splice": splice,
    "exchange": exchange,
    "retable": retable,
}
WEIGHTS = (*("edit", "flip") * 4, "cut", "grow", "grow", "splice", "exchange", "retable")


def mutate(image: bytes, mutations: tuple[Mutation, ...]) -> bytes:
    """Apply mutations one after the other."""
    for mutation in mutations:
        image = mutation.apply(image)
    return image


mutations = st.builds(
    Mutation,
    kind=st.sampled_from(WEIGHTS),
    a=st.integers(0, 0xFFFF),
    b=st.integers(0, 0xFFFF),
    c=st.one_of(st.integers(0, 63), st.integers(0, 0xFFFF_FFFF)),
)
mutants = st.lists(mutations, min_size=1, max_size=3).map(tuple)
