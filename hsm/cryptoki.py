"""What the child process does with the vendor's module: load, probe, log in, sign.

Decides which token fits the policy's URI and which objects bear the certificate's public
key, from what the module says alone. It refuses to know certificates, policies and images.
The key is found by its public numbers, never by label, id or slot number. Runs only inside
`hsm.worker`; one login is tried for one PIN, and the process is used no more after a failure.
A key that asks for its PIN at every use gets it with the request of that use (ADR 27).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pkcs11
from pkcs11 import Attribute, Mechanism, PKCS11Error, TokenFlag
from pkcs11.types import SignMixin

from hsm.attestation import certificates_shown
from hsm.described import NAMES, code_of, described, names_of
from hsm.initialise import loaded
from hsm.listing import objects_shown, slots_of
from hsm.objects import Wanted, description, flag, is_private
from hsm.parts import Parts, wipe
from hsm.worker import Answered, Operation, Reply, Request, wipe_text

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function

_MECHANISMS = {"CKM_RSA_PKCS": Mechanism.RSA_PKCS, "CKM_ECDSA": Mechanism.ECDSA}
_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid)
# Octets before the digest: only a SHA-256 digest is ever signed here.
_PREFIX = {"CKM_RSA_PKCS": _SHA256_DIGEST_INFO, "CKM_ECDSA": b""}


# A preimage that no image's attributes have: those are DER.
CHALLENGE_PREFIX = b"uki-ceremony preflight:"
CHALLENGE_RANDOM_BYTES = 32


class Cryptoki:
    """The module, the token chosen by the last probe, and the login, in one process."""

    def __init__(self, init_args: str = "") -> None:
        self._init_args = init_args
        self._lib: Library | None = None
        self._slot: pkcs11.Slot | None = None
        self._names: Reply = {}  # of the token that was looked at
        self._session: pkcs11.Session | None = None
        self._keys: list[pkcs11.Object] = []
        self._pin = bytearray()
        self._parts = Parts()
        self._certificates: list[str] = []
        self.sought: dict[str, str] = {}  # the key that the login was for

    @property
    def operations(self) -> dict[str, Operation]:
        """The requests that this process answers."""
        return {
            "load": self.load,
            "tokens": self.tokens,
            "probe": self.probe,
            "part": self._parts.take,
            "login": self.login,
            "challenge": self.challenge,
            "sign": self.sign,
        }

    def load(self, request: Request) -> Reply:
        """Load the module (C_Initialize, C_GetInfo)."""
        try:
            self._lib = lib = loaded(request.text("module"), self._init_args)
        except PKCS11Error as error:
            # Only a library that the loader refuses gives a text of its own.
            why = (
                f"does not load: {error}"
                if code_of(error) == "PKCS11Error"
                else (f"does not start: {code_of(error)}; is its daemon running, its device there?")
            )
            raise Answered("KEY-MODULE", code_of(error), why) from None
        return {
            "library_manufacturer": lib.manufacturer_id.rstrip(),
            "library_description": lib.library_description.rstrip(),
            "library_version": _version(lib.library_version),
            "cryptoki": _version(lib.cryptoki_version),
        }

    def tokens(self, _request: Request) -> Reply:
        """Describe every token that is present, as far as it is shown without a PIN."""
        if self._lib is None:
            raise Answered("KEY-MODULE", "not-loaded", "the module is not loaded")
        return {"tokens": [_shown(slot) for slot in slots_of(self._lib)]}

    def probe(self, request: Request) -> Reply:
        """Choose the one token that fits and describe it, with the objects that match."""
        wanted = Wanted(request)
        if self._slot is not None and self._session is not None:
            return described(
                self._slot, [description(one) for one in wanted.objects(self._session)]
            ) | {"certificates": self._certificates}
        if self._lib is None:
            raise Answered("KEY-MODULE", "not-loaded", "the module is not loaded")
        slots = fitting(self._lib, request.pairs("uri"))
        seen = [(slot, _without_login(slot, wanted)) for slot in slots]
        holders = [(slot, keys) for slot, keys in seen if keys] or seen
        if len(holders) != 1:
            raise Answered("KEY-TOKEN", "not-one-token", _found(len(holders)))
        self._slot, keys = holders[0]
        self._certificates = certificates_shown(self._slot)
        found = described(self._slot, keys)
        self._names = {name: found[name] for name in NAMES}
        return {**found, "certificates": self._certificates}

    def login(self, request: Request) -> Reply:
        """Try one PIN once, on the token of the last probe, and overwrite it.

        It is kept only where every use asks for it and `keep` says that nobody types it again.
        """
        wanted = Wanted(request)
        slot = self._slot
        if slot is None or self._session is not None:
            raise Answered("KEY-TOKEN", "not-probed", "no token was chosen, or it is in use")
        pin = self._typed(request)
        # pkcs11 takes a PIN as str only, so one is made here and overwritten below.
        text = pin.decode("ascii")
        try:
            credential = pkcs11.PROTECTED_AUTH if request.number("reader") else text
            token = slot.get_token()
            if names_of(token) != self._names:  # exchanged while somebody typed
                said = "the slot holds another token than before the PIN; no try was spent"
                raise Answered("KEY-TOKEN", "another-token", said)
            self._session = token.open(user_pin=credential)
            self.sought = wanted.fields
            self._keys = [key for key in wanted.objects(self._session) if is_private(key)]
            asks = any(flag(key, Attribute.ALWAYS_AUTHENTICATE) == "true" for key in self._keys)
            if asks and request.number("keep"):
                self._pin = bytearray(pin)
        except _WRONG_PIN as error:
            return {"outcome": "wrong-pin", "code": code_of(error)}
        except pkcs11.PinLocked as error:
            return {"outcome": "locked", "code": code_of(error)}
        except pkcs11.FunctionCancelled as error:
            return {"outcome": "cancelled", "code": code_of(error)}
        except PKCS11Error as error:
            said = f"the login did not succeed ({code_of(error)})"
            raise Answered("KEY-REFUSED", code_of(error), said) from None
        finally:
            wipe_text(text)
            wipe(pin)
        return {"outcome": "ok", "code": ""}

    def challenge(self, request: Request) -> Reply:
        """Prove possession over a challenge drawn here: nobody chooses what this signs."""
        mechanism = request.text("mechanism")
        challenge = CHALLENGE_PREFIX + secrets.token_bytes(CHALLENGE_RANDOM_BYTES)
        data = _PREFIX[mechanism] + hashlib.sha256(challenge).digest()
        pin = self._typed(request) or bytearray(self._pin)
        try:
            return {"challenge": challenge.hex(), **self._signed(mechanism, data, pin)}
        finally:
            wipe(pin)

    def sign(self, request: Request) -> Reply:
        """Sign a SHA-256 DigestInfo (CKM_RSA_PKCS) or digest (CKM_ECDSA) once."""
        pin = self._typed(request) or bytearray(self._pin)
        try:
            return self._signed(*self.permitted(request), pin)
        finally:
            wipe(pin)
            wipe(self._pin)
            self._pin.clear()

    def permitted(self, request: Request) -> tuple[str, bytes]:
        """Return mechanism and data for C_Sign; whoever runs the process answers for them."""
        return request.text("mechanism"), bytes.fromhex(request.text("data"))

    def _typed(self, request: Request) -> bytearray:
        """Take the PIN that came with a request, whole or in parts; empty where none did."""
        entry = request.text("parts")
        return self._parts.joined(entry) if entry else request.pin()

    def _signed(self, mechanism: str, data: bytes, pin: bytearray) -> Reply:
        """Call C_Sign once, on nothing but a SHA-256 digest in the mechanism's form."""
        prefix = _PREFIX[mechanism]
        if len(data) != len(prefix) + 32 or not data.startswith(prefix):
            raise Answered("KEY-REFUSED", "not-a-digest", "only a SHA-256 digest is signed")
        if len(self._keys) != 1:
            raise Answered("KEY-MATCH", "no-key", f"{len(self._keys)} keys match, not one")
        key = self._keys[0]
        if not isinstance(key, SignMixin):
            raise Answered("KEY-SIGN", "not-signing", "the key is not for signing")
        text = pin.decode("ascii") if pin else None
        try:
            signature = key.sign(data, mechanism=_MECHANISMS[mechanism], pin=text)
        except (*_WRONG_PIN, pkcs11.PinLocked) as error:
            if text is None:
                raise Answered("KEY-LOST", code_of(error), f"C_Sign: {code_of(error)}") from None
            locked = isinstance(error, pkcs11.PinLocked)
            rule = "KEY-PIN-LOCKED" if locked else "KEY-PIN-WRONG"
            said = f"the token refused the PIN of this use ({code_of(error)})"
            raise Answered(rule, code_of(error), said) from None
        except PKCS11Error as error:
            raise Answered("KEY-LOST", code_of(error), f"C_Sign: {code_of(error)}") from None
        finally:
            if text is not None:
                wipe_text(text)
        return {"signature": signature.hex()}


