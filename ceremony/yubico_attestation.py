"""What a YubiKey or a YubiHSM 2 says of a key in an attestation certificate's extensions.

Decides strictly whether the vendor's extensions are of the vendor's form, each once and none
that is not known, and puts them into words. It refuses to know who signed the certificate.
Sources: Yubico, "PIV attestation" (OIDs 1.3.6.1.4.1.41482.3.*), "YubiHSM 2 attestation"
(1.3.6.1.4.1.41482.4.*). PIV values stand bare in the extension, except the serial number's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from ceremony.errors import Refused, refuse
from ceremony.pe.der import BIT_STRING, INTEGER, UTF8_STRING, check_der, element_size
from ceremony.show import escaped

PIV_ARC, HSM_ARC = "1.3.6.1.4.1.41482.3.", "1.3.6.1.4.1.41482.4."
OCTET_STRING = 0x04
RULE = "KEY-ATTEST-FORM"

_PIN = {0: "default", 1: "never", 2: "once", 3: "always", 4: "match once", 5: "match always"}
_TOUCH = {0: "default", 1: "never", 2: "always", 3: "cached"}
_FORMS = {
    0: "unknown",
    1: "USB-A keychain",
    2: "USB-A nano",
    3: "USB-C keychain",
    4: "USB-C nano",
    5: "USB-C and Lightning",
    6: "USB-A with fingerprint",
    7: "USB-C with fingerprint",
}
_FIPS, _SECURITY_KEY, _FORM_BITS = 0x80, 0x40, 0x0F
_SLOT = re.compile(r"YubiKey PIV Attestation ([0-9a-f]{2})")

_ORIGINS = {0x01: "generated", 0x02: "imported", 0x10: "imported wrapped"}
_CAPABILITIES = {
    5: "sign-pkcs",
    6: "sign-pss",
    7: "sign-ecdsa",
    9: "decrypt-pkcs",
    10: "decrypt-oaep",
    11: "derive-ecdh",
    16: "exportable-under-wrap",
}
_GENERATED, _EXPORTABLE = 0x01, 1 << 16


@dataclass(frozen=True, slots=True)
class Statement:
    """What a device says of a key: the device's kind, and its facts as (name, text).

    `born_inside` says whether by these facts the key was made in the device and cannot leave.
    """

    device: str
    facts: tuple[tuple[str, str], ...]
    born_inside: bool


def speaks(certificate: x509.Certificate) -> str:
    """Return the arc in which a certificate speaks of a key, "" for any other certificate.

    A YubiKey's own certificate (slot f9) has extensions of the arc too, but not these.
    """
    for arc, mark in ((PIV_ARC, "8"), (HSM_ARC, "3")):
        if any(one.oid.dotted_string == arc + mark for one in certificate.extensions):
            return arc
    return ""


def statement(certificate: x509.Certificate) -> Statement:
    """Return what the certificate says, or raise Refused KEY-ATTEST-FORM."""
    arc = speaks(certificate)
    oids = [one.oid.dotted_string for one in certificate.extensions]
    if all(any(oid.startswith(each) for oid in oids) for each in (PIV_ARC, HSM_ARC)):
        # A YubiHSM signs over a template that its user wrote: a YubiKey's words in it would
        # be read instead of the device's own origin.
        raise refuse(RULE, "it speaks in the words of two kinds of device")
    values = {
        one.oid.dotted_string.removeprefix(arc): one.value.public_bytes()
        for one in certificate.extensions
        if arc and one.oid.dotted_string.startswith(arc)
    }
    try:
        return _piv(values, certificate) if arc == PIV_ARC else _hsm(values)
    except KeyError as missing:
        raise refuse(RULE, f"the extension {arc}{missing.args[0]} is missing") from None


Decoders = Mapping[str, tuple[str, Callable[[bytes], str]]]


def _told(values: dict[str, bytes], decoders: Decoders, arc: str) -> tuple[tuple[str, str], ...]:
    for number in sorted(values):
        if number not in decoders:
            raise refuse(RULE, f"the extension {arc}{escaped(number)} is not known")
    return tuple(
        (name, decode(values[number]))
        for number, (name, decode) in decoders.items()
        if number in values
    )


def _piv(values: dict[str, bytes], certificate: x509.Certificate) -> Statement:
    values["3"], values["8"]
    facts = _told(values, _PIV, PIV_ARC)
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError):  # what the library raises on a name that is no text
        raise refuse(RULE, "its name cannot be read") from None
    slots = [match[1] for name in names if (match := _SLOT.fullmatch(str(name.value)))]
    # A YubiKey attests keys that it made, and no others; a PIV key never leaves it.
    return Statement("YubiKey PIV", (*facts, *(("slot", slot) for slot in slots)), born_inside=True)


def _hsm(values: dict[str, bytes]) -> Statement:
    origin, able = _bits(values["3"]), _bits(values["5"])
    values["1"], values["2"]
    inside = origin == _GENERATED and not able & _EXPORTABLE
    return Statement("YubiHSM 2", _told(values, _HSM, HSM_ARC), inside)


def _bare(value: bytes, count: int) -> bytes:
    if len(value) != count:
        raise refuse(RULE, f"{len(value)} bytes where {count} are expected")
    return value


def _named(number: int, names: Mapping[int, str], what: str) -> str:
    if number not in names:
        raise refuse(RULE, f"{number} is no {what}")
    return names[number]


def _version(value: bytes) -> str:
    return ".".join(str(part) for part in _bare(value, 3))


def _policy(value: bytes) -> str:
    pin, touch = _bare(value, 2)
    return f"PIN {_named(pin, _PIN, 'PIN policy')}, touch {_named(touch, _TOUCH, 'touch policy')}"


def _form(value: bytes) -> str:
    (code,) = _bare(value, 1)
    more = [", FIPS"] * bool(code & _FIPS) + [", security key"] * bool(code & _SECURITY_KEY)
    if code & ~(_FIPS | _SECURITY_KEY | _FORM_BITS):
        raise refuse(RULE, f"{code} is no form factor")
    return _named(code & _FORM_BITS, _FORMS, "form factor") + "".join(more)


def _content(value: bytes, tag: int) -> bytes:
    """Return what a DER element of one tag holds; Refused KEY-ATTEST-FORM."""
    try:
        check_der(value)
        size = element_size(value)
    except Refused as error:
        raise refuse(RULE, error.findings[0].text) from None
    header = 2  # such values are short: the length is one octet
    if value[0] != tag or size > header + 0x7F:
        raise refuse(RULE, f"an element with tag {value[0]:#04x} where {tag:#04x} is expected")
    return value[header:]


def _number(value: bytes) -> str:
    number = int.from_bytes(_content(value, INTEGER), "big", signed=True)
    if number < 0:
        raise refuse(RULE, "a number is negative")
    return str(number)


def _bits(value: bytes) -> int:
    content = _content(value, BIT_STRING)
    if content[0]:
        raise refuse(RULE, "a bit string that is not of whole bytes")
    return int.from_bytes(content[1:], "big")


def _origin(value: bytes) -> str:
    return _named(_bits(value), _ORIGINS, "origin")


def _able(value: bytes) -> str:
    bits = _bits(value)
    known = [name for bit, name in _CAPABILITIES.items() if bits >> bit & 1]
    return f"{', '.join(known) or 'none that is named here'} ({bits:016x})"


def _label(value: bytes) -> str:
    return escaped(_content(value, UTF8_STRING).decode("utf-8"), 40)


_PIV: Decoders = {
    "3": ("firmware", _version),
    "7": ("serial", _number),
    "8": ("policy", _policy),
    "9": ("form factor", _form),
    "10": ("FIPS certification", lambda value: escaped(value.hex(), 40)),
    "11": ("CSPN certification", lambda value: escaped(value.hex(), 40)),
}
_HSM: Decoders = {
    "1": ("firmware", lambda value: _version(_content(value, OCTET_STRING))),
    "2": ("serial", _number),
    "3": ("origin", _origin),
    "4": ("domains", lambda value: f"{_bits(value):04x}"),
    "5": ("capabilities", _able),
    "6": ("object", _number),
    "9": ("label", _label),
    "10": ("FIPS certification", _number),
}
