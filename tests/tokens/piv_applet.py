"""What a virtual PIV card answers: NIST SP 800-73-4's commands, and Yubico's.

Decides what a card decides: who is verified, which signature needs the PIN anew, how many
tries are left, what it attests. Refuses to know readers. Not a secure card.
Sources: SP 800-73-4 part 2, 3; Yubico's PIV tool on INS F7 to FD.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokens.piv_encoding import PrivateKey, algorithm, entries, padded, public_half, signed, tlv

if TYPE_CHECKING:
    from tokens.piv_attestation import Attester

SELECT, GET_DATA, GET_RESPONSE, VERIFY = 0xA4, 0xCB, 0xC0, 0x20
CHANGE_PIN, RESET_RETRY, AUTHENTICATE = 0x24, 0x2C, 0x87
METADATA, SERIAL, ATTEST, VERSION = 0xF7, 0xF8, 0xF9, 0xFD  # Yubico's

OK, NOT_FOUND, WRONG_DATA, NO_SUCH_INS = 0x9000, 0x6A82, 0x6A80, 0x6D00
NOT_VERIFIED, BLOCKED, TRIES = 0x6982, 0x6983, 0x63C0

PIV = bytes.fromhex("a000000308")
PIV_SELECTED = bytes.fromhex("61114f0600001000010079074f05a000000308")
CERTIFICATES = {0x9A: "5fc105", 0x9C: "5fc10a", 0x9D: "5fc10b", 0x9E: "5fc101", 0xF9: "5fff01"}
DISCOVERY = bytes.fromhex("7e124f0ba0000003080000100001005f2f024000")
FIRMWARE = bytes([5, 4, 3])


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
class PivApplet:
    """A card's keys by slot number (0x9A, 0x9C, ...), its PIN, and its counters.

    `yubikey` answers Yubico's commands too; `garble` flips a bit in each signature.
    """

    keys: Mapping[int, Slot]
    pin: str = "123456"
    puk: str = "12345678"
    yubikey: bool = False
    attester: Attester | None = None
    serial: int = 12345678
    tries_most: int = 3
    garble: bool = False

    def __post_init__(self) -> None:
        self.tries = self.puk_tries = self.tries_most
        self._verified = self._fresh = False

    def power(self) -> None:
        """Forget who was verified, as every loss of power does."""
        self._verified = self._fresh = False

    def done(self, command: Command) -> tuple[bytes, int]:
        """Return the data and the status word that answer a command."""
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
        self._verified = self._fresh = command.data == padded(self.pin)
        self.tries = self.tries_most if self._verified else self.tries - 1
        if self._verified:
            return b"", OK
        return b"", TRIES | self.tries if self.tries else BLOCKED

    def _change(self, command: Command) -> tuple[bytes, int]:
        if self.tries == 0:
            return b"", BLOCKED
        if command.data[:8] != padded(self.pin):
            self.tries -= 1
            return b"", TRIES | self.tries if self.tries else BLOCKED
        self.pin, self.tries = command.data[8:].rstrip(b"\xff").decode(), self.tries_most
        return b"", OK

    def _unblock(self, command: Command) -> tuple[bytes, int]:
        if self.puk_tries == 0:
            return b"", BLOCKED
        if command.data[:8] != padded(self.puk):
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
        signature = bytearray(signed(slot.key, challenge))
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
