"""Unpacking xz in a confined child, from the parent's side: an Unpacker as any other.

Decides when the child is given up: one that ends, hangs or answers what is no answer costs
its archive (MED-SANDBOX) and nothing else. It is not believed in anything: whatever it gives
is hashed and walked here, and counts only under the hash that a builder signed. Refuses to
unpack anything itself.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ceremony.attest.xz import CHUNK, Bytes, Fault, Unfit
from ceremony.errors import Refused, refuse
from ceremony.ingest import sandbox
from ceremony.ingest.sandbox import RULE
from ceremony.ingest.unpacker import END, LENGTH, MORE, READY

SECONDS = 120.0  # for one archive; an image of 1 GiB takes about twenty
SECONDS_OF_ALL = 600.0  # for all archives of one medium
PATIENCE = 20.0  # between two answers, on a busy machine

_FAULTS = {fault.encode("ascii"): fault for fault in Fault}


@dataclass(slots=True)
class Purse:
    """The seconds that the archives of one medium may take together."""

    left: float = field(default_factory=lambda: SECONDS_OF_ALL)

    def unpacker(self) -> XzApart:
        """Begin to unpack one archive; MED-SANDBOX when nothing is left or nothing starts."""
        if self.left <= 0:
            text = f"the archives of this medium take more than {SECONDS_OF_ALL:.0f} s together"
            raise refuse(RULE, text)
        return XzApart(self)


class XzApart:
    """One child and one archive."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self._began = time.monotonic()
        self._deadline = self._began + min(SECONDS, purse.left)
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        for command in sandbox.commands("unpacker", math.ceil(SECONDS)):
            self._process = _started(command)
            with suppress(Refused):  # a kernel or a container that gives no namespaces
                if self._read(len(READY)) == READY:
                    return
            self.release()
        raise refuse(RULE, "the unpacker did not start")

    def unpacked(self, chunk: Bytes) -> Iterator[bytes]:
        """Yield what the child makes of the next bytes."""
        view = memoryview(chunk)
        for start in range(0, len(view), CHUNK):
            if self._ended:
                raise Unfit(Fault.TRAILING)
            part = view[start : start + CHUNK]
            self._write(len(part).to_bytes(LENGTH, "big"))
            self._write(part)
            yield from self._pieces()

    def finish(self) -> None:
        """Refuse unless the stream has ended."""
        if not self._ended:
            raise Unfit(Fault.SHORT)

    def release(self) -> None:
        """End the child and take its seconds from the medium's."""
        process, self._process = self._process, None
        if process is None:
            return
        self._purse.left -= time.monotonic() - self._began
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _pieces(self) -> Iterator[bytes]:
        while size := int.from_bytes(self._read(LENGTH), "big"):
            if size > CHUNK:
                raise refuse(RULE, "the unpacker gave more at once than it may")
            yield self._read(size)
        word = self._read(LENGTH)
        if word in _FAULTS:
            raise Unfit(_FAULTS[word])
        if word not in {MORE, END}:
            raise refuse(RULE, "the unpacker answered what is no answer")
        self._ended = word == END

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = os.read(self._waited(selectors.EVENT_READ), count - len(data))
            if not chunk:
                raise refuse(RULE, "the unpacker ended before it was done")
            data += chunk
        return bytes(data)

    def _write(self, data: Bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._waited(selectors.EVENT_WRITE), rest) :]
            except OSError:  # EPIPE; Python leaves no SIGPIPE
                raise refuse(RULE, "the unpacker ended before it was done") from None

    def _waited(self, event: int) -> int:
        """Return the pipe that is ready, or refuse when it is not in time."""
        process = self._process
        if process is None:
            raise refuse(RULE, "the unpacker is not there any more")
        pipe = process.stdout if event == selectors.EVENT_READ else process.stdin
        if pipe is None:  # pragma: no cover - both were asked for
            raise refuse(RULE, "the unpacker is not there any more")
        left = min(self._deadline - time.monotonic(), PATIENCE)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            if left <= 0 or not selector.select(left):
                raise refuse(RULE, "the unpacker did not answer in time")
        return pipe.fileno()


def _started(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and literals
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=sandbox.ENVIRONMENT,
        start_new_session=True,
        bufsize=0,
    )
    if process.stdin is not None:
        os.set_blocking(process.stdin.fileno(), False)  # so that a child that stops costs no wait
    return process
