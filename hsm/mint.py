"""Make a key inside a token, in a child process of its own: rehearsals and first set-up.

Decides what a new signing key looks like: sensitive, not extractable, for signing only. It
refuses to know certificates; what is signed here is one certificate's digest, once. The
process that signs releases never loads this file.
"""

from __future__ import annotations

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, PKCS11Error
from pkcs11.types import SignMixin

from hsm.worker import Answered, Operation, Reply, Request, wipe_text


class Mint:
    """One session on one new token, and the key made in it."""

    def __init__(self) -> None:
        self._key: object = None

    @property
    def operations(self) -> dict[str, Operation]:
        """The requests that this process answers."""
        return {"make": self.make, "sign": self.sign}

    def make(self, request: Request) -> Reply:
        """Set the holder's PIN in place of the first one and make an RSA key pair."""
        pin = request.pin()
        text = pin.decode("ascii")
        try:
            lib = pkcs11.lib(request.text("module"))
            slot = next(
                one
                for one in lib.get_slots(token_present=True)
                if one.get_token().label.rstrip() == request.text("token")
            )
            token = slot.get_token()
            first = request.text("first_pin")
            session = token.open(rw=True, user_pin=first)
            session.set_pin(first, text)
            public, self._key = session.generate_keypair(
                KeyType.RSA,
                request.number("bits"),
                id=b"\x01",
                label=request.text("label"),
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.PRIVATE: True,
                },
            )
        except (PKCS11Error, StopIteration) as error:
            raise Answered("KEY-REFUSED", type(error).__name__, "no key was made") from None
        finally:
            wipe_text(text)
            pin[:] = bytes(len(pin))
        return {
            "serial": token.serial.decode("utf-8", "replace").rstrip(),
            "modulus": public[Attribute.MODULUS].hex(),
            "exponent": public[Attribute.PUBLIC_EXPONENT].hex(),
        }

    def sign(self, request: Request) -> Reply:
        """Sign a DigestInfo with the new key."""
        if not isinstance(self._key, SignMixin):
            raise Answered("KEY-MATCH", "no-key", "no key was made")
        try:
            data = bytes.fromhex(request.text("data"))
            signature = self._key.sign(data, mechanism=Mechanism.RSA_PKCS)
        except PKCS11Error as error:
            raise Answered("KEY-REFUSED", type(error).__name__, "no signature") from None
        return {"signature": signature.hex()}
