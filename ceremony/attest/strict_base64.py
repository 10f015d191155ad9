"""Base64 that has one spelling: RFC 4648, no junk, no white space, no stray padding bits.

Decides whether a text is exactly the encoding of some bytes. Refuses to know of what.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress

from ceremony.errors import Refused, refuse


def decoded(text: str, rule: str) -> bytes:
    """Return the bytes of a standard, padded base64 text, or refuse under `rule`."""
    # A decoder that skips junk, and back again, is quicker than one that looks for junk.
    with suppress(ValueError):
        raw = text.encode("ascii")
        data = binascii.a2b_base64(raw)
        if binascii.b2a_base64(data, newline=False) == raw:
            return data
    raise _why(text, rule)


def _why(text: str, rule: str) -> Refused:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return refuse(rule, "the text is not base64")
    return refuse(rule, "the base64 has junk, missing padding or stray padding bits")


def decoded_either(text: str, rule: str) -> bytes:
    """Return the bytes of a base64 text in the standard or the URL-safe alphabet, not mixed.

    DSSE 1.0.2: "Either standard or URL-safe encoding is allowed."
    """
    if "-" not in text and "_" not in text:
        return decoded(text, rule)
    if "+" in text or "/" in text:
        raise refuse(rule, "the base64 mixes two alphabets")
    return decoded(text.replace("-", "+").replace("_", "/"), rule)
