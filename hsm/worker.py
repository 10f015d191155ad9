"""The child process that alone loads the vendor's module: hardening and the request loop.

One thread, one request at a time: a JSON line on standard input, a JSON line back on an
inherited descriptor. What the module prints goes to a pipe of its own. A PIN comes on a
third pipe, so that no line, log or text buffer ever holds one. Decides nothing about keys;
`hsm.cryptoki`, `hsm.approved` and `hsm.mint` hold what can be asked. Started by `hsm.child`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

Reply = dict[str, object]
Operation = Callable[["Request"], Reply]

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


class Answered(Exception):
    """The token or the rules of this process answered no: rule id, code and a sentence."""

    def __init__(self, rule: str, code: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule
        self.code = code
        self.text = text


class Request:
    """One request: its fields, and the way to the PIN that came with it."""

    def __init__(self, fields: Mapping[str, object], pin_fd: int) -> None:
        self._fields = fields
        self._pin_fd = pin_fd

    def text(self, name: str) -> str:
        """Return a field that must be text."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise TypeError(f"request field {name} must be text")
        return value

    def number(self, name: str) -> int:
        """Return a field that must be a whole number."""
        value = self._fields.get(name)
        if not isinstance(value, int):
            raise TypeError(f"request field {name} must be a number")
        return value

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a field that must be a list of pairs of texts."""
        value = self._fields.get(name)
        if not isinstance(value, list):
            raise TypeError(f"request field {name} must be a list")
        return tuple((str(first), str(second)) for first, second in value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that must be a list of texts."""
        value = self._fields.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise TypeError(f"request field {name} must be a list of texts")
        return tuple(str(one) for one in value)

    def pin(self) -> bytearray:
        """Take the PIN of `length` bytes off its pipe; the caller wipes it."""
        pin = bytearray(self.number("length"))
        rest = memoryview(pin)
        while rest:
            count = os.readv(self._pin_fd, [rest])
            if count == 0:
                raise EOFError("the PIN's pipe is closed")
            rest = rest[count:]
        return pin


def wipe_text(text: str) -> None:
    """Overwrite an ASCII str that this process made and nobody else holds.

    Texts of one character are shared by the interpreter and left alone.
    """
    if text.isascii() and len(text) > 1:
        # The characters are the last len + 1 bytes of a compact ASCII str (PEP 393).
        ctypes.memset(id(text) + sys.getsizeof(text) - len(text) - 1, 0, len(text))


def harden() -> None:
    """Leave no core, no window for a debugger, no child without its parent, no new rights."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in (
        (_PR_SET_DUMPABLE, 0),
        (_PR_SET_PDEATHSIG, int(signal.SIGKILL)),
        (_PR_SET_NO_NEW_PRIVS, 1),
    ):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option} failed")


def main(replies_fd: int, pin_fd: int, desk: str, init_args: str = "") -> NoReturn:
    """Serve one desk ("ceremony", "signing" or "minting") until standard input ends.

    `init_args` is the text that the binding gives the module at C_Initialize.
    """
    harden()
    for descriptor in (replies_fd, pin_fd):
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    operations = _operations(desk, init_args)
    with os.fdopen(replies_fd, "wb", buffering=0) as replies:
        _serve(operations, replies.write, pin_fd)
    # The module's own exit handlers are not run: some hang, and the kernel frees all.
    os._exit(0)


def _operations(desk: str, init_args: str) -> Mapping[str, Operation]:
    if desk == "minting":
        from hsm.mint import Mint  # noqa: PLC0415 - the signing process never loads it

        return Mint(init_args).operations
    if desk == "ceremony":
        from hsm.approved import ApprovedSigning  # noqa: PLC0415 - harden first, then load

        return ApprovedSigning(init_args).operations
    from hsm.cryptoki import Cryptoki  # noqa: PLC0415 - harden first, then load

    return Cryptoki(init_args).operations


def _serve(
    operations: Mapping[str, Operation], write: Callable[[bytes], object], pin_fd: int
) -> None:
    write(b'{"n":0,"ok":{}}\n')
    for line in sys.stdin.buffer:
        fields = json.loads(line)
        reply: dict[str, object] = {"n": fields["n"]}
        try:
            reply["ok"] = operations[fields["op"]](Request(fields, pin_fd))
        except Answered as answered:
            reply["no"] = [answered.rule, answered.code, answered.text]
        write(json.dumps(reply).encode("ascii") + b"\n")
