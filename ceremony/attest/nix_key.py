"""Nix's signing keys and signatures: a name, a colon, base64 of 32 or 64 bytes.

Decides only whether a text is such a key or signature. The name is a hint which key to try
and no identity: two keys may bear one name, and one key two. Refuses to know what is signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse
from ceremony.keys import PublicKey, from_ed25519

KEY_RULE = "ATT-KEY"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MOST_CHARACTERS = 512
# Nix splits at the first colon and allows any name before it; printable ones serve here.
_NAMED = re.compile(r"([!-9;-~]{1,200}):([!-~]+)")


@dataclass(frozen=True, slots=True)
class NixKey:
    """A key as `nix key convert-secret-to-public` writes it."""

    name: str
    key: PublicKey

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Return the one signing key."""
        return (self.key,)

    @property
    def key_id(self) -> str:
        """Return the name, a hint."""
        return self.name


def parse_nix_key(text: str) -> NixKey:
    """Read `name-1:base64` of an Ed25519 public key; Refused (ATT-KEY)."""
    name, raw = read_named(text.strip(), KEY_RULE)
    if len(raw) == SIGNATURE_BYTES:
        # libsodium's secret key has 64 bytes: seed and public key.
        raise refuse(KEY_RULE, "this is as long as a Nix secret key, which belongs in no policy")
    if len(raw) != KEY_BYTES:
        raise refuse(KEY_RULE, f"a Nix public key has {KEY_BYTES} bytes, not {len(raw)}")
    return NixKey(name, from_ed25519(raw))


def read_named(text: str, rule: str) -> tuple[str, bytes]:
    """Read `name:base64`; return the name and the bytes, or refuse under `rule`."""
    found = _NAMED.fullmatch(text) if len(text) <= MOST_CHARACTERS else None
    if found is None:
        raise refuse(rule, "this is not a name, a colon and base64")
    return found[1], decoded(found[2], rule)
