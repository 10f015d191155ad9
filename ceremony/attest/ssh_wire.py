"""The wire types of RFC 4251 section 5: uint32, uint64, string, mpint.

Decides whether bytes are exactly such a sequence. Refuses to know what they mean.
"""

from __future__ import annotations

from ceremony.errors import refuse

MOST_STRING_BYTES = 1 << 20
UINT32_BYTES = 4
UINT64_BYTES = 8
HIGH_BIT = 0x80


class WireReader:
    """Reads one blob from its start to exactly its end; any fault refuses under `rule`."""

    def __init__(self, data: bytes, rule: str) -> None:
        self._data = data
        self._rule = rule
        self._at = 0

    @property
    def at(self) -> int:
        """Return how many bytes have been read."""
        return self._at

    @property
    def more(self) -> bool:
        """Say whether bytes are left."""
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        at = self._at
        end = self._at = at + count
        if end > len(self._data):
            self._at = at
            raise refuse(self._rule, f"the blob ends {count} bytes too early", at)
        return self._data[at:end]

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]

    def uint32(self) -> int:
        """Return the next four bytes as a big-endian number."""
        return int.from_bytes(self.take(UINT32_BYTES), "big")

    def uint64(self) -> int:
        """Return the next eight bytes as a big-endian number."""
        return int.from_bytes(self.take(UINT64_BYTES), "big")

    def string(self) -> bytes:
        """Return the next length-prefixed string."""
        count = int.from_bytes(self.take(UINT32_BYTES), "big")
        if count > MOST_STRING_BYTES:
            raise refuse(
                self._rule, f"a string of {count} bytes, the cap is {MOST_STRING_BYTES}", self._at
            )
        return self.take(count)

    def name(self) -> str:
        """Return the next string as printable ASCII."""
        raw = self.string()
        if raw.isascii() and (name := raw.decode("ascii")).isprintable():
            return name
        raise refuse(self._rule, "a name in the blob is not printable ASCII", self._at)

    def mpint(self) -> int:
        """Return the next mpint, which must be positive and in its shortest form."""
        raw = self.string()
        # RFC 4251 5: "Unnecessary leading bytes with the value 0 or 255 MUST NOT be included."
        if not raw or raw[0] & HIGH_BIT or (raw[0] == 0 and not (raw[1:] and raw[1] & HIGH_BIT)):
            raise refuse(self._rule, "a number is negative, zero or not in shortest form", self._at)
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        """Refuse bytes after the last field."""
        if self._at != len(self._data):
            left = len(self._data) - self._at
            raise refuse(self._rule, f"{left} bytes stand after the last field", self._at)


def uint32(number: int) -> bytes:
    """Return `number` as four big-endian bytes."""
    return number.to_bytes(UINT32_BYTES, "big")


def string(data: bytes) -> bytes:
    """Return `data` as a length-prefixed string."""
    return uint32(len(data)) + data


def mpint(number: int) -> bytes:
    """Return a positive number as mpint in shortest form."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
