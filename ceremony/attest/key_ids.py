"""The key id that securesystemslib gives a key, which in-toto writes beside a signature.

Decides only that hint: SHA-256 of the canonical JSON of {"keytype", "keyval", "scheme"}. It
names a key in one wrapping and scheme, so one key has several; nothing is ever counted or
trusted by it. Refuses to know whose key it is.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from functools import lru_cache

from ceremony.attest.olpc_json import canonical
from ceremony.keys import ED25519_SPKI, PublicKey

PEM_COLUMNS = 64
_ECDSA = {
    "ecdsa-p256-sha256": "ecdsa-sha2-nistp256",
    "ecdsa-p384-sha384": "ecdsa-sha2-nistp384",
    "ecdsa-p521-sha512": "ecdsa-sha2-nistp521",
}


@lru_cache(maxsize=8192)
def in_toto_key_id(key: PublicKey) -> str:
    """Return the key id in hex, "" for a key that in-toto does not know."""
    if key.algorithm == "ed25519":
        return _hash("ed25519", "ed25519", key.spki.removeprefix(ED25519_SPKI).hex())
    if key.algorithm in _ECDSA:
        return _hash("ecdsa", _ECDSA[key.algorithm], _pem(key.spki))
    if key.algorithm.startswith("rsa-"):
        return _hash("rsa", "rsassa-pss-sha256", _pem(key.spki))
    return ""


def _hash(keytype: str, scheme: str, public: str) -> str:
    named = canonical({"keytype": keytype, "keyval": {"public": public}, "scheme": scheme})
    return hashlib.sha256(named).hexdigest()


def _pem(spki: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(spki).decode("ascii"), PEM_COLUMNS)
    return "\n".join(("-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""))
