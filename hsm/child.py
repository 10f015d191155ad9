"""The parent's side of the child process: start it, ask with a time limit, end it.

Decides what a crash, a hang and garbage are: `ChildLost`, after which the process is gone
and whatever it was doing has an unknown outcome. A plain no is `TokenRefused`. It refuses
to know what is asked. Nothing is retried here.

The child is started isolated (-I) with this package's own folder put first on its path, so
that it finds the same `hsm` from a wheel and from a checkout and nothing in the working
folder; it gets the binding's environment and no other.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

from ceremony.errors import TokenTrouble
from ceremony.show import escaped
from hsm.binding import Binding
from hsm.hidden import explained
from hsm.sandbox import PROGRAM, confined, ending_of

REPLY_MOST_BYTES = 1024 * 1024
CHATTER_KEPT_BYTES = 2048
_CLOSE_SECONDS = 2.0
NO_PAPER = -1

# Only the ceremony's desk asks for approvals; the others serve commands outside of ceremonies.
Desk = Literal["ceremony", "signing", "minting", "dealing"]

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from hsm.worker import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6])"
)
_FOLDER = str(Path(__file__).resolve().parent.parent)

# PR_SET_PDEATHSIG ends a child with the *thread* that started it, so one thread that lives as
# long as this process starts every child; the thread of a screen's worker would end early.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="token-starter")


class ChildLost(TokenTrouble):
    """The process crashed, hung or talked garbage; it is gone, the outcome unknown."""


class TokenRefused(TokenTrouble):
    """The token answered no, with a code in PKCS#11's names."""

    def __init__(self, rule: str, code: str, text: str) -> None:
        super().__init__(rule, text)
        self.code = code


def _needed(binding: Binding) -> tuple[Path, ...]:
    """Return what the process cannot do without: these packages, and the module's folder."""
    return Path(_FOLDER), binding.module.parent


