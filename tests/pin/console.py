"""A console with a person at it: a program on a terminal of its own, typed to key by key.

Everything that ever came to the screen is kept, and the program's memory can be searched.
"""

from __future__ import annotations

import array
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

F9 = b"\x1b[20~"
# The terminal becomes the controlling one, as for a person's shell; then the program begins.
BECOME = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
MOST_SECONDS = 60.0


class Console:
    """One program; a context manager that ends it."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        pass_fds: tuple[int, ...] = (),
        environment: Mapping[str, str] | None = None,
        size: tuple[int, int] = (25, 80),
        before: Callable[[], None] | None = None,
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        base = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", BECOME, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            pass_fds=pass_fds,
            cwd=folder,
            env={**base, **(environment or {})},
            preexec_fn=before,  # noqa: PLW1509 - limits of this process alone
        )
        self._keyboard = os.ttyname(slave)
        os.close(slave)
        self.screen = b""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def listen(self, seconds: float) -> bool:
        """Take what the program writes; False when nothing came."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        try:
            came = os.read(self._master, 65536)
        except OSError:  # the program ended
            return False
        self.screen += came
        return bool(came)

    def wait(self, text: str) -> None:
        """Wait until a text comes to the screen behind the last one waited for."""
        end = time.monotonic() + MOST_SECONDS
        while text not in self.text():
            gone = self.process.poll() is not None
            assert time.monotonic() < end, f"{text!r} never came: {self.text()[-2000:]}"
            if not self.listen(0.2):
                assert not gone, f"ended before {text!r} came: {self.text()[-2000:]}"
        self._read = len(self.screen)

    def text(self) -> str:
        """Return what came since, without the escapes that place and colour it."""
        came = self.screen[self._read :].decode("utf-8", "replace")
        return re.sub(r"\x1b(?:\[[0-9;:?<=>]*[A-Za-z]|[()][A-Z0-9]|[=>78])", "", came)

    def type(self, keys: bytes, pause: float = 0.01) -> None:
        """Type, one key after the other, as hands do."""
        for key in keys:
            os.write(self._master, bytes([key]))
            self.listen(pause)

    def type_apart(self, keys: bytes, pause: float) -> None:
        """Type as slow hands do: no key before the last one was read, however busy the machine.

        Keys that are read together stay in the terminal driver's buffers (THREAT_MODEL.md).
        """
        for key in keys:
            self.type(bytes([key]), pause)
            end = time.monotonic() + MOST_SECONDS
            while self._unread():
                assert time.monotonic() < end, f"keys are not read: {self.text()[-2000:]}"
                self.listen(0.01)

    def _unread(self) -> int:
        waiting = array.array("i", [0])
        keyboard = os.open(self._keyboard, os.O_RDONLY | os.O_NOCTTY)
        try:
            fcntl.ioctl(keyboard, termios.FIONREAD, waiting)
        finally:
            os.close(keyboard)
        return waiting[0]

    def press(self, key: bytes) -> None:
        """Press a function key."""
        os.write(self._master, key)

    def end(self) -> int:
        """Wait for the program's end and return its status."""
        end = time.monotonic() + MOST_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text()[-2000:]
            self.listen(0.1)
        while self.listen(0.05):
            pass
        return self.process.wait()

    def copies(self, needle: bytes) -> list[str]:
        """Return where in the program's writable memory the needle stands."""
        return copies_in(self.process.pid, needle)

    def until_taken(self, needle: bytes) -> int:
        """Wait until what was typed is in the program's memory; return how many times."""
        end = time.monotonic() + 2.0
        while not (found := self.copies(needle)) and time.monotonic() < end:
            self.listen(0.1)
        return len(found)


def copies_in(pid: int, needle: bytes) -> list[str]:
    """Return the places (mapping and offset) of a needle in all readable memory of a process."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *rest = line.split(maxsplit=5)
            if not rights.startswith("rw") or rest[-1:] == ["[vvar]"]:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError):
                continue
            at = data.find(needle)
            while at >= 0:
                found.append(f"{rest[-1] if len(rest) > 3 else 'anonymous'}+{at:#x}")
                at = data.find(needle, at + 1)
    return found


def wide(needle: bytes) -> bytes:
    """Return the text as an interpreter keeps one with a wide character in it."""
    return needle.decode("ascii").encode("utf-32-le")


def stop(pid: int) -> None:
    """Crash a process as a fault in it would."""
    os.kill(pid, signal.SIGSEGV)
