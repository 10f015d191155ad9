"""A virtual PIV card: NIST SP 800-73-4's commands over vsmartcard's protocol, from a thread.

Decides what a card decides: who is verified, which signature needs the PIN anew, how many
tries are left, what it attests. It counts every command, and can be pulled before it answers
any one of them. The reader calls at `path`, a socket, and is greeted while the card is in it.
Keys and certificates are the test's own. Not a secure card.
Sources: SP 800-73-4 part 2; Yubico's PIV tool on INS F7 to FD; vpcd's wire format.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from tokens.piv_attestation import Attester

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

SELECT, GET_DATA, GET_RESPONSE, VERIFY = 0xA4, 0xCB, 0xC0, 0x20
CHANGE_PIN, RESET_RETRY, AUTHENTICATE = 0x24, 0x2C, 0x87
METADATA, SERIAL, ATTEST, VERSION = 0xF7, 0xF8, 0xF9, 0xFD  # Yubico's

OK, NOT_FOUND, WRONG_DATA, NO_SUCH_INS = 0x9000, 0x6A82, 0x6A80, 0x6D00
NOT_VERIFIED, BLOCKED, TRIES = 0x6982, 0x6983, 0x63C0

PIV = bytes.fromhex("a000000308")
PIV_SELECTED = bytes.fromhex("61114f0600001000010079074f05a000000308")
CERTIFICATES = {0x9A: "5fc105", 0x9C: "5fc10a", 0x9D: "5fc10b", 0x9E: "5fc101", 0xF9: "5fff01"}
DISCOVERY = bytes.fromhex("7e124f0ba0000003080000100001005f2f024000")
PLAIN_ATR = bytes.fromhex("3b80800101")
YUBIKEY_ATR = bytes.fromhex("3bfd1300008131fe158073c021c057597562694b657940")
FIRMWARE = bytes([5, 4, 3])
_SHORT_MOST = 256
_WAIT = 10.0
_LOOKS_EVERY = 0.5

ON_OFF_RESET_ATR = (1, 0, 2, 4)  # vpcd's messages of one byte


@dataclass(frozen=True)
class Slot:
    """A key and its certificate (DER); `always` asks for the PIN before each signature."""

    key: PrivateKey
    certificate: bytes
    always: bool = False


@dataclass(frozen=True)
class Command:
    """One command APDU as it arrived, chained parts put together."""

    ins: int
    p1: int
    p2: int
    data: bytes


@dataclass
class PivCard:
    """A card with keys by slot number (0x9A, 0x9C, ...), put into a reader and pulled out.

    `yubikey` answers Yubico's commands too. `leave` is asked with each command before it is
    answered; the card is gone where it says True. `garble` flips a bit in each signature.
    """

    keys: Mapping[int, Slot]
    pin: str = "123456"
    puk: str = "12345678"
    yubikey: bool = False
    attester: Attester | None = None
    serial: int = 12345678
    tries_most: int = 3
    garble: bool = False
    leave: Callable[[Command], bool] = lambda _: False
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tries = self.puk_tries = self.tries_most
        self._verified = self._fresh = False
        self._chained = b""
        self._rest = b""
        self._inserted = self._left = False
        self._open = True
        self._line: socket.socket | None = None
        self._powered, self._missed = threading.Event(), threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="piv-")  # a socket's path is short
        self.path = Path(self._folder.name) / "card"
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
        self._folder.cleanup()

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
            message = _exactly(line, *struct.unpack(">H", _exactly(line, 2)))
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
        self._verified = self._fresh = False
        self._chained = self._rest = b""

    def _answered(self, apdu: bytes) -> bytes:
        data = _body(apdu)
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
        return self._short(*self._done(command))

    def _short(self, data: bytes, status: int) -> bytes:
        """Return at most 256 octets; the rest waits for GET RESPONSE."""
        head, self._rest = data[:_SHORT_MOST], data[_SHORT_MOST:]
        if self._rest:
            status = 0x6100 | (len(self._rest) if len(self._rest) < _SHORT_MOST else 0)
        return head + struct.pack(">H", status)

    def _done(self, command: Command) -> tuple[bytes, int]:
        known: dict[int, Callable[[Command], tuple[bytes, int]]] = {
            SELECT: self._select,
            GET_DATA: self._get_data,
            VERIFY: self._verify,
            CHANGE_PIN: self._change,
            RESET_RETRY: self._unblock,
            AUTHENTICATE: self._sign,
        }
        if self.yubikey:
            known |= {
                METADATA: self._metadata,
                ATTEST: self._attest,
                SERIAL: lambda _: (self.serial.to_bytes(4, "big"), OK),
                VERSION: lambda _: (FIRMWARE, OK),
            }
        fresh, self._fresh = self._fresh, False
        if command.ins == AUTHENTICATE:
            self._fresh = fresh
        act = known.get(command.ins)
        return act(command) if act else (b"", NO_SUCH_INS)

    def _select(self, command: Command) -> tuple[bytes, int]:
        if not command.data.startswith(PIV):
            return b"", NOT_FOUND
        if self.yubikey:
            self._verified = False
        return PIV_SELECTED, OK

    def _get_data(self, command: Command) -> tuple[bytes, int]:
        tag = command.data[2:].hex()
        if tag == "7e":
            return DISCOVERY, OK
        if tag == "5fc102":
            guid = hashlib.sha256(self.serial.to_bytes(4, "big")).digest()[:16]
            holder = tlv(0x30, bytes(25)) + tlv(0x34, guid) + tlv(0x35, b"20991231")
            return tlv(0x53, holder + tlv(0x3E, b"") + tlv(0xFE, b"")), OK
        for number, own in CERTIFICATES.items():
            if tag == own and (der := self._certificate(number)):
                return tlv(0x53, tlv(0x70, der) + tlv(0x71, b"\0") + tlv(0xFE, b"")), OK
        return b"", NOT_FOUND

    def _certificate(self, number: int) -> bytes:
        if number == 0xF9:
            return self.attester.certificate if self.attester and self.yubikey else b""
        return self.keys[number].certificate if number in self.keys else b""

    def _verify(self, command: Command) -> tuple[bytes, int]:
        if self.tries == 0:
            return b"", BLOCKED
        if not command.data:
            return b"", OK if self._verified else TRIES | self.tries
        if len(command.data) != 8:
            return b"", WRONG_DATA
        self._verified = self._fresh = command.data == _padded(self.pin)
        self.tries = self.tries_most if self._verified else self.tries - 1
        if self._verified:
            return b"", OK
        return b"", TRIES | self.tries if self.tries else BLOCKED

    def _change(self, command: Command) -> tuple[bytes, int]:
        if self.tries == 0:
            return b"", BLOCKED
        if command.data[:8] != _padded(self.pin):
            self.tries -= 1
            return b"", TRIES | self.tries if self.tries else BLOCKED
        self.pin, self.tries = command.data[8:].rstrip(b"\xff").decode(), self.tries_most
        return b"", OK

    def _unblock(self, command: Command) -> tuple[bytes, int]:
        if self.puk_tries == 0:
            return b"", BLOCKED
        if command.data[:8] != _padded(self.puk):
            self.puk_tries -= 1
            return b"", TRIES | self.puk_tries if self.puk_tries else BLOCKED
        self.pin = command.data[8:].rstrip(b"\xff").decode()
        self.tries = self.puk_tries = self.tries_most
        return b"", OK

    def _sign(self, command: Command) -> tuple[bytes, int]:
        slot = self.keys.get(command.p2)
        if slot is None:
            return b"", WRONG_DATA
        if not (self._fresh if slot.always else self._verified):
            return b"", NOT_VERIFIED
        self._fresh = False
        challenge = dict(entries(dict(entries(command.data))[0x7C]))[0x81]
        signature = bytearray(_signed(slot.key, challenge))
        if self.garble:
            signature[-1] ^= 1
        return tlv(0x7C, tlv(0x82, bytes(signature))), OK

    def _metadata(self, command: Command) -> tuple[bytes, int]:
        if command.p2 == 0x80:
            counted = bytes([self.tries_most, self.tries])
            return tlv(1, b"\xff") + tlv(5, b"\0") + tlv(6, counted), OK
        slot = self.keys.get(command.p2)
        if slot is None:
            return b"", NOT_FOUND
        policy = bytes([3 if slot.always else 2, 1])
        facts = tlv(1, algorithm(slot.key)) + tlv(2, policy) + tlv(3, b"\1")
        return facts + tlv(4, public_half(slot.key)), OK

    def _attest(self, command: Command) -> tuple[bytes, int]:
        slot = self.keys.get(command.p1)
        if slot is None or self.attester is None:
            return b"", WRONG_DATA
        policy = bytes([3 if slot.always else 2, 1])
        key = slot.key.public_key()
        return self.attester.attest(key, command.p1, policy, FIRMWARE, self.serial), OK


def tlv(tag: int, value: bytes) -> bytes:
    """Return one BER-TLV with a tag of one octet."""
    size = len(value)
    long = b"" if size < 0x80 else (b"\x81" if size < 0x100 else b"\x82")
    return bytes([tag]) + long + size.to_bytes(2 if size > 0xFF else 1, "big") + value


def entries(data: bytes) -> list[tuple[int, bytes]]:
    """Return (tag, value) of each BER-TLV with a tag of one octet."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size > 0x80:
            size, at = int.from_bytes(data[at : at + size - 0x80], "big"), at + size - 0x80
        found.append((tag, data[at : at + size]))
        at += size
    return found


