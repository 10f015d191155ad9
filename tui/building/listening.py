"""Carrying out what a room says: its standard output into a file, its words to our own.

Decides how much is taken (MED-SIZE) and how long it is waited (ATT-BUILD). The room holds
pipes alone, never our terminal or the file: it cannot read keys, set the terminal or change
what it gave. Its words are shown printable. Refuses to know what is said.
"""

from __future__ import annotations

import codecs
import os
import selectors
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO

from ceremony.errors import MediaTrouble, Trouble, refuse
from ceremony.show import escaped, printable

PIECE = 1 << 18
GRACE = 5.0  # seconds for a process that has closed both pipes to be gone


def carry(process: subprocess.Popen[bytes], output: BinaryIO, most: int, seconds: float) -> int:
    """Return the status of a process with two pipes, when it ended within `seconds`."""
    if process.stdout is None or process.stderr is None:
        raise TypeError("a room is heard through two pipes")
    until = time.monotonic() + seconds
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    said, out, err = 0, process.stdout.fileno(), process.stderr.fileno()
    with selectors.DefaultSelector() as open_pipes:
        for pipe in (out, err):
            os.set_blocking(pipe, False)
            open_pipes.register(pipe, selectors.EVENT_READ)
        ended = False
        while open_pipes.get_map():
            ready = [key.fd for key, _ in open_pipes.select(0 if ended else 0.2)]
            for pipe in ready:
                piece = os.read(pipe, PIECE)
                if not piece:
                    open_pipes.unregister(pipe)
                elif pipe == err:
                    _show(decoder.decode(piece))
                else:
                    said += len(piece)
                    if said > most:
                        raise refuse("MED-SIZE", f"the build gives more than {most:,} bytes")
                    _keep(output, piece)
            if ended and not ready:
                break  # what is gone says no more, whoever still held its pipes
            if time.monotonic() > until:
                raise _too_long(seconds)
            ended = process.poll() is not None
    _show(decoder.decode(b"", final=True))
    try:
        return process.wait(max(GRACE, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _too_long(seconds) from None


def _too_long(seconds: float) -> Trouble:
    return Trouble("ATT-BUILD", f"the command did not end within {seconds:.0f} s")


def _show(text: str) -> None:
    if text:
        sys.stderr.write(printable(text.replace("\r", "\n").replace("\t", " " * 8)))
        sys.stderr.flush()


def _keep(output: BinaryIO, piece: bytes) -> None:
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[output.write(rest) :]
        output.flush()
    except OSError as error:
        text = f"{escaped(tempfile.gettempdir())} (TMPDIR): {error.strerror or error}"
        raise MediaTrouble("MED-WRITE", text) from None
