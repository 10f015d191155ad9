r"""The canonical JSON that in-toto's classic signatures are over ("OLPC" canonical JSON).

    object  { members sorted by the code points of their names }   no white space anywhere
    string  " with every " and \ behind a \, all else as it is, in UTF-8 "
    number  an integer in shortest decimal form; there are no fractions and no exponents

Decides the one byte string that a strictly read document stands for: two documents share it
only if they say the same. Refuses to know which document it is and who signs it.
"""

from __future__ import annotations

import json
from typing import NoReturn

from ceremony.attest.strict_json import MOST_DEPTH, Json, check_depth, integer
from ceremony.errors import refuse

RULE = "ATT-JSON"
MOST_BYTES = 4 << 20


def canonical(value: Json) -> bytes:
    """Return the canonical form of what strict_json read, in UTF-8."""
    return _text(value).encode("utf-8")


def read_canonical(data: bytes) -> Json:
    """Return the document of which `data` is the canonical form; Refused (ATT-JSON).

    What strict_json refuses in a file is refused here alike: depth and numbers.
    """
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the document has more than {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        check_depth(text, MOST_DEPTH - 1)  # in its file it stands in an object
        value: Json = _DECODER.decode(text)
        same = canonical(value) == data
    except ValueError:
        same = False
    if not same:
        raise refuse(RULE, "what was signed is not canonical JSON")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


# strict=False: control characters stand raw in its strings.
_DECODER = json.JSONDecoder(
    strict=False, parse_int=integer, parse_float=_no_number, parse_constant=_no_number
)


def _text(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            # Control characters stand raw: this is not RFC 8259 text, it is only ever signed.
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case dict():
            return "{" + ",".join(f"{_text(k)}:{_text(value[k])}" for k in sorted(value)) + "}"
