"""DER as a form: every element definite, minimal and inside its parent, to a bounded depth.

The contents of the universal primitive types are checked too, as OpenSSL does when it
reads: it drops a whole signature for one bad object identifier in a certificate's name.

Decides only that bytes are strict DER and where the first element ends. The meaning of an
element is told by the declarative grammars (spc.py, cms.py, certificate.py), which do not
look inside the parts that they pass on as a whole.
Source: ITU-T X.690, sections 8 and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ceremony.errors import refuse

MOST_DEPTH = 32
LEAST_HEADER = 2
LONG_FORM, MORE = 0x80, 0x80
CONSTRUCTED, UNIVERSAL_BITS, TAG_BITS = 0x20, 0xC0, 0x1F
SEQUENCE, SET = 0x10, 0x11
BOOLEAN, INTEGER, BIT_STRING, NULL, OBJECT_IDENTIFIER = 0x01, 0x02, 0x03, 0x05, 0x06
UTF8_STRING, UNIVERSAL_STRING, BMP_STRING = 0x0C, 0x1C, 0x1E


def element_size(data: bytes) -> int:
    """Return the whole size in bytes of the element that `data` starts with.

    Raises Refused (SIG-DER) when its header is not strict DER or it runs past `data`.
    """
    return _header(data, 0, len(data))[1]


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the elements that stand one behind the other in strict DER."""
    at = 0
    while at < len(data):
        content, after = _header(data, at, len(data))
        yield data[at], data[content:after]
        at = after


def check_der(data: bytes) -> None:
    """Raise Refused (SIG-DER) unless `data` is one strict DER element, nothing behind it."""
    if element_size(data) != len(data):
        raise refuse("SIG-DER", "bytes stand behind the DER element")
    ranges = [(0, len(data), 0)]
    while ranges:
        at, end, depth = ranges.pop()
        while at < end:
            content, after = _header(data, at, end)
            if data[at] & CONSTRUCTED:
                if depth == MOST_DEPTH:
                    raise refuse("SIG-DER", f"elements nested deeper than {MOST_DEPTH}", at)
                ranges.append((content, after, depth + 1))
            elif (check := CHECKS.get(data[at])) and not check[0](data[content:after]):
                raise refuse("SIG-DER", check[1], at)
            at = after


def _header(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return where the content of the element at `at` starts, and where it ends."""
    if end - at < LEAST_HEADER:
        raise refuse("SIG-DER", "an element is cut off", at)
    tag, first = data[at], data[at + 1]
    number = tag & TAG_BITS
    if number == TAG_BITS or tag == 0:
        raise refuse("SIG-DER", f"tag {tag:#04x} is not used in a signature", at)
    constructed = bool(tag & CONSTRUCTED)
    # X.690 10.2: DER has no constructed strings; SEQUENCE and SET are always constructed.
    if not tag & UNIVERSAL_BITS and constructed is not (number in (SEQUENCE, SET)):
        raise refuse("SIG-DER", f"tag {tag:#04x} has the wrong form", at)
    content, length = at + 2, first
    if first & LONG_FORM:
        digits = data[content : content + (first & ~LONG_FORM)]
        content += len(digits)
        length = int.from_bytes(digits, "big")
        # X.690 10.1: definite form, the fewest octets.
        if not digits or len(digits) != first & ~LONG_FORM or digits[0] == 0 or length < LONG_FORM:
            raise refuse("SIG-DER", "a length is indefinite, cut off or not minimal", at + 1)
    if length > end - content:
        raise refuse("SIG-DER", "an element runs past the one that holds it", at)
    return content, content + length


def _is_boolean(content: bytes) -> bool:
    return content in {b"\x00", b"\xff"}  # X.690 8.2, 11.1


def _is_integer(content: bytes) -> bool:
    # X.690 8.3.2: the first nine bits are not all equal.
    value = int.from_bytes(content, "big", signed=True)
    return len(content) == (value + (value < 0)).bit_length() // 8 + 1


def _is_bit_string(content: bytes) -> bool:
    # X.690 8.6.2, 11.2: 0 to 7 unused bits, all zero; none in an empty string.
    if len(content) <= 1:
        return content == b"\x00"
    return content[0] in range(8) and not content[-1] & ((1 << content[0]) - 1)


def _is_identifier(content: bytes) -> bool:
    # X.690 8.19.2: the last octet ends a subidentifier, none is padded.
    if not content or content[-1] & MORE:
        return False
    starts = (at == 0 or not content[at - 1] & MORE for at in range(len(content)))
    return not any(first and octet == MORE for first, octet in zip(starts, content, strict=True))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_of_width(width: int) -> Callable[[bytes], bool]:
    return lambda content: len(content) % width == 0


CHECKS: dict[int, tuple[Callable[[bytes], bool], str]] = {
    BOOLEAN: (_is_boolean, "a boolean is neither 00 nor FF"),
    INTEGER: (_is_integer, "an integer is empty or not minimal"),
    BIT_STRING: (_is_bit_string, "a bit string's unused bits are wrong or not zero"),
    NULL: (lambda content: not content, "a NULL is not empty"),
    OBJECT_IDENTIFIER: (_is_identifier, "an object identifier is cut off or padded"),
    UTF8_STRING: (_is_utf8, "a UTF-8 string is not UTF-8"),
    UNIVERSAL_STRING: (_is_of_width(4), "a UniversalString is cut off"),
    BMP_STRING: (_is_of_width(2), "a BMPString is cut off"),
}
