"""An in-toto DigestSet: {"sha256": hex, "sha512": hex, ...}.

Decides which digests of a file count: SHA-256, SHA-384 and SHA-512 in lower-case hex. Others
are not looked at. Refuses to know which file it is.
"""

from __future__ import annotations

import re

from ceremony.attest.record import Pairs
from ceremony.attest.strict_json import Json
from ceremony.errors import refuse

MOST_DIGESTS = 32
HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


def read_digests(digests: dict[str, Json], rule: str) -> Pairs:
    """Return the digests that count as (algorithm, hex), sorted, or refuse under `rule`."""
    if len(digests) > MOST_DIGESTS:
        raise refuse(rule, f"{len(digests)} digests of one file, the cap is {MOST_DIGESTS}")
    known = []
    for algorithm, value in sorted(digests.items()):
        digits = HEX_DIGITS.get(algorithm)
        if digits is None:
            continue
        if not isinstance(value, str) or len(value) != digits or not _HEX.fullmatch(value):
            raise refuse(rule, f"a {algorithm} digest that is not {digits} lower-case hex digits")
        known.append((algorithm, value))
    return tuple(known)
