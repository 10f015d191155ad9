"""A virtual PIV card in a reader: vsmartcard's protocol from a thread, and a hand to pull it.

It counts every command, and can be pulled before it answers any one of them. The reader calls
at `path`, a socket, and is greeted while the card is in it. Keys and certificates are the
test's own. Source: vpcd's wire format, a length in two octets before each message.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from tokens.daemons import short_folder
from tokens.piv_applet import AUTHENTICATE, GET_RESPONSE, OK, VERIFY, Command, PivApplet, Slot
from tokens.piv_encoding import body_of, exactly

__all__ = ["AUTHENTICATE", "VERIFY", "Command", "PivCard", "Slot"]

PLAIN_ATR = bytes.fromhex("3b80800101")
YUBIKEY_ATR = bytes.fromhex("3bfd1300008131fe158073c021c057597562694b657940")
ON_OFF_RESET_ATR = (1, 0, 2, 4)  # vpcd's messages of one byte
_SHORT_MOST = 256
_WAIT = 10.0
_LOOKS_EVERY = 0.5


@dataclass
class PivCard(PivApplet):
    """A card with keys by slot number (0x9A, 0x9C, ...), put into a reader and pulled out.

    `leave` is asked with each command before it is answered; the card is gone where it says
    True. `commands` are those that it answered.
    """

    leave: Callable[[Command], bool] = lambda _: False
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._chained = b""
        self._rest = b""
        self._inserted = self._left = False
        self._open = True
        self._line: socket.socket | None = None
        self._powered, self._missed = threading.Event(), threading.Event()
        self._folder = ExitStack()
        self.path = self._folder.enter_context(short_folder()) / "card"
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self.path))
        self._door.listen()
        self._thread = threading.Thread(target=self._serve, name="piv-card", daemon=True)
        self._thread.start()

    @property
    def verifies(self) -> int:
        """How often a PIN was presented to the card."""
        return sum(command.ins == VERIFY and bool(command.data) for command in self.commands)

    @property
    def signatures(self) -> int:
        """How often the card was asked for a signature."""
        return sum(command.ins == AUTHENTICATE for command in self.commands)

    def insert(self) -> None:
        """Put the card into the reader and wait until it is powered."""
        if self._left:  # no hand is faster than the reader, which looks every 0.4 seconds
            time.sleep(_LOOKS_EVERY)
            self._left = False
        self._powered.clear()
        self._inserted = True
        assert self._powered.wait(_WAIT), "the reader does not power the card"

    def remove(self) -> None:
        """Pull the card and wait until the reader has looked for it in vain."""
        self._gone()
        self.settle()

    def settle(self) -> None:
        """Wait until the reader has looked for a card that is gone."""
        self._missed.clear()
        assert self._missed.wait(_WAIT), "the reader does not look for the card"

    def renew(self) -> None:
        """Put the card in as on its first day: nothing tried, nothing counted."""
        self.tries = self.puk_tries = self.tries_most
        self.leave, self.garble = (lambda _: False), False
        if not self._inserted or self._line is None:
            self.settle()
            self.insert()
        self.commands.clear()

    def end(self) -> None:
        """End the thread; the card cannot be used again."""
        self._open = False
        self._gone()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join(_WAIT)
        self._folder.close()

    def leave_after(self, count: int, ins: int | None = None) -> None:
        """Be pulled when `count` more commands (of one instruction) were answered."""
        left = count

        def leave(command: Command) -> bool:
            nonlocal left
            if ins is not None and command.ins != ins:
                return False
            left -= 1
            return left < 0

        self.leave = leave

    def _gone(self) -> None:
        self._inserted = False
        if (line := self._line) is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while self._open:
            try:
                self._line, _ = self._door.accept()
            except OSError:
                return
            with self._line, suppress(OSError, EOFError):
                if self._inserted:
                    self._line.sendall(b"+")
                    self._converse(self._line)
                else:
                    self._missed.set()
            self._line = None

    def _converse(self, line: socket.socket) -> None:
        """Answer the driver: a length in two octets, then a control octet or an APDU."""
        while self._inserted:
            message = exactly(line, *struct.unpack(">H", exactly(line, 2)))
            if len(message) > 1:
                answer = self._answered(message)
            elif message[0] == ON_OFF_RESET_ATR[3]:
                answer = YUBIKEY_ATR if self.yubikey else PLAIN_ATR
            else:
                self._reset()
                if message[0] == ON_OFF_RESET_ATR[0]:
                    self._powered.set()
                continue
            line.sendall(struct.pack(">H", len(answer)) + answer)

    def _reset(self) -> None:
        self.power()
        self._chained = self._rest = b""

    def _answered(self, apdu: bytes) -> bytes:
        data = body_of(apdu)
        if apdu[0] & 0x10:  # ISO 7816-4, 5.1.1: not the last command of a chain
            self._chained += data
            return struct.pack(">H", OK)
        command = Command(apdu[1], apdu[2], apdu[3], self._chained + data)
        self._chained = b""
        if command.ins == GET_RESPONSE:
            return self._short(self._rest, OK)
        if self.leave(command):
            self._inserted, self._left = False, True
            raise EOFError
        self.commands.append(command)
        return self._short(*self.done(command))

    def _short(self, data: bytes, status: int) -> bytes:
        """Return at most 256 octets; the rest waits for GET RESPONSE."""
        head, self._rest = data[:_SHORT_MOST], data[_SHORT_MOST:]
        if self._rest:
            status = 0x6100 | (len(self._rest) if len(self._rest) < _SHORT_MOST else 0)
        return head + struct.pack(">H", status)