class Child:
    """One child process with one module; usable until the first `ChildLost`."""

    def __init__(self, desk: Desk, binding: Binding, paper: int = NO_PAPER) -> None:
        """`paper` is a descriptor that the "dealing" desk alone writes shares to."""
        self._number = 0
        self._binding = binding
        self._reply = b""
        self._pin_was_sent = False
        self._chatter = b""
        self._chatter_bytes = 0
        replies, child_replies = os.pipe()
        child_pin, pin = os.pipe()
        chatter, child_chatter = os.pipe()
        self._replies, self._pin, self._noise = replies, pin, chatter
        arguments = (
            _FOLDER,
            str(child_replies),
            str(child_pin),
            desk,
            str(paper),
            binding.init_args,
        )
        passed = (child_replies, child_pin, *((paper,) if paper != NO_PAPER else ()))
        command: tuple[str, ...] = (sys.executable, "-I", "-c", _START, *arguments)

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and literals
                command,
                stdin=subprocess.PIPE,
                stdout=child_chatter,
                stderr=child_chatter,
                pass_fds=passed,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", **dict(binding.environment)},
                # A Ctrl-C meant for the ceremony must not reach a token in the middle of C_Sign.
                start_new_session=True,
            )

        try:
            if binding.sandbox is not None:
                command = confined(command, binding.sandbox, _needed(binding))
            self._process = _STARTER.submit(start).result()
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        except TokenTrouble:
            for descriptor in (replies, pin, chatter):
                os.close(descriptor)
            raise
        except OSError as error:
            for descriptor in (replies, pin, chatter):
                os.close(descriptor)
            raise ChildLost("KEY-CHILD", f"no process: {error.strerror}") from None
        finally:
            for descriptor in (child_replies, child_pin, child_chatter):
                os.close(descriptor)
        try:
            self._receive(binding.limits.start)
        except ChildLost as lost:
            raise self._unstarted(lost) from None

    @property
    def pid(self) -> int:
        """The process number, for tests and the record."""
        return self._process.pid

    @property
    def chatter(self) -> str:
        """What the module printed before a PIN was sent, escaped; afterwards only its size."""
        if self._pin_was_sent:
            return f"{self._chatter_bytes} bytes, not kept since a PIN was sent"
        return escaped(self._chatter.decode("utf-8", "replace").strip())

    def ask(self, op: str, limit: float, **fields: object) -> dict[str, object]:
        """Send one request and return its reply within `limit` seconds.

        Raises `TokenRefused` on a no, `ChildLost` when the process did not answer it.
        """
        self._number += 1
        line = json.dumps({"n": self._number, "op": op, **fields}).encode("ascii") + b"\n"
        self._send(line, time.monotonic() + limit)
        try:
            return self._receive(limit)
        except TokenRefused as no:
            binding = self._binding
            rule, text = explained(op, no.rule, no.text, binding, _needed(binding))
            raise TokenRefused(rule, no.code, text) from None

    def _send(self, line: bytes, end: float) -> None:
        """Write a request; one with a policy in it is longer than a pipe holds."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise ChildLost("KEY-CHILD", "the process was ended before")
        room = select.poll()
        room.register(stdin, select.POLLOUT)
        rest = memoryview(line)
        try:
            while rest:
                if not room.poll(max(end - time.monotonic(), 0) * 1000):
                    self._lost("it does not take its request")
                rest = rest[os.write(stdin.fileno(), rest) :]
        except OSError:
            self._lost(self._ending())

    def send_pin(self, pin: bytearray) -> int:
        """Put a PIN or a part of one, at most 1 KiB, on its pipe; the next request takes it.

        It is overwritten here at once: people may be asked for another before the reply comes.
        Returns how many bytes it had.
        """
        self._pin_was_sent = True
        self._chatter = b""
        with suppress(OSError):  # a dead child is noticed by the request that follows
            os.write(self._pin, pin)
        length = len(pin)
        pin[:] = bytes(length)
        return length

    def _unstarted(self, lost: ChildLost) -> TokenTrouble:
        """Return why there is no process: bubblewrap itself says what it may not do."""
        said = self._chatter.decode("utf-8", "replace")
        if self._binding.sandbox is None or not said.startswith(f"{PROGRAM}: "):
            return lost
        return TokenTrouble("KEY-SANDBOX", escaped(said.strip()))

    def close(self) -> None:
        """Let the process end by itself, then end it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):
                self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process now and free its pipes; may be called again."""
        if self._process.stdin is None or self._replies < 0:
            return
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()
        for descriptor in (self._replies, self._pin, self._noise):
            os.close(descriptor)
        self._replies = -1

    def _receive(self, limit: float) -> dict[str, object]:
        line = self._line(limit)
        try:
            reply = json.loads(line)
            if reply["n"] != self._number:
                self._lost("it answered another request")
            if "no" not in reply and isinstance(reply["ok"], dict):
                return reply["ok"]
            rule, code, text = reply["no"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self._lost("its answer cannot be read")
        raise TokenRefused(escaped(str(rule)), escaped(str(code)), escaped(str(text)))

    def _line(self, limit: float) -> bytes:
        """Wait for one whole line, reading away what the module prints meanwhile."""
        end = time.monotonic() + limit
        waiting = select.poll()
        alive = os.pidfd_open(self._process.pid)
        try:
            for descriptor in (self._replies, self._noise, alive):
                waiting.register(descriptor, select.POLLIN)
            while b"\n" not in self._reply:
                left = end - time.monotonic()
                ready = {number for number, _ in waiting.poll(max(left, 0) * 1000)}
                if self._noise in ready and not self._listen():
                    waiting.unregister(self._noise)
                if self._replies in ready:
                    if not (more := os.read(self._replies, 65536)):
                        self._lost(self._ending())
                    self._reply += more
                elif alive in ready:
                    # A process that the module forked may hold the pipes open for ever.
                    self._lost(self._ending())
                elif left <= 0:
                    self._lost(f"no answer within {limit:g} seconds")
                if len(self._reply) > REPLY_MOST_BYTES:
                    self._lost(f"its answer is over {REPLY_MOST_BYTES} bytes")
        finally:
            os.close(alive)
        line, _, self._reply = self._reply.partition(b"\n")
        return line

    def _listen(self) -> bool:
        heard = os.read(self._noise, 65536)
        self._chatter_bytes += len(heard)
        if not self._pin_was_sent:
            self._chatter = (self._chatter + heard)[-CHATTER_KEPT_BYTES:]
        return bool(heard)

    def _ending(self) -> str:
        """Say how the process ended; one that only closed its pipes is ended here."""
        try:
            code = self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its pipes"
        if self._binding.sandbox is not None:
            code = ending_of(code)
        if code < 0:
            return f"it crashed ({signal.Signals(-code).name})"
        return f"it ended by itself (status {code})"

    def _lost(self, how: str) -> NoReturn:
        self.kill()
        raise ChildLost("KEY-CHILD", f"the process with the token's module was lost: {how}")
