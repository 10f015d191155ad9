"""How the screen ends, on a real pseudo-terminal: well, by a fault, by a signal.

Whatever happens, the terminal is restored, the ceremony's thread is let go, and nothing
that a local variable held is printed.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

CANARY = "canary-7391-PIN"
START = """
import sys
from tui.console import scrub_environment
scrub_environment()
from ceremony.questions import Form, Question
from ceremony.types import Mode
from tui.screen_face import run_full_screen
ASK = Question("open.test", "witness", ("ines",), ("A fact.",), "Type YES", Form.CONFIRM, "YES")
def work(face):
    face.begin(Mode.REHEARSAL)
    return face.answer(ASK)
"""
END = """
try:
    print("RESULT", run_full_screen(work))
except BaseException as error:
    print("RAISED", type(error).__mro__[:3], error)
"""
LEAVE_ALTERNATE = b"\x1b[?1049l"


class Session:
    """A program on a pseudo-terminal of 80x25."""

    def __init__(self, program: str, **environ: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "linux", **environ},
        )  # fmt: skip
        self.output = b""

    def until(self, wanted: bytes, seconds: float = 20) -> None:
        """Read until `wanted` was printed."""
        end = time.monotonic() + seconds
        while wanted not in self.output:
            assert time.monotonic() < end, self.output[-3000:]
            self.read()

    def read(self) -> bool:
        """Take what there is; say whether there was something."""
        if not select.select([self._master], [], [], 0.1)[0]:
            return False
        self.output += os.read(self._master, 65536)
        return True

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def finish(self) -> bytes:
        """Wait for the end; the terminal is as it was before."""
        end = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < end, self.output[-3000:]
            self.read()
        while self.read():  # a terminal gives a few kilobytes at once
            pass
        assert LEAVE_ALTERNATE in self.output
        assert termios.tcgetattr(self._slave) == self.before
        return self.output

    def close(self) -> None:
        """End what is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextmanager
def session(program: str, **environ: str) -> Iterator[Session]:
    running = Session(program, **environ)
    try:
        yield running
    finally:
        running.close()


F9 = b"\x1b[20~"


def test_a_work_that_ends_gives_its_result() -> None:
    with session(START + END) as on:
        on.until(b"Type YES")
        on.type(b"YES")
        time.sleep(0.3)
        on.type(F9)
        assert b"RESULT Answer(person='ines', text='YES')" in on.finish()


def test_keys_from_the_environment_are_not_pressed() -> None:
    with session(START + END, TEXTUAL_PRESS="N,O,f9") as on:
        on.until(b"Type YES")
        on.type(b"YES")
        time.sleep(0.3)
        on.type(F9)
        assert b"RESULT Answer(person='ines', text='YES')" in on.finish()


def test_the_environment_does_not_lie_about_the_size() -> None:
    with session(START + END, COLUMNS="64", LINES="24") as on:
        on.until(b"Type YES")
        on.process.terminate()
        on.finish()


def test_no_mouse_is_asked_for() -> None:
    with session(START + END) as on:
        on.until(b"Type YES")
        for mode in (b"1000", b"1002", b"1003", b"1006"):
            assert b"\x1b[?" + mode + b"h" not in on.output
        on.process.terminate()
        on.finish()


def test_only_the_sixteen_colours_are_used() -> None:
    with session(START + END, COLORTERM="truecolor", TERM="xterm-256color") as on:
        on.until(b"Type YES")
        on.process.terminate()
        output = on.finish()
        assert b"38;2;" not in output
        assert b"48;2;" not in output
        assert b"38;5;" not in output
        assert b"48;5;" not in output


def test_what_the_work_raises_is_raised_after_the_screen_is_restored() -> None:
    program = START + "def work(face):\n    raise KeyError('from the ceremony')\n" + END
    with session(program) as on:
        output = on.finish()
        assert b"KeyError" in output[output.index(LEAVE_ALTERNATE) :]
        assert b"Traceback" not in output


def test_a_fault_of_the_screen_shows_its_type_and_nothing_it_held() -> None:
    program = (
        START
        + f"""
from tui.screens.step import StepScreen
def faulty(self, view):
    if view.wanted:
        pin = bytearray(b"{CANARY}")
        text = "{CANARY}"
        raise ZeroDivisionError("{CANARY}")
    return ()
StepScreen.facts = faulty
"""
        + END
    )
    with session(program) as on:
        output = on.finish()
        ending = output[output.index(LEAVE_ALTERNATE) :]
        assert b"The screen failed (ZeroDivisionError)." in ending
        assert b"the same command" in b" ".join(ending.split())
        assert b"EOFError" in ending
        assert CANARY.encode() not in output
        assert b"Traceback" not in output
        assert b"locals" not in output


def test_a_signal_lets_the_ceremonys_thread_go() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        with session(START + END) as on:
            on.until(b"Type YES")
            on.process.send_signal(number)
            output = on.finish()
            assert f"stopped by {number.name}".encode() in output
            assert b"ScreenGone" in output
            assert on.process.returncode == 0
