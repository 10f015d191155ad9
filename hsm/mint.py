"""Make a key inside a token, in a child process of its own: rehearsals and first set-up.

Decides what a new signing key looks like: sensitive, not extractable, for signing only, and
that it takes nobody's place: its label and id are free. It refuses to know certificates; what
is signed here is one certificate's or request's digest, once. The process that signs
releases never loads this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error
from pkcs11.constants import DEFAULT
from pkcs11.types import SignMixin
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.cryptoki import fitting
from hsm.initialise import loaded
from hsm.objects import octets
from hsm.worker import Answered, Operation, Reply, Request, wipe_text

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function

_PRIVATE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
_SIGNING = MechanismFlag.SIGN | MechanismFlag.VERIFY
_SHA256_BYTES = 32
_USAGES = (
    Attribute.ENCRYPT,
    Attribute.DECRYPT,
    Attribute.WRAP,
    Attribute.UNWRAP,
    Attribute.DERIVE,
)
# Libraries that fail on a usage that a template denies, when the TPM has made the key already;
# their keys have no usage that is not asked for. Others (SoftHSM) grant what is not denied.
_NO_DENIALS = ("tpm2-software.github.io",)


class Mint:
    """One session on one token, and the key made in it."""

    def __init__(self, init_args: str = "") -> None:
        self._init_args = init_args
        self._session: pkcs11.Session | None = None
        self._key: object = None
        self._signed = False

    @property
    def operations(self) -> dict[str, Operation]:
        """The requests that this process answers."""
        return {"make": self.make, "sign": self.sign, "keep": self.keep}

    def make(self, request: Request) -> Reply:
        """Log in on the one token of the URI and make a key pair under a label and id.

        Where `first_pin` is not empty it is the PIN so far, and the holder's takes its place.
        """
        pin = request.pin()
        text = pin.decode("ascii")
        try:
            lib = loaded(request.text("module"), self._init_args)
            token = _the_token(lib, request)
            first = request.text("first_pin")
            self._session = session = token.open(rw=True, user_pin=first or text)
            if first:
                _set_pin(session, first, text)
            _require_free(session, request.text("label"), bytes.fromhex(request.text("id")))
            public, self._key = _generate(session, request, lib.manufacturer_id.rstrip())
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            said = "the token refused the PIN; one try was spent"
            raise Answered("KEY-PIN-WRONG", type(error).__name__, said) from None
        except pkcs11.PinLocked as error:
            said = "the token says that its PIN is locked"
            raise Answered("KEY-PIN-LOCKED", type(error).__name__, said) from None
        except (PKCS11Error, NotImplementedError) as error:
            said = f"no key was made: {type(error).__name__}"
            raise Answered("KEY-REFUSED", type(error).__name__, said) from None
        finally:
            wipe_text(text)
            pin[:] = bytes(len(pin))
        return {
            "serial": token.serial.decode("utf-8", "replace").rstrip(),
            "modulus": octets(public, Attribute.MODULUS).hex(),
            "exponent": octets(public, Attribute.PUBLIC_EXPONENT).hex(),
            "point": octets(public, Attribute.EC_POINT).hex(),
        }

    def sign(self, request: Request) -> Reply:
        """Sign one digest with the new key."""
        if not isinstance(self._key, SignMixin) or self._signed:
            raise Answered("KEY-MATCH", "no-key", "no key was made, or it has signed")
        data = bytes.fromhex(request.text("data"))
        bare = len(data) == _SHA256_BYTES
        self._signed = True
        try:
            mechanism = Mechanism.ECDSA if bare else Mechanism.RSA_PKCS
            signature = self._key.sign(data, mechanism=mechanism)
        except PKCS11Error as error:
            raise Answered("KEY-REFUSED", type(error).__name__, "no signature") from None
        return {"signature": signature.hex()}

    def keep(self, request: Request) -> Reply:
        """Put the certificate beside its key."""
        if self._session is None:
            raise Answered("KEY-MATCH", "no-key", "no key was made")
        try:
            self._session.create_object(
                {
                    Attribute.CLASS: ObjectClass.CERTIFICATE,
                    Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                    Attribute.TOKEN: True,
                    Attribute.LABEL: request.text("label"),
                    Attribute.ID: bytes.fromhex(request.text("id")),
                    Attribute.SUBJECT: bytes.fromhex(request.text("subject")),
                    # PKCS#11 does not ask for these two (v2.40, table 22); NSS softokn does.
                    Attribute.ISSUER: bytes.fromhex(request.text("issuer")),
                    Attribute.SERIAL_NUMBER: bytes.fromhex(request.text("serial")),
                    Attribute.VALUE: bytes.fromhex(request.text("certificate")),
                }
            )
        except PKCS11Error as error:
            raise Answered("KEY-REFUSED", type(error).__name__, "it is not kept") from None
        return {}


def _the_token(lib: Library, request: Request) -> pkcs11.Token:
    slots = list(fitting(lib, request.pairs("uri")))
    if len(slots) != 1:
        raise Answered("KEY-TOKEN", "not-one-token", f"{len(slots)} tokens fit the URI, not one")
    return slots[0].get_token()


def _set_pin(session: pkcs11.Session, first: str, text: str) -> None:
    try:
        session.set_pin(first, text)
    except PKCS11Error as error:
        said = "no key was made: the token does not take this PIN"
        raise Answered("KEY-REFUSED", type(error).__name__, said) from None


def _require_free(session: pkcs11.Session, label: str, key_id: bytes) -> None:
    """KEY-EXISTS: no key and no certificate bears this label or this id."""
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY, ObjectClass.CERTIFICATE):
        for wanted in ({Attribute.LABEL: label}, {Attribute.ID: key_id}):
            if any(True for _ in session.get_objects({Attribute.CLASS: kind, **wanted})):
                named = f"label {label}" if Attribute.LABEL in wanted else f"id {key_id.hex()}"
                said = f"the token has a {kind.name.replace('_', ' ').lower()} with {named}"
                raise Answered("KEY-EXISTS", "exists", said)


def _generate(
    session: pkcs11.Session, request: Request, maker: str
) -> tuple[pkcs11.Object, object]:
    curve = request.text("curve")
    left_out = dict.fromkeys(_USAGES, DEFAULT) if maker in _NO_DENIALS else {}
    common: dict[str, Any] = {
        "id": bytes.fromhex(request.text("id")),
        "label": request.text("label"),
        "store": True,
        "capabilities": _SIGNING,
        "public_template": left_out,
        "private_template": {**left_out, **_PRIVATE},
    }
    if not curve:
        return session.generate_keypair(KeyType.RSA, request.number("bits"), **common)
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
    domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
    return domain.generate_keypair(**common)
