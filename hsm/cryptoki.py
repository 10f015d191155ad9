"""What the child process does with the vendor's module: load, probe, log in, sign.

Decides which token fits the policy's URI and which objects bear the certificate's public
key, from what the module says alone. It refuses to know certificates, policies and images.
The key is found by its public numbers, never by label, id or slot number. Runs only inside
`hsm.worker`; one login is tried for one PIN, and the process is used no more after a failure.
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

from hsm.initialise import loaded
from hsm.libraries import mapped_files
from hsm.listing import objects_shown, slots_of
from hsm.objects import Wanted, description, flag, is_private
from hsm.worker import Answered, Operation, Reply, Request, wipe_text

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function

# The flags that PKCS#11 v2.40, table 6 counts a wrong user PIN with, gravest first.
_PIN_FLAGS = (
    (TokenFlag.USER_PIN_LOCKED, "locked"),
    (TokenFlag.USER_PIN_FINAL_TRY, "final-try"),
    (TokenFlag.USER_PIN_COUNT_LOW, "count-low"),
)
_MECHANISMS = {"CKM_RSA_PKCS": Mechanism.RSA_PKCS, "CKM_ECDSA": Mechanism.ECDSA}
_SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
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
        self._session: pkcs11.Session | None = None
        self._keys: list[pkcs11.Object] = []
        self._pin = bytearray()
        self.sought: dict[str, str] = {}  # the key that the login was for

    @property
    def operations(self) -> dict[str, Operation]:
        """The requests that this process answers."""
        return {
            "load": self.load,
            "tokens": self.tokens,
            "probe": self.probe,
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
                if _code(error) == "PKCS11Error"
                else (f"does not start: {_code(error)}; is its daemon running, its device there?")
            )
            raise Answered("KEY-MODULE", _code(error), why) from None
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
            return _described(
                self._slot, [description(one) for one in wanted.objects(self._session)]
            )
        if self._lib is None:
            raise Answered("KEY-MODULE", "not-loaded", "the module is not loaded")
        slots = fitting(self._lib, request.pairs("uri"))
        seen = [(slot, _without_login(slot, wanted)) for slot in slots]
        holders = [(slot, keys) for slot, keys in seen if keys] or seen
        if len(holders) != 1:
            raise Answered("KEY-TOKEN", "not-one-token", _found(len(holders)))
        self._slot, keys = holders[0]
        return _described(self._slot, keys)

    def login(self, request: Request) -> Reply:
        """Try one PIN once, on the token of the last probe; keep it only where signing asks."""
        wanted = Wanted(request)
        slot = self._slot
        if slot is None or self._session is not None:
            raise Answered("KEY-TOKEN", "not-probed", "no token was chosen, or it is in use")
        pin = request.pin()
        # pkcs11 takes a PIN as str only, so one is made here and overwritten below.
        text = pin.decode("ascii")
        try:
            credential = pkcs11.PROTECTED_AUTH if request.number("reader") else text
            self._session = slot.get_token().open(user_pin=credential)
            self.sought = wanted.fields
            self._keys = [key for key in wanted.objects(self._session) if is_private(key)]
            if any(flag(key, Attribute.ALWAYS_AUTHENTICATE) == "true" for key in self._keys):
                self._pin = bytearray(pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            return {"outcome": "wrong-pin", "code": _code(error)}
        except pkcs11.PinLocked as error:
            return {"outcome": "locked", "code": _code(error)}
        except pkcs11.FunctionCancelled as error:
            return {"outcome": "cancelled", "code": _code(error)}
        except PKCS11Error as error:
            said = f"the login did not succeed ({_code(error)})"
            raise Answered("KEY-REFUSED", _code(error), said) from None
        finally:
            wipe_text(text)
            pin[:] = bytes(len(pin))
        return {"outcome": "ok", "code": ""}

    def challenge(self, request: Request) -> Reply:
        """Prove possession over a challenge drawn here: nobody chooses what this signs."""
        mechanism = request.text("mechanism")
        challenge = CHALLENGE_PREFIX + secrets.token_bytes(CHALLENGE_RANDOM_BYTES)
        data = _PREFIX[mechanism] + hashlib.sha256(challenge).digest()
        return {"challenge": challenge.hex(), **self.signed(mechanism, data)}

    def sign(self, request: Request) -> Reply:
        """Sign a SHA-256 DigestInfo (CKM_RSA_PKCS) or digest (CKM_ECDSA) once."""
        mechanism, data = request.text("mechanism"), bytes.fromhex(request.text("data"))
        return self.signed(mechanism, data)

    def signed(self, mechanism: str, data: bytes) -> Reply:
        """Call C_Sign once, on nothing but a SHA-256 digest in the mechanism's form."""
        prefix = _PREFIX[mechanism]
        if len(data) != len(prefix) + 32 or not data.startswith(prefix):
            raise Answered("KEY-REFUSED", "not-a-digest", "only a SHA-256 digest is signed")
        if len(self._keys) != 1:
            raise Answered("KEY-MATCH", "no-key", f"{len(self._keys)} keys match, not one")
        key = self._keys[0]
        if not isinstance(key, SignMixin):
            raise Answered("KEY-SIGN", "not-signing", "the key is not for signing")
        text = self._pin.decode("ascii") if self._pin else None
        try:
            signature = key.sign(data, mechanism=_MECHANISMS[mechanism], pin=text)
        except PKCS11Error as error:
            raise Answered("KEY-LOST", _code(error), f"C_Sign: {_code(error)}") from None
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
        shown = _described(slot, objects_shown(slot) if initialised else [])
    except PKCS11Error as error:
        return {"slot_id": slot.slot_id, "broken": _code(error)}
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


def _described(slot: pkcs11.Slot, keys: list[Reply]) -> Reply:
    try:
        # The PIN's flags are a snapshot in a token object; a fresh one tells the present.
        token = slot.get_token()
        mechanisms = sorted(_mechanism_name(one) for one in slot.get_mechanisms())
    except PKCS11Error as error:
        raise Answered("KEY-TOKEN", _code(error), "the token cannot be read") from None
    flags = token.flags
    return {
        "slot_id": slot.slot_id,
        "slot_description": slot.slot_description.rstrip(),
        "slot_manufacturer": slot.manufacturer_id.rstrip(),
        "token_label": token.label.rstrip(),
        "token_serial": token.serial.decode("utf-8", "replace").rstrip(),
        "token_model": token.model.rstrip(),
        "token_manufacturer": token.manufacturer_id.rstrip(),
        "token_flags": [flag.name for flag in TokenFlag if flag in flags],
        "mechanisms": mechanisms,
        "pin_state": next((state for flag, state in _PIN_FLAGS if flag in flags), "ok"),
        "protected_path": TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags,
        "keys": keys,
        "libraries": mapped_files(),
    }


def _mechanism_name(mechanism: Mechanism | int) -> str:
    if not isinstance(mechanism, Mechanism):
        return f"0x{int(mechanism):08x}"
    # The library marks some names of old mechanisms with an underscore of its own.
    return f"CKM_{mechanism.name.lstrip('_')}"


def _version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _found(count: int) -> str:
    if count == 0:
        return "no token fits the policy's URI"
    return f"{count} tokens fit the policy's URI"


def _code(error: Exception) -> str:
    """Return PKCS#11's name of an error; `Unmapped error code` keeps the vendor's number."""
    text = str(error)
    return text if text.startswith("Unmapped error code") else type(error).__name__
