"""The parent's side of making a key in a token: ask once, believe nothing unchecked.

Decides which kinds of key are made, and that the answer holds a public key of the kind that
was asked for. The PIN goes to the process over its own pipe, and is wiped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ceremony.errors import TokenTrouble
from ceremony.preflight import SigningKey
from hsm.child import Child
from hsm.evidence import octets, text

MAKE_SECONDS, SIGN_SECONDS = 120.0, 30.0
CURVES: dict[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}


@dataclass(frozen=True, slots=True)
class Kind:
    """RSA of `bits`, or a key on a named curve."""

    bits: int = 0
    curve: str = ""


KINDS = {
    "rsa2048": Kind(2048),
    "rsa3072": Kind(3072),
    "rsa4096": Kind(4096),
    "p256": Kind(curve="secp256r1"),
    "p384": Kind(curve="secp384r1"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made: its token by URI attributes, its kind, CKA_LABEL, CKA_ID in hex."""

    token: tuple[tuple[str, str], ...]
    kind: Kind
    label: str
    id: str


@dataclass(frozen=True, slots=True)
class Minted:
    """The new key's public half, its token's serial number, and the way to sign with it once."""

    key: SigningKey
    serial: str
    ask: Callable[[bytes], bytes]


def mint(child: Child, module: Path, wanted: Wanted, pin: bytearray, first_pin: str = "") -> Minted:
    """Make the key on the one token that `wanted.token` names; `pin` is wiped.

    Raises TokenTrouble: KEY-TOKEN, KEY-EXISTS, KEY-PIN-WRONG, KEY-PIN-LOCKED, KEY-REFUSED,
    KEY-CHILD.
    """
    length = len(pin)
    child.send_pin(pin)
    pin[:] = bytes(length)
    made = child.ask(
        "make",
        MAKE_SECONDS,
        module=str(module),
        uri=wanted.token,
        first_pin=first_pin,
        length=length,
        bits=wanted.kind.bits,
        curve=wanted.kind.curve,
        label=wanted.label,
        id=wanted.id,
    )

    def ask(data: bytes) -> bytes:
        return octets(child.ask("sign", SIGN_SECONDS, data=data.hex()), "signature")

    try:
        key = _public(made, wanted.kind)
    except (ValueError, UnsupportedAlgorithm):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable public key") from None
    return Minted(key, text(made, "serial"), ask)


def _public(made: dict[str, object], kind: Kind) -> SigningKey:
    if kind.curve:
        # CKA_EC_POINT is a DER OCTET STRING; older modules give the point bare.
        bare = octets(made, "point")[-_point_bytes(kind) :]
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[kind.curve], bare)
    exponent = int.from_bytes(octets(made, "exponent"), "big")
    modulus = int.from_bytes(octets(made, "modulus"), "big")
    if modulus.bit_length() != kind.bits:
        raise ValueError(f"a modulus of {modulus.bit_length()} bits")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _point_bytes(kind: Kind) -> int:
    return 1 + 2 * ((CURVES[kind.curve].key_size + 7) // 8)
