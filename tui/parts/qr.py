"""The QR code of the checkpoint: made, laid out in cells, and read back from those cells.

Decides level and quiet zone by what fits, and never draws a code that is cut. What is read
back is the picture of the very cells that are drawn, by another library in a child process
(pyzbar can crash, and its system library may be missing: then that is said).

Source: ISO/IEC 18004; measured rules for terminals: the upper half block in every cell
with explicit colours survives line gaps; on the console light modules are bright ink.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import qrcode
from qrcode.constants import ERROR_CORRECT_L, ERROR_CORRECT_M

from tui.console import Blocks

QUIET_WANTED = 4  # modules, ISO/IEC 18004 5.3.8; less only where the screen has no room
QUIET_LEAST = 1
CELL_WIDTH, CELL_HEIGHT = 4, 8  # pixels a cell has in the picture that is read back
READER = Path(__file__).with_name("qr_reader.py")
READER_SECONDS = 20
NO_ANSWER = -1
SAID = {  # by the reader's exit status
    0: "read back: equal",
    3: "not read back: pyzbar is not installed",
    4: "not read back: libzbar0 is not installed",
    5: "NOT READABLE: do not use this code",
    NO_ANSWER: "not read back: the reader did not answer",
}

Matrix: TypeAlias = tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its glyph, and whether ink and ground are light."""

    glyph: str
    ink: bool
    ground: bool


Cells: TypeAlias = tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A code as it is drawn (no cells where it does not fit), and what reading it back said."""

    text: bytes
    cells: Cells
    version: int
    equal: bool
    said: str


def make(text: bytes, columns: int, rows: int, blocks: Blocks) -> Code:
    """Return the code of `text` for a space of that many cells, read back."""
    for quiet in range(QUIET_WANTED, QUIET_LEAST - 1, -1):
        for level in (ERROR_CORRECT_M, ERROR_CORRECT_L):
            dark, version = matrix(text, level)
            cells = lay_out(dark, quiet, blocks)
            if len(cells) <= rows and len(cells[0]) <= columns:
                equal, said = read_back(cells, text)
                return Code(text, cells, version, equal, said)
    return Code(text, (), 0, equal=False, said="not drawn: it does not fit this screen")


def matrix(text: bytes, level: int) -> tuple[Matrix, int]:
    """Return the modules (True is dark) without quiet zone, and the version."""
    code = qrcode.QRCode(error_correction=level, border=0)
    code.add_data(text, optimize=0)
    code.make(fit=True)
    return tuple(tuple(bool(module) for module in row) for row in code.modules), code.version


def lay_out(dark: Matrix, quiet: int, blocks: Blocks) -> Cells:
    """Return the cells that show `dark` with `quiet` light modules around it."""
    side = len(dark) + 2 * quiet
    light = [[True] * side for _ in range(side)]
    for y, row in enumerate(dark):
        for x, module in enumerate(row):
            light[y + quiet][x + quiet] = not module
    if blocks in (Blocks.FULL, Blocks.SPACES):
        return tuple(
            tuple(_wide(module, blocks) for module in row for _ in range(2)) for row in light
        )
    if side % 2:
        light.append([False] * side)
    return tuple(
        tuple(_half(top, bottom, blocks) for top, bottom in zip(upper, lower, strict=True))
        for upper, lower in zip(light[0::2], light[1::2], strict=True)
    )


def _half(top: bool, bottom: bool, blocks: Blocks) -> Cell:  # noqa: FBT001 - two modules
    if blocks is Blocks.CELLS:
        return Cell("▀", top, bottom)
    glyph = {(True, True): "█", (True, False): "▀", (False, True): "▄"}.get((top, bottom), " ")
    return Cell(glyph, ink=True, ground=False)


def _wide(light: bool, blocks: Blocks) -> Cell:  # noqa: FBT001 - one module
    if blocks is Blocks.FULL:
        return Cell("█" if light else " ", ink=True, ground=False)
    return Cell(" ", ink=False, ground=light)


def picture(cells: Cells) -> tuple[bytes, int, int]:
    """Return the cells as 8-bit grey pixels, width and height."""
    pixels = bytearray()
    for row in cells:
        for glyphs in ("▀█", "▄█"):
            line = b"".join(
                (b"\xff" if (cell.ink if cell.glyph in glyphs else cell.ground) else b"\x00")
                * CELL_WIDTH
                for cell in row
            )
            pixels += line * (CELL_HEIGHT // 2)
    return bytes(pixels), len(cells[0]) * CELL_WIDTH, len(cells) * CELL_HEIGHT


def read_back(cells: Cells, text: bytes) -> tuple[bool, str]:
    """Return whether another library reads `text` out of the drawn cells, in words."""
    status, read = scan(*picture(cells))
    if status == 0:
        equal = read == text
        return equal, SAID[0] if equal else "READ BACK DIFFERENTLY: do not use this code"
    return False, SAID.get(status, "not read back: the reader failed")


def scan(pixels: bytes, width: int, height: int) -> tuple[int, bytes]:
    """Return the reader's exit status (see SAID) and the bytes of the one code it found."""
    try:
        done = subprocess.run(  # noqa: S603 - our own file, this interpreter
            [sys.executable, "-I", str(READER), str(width), str(height)],
            input=pixels,
            capture_output=True,
            timeout=READER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return NO_ANSWER, b""
    return done.returncode, done.stdout
