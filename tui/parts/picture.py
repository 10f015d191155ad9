"""A picture of one QR code, from its file to the code's bytes.

Decides whether bytes are a PNG or PGM picture within bounds and turns it into grey pixels;
the code in them is read by another library in a child process. No picture library is needed
for what screenshots and scanners write; interlaced PNG and 16-bit samples are refused.

Source: W3C PNG 3rd edition, 5 (chunks), 9 (filters); Netpbm pgm(5).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from ceremony.errors import refuse
from tui.parts.qr import scan

MOST_FILE = 16 * 2**20
MOST_PIXELS = 1 << 22
MOST_SIDE = 1 << 13
WHITE = 255
RULE = "APP-FILE"

_PNG = b"\x89PNG\r\n\x1a\n"
_PGM = re.compile(rb"P5\s+(?:#[^\n]*\n\s*)*([0-9]{1,5})\s+([0-9]{1,5})\s+255\s", re.ASCII)
_SAID = {  # by the reader's exit status
    3: "pyzbar is not installed",
    4: "libzbar0 is not installed",
    5: "there is not exactly one in it",
}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type: grey, RGB, palette, and with alpha
_PALETTE = 3
_BITS = 8


def read_code(data: bytes) -> bytes:
    """Return the bytes of the one QR code in a picture, or Refused (APP-FILE)."""
    if data.startswith(_PNG):
        pixels, width, height = _png(data)
    elif found := _PGM.match(data):
        width, height = _bounded(int(found[1]), int(found[2]))
        pixels = data[found.end() : found.end() + width * height]
        if len(pixels) != width * height:
            raise refuse(RULE, "the picture ends too early")
    else:
        raise refuse(RULE, "neither an SSH signature nor a PNG or PGM picture")
    status, text = scan(pixels, width, height)
    if status:
        raise refuse(RULE, f"the picture's QR code: {_SAID.get(status, 'the reader failed')}")
    return text


def _bounded(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        raise refuse(RULE, f"the picture is {width} by {height}, over {MOST_PIXELS:,} pixels")
    return width, height


def _png(data: bytes) -> tuple[bytes, int, int]:
    head, palette, packed = b"", b"", b""
    for kind, body in _chunks(data):
        match kind:
            case b"IHDR":
                head = body
            case b"PLTE":
                palette = body
            case b"IDAT":
                packed += body
            case _:
                continue
    if len(head) != 13:  # noqa: PLR2004 - PNG 11.2.1: IHDR has 13 bytes
        raise refuse(RULE, "the PNG has no header")
    width, height, depth, colour, compression, method, interlace = struct.unpack(">IIBBBBB", head)
    _bounded(width, height)
    plain = depth == _BITS or (depth == 1 and colour in (0, _PALETTE))
    if colour not in _SAMPLES or not plain or compression or method or interlace:
        raise refuse(RULE, "a PNG of 8 bits a sample (or black and white), not interlaced, is read")
    samples = _SAMPLES[colour]
    row = (width * samples * depth + 7) // 8
    raw = _inflated(packed, (row + 1) * height)
    grey = _greys(colour, depth, palette)
    pixels = b"".join(
        _row(line, width, samples, depth).translate(grey)
        for line in _unfiltered(raw, row, max(samples * depth // 8, 1))
    )
    return pixels, width, height


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _inflated(packed: bytes, size: int) -> bytes:
    try:
        raw = zlib.decompressobj().decompress(packed, size)
    except zlib.error:
        raise refuse(RULE, "the PNG's pixels cannot be unpacked") from None
    if len(raw) != size:
        raise refuse(RULE, "the PNG ends too early")
    return raw


def _greys(colour: int, depth: int, palette: bytes) -> bytes:
    """Return what each sample's value is as grey: itself, stretched, or of the palette."""
    if colour == _PALETTE:
        shades = [sum(palette[i : i + 3]) // 3 for i in range(0, len(palette) - 2, 3)]
        return bytes([*shades, *[WHITE] * 256][:256])
    return bytes([0, *[WHITE] * 255]) if depth == 1 else bytes(range(256))


def _row(line: bytes, width: int, samples: int, depth: int) -> bytes:
    """Return one sample a pixel; of colours the green one, which is most of what is seen."""
    if depth == 1:
        return bytes(line[x >> 3] >> (7 - (x & 7)) & 1 for x in range(width))
    return bytes(line[1 if samples > 2 else 0 :: samples])  # noqa: PLR2004 - red, green, blue


def _unfiltered(raw: bytes, row: int, step: int) -> Iterator[bytes]:
    """Yield the rows without their filters (PNG 9.2)."""
    above = bytes(row)
    for place in range(0, len(raw), row + 1):
        line = bytearray(raw[place + 1 : place + 1 + row])
        kind = raw[place]
        if kind > 4:  # noqa: PLR2004 - PNG 9.2 has five filters
            raise refuse(RULE, "the PNG has a filter that is not known")
        if kind:
            for x in range(row):
                left = line[x - step] if x >= step else 0
                corner = above[x - step] if x >= step else 0
                line[x] = (line[x] + _predicted(kind, left, above[x], corner)) & WHITE
        above = bytes(line)
        yield above


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    match kind:
        case 1:
            return left
        case 2:
            return up
        case 3:
            return (left + up) // 2
        case _:
            return min((left, up, corner), key=lambda one: abs(left + up - corner - one))
