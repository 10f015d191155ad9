"""The inner form of an X.509 certificate: names, validity, key and extensions, as they are read.

Decides only whether each part has the elements that it must have. OpenSSL, and with it sbverify
and EDK2, reads a whole signature for nothing where one part of one certificate in it has not: a
signature that was added later would not count either. It refuses to know what the parts mean.
Source: RFC 5280, 4.1 and appendix A; X.520's DirectoryString and the strings of older names.
"""

from __future__ import annotations

from ceremony.pe.der import (
    BIT_STRING,
    BMP_STRING,
    BOOLEAN,
    CONSTRUCTED,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    SET,
    UNIVERSAL_STRING,
    elements,
)

OCTET_STRING, UTC_TIME, GENERALIZED_TIME = 0x04, 0x17, 0x18
LIST, ANY_ORDER = SEQUENCE | CONSTRUCTED, SET | CONSTRUCTED
# BIT STRING, UTF8String, Numeric-, Printable-, Teletex-, IA5-, Universal- and BMPString; X.520's
# PostalAddress is a SEQUENCE of them
NAME_VALUES = frozenset((0x03, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x1C, 0x1E, LIST))
WIDTHS = {BMP_STRING: 2, UNIVERSAL_STRING: 4}
SURROGATES = range(0xD800, 0xE000)  # no characters: OpenSSL cannot make UTF-8 of the name
LAST_CODE_POINT = 0x10FFFF

Element = tuple[int, bytes]


def is_algorithm(element: bytes) -> bool:
    """Tell SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }."""
    inner = _inside(element, LIST)
    return inner is not None and len(inner) in (1, 2) and inner[0][0] == OBJECT_IDENTIFIER


def is_name(element: bytes) -> bool:
    """Tell SEQUENCE OF SET SIZE (1..MAX) OF SEQUENCE { type OBJECT IDENTIFIER, value string }."""
    inner = _inside(element, LIST)
    return inner is not None and all(
        tag == ANY_ORDER and content and all(map(_is_attribute, elements(content)))
        for tag, content in inner
    )


def is_validity(element: bytes) -> bool:
    """Tell SEQUENCE { notBefore Time, notAfter Time }."""
    inner = _inside(element, LIST)
    return (
        inner is not None
        and len(inner) == len(("notBefore", "notAfter"))
        and all(tag in (UTC_TIME, GENERALIZED_TIME) for tag, _ in inner)
    )


def is_public_key(element: bytes) -> bool:
    """Tell SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }."""
    inner = _inside(element, LIST)
    if inner is None or [tag for tag, _ in inner] != [LIST, BIT_STRING]:
        return False
    kind = list(elements(inner[0][1]))
    return len(kind) in (1, 2) and kind[0][0] == OBJECT_IDENTIFIER


def is_extension(element: bytes) -> bool:
    """Tell SEQUENCE { OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, OCTET STRING }."""
    inner = _inside(element, LIST)
    return inner is not None and [tag for tag, _ in inner] in (
        [OBJECT_IDENTIFIER, OCTET_STRING],
        [OBJECT_IDENTIFIER, BOOLEAN, OCTET_STRING],
    )


def _inside(element: bytes, wanted: int) -> list[Element] | None:
    """Return what a constructed element holds, None where it is another."""
    ((tag, content),) = elements(element)
    return list(elements(content)) if tag == wanted else None


def _is_attribute(element: Element) -> bool:
    tag, content = element
    inner = list(elements(content)) if tag == LIST else []
    if len(inner) != len(("type", "value")) or inner[0][0] != OBJECT_IDENTIFIER:
        return False
    kind, value = inner[1]
    if width := WIDTHS.get(kind):
        starts = range(0, len(value), width)
        points = (int.from_bytes(value[at : at + width], "big") for at in starts)
        return all(point <= LAST_CODE_POINT and point not in SURROGATES for point in points)
    return kind in NAME_VALUES
