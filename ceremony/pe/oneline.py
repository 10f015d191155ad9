r"""A certificate's name on one line, as OpenSSL's X509_NAME_oneline writes it.

Decides the text that `sbverify --list` shows and scripts compare: "/C=DE/O=Example/CN=signer".
Every octet of a value outside printable ASCII stands as \xHH, so a name shows nothing but
itself. Refuses to know what a name means; what is recorded is in the form of RFC 4514
(distinguished_name.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat import asn1

from ceremony.pe.der import CONSTRUCTED, SEQUENCE, element_size
from ceremony.pe.oid import ObjectIdentifier

PRINTABLE = range(0x20, 0x7F)
ESCAPED = b"/+"
# OpenSSL's short names of the attributes that stand in names.
_X520 = {
    3: "CN",
    4: "SN",
    5: "serialNumber",
    6: "C",
    7: "L",
    8: "ST",
    9: "street",
    10: "O",
    11: "OU",
    12: "title",
    13: "description",
    15: "businessCategory",
    16: "postalAddress",
    17: "postalCode",
    18: "postOfficeBox",
    20: "telephoneNumber",
    41: "name",
    42: "GN",
    43: "initials",
    44: "generationQualifier",
    45: "x500UniqueIdentifier",
    46: "dnQualifier",
    51: "houseIdentifier",
    54: "dmdName",
    65: "pseudonym",
    72: "role",
    97: "organizationIdentifier",
    98: "c3",
    99: "n3",
    100: "dnsName",
}
_SHORT = {
    **{f"2.5.4.{number}": name for number, name in _X520.items()},
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "1.2.840.113549.1.9.20": "friendlyName",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

# Name ::= SEQUENCE OF RelativeDistinguishedName
# RelativeDistinguishedName ::= SET OF AttributeTypeAndValue
# AttributeTypeAndValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY }


@asn1.sequence
class AttributeTypeAndValue:
    """One part of a name, its value as it stands."""

    type: ObjectIdentifier
    value: asn1.TLV


def oneline(name: bytes) -> str:
    """Return the text of a DER Name that was checked to be DER; raises ValueError on another."""
    return "".join(
        f"{'+' if number else '/'}{_attribute(asn1.decode_der(AttributeTypeAndValue, part))}"
        for part_set in _elements(name)
        for number, part in enumerate(_elements(part_set))
    )


def _attribute(attribute: AttributeTypeAndValue) -> str:
    kind = attribute.type.dotted_string
    element = asn1.encode_der(attribute.value)
    # OpenSSL keeps a value that is no string, a postal address, with its tag and length.
    value = element if element[0] == SEQUENCE | CONSTRUCTED else bytes(attribute.value.data)
    return f"{_SHORT.get(kind, kind)}={''.join(map(_octet, value))}"


def _octet(octet: int) -> str:
    if octet not in PRINTABLE:
        return f"\\x{octet:02X}"
    return f"\\{octet:c}" if octet in ESCAPED else f"{octet:c}"


def _elements(constructed: bytes) -> Iterator[bytes]:
    content = bytes(asn1.decode_der(asn1.TLV, constructed).data)
    while content:
        size = element_size(content)
        yield content[:size]
        content = content[size:]
