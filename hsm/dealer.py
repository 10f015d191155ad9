"""A new PIN for a token, dealt as SLIP-39 shares: the desk of the process that alone knows it.

Decides that the old PIN holds until every holder has typed the own share back, and that a
share is written to the paper's descriptor only: not to the parent, not to a file, never twice
at once. The process that signs releases never loads this file. It refuses to know people.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pkcs11
from pkcs11 import PKCS11Error

from hsm import shares
from hsm.cryptoki import fitting
from hsm.initialise import loaded
from hsm.parts import Parts, wipe
from hsm.worker import Answered, Operation, Reply, Request, wipe_text

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function

# ECMA-48: cursor home, erase the display; xterm: erase the lines that were scrolled away.
CLEAR = b"\x1b[H\x1b[2J\x1b[3J"
FORM_FEED = b"\f"
WORDS_A_ROW = 4


class Dealer:
    """One token, its PIN so far, and the new one with its shares."""

    def __init__(self, paper: int, init_args: str = "") -> None:
        self._paper = paper
        self._init_args = init_args
        self._parts = Parts()
        self._old = bytearray()
        self._new = bytearray()
        self._shares: list[bytearray] = []
        self._known: set[int] = set()
        self._token: pkcs11.Token | None = None

    @property
    def operations(self) -> dict[str, Operation]:
        """The requests that this process answers."""
        return {
            "part": self._parts.take,
            "deal": self.deal,
            "show": self.show,
            "hide": self.hide,
            "confirm": self.confirm,
            "set": self.set,
        }

    def deal(self, request: Request) -> Reply:
        """Try the PIN so far once; draw a new one and deal it. Nothing changes on the token."""
        entry = request.text("parts")
        self._old = self._parts.joined(entry) if entry else request.pin()
        shares.package()
        lib: Library = loaded(request.text("module"), self._init_args)
        slots = list(fitting(lib, request.pairs("uri")))
        if len(slots) != 1:
            raise Answered(
                "KEY-TOKEN", "not-one-token", f"{len(slots)} tokens fit the URI, not one"
            )
        self._token = slots[0].get_token()
        self._logged_in(self._old).close()
        self._new = shares.new_pin(
            request.number("new_length"), digits=request.number("digits") > 0
        )
        count = request.number("count")
        self._shares = shares.dealt(self._new, request.number("threshold"), count)
        return {"label": self._token.label.rstrip()}

    def show(self, request: Request) -> Reply:
        """Write one share to the paper, numbered, four words a row."""
        share = self._share(request)
        words = share.split()
        os.write(self._paper, CLEAR if os.isatty(self._paper) else b"")
        os.write(self._paper, request.text("head").encode("ascii", "replace") + b"\r\n\r\n")
        for at in range(0, len(words), WORDS_A_ROW):
            for number, word in enumerate(words[at : at + WORDS_A_ROW], at + 1):
                os.write(self._paper, b"%4d " % number)
                os.write(self._paper, word.ljust(10))
            os.write(self._paper, b"\r\n")
        for word in words:
            wipe(word)
        if not os.isatty(self._paper):
            os.write(self._paper, FORM_FEED)
        return {}

    def hide(self, _request: Request) -> Reply:
        """Take the share off the screen, where the paper is one."""
        if os.isatty(self._paper):
            os.write(self._paper, CLEAR)
        return {}

    def confirm(self, request: Request) -> Reply:
        """Say whether what was typed is this share."""
        share, typed = self._share(request), request.pin()
        try:
            same = shares.same_words(typed, share)
        finally:
            wipe(typed)
        if same:
            self._known.add(request.number("number"))
        return {"same": same}

    def set(self, _request: Request) -> Reply:
        """Set the new PIN, once every share was typed back, and log in with it once."""
        if not self._shares or len(self._known) != len(self._shares):
            raise Answered("KEY-PIN-PART", "not-confirmed", "not every share was typed back")
        old, new = self._old.decode("ascii"), self._new.decode("ascii")
        try:
            session = self._logged_in(self._old)
            try:
                session.set_pin(old, new)
            except PKCS11Error as error:
                code = type(error).__name__
                text = f"the token does not take a PIN of this form ({code}); the old one holds"
                raise Answered("KEY-REFUSED", code, text) from None
            finally:
                session.close()
            self._logged_in(self._new).close()
        finally:
            wipe_text(old)
            wipe_text(new)
            for secret in (self._old, self._new, *self._shares):
                wipe(secret)
            self._shares = []
        return {}

    def _share(self, request: Request) -> bytearray:
        number = request.number("number")
        if not 1 <= number <= len(self._shares):
            raise Answered("KEY-PIN-PART", "no-share", "there is no such share")
        return self._shares[number - 1]

    def _logged_in(self, pin: bytearray) -> pkcs11.Session:
        if self._token is None:
            raise Answered("KEY-TOKEN", "not-one-token", "no token was chosen")
        text = pin.decode("ascii")
        try:
            return self._token.open(rw=True, user_pin=text)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            said = "the token refused the PIN; one try was spent"
            raise Answered("KEY-PIN-WRONG", type(error).__name__, said) from None
        except pkcs11.PinLocked as error:
            said = "the token says that its PIN is locked"
            raise Answered("KEY-PIN-LOCKED", type(error).__name__, said) from None
        except PKCS11Error as error:
            said = "the login did not succeed"
            raise Answered("KEY-REFUSED", type(error).__name__, said) from None
        finally:
            wipe_text(text)