def fitting(lib: Library, uri: tuple[tuple[str, str], ...]) -> Iterator[pkcs11.Slot]:
    """Yield the slots whose initialised token fits a URI; Answered (KEY-TOKEN)."""
    for slot in slots_of(lib):
        # get_tokens() of the library stops at the first broken slot; one by one does not.
        try:
            token = slot.get_token()
        except PKCS11Error:
            continue
        facts = _facts(lib, slot, token)
        initialized = TokenFlag.TOKEN_INITIALIZED in token.flags
        if initialized and all(facts[name] == text for name, text in uri):
            yield slot


def _shown(slot: pkcs11.Slot) -> Reply:
    try:
        initialised = TokenFlag.TOKEN_INITIALIZED in slot.get_token().flags
        shown = described(slot, objects_shown(slot) if initialised else [])
    except PKCS11Error as error:
        return {"slot_id": slot.slot_id, "broken": code_of(error)}
    except Answered as answered:
        return {"slot_id": slot.slot_id, "broken": answered.code}
    return {**shown, "initialised": initialised}


def _without_login(slot: pkcs11.Slot, wanted: Wanted) -> list[Reply]:
    try:
        session = slot.get_token().open()
        keys = [description(one) for one in wanted.objects(session)]
    except PKCS11Error:
        return []
    with suppress(PKCS11Error):
        session.close()
    return keys


def _facts(lib: Library, slot: pkcs11.Slot, token: pkcs11.Token) -> dict[str, str]:
    """Return what a URI may name, under RFC 7512's names."""
    return {
        "token": token.label.rstrip(),
        "manufacturer": token.manufacturer_id.rstrip(),
        "serial": token.serial.decode("utf-8", "replace").rstrip(),
        "model": token.model.rstrip(),
        "library-manufacturer": lib.manufacturer_id.rstrip(),
        "library-description": lib.library_description.rstrip(),
        "library-version": _version(lib.library_version),
        "slot-manufacturer": slot.manufacturer_id.rstrip(),
        "slot-description": slot.slot_description.rstrip(),
    }


def _version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _found(count: int) -> str:
    if count == 0:
        return "no token fits the key's URI"
    return f"{count} tokens fit the key's URI"
