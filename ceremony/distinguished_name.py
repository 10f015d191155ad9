"""A certificate's name as a text that is recorded: RFC 4514, written here and by no library.

Decides the one text of a name: the last part first, short names for the nine types of RFC 4514
and numbers for all others. A library's next version may know more short names, and a replay
compares. Refuses to know what a name means.
"""

from __future__ import annotations

import re

from cryptography import x509

# RFC 4514, 3: the short names that every implementation knows.
_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
# RFC 4514, 2.4: what is escaped wherever it stands, at the beginning, and at the end.
_SPECIAL = re.compile(r'["+,;<>\\]')


def dn_text(name: x509.Name) -> str:
    """Return a name's text, the most special part first."""
    return ",".join("+".join(map(_attribute, part)) for part in reversed(name.rdns))


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> str:
    kind = attribute.oid.dotted_string
    return f"{_SHORT.get(kind, kind)}={_value(attribute.value)}"


def _value(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return f"#{value.hex()}" if value else ""
    text = _SPECIAL.sub(r"\\\g<0>", value).replace("\0", "\\00")
    if value.startswith("#") or (value.startswith(" ") and len(value) > 1):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if value.endswith(" ") else text
