"""Whether a Nix store path is named by its own content, which then says nothing of inputs.

Recomputes the name that content alone gives: of a tree (`source`), of one file (`output`), of
a text. The CA line of a narinfo says the same but nobody signs it. Paths that refer to
themselves are not recomputed. Source: Nix's manual, "Complete Store Path Calculation".
"""

from __future__ import annotations

import hashlib

from ceremony.attest.nar import Nar
from ceremony.attest.narinfo import DIGITS, STORE, NarInfo

NAME_BYTES = 20
NAME_DIGITS = 32


def is_named_by_content(info: NarInfo, nar: Nar) -> bool:
    """Say whether the CA line or the path itself says so; `nar` is the archive of `info`."""
    return info.content_addressed or _digits(info) in _possible(info, nar)


def _digits(info: NarInfo) -> str:
    return info.store_path.removeprefix(STORE)[:NAME_DIGITS]


def _possible(info: NarInfo, nar: Nar) -> set[str]:
    references = "".join(f":{STORE}{name}" for name in info.references)
    found = {_named(f"source{references}", nar.sha256, info.name)}
    for file in nar.files:
        if not file.path:
            inner = hashlib.sha256(f"fixed:out:sha256:{file.sha256}:".encode()).hexdigest()
            found.add(_named("output:out", inner, info.name))
            found.add(_named(f"text{references}", file.sha256, info.name))
    return found


def _named(kind: str, sha256: str, name: str) -> str:
    whole = f"{kind}:sha256:{sha256}:{STORE.rstrip('/')}:{name}"
    digest = hashlib.sha256(whole.encode()).digest()
    folded = bytearray(NAME_BYTES)
    for place, octet in enumerate(digest):
        folded[place % NAME_BYTES] ^= octet
    number = int.from_bytes(folded, "little")
    return "".join(DIGITS[number >> (5 * place) & 31] for place in range(NAME_DIGITS - 1, -1, -1))
