"""A child process in which bytes from strangers are read, and what its end means.

Decides how the child is confined and when it is given up: a crash, a hang, too much memory
and an answer that is none are all one refusal (MED-SANDBOX), never a wait without end. The
child is started isolated (-I) with this package's own folder first on its path, in bubblewrap
where that works (no network, no other processes, a read-only view of Python alone), and
confines itself once more (confine.py) before it reads the first byte.

The request is a memory file, its standard input; its standard output is a pipe of JSON
lines: "ready" with what confines it, "at" with the item it begins, "told" with what it found
there, and last the "answer".
"""

from __future__ import annotations

import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ceremony.codec import Json
from ceremony.errors import Refused
from ceremony.show import escaped
from ceremony.types import Finding, Severity

RULE = "MED-SANDBOX"
MOST_LINE, MOST_REPLY = 1 << 16, 1 << 20  # bytes, where the asker knows of no other need
MOST_READY = 1 << 12  # bytes of the first line
MOST_WORDS = 2048  # bytes of a dying child's own words that are looked at
CHUNK = 1 << 16
ENDING = 2.0  # seconds that a child has to end by itself
SEARCH = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/nix/store")

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ceremony.ingest.CHILD import main; main()"
)
_PACKAGE = Path(__file__).resolve().parents[1]

At = Callable[[int], None]
Told = Callable[[int, Json], None]


class Lost(Refused):
    """The child ended without an answer; `at` is the item it had begun, -1 for none."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(Finding(RULE, Severity.REFUSE, text))
        self.at = at


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child answered, and what confined it."""

    value: Json
    confined: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for the whole request, and for each of the child's lines to follow the last.

    Bytes of each line, and of all of them: a line is read as JSON whole, and may become thirty
    times as much in memory. `bundles` has the child load what verifies Sigstore bundles,
    before it confines itself.
    """

    seconds: float
    patience: float
    line: int = MOST_LINE
    reply: int = MOST_REPLY
    bundles: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom each item is told as the child begins it, and what the child found there."""

    at: At = lambda _: None
    told: Told = lambda _at, _value: None


def run(request: bytes, limits: Limits, listener: Listener = Listener()) -> Answer:
    """Return the child's answer to a request; Lost when there is none within the limits."""
    why = ""
    bundles = "bundles" if limits.bundles else "none"
    for command in commands("reader", math.ceil(limits.seconds), bundles):
        try:
            answer = _Child(command, request, listener).answer(limits)
        except _NotStarted as error:  # a kernel or a container that gives no namespaces
            why = str(error)
        else:
            by = ("bubblewrap",) if command[0] != sys.executable else ()
            return replace(answer, confined=(*by, *answer.confined))
    raise Lost(f"the reader did not start: {why}", -1)


def commands(child: str, seconds: int, *words: str) -> tuple[tuple[str, ...], ...]:
    """Return how to start a child, named as its module, confined as well as may be first."""
    start = _START.replace("CHILD", child)
    plain = (sys.executable, "-I", "-c", start, str(_PACKAGE.parent), str(seconds), *words)
    bubblewrap = shutil.which("bwrap", path=SEARCH)
    return (plain,) if bubblewrap is None else (_in_room(bubblewrap, plain), plain)


class _NotStarted(Exception):
    """The child ended before it read anything."""


class _Child:
    """One child and one request."""

    def __init__(self, command: tuple[str, ...], request: bytes, listener: Listener) -> None:
        self._listener = listener
        self._begun = -1
        self._confined: tuple[str, ...] | None = None
        # One thread starts the child and waits for it: PR_SET_PDEATHSIG is of threads.
        with _memory_file(b"") as words, _memory_file(request) as asked:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and literals
                command,
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=words,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
            )
            self._words = os.dup(words.fileno())

    def answer(self, limits: Limits) -> Answer:
        """Read lines until the answer; the child is gone afterwards, whatever happens."""
        try:
            for line in self._lines(limits):
                value = self._line(line)
                if value is not None:
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(ENDING)
                    return value
            raise self._lost(self._ending())
        finally:
            self._end()

    def _line(self, line: bytes) -> Answer | None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            raise self._lost("the reader answered what is no JSON") from None
        match said:
            case {"at": int(item)} if self._confined is not None and item >= 0:
                self._begun = item
                self._listener.at(item)
            case {"told": value} if self._begun >= 0:
                self._listener.told(self._begun, value)
            case {"ready": [*words]} if self._confined is None:
                self._confined = tuple(escaped(str(word)) for word in words)
            case {"answer": value} if self._confined is not None:
                return Answer(value, self._confined)
            case _:
                raise self._lost("the reader said something out of order")
        return None

    def _lines(self, limits: Limits) -> Iterator[bytes]:
        """Yield whole lines; ends where the pipe ends."""
        deadline = time.monotonic() + limits.seconds
        pipe = self._process.stdout
        if pipe is None:  # pragma: no cover - it was asked for
            return
        rest = bytearray()
        total = 0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                left = min(deadline - time.monotonic(), limits.patience)
                if left <= 0 or not selector.select(left):
                    raise self._lost("the reader did not answer in time")
                chunk = os.read(pipe.fileno(), CHUNK)
                if not chunk:
                    return
                total += len(chunk)
                if total > limits.reply:
                    raise self._lost(f"the reader answered more than {limits.reply:,} bytes")
                *lines, last = chunk.split(b"\n")
                for line in lines:
                    rest += line
                    self._check_length(rest, limits)
                    yield bytes(rest)
                    rest.clear()
                rest += last
                self._check_length(rest, limits)

    def _check_length(self, line: bytearray, limits: Limits) -> None:
        most = MOST_READY if self._confined is None else limits.line
        if len(line) > most:
            raise self._lost(f"the reader answered a line of more than {most:,} bytes")

    def _ending(self) -> str:
        try:
            status = self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            return "the reader closed its answer"
        words = os.pread(self._words, MOST_WORDS, 0).decode("utf-8", "replace").strip()
        last = escaped(words.splitlines()[-1]) if words else "no words"
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the reader ended with {how}: {last}"

    def _lost(self, text: str) -> Exception:
        if self._confined is None:
            return _NotStarted(text)
        return Lost(text, self._begun)

    def _end(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._words)


def _memory_file(data: bytes) -> BinaryIO:
    file = os.fdopen(os.memfd_create("reader", os.MFD_CLOEXEC), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _in_room(bubblewrap: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command in bubblewrap: Python and this package are all there is to read."""
    seen = (*SYSTEM, sys.base_prefix, sys.prefix, str(_PACKAGE))
    binds = [word for path in dict.fromkeys(seen) for word in ("--ro-bind-try", path, path)]
    return (
        *(bubblewrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
        *("--cap-drop", "ALL", *binds, "--remount-ro", "/", "--chdir", "/", "--"),
        *command,
    )
