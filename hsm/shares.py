"""A PIN as SLIP-39 shares: words to a share, shares to a PIN, and a new PIN to shares.

Decides how a PIN lies in the master secret (docs/spec/pin.md) and which shares belong
together. The arithmetic is the package `shamir-mnemonic`'s (the extra `slip39`), which is
loaded here alone and in the token's process alone. Its own messages are never passed on:
they quote words of a share. It refuses to know people and tokens.
"""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Sequence
from typing import Any

from hsm.worker import Answered

PACKAGE = "shamir-mnemonic"
SHORT_SECRET, LONG_SECRET = 16, 32  # bytes: 20 and 33 words a share
MOST_PIN = LONG_SECRET - 1
LEAST_PREFIX = 4  # SLIP-39: "the first four letters of a word are unique"
_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x20, 0x7E
# 32 characters that are not mistaken for each other on paper: no i, l, o, u, 0, 1 twice.
ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"


def package() -> Any:  # noqa: ANN401 - a package without types of its own
    """Return the package, or raise Answered KEY-PIN-SLIP39 that says what to install."""
    try:
        return importlib.import_module("shamir_mnemonic")
    except ImportError:
        text = f"SLIP-39 shares need the package {PACKAGE} (requirements/slip39.lock)"
        raise Answered("KEY-PIN-SLIP39", "not-installed", text) from None


def why_not(typed: bytearray, before: Sequence[bytearray], needed: int) -> str:
    """Return why what was typed is no next share of the set, "" where it is."""
    share = _share(typed)
    if isinstance(share, str):
        return share
    if share.group_threshold != 1 or share.group_count != 1:
        return "this share is of a set with groups; PIN shares are one group"
    if share.member_threshold != needed:
        return f"this set needs {share.member_threshold} shares, the policy says {needed}"
    for earlier in before:
        other = _share(earlier)
        if isinstance(other, str):
            raise TypeError("a share that was taken is one")
        if other.group_parameters() != share.group_parameters():
            return "this share is of another set than the shares before it"
        if other.index == share.index:
            return "this share was typed already, perhaps from another's paper"
    return ""


def recovered(typed: Sequence[bytearray]) -> bytearray:
    """Return the PIN that the shares make; Answered KEY-PIN-PART where they make none."""
    slip39 = package()
    try:
        secret = slip39.combine_mnemonics([_mnemonic(one) for one in typed])
    except slip39.MnemonicError:
        text = "the shares fit each other and make no secret; one was changed"
        raise Answered("KEY-PIN-PART", "no-secret", text) from None
    return unpacked(secret)


def packed(pin: bytearray) -> bytes:
    """Return the master secret that holds a PIN: its length, its characters, zeros."""
    size = SHORT_SECRET if len(pin) < SHORT_SECRET else LONG_SECRET
    if not 1 <= len(pin) <= MOST_PIN:
        text = f"a PIN in shares has 1 to {MOST_PIN} characters"
        raise Answered("KEY-PIN-PART", "length", text)
    return bytes([len(pin)]) + bytes(pin) + bytes(size - 1 - len(pin))


def unpacked(secret: bytes) -> bytearray:
    """Return the PIN in a master secret; Answered KEY-PIN-PART for any other secret."""
    length = secret[0] if len(secret) in (SHORT_SECRET, LONG_SECRET) else 0
    pin, rest = bytearray(secret[1 : 1 + length]), secret[1 + length :]
    printable = all(_FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE for byte in pin)
    short = len(secret) == LONG_SECRET and length < SHORT_SECRET  # it would fit the short one
    if length != len(pin) or not pin or not printable or any(rest) or short:
        text = "the shares hold a secret that is no PIN of this form"
        raise Answered("KEY-PIN-PART", "no-pin", text)
    return pin


def new_pin(length: int, *, digits: bool) -> bytearray:
    """Return a PIN drawn by chance."""
    among = "0123456789" if digits else ALPHABET
    return bytearray(ord(secrets.choice(among)) for _ in range(length))


def dealt(pin: bytearray, threshold: int, count: int) -> list[bytearray]:
    """Return the words of `count` shares of which `threshold` make the PIN."""
    slip39 = package()
    (group,) = slip39.generate_mnemonics(1, [(threshold, count)], packed(pin))
    return [bytearray(mnemonic.encode("ascii")) for mnemonic in group]


def same_words(typed: bytearray, share: bytearray) -> bool:
    """Say whether what was typed is this share, however its words were shortened."""
    read, dealt_share = _share(typed), _share(share)
    return not isinstance(read, str) and bool(read == dealt_share)


def _share(typed: bytearray) -> Any:  # noqa: ANN401 - the package's Share, or why it is none
    slip39 = package()
    try:
        return slip39.Share.from_mnemonic(_mnemonic(typed))
    except slip39.MnemonicError:
        count = len(typed.split())
        if count not in (20, 33):
            return f"a share has 20 or 33 words, {count} were typed"
        return "the words are no share: one is misread, or two are in each other's place"
    except KeyError:
        places = [str(at) for at, word in enumerate(typed.split(), 1) if not _whole(word)]
        return f"not in the list of words: number {', '.join(places[:8])}"


def _mnemonic(typed: bytearray) -> str:
    """Return the words in full; four letters are enough to name one. KeyError."""
    whole = [_whole(word) for word in typed.split()]
    if not all(whole):
        raise KeyError
    return " ".join(whole)


def _whole(word: bytearray) -> str:
    words: list[str] = importlib.import_module("shamir_mnemonic.wordlist").WORDLIST
    text = word.decode("ascii", "replace").lower()
    found = [one for one in words if one.startswith(text)] if len(text) >= LEAST_PREFIX else []
    return text if text in words else found[0] if len(found) == 1 else ""
