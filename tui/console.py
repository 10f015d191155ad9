"""Whether this terminal can show a ceremony, and which glyphs a QR code may be drawn with.

Decides before Textual is imported, and imports nothing of it: `TEXTUAL_*` variables are
read when Textual is imported, so they are taken away first. A terminal that cannot show
the whole frame is refused with what helps; nothing is drawn half.

Source: linux/kd.h, ioctl GIO_UNIMAP 0x4B66, struct unimapdesc {ushort; struct unipair *};
a descriptor that does not know it is not a Linux console.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import struct
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from enum import StrEnum

from ceremony.errors import CeremonyError

COLUMNS = 80
ROWS = 25
GIO_UNIMAP = 0x4B66
MOST_PAIRS = 65535
UPPER, LOWER, FULL = 0x2580, 0x2584, 0x2588


class UnfitTerminal(CeremonyError):
    """This terminal cannot show the full screen; the text says why and what helps."""


class Blocks(StrEnum):
    """How a QR code's modules are drawn."""

    CELLS = "cells"  # the upper half block in every cell, explicit colours
    HALVES = "halves"  # a Linux console whose font has the half blocks: light ink on black
    FULL = "full"  # the full block, two columns a module
    SPACES = "spaces"  # coloured background, two columns a module


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal: its size in cells, its TERM, whether it is one at all, and its glyphs."""

    columns: int
    rows: int
    term: str
    tty: bool
    encoding: str
    blocks: Blocks


def scrub_environment(environ: MutableMapping[str, str] | None = None) -> None:
    """Remove every TEXTUAL_* variable; to be called before textual is imported.

    COLUMNS and LINES go too: Textual would believe them more than the terminal.
    """
    variables = os.environ if environ is None else environ
    lying = ("COLUMNS", "LINES")
    for name in [name for name in variables if name.startswith("TEXTUAL_") or name in lying]:
        del variables[name]


def probe() -> Terminal:
    """Return what standard input and error (which Textual draws on) are connected to."""
    stream = sys.__stderr__
    if stream is None or sys.__stdin__ is None:
        return Terminal(0, 0, "", tty=False, encoding="", blocks=Blocks.SPACES)
    descriptor = stream.fileno()
    tty = stream.isatty() and sys.__stdin__.isatty()
    size = os.get_terminal_size(descriptor) if tty else os.terminal_size((0, 0))
    points = console_glyphs(descriptor) if tty else None
    encoding = stream.encoding.lower()
    return Terminal(
        size.columns, size.lines, os.environ.get("TERM", ""), tty, encoding, choose_blocks(points)
    )


def require(terminal: Terminal) -> None:
    """Raise UnfitTerminal unless the whole frame can be shown here."""
    if not terminal.tty:
        raise UnfitTerminal(
            "There is no terminal to draw on.\n"
            "Standard input and standard error must both be one.\n"
            "Start in a terminal, or use --plain."
        )
    if terminal.term in ("", "dumb", "unknown"):
        raise UnfitTerminal(
            f'The terminal says it is "{terminal.term}".\n'
            "Such a terminal has no colours and no cursor addressing.\n"
            "Use --plain, or set TERM to what the terminal is."
        )
    if not terminal.encoding.startswith("utf"):
        raise UnfitTerminal(
            f"The terminal's encoding is {terminal.encoding}, not UTF-8.\n"
            "Borders and marks cannot be drawn in it.\n"
            "Use --plain, or a UTF-8 locale such as C.UTF-8."
        )
    if terminal.columns < COLUMNS or terminal.rows < ROWS:
        raise UnfitTerminal(too_small(terminal.columns, terminal.rows))


def too_small(columns: int, rows: int) -> str:
    """Return what to say of a terminal of this size, in three lines."""
    return (
        f"The terminal has {columns} columns and {rows} rows.\n"
        f"The ceremony needs {COLUMNS} columns and {ROWS} rows.\n"
        "Make the window larger; on the console boot with fbcon=font:VGA8x16 or,\n"
        "where the display is wide, fbcon=font:TER16x32. Or use --plain."
    )


def choose_blocks(points: frozenset[int] | None) -> Blocks:
    """Return how to draw, given the code points of the console's font (None: no console)."""
    if points is None:
        return Blocks.CELLS
    if {UPPER, LOWER, FULL} <= points:
        return Blocks.HALVES
    return Blocks.FULL if FULL in points else Blocks.SPACES


def console_glyphs(descriptor: int) -> frozenset[int] | None:
    """Return the code points that the Linux console's font has; None if it is no console."""
    pairs = array.array("H", bytes(4 * MOST_PAIRS))
    address, _ = pairs.buffer_info()
    wanted = bytearray(struct.pack("@HP", MOST_PAIRS, address))
    try:
        fcntl.ioctl(descriptor, GIO_UNIMAP, wanted, True)  # noqa: FBT003 - fcntl's own form
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EBADF):
            return None
        return frozenset()
    count, _ = struct.unpack("@HP", wanted)
    return frozenset(pairs[0 : 2 * count : 2])