def algorithm(key: PrivateKey) -> bytes:
    """Return PIV's algorithm identifier (SP 800-78-4, table 6-2)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return b"\x07" if key.key_size == 2048 else b"\x06"
    return b"\x11" if key.key_size == 256 else b"\x14"


def public_half(key: PrivateKey) -> bytes:
    """Return the public key as GENERATE ASYMMETRIC KEY PAIR answers it, without 7F49."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return tlv(0x81, numbers.n.to_bytes(key.key_size // 8, "big")) + tlv(0x82, b"\1\0\1")
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return tlv(0x86, point)


def _signed(key: PrivateKey, data: bytes) -> bytes:
    """Apply the key: RSA to a block that the host padded, ECDSA to a digest."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        n = numbers.public_numbers.n
        # Garner's way with the two primes, four times as fast as one exponentiation.
        block, p, q = int.from_bytes(data, "big"), numbers.p, numbers.q
        one, two = pow(block, numbers.dmp1, p), pow(block, numbers.dmq1, q)
        return (two + q * (numbers.iqmp * (one - two) % p)).to_bytes((n.bit_length() + 7) // 8)
    digest = {32: hashes.SHA256(), 48: hashes.SHA384()}[len(data)]
    return key.sign(data, ec.ECDSA(utils.Prehashed(digest)))


def _padded(pin: str) -> bytes:
    return pin.encode().ljust(8, b"\xff")


def _body(apdu: bytes) -> bytes:
    """Return the data of a short or an extended command APDU (ISO 7816-4, 5.1)."""
    if len(apdu) <= 5:
        return b""
    if apdu[4] == 0 and len(apdu) > 7:
        return apdu[7 : 7 + int.from_bytes(apdu[5:7], "big")]
    return apdu[5 : 5 + apdu[4]]


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := line.recv(count - len(data))):
            raise EOFError
        data += more
    return data
