"""What one content is hashed to and what it says, worked out once for all signatures beside it.

Decides what a signature may cost: thousands of hostile ones may stand beside a few large
files, and each is tried against sixteen. Large contents are hashed and read once; what is
signed unhashed is tried up to a size that costs nothing. Refuses to know signatures.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ceremony.attest import sums
from ceremony.attest.record import Claims
from ceremony.errors import Refused, refuse
from ceremony.types import Finding, MediaFile

# A larger file is no checksum file: trying it would cost much and prove nothing.
MOST_SIGNED = sums.MOST_BYTES
# Ed25519 reads the message for every signature again: minisign's `Ed` and signify. The cap is
# each file's own: with one for all of them a stranger's file could crowd out the one signed.
MOST_UNHASHED = 1 << 16  # bytes
SMALL = 1 << 12  # bytes; hashing so few costs no more than looking up
# More than a medium can hold of contents that are worth it (limits.py: 24 MiB).
MOST_KEPT = 512
MOST_CLAIMS_KEPT = 8  # of a mebibyte each; signatures are read in the order of their names


def digest(content: bytes, name: str) -> bytes:
    """Return a content's digest; `name` is hashlib's."""
    if len(content) <= SMALL:
        return hashlib.new(name, content).digest()
    return _digest(content, name)


@lru_cache(maxsize=MOST_KEPT)
def _digest(content: bytes, name: str) -> bytes:
    return hashlib.new(name, content).digest()


def claims(content: bytes) -> Claims:
    """Return what a checksum file says; Refused (ATT-SUMS, ...) says why it says nothing."""
    if len(content) <= SMALL:
        return sums.read_sums(content)
    found = _claims(content)
    if isinstance(found, Finding):
        raise Refused(found)
    return found


@lru_cache(maxsize=MOST_CLAIMS_KEPT)
def _claims(content: bytes) -> Claims | Finding:
    try:
        return sums.read_sums(content)
    except Refused as error:
        return error.findings[0]


def tried(signed: tuple[MediaFile, ...], *, hashed: bool) -> tuple[MediaFile, ...]:
    """Return the files that a signature is tried against, best first; ATT-SUMS where none is.

    `hashed` says whether the signature is over a digest, which is kept.
    """
    found = [file for file in signed if len(file.data) <= MOST_SIGNED]
    if signed and not found:
        raise refuse(sums.RULE, f"the file that it signs has more than {MOST_SIGNED} bytes")
    few = tuple(file for file in found if hashed or len(file.data) <= MOST_UNHASHED)
    if found and not few:
        text = f"a file of more than {MOST_UNHASHED} bytes that is signed unhashed is not tried"
        raise refuse(sums.RULE, text)
    return few
