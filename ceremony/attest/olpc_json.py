r"""The canonical JSON that in-toto's classic signatures are over ("OLPC" canonical JSON).

    object  { members sorted by the code points of their names }   no white space anywhere
    string  " with every " and \ behind a \, all else as it is, in UTF-8 "
    number  an integer in shortest decimal form; there are no fractions and no exponents

Decides the one byte string that a strictly read document stands for: two documents share it
only if they say the same. Refuses to know which document it is and who signs it.
"""

from __future__ import annotations

from ceremony.attest.strict_json import Json


def canonical(value: Json) -> bytes:
    """Return the canonical form of what strict_json read, in UTF-8."""
    return _text(value).encode("utf-8")


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
