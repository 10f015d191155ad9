"""Approvals that come back as a picture of their QR code: what is read, what is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from ctypes.util import find_library

import pytest
from approvals.holders import Holders
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from qrcode.constants import ERROR_CORRECT_L

from ceremony.errors import Refused
from tui.parts import picture, qr

needs_zbar = pytest.mark.skipif(find_library("zbar") is None, reason="libzbar0 is not installed")
SCALE, QUIET = 3, 4
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def grey_of(text: bytes) -> list[bytes]:
    """Return the rows of a code's picture, a byte a pixel."""
    dark, _ = qr.matrix(text, ERROR_CORRECT_L)
    blank = [False] * (len(dark) + 2 * QUIET)
    rows = [[False] * QUIET + list(row) + [False] * QUIET for row in dark]
    rows = [blank] * QUIET + rows + [blank] * QUIET
    return [
        b"".join((b"\0" if module else b"\xff") * SCALE for module in row)
        for row in rows
        for _ in range(SCALE)
    ]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: list[bytes], width: int, colour: int, depth: int = 8, more: bytes = b"") -> bytes:
    """Return a PNG of rows that have their filter byte before them."""
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return SIGNATURE + chunk(b"IHDR", head) + more + body + chunk(b"IEND", b"")


def filtered(rows: list[bytes], kind: int, step: int) -> list[bytes]:
    """Return rows with a filter before and in them (PNG 9.2), by its definition."""
    above = bytes(len(rows[0]))
    made = []
    for row in rows:
        out = bytearray([kind])
        for x, value in enumerate(row):
            a, b = row[x - step] if x >= step else 0, above[x]
            c = above[x - step] if x >= step else 0
            p = a + b - c
            nearest = (
                a
                if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c)
                else (b if abs(p - b) <= abs(p - c) else c)
            )
            out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        made.append(bytes(out))
        above = row
    return made


def as_grey(rows: list[bytes]) -> bytes:
    return png(filtered(rows, 0, 1), len(rows[0]), 0)


def as_rgb(rows: list[bytes], kind: int = 4) -> bytes:
    wide = [bytes(value for value in row for _ in range(3)) for row in rows]
    return png(filtered(wide, kind, 3), len(rows[0]), 2)


def as_rgba(rows: list[bytes]) -> bytes:
    wide = [b"".join(bytes([v, v, v, 9]) for v in row) for row in rows]
    return png(filtered(wide, 1, 4), len(rows[0]), 6)


def as_grey_alpha(rows: list[bytes]) -> bytes:
    wide = [b"".join(bytes([v, 9]) for v in row) for row in rows]
    return png(filtered(wide, 3, 2), len(rows[0]), 4)


def packed(rows: list[bytes]) -> list[bytes]:
    bits = ["".join("1" if value else "0" for value in row) for row in rows]
    whole = [row + "0" * (-len(row) % 8) for row in bits]
    return [int(row, 2).to_bytes(len(row) // 8, "big") for row in whole]


def as_black_and_white(rows: list[bytes]) -> bytes:
    return png(filtered(packed(rows), 2, 1), len(rows[0]), 0, depth=1)


def as_palette(rows: list[bytes]) -> bytes:
    palette = chunk(b"PLTE", b"\0\0\0\xff\xff\xff")
    return png(filtered(packed(rows), 0, 1), len(rows[0]), 3, depth=1, more=palette)


def as_pgm(rows: list[bytes]) -> bytes:
    return b"P5\n# a camera\n%d %d\n255\n" % (len(rows[0]), len(rows)) + b"".join(rows)


@needs_zbar
@accepts("APP-FILE")
@pytest.mark.parametrize(
    "make",
    [as_grey, as_rgb, as_rgba, as_grey_alpha, as_black_and_white, as_palette, as_pgm],
)
def test_a_picture_of_an_approval_is_read(
    holders: Holders, make: Callable[[list[bytes]], bytes]
) -> None:
    approval = holders.sign("ed25519")
    assert picture.read_code(make(grey_of(approval))) == approval


@needs_zbar
def test_the_largest_common_approval_fits_one_code(holders: Holders) -> None:
    approval = holders.sign("rsa3072")
    assert picture.read_code(as_pgm(grey_of(approval))) == approval


ROWS = [b"\xff" * 40] * 40
FAULTS = {
    "nothing": (b"", "neither"),
    "a JPEG": (b"\xff\xd8\xff\xe0", "neither"),
    "no header": (SIGNATURE, "no header"),
    "no pixels": (png([], 40, 0), "0, over"),
    "a bomb": (SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 0, 0, 0, 0)),
               "over 4,194,304 pixels"),
    "cut": (as_grey(ROWS)[:60], "cannot be unpacked|ends too early"),
    "rows missing": (png([*filtered(ROWS, 0, 1)[:-1], b""], 40, 0), "ends too early"),
    "a filter": (png([b"\x07" + row for row in ROWS], 40, 0), "filter"),
    "sixteen bits": (png(ROWS, 20, 0, depth=16), "8 bits"),
    "a PGM cut": (as_pgm(ROWS)[:-1], "ends too early"),
    "a PGM of nothing": (b"P5 0 0 255\n", "over"),
}  # fmt: skip


@refuses("APP-FILE")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_picture_is_refused(fault: str) -> None:
    data, fact = FAULTS[fault]
    with pytest.raises(Refused, match=fact):
        picture.read_code(data)


@needs_zbar
@refuses("APP-FILE")
def test_a_picture_of_no_code_or_of_two_is_refused() -> None:
    one, other = grey_of(b"one" * 9), grey_of(b"two" * 9)
    for rows in (ROWS, [left + right for left, right in zip(one, other, strict=True)]):
        with pytest.raises(Refused, match="not exactly one"):
            picture.read_code(as_pgm(rows))


@given(
    st.binary(max_size=300), st.sampled_from([b"", SIGNATURE, b"P5 9 9 255\n", as_rgb(ROWS)[:90]])
)
def test_no_bytes_do_anything_else_than_being_refused(data: bytes, before: bytes) -> None:
    if picture._PGM.match(before + data):
        data = data[:60]
    with pytest.raises(Refused, match="APP-FILE"):
        picture.read_code(before + data)
