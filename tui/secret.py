"""A secret as it comes in: a line into a bytearray, without echo, never as a str."""

from __future__ import annotations

import os
import termios
from typing import TextIO

MOST_SECRET = 128  # bytes; what is typed beyond is dropped
MOST_WHOLE = 1024  # bytes; of a secret that another program writes


def read_line(reader: int, most: int) -> bytearray:
    """Read bytes up to a newline, unbuffered, so that nothing typed ahead is kept; EOFError."""
    line = bytearray()
    while True:
        byte = os.read(reader, 1)
        if not byte and not line:
            raise EOFError
        if byte in (b"", b"\n", b"\r"):
            return line
        if len(line) < most:
            line += byte


def read_secret(reader: int, writer: TextIO, prompt: str) -> bytearray:
    """Ask for a secret on a terminal whose echo is off before the prompt is seen."""
    before = termios.tcgetattr(reader) if os.isatty(reader) else None
    if before:
        quiet = termios.tcgetattr(reader)
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(reader, termios.TCSAFLUSH, quiet)
    try:
        writer.write(prompt)
        writer.flush()
        return read_line(reader, MOST_SECRET)
    finally:
        if before:
            termios.tcsetattr(reader, termios.TCSAFLUSH, before)
