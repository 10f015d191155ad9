"""DER as a form: every element definite, minimal and inside its parent, to a bounded depth.

Decides only that bytes are strict DER and where the first element ends. The meaning of an
element is told by the declarative grammars (spc.py, cms.py, certificate.py), which do not
look inside the parts that they pass on as a whole.
Source: ITU-T X.690, sections 8 and 10.
"""

from __future__ import annotations

from ceremony.errors import refuse

MOST_DEPTH = 32
LEAST_HEADER = 2
LONG_FORM = 0x80
CONSTRUCTED, UNIVERSAL_BITS, TAG_BITS = 0x20, 0xC0, 0x1F
SEQUENCE, SET, INTEGER = 0x10, 0x11, 0x02


def element_size(data: bytes) -> int:
    """Return the whole size in bytes of the element that `data` starts with.

    Raises Refused (SIG-DER) when its header is not strict DER or it runs past `data`.
    """
    return _header(data, 0, len(data))[1]


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
            elif data[at] == INTEGER:
                _check_integer(data[content:after], at)
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


def _check_integer(content: bytes, at: int) -> None:
    # X.690 8.3.2: the first nine bits are not all equal.
    value = int.from_bytes(content, "big", signed=True)
    padded = len(content) != (value + (value < 0)).bit_length() // 8 + 1
    if padded:
        raise refuse("SIG-DER", "an integer is empty or not minimal", at)
