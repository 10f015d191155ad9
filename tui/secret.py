"""A secret as it comes in: a line into a bytearray, without echo, never as a str."""

from __future__ import annotations

import os
import resource
import termios
from typing import TextIO

from ceremony.pin_length import MOST_PIN

MOST_SECRET = MOST_PIN  # bytes
MOST_WHOLE = 1024  # bytes; of a secret that another program writes


PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_from_cores() -> None:
    """Let no core of this process be made, not even one that the kernel pipes to a program.

    core(5): "The RLIMIT_CORE limit is not enforced for core dumps that are piped to a program";
    a process that is not dumpable makes none.
    """
    import ctypes  # noqa: PLC0415 - a build that signs with a key file never needs it

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def read_line(reader: int, most: int) -> bytearray:
    """Read bytes up to a newline, unbuffered, so that nothing typed ahead is kept; EOFError."""
    # One buffer of full size: one that grew would leave copies behind where it lay before.
    buffer, length = bytearray(most), 0
    while True:
        byte = os.read(reader, 1)
        if not byte and not length:
            raise EOFError
        if byte in (b"", b"\n", b"\r"):
            line = buffer[:length]
            buffer[:] = bytes(most)
            return line
        if length < most:
            buffer[length] = byte[0]
            length += 1


def read_secret(reader: int, writer: TextIO, prompt: str, most: int = MOST_SECRET) -> bytearray:
    """Ask for a secret on a terminal whose echo is off before the prompt is seen."""
    before = termios.tcgetattr(reader) if os.isatty(reader) else None
    if before:
        quiet = termios.tcgetattr(reader)
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(reader, termios.TCSAFLUSH, quiet)
    try:
        writer.write(prompt)
        writer.flush()
        return read_line(reader, most)
    finally:
        if before:
            termios.tcsetattr(reader, termios.TCSAFLUSH, before)
