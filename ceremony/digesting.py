"""The image's further digests: what builders list besides SHA-256 is checked, not believed.

Decides which algorithms there are, and that one is computed only when an attestation of an
enrolled key lists it: it takes longer than SHA-256, and votes are compared by SHA-256 alone.
Refuses to know who lists them and where the image's bytes are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from ceremony.content import Stored, pieces_of
from ceremony.types import DigestPairs

ALGORITHMS = ("sha384", "sha512")

# From algorithms to the digests of each file that votes may be about, in the order of the
# facts: the image, or all that a signed one may have been before.
Further: TypeAlias = Callable[[tuple[str, ...]], tuple[DigestPairs, ...]]


def nothing_further(_algorithms: tuple[str, ...]) -> tuple[DigestPairs, ...]:
    """Compute none: for whoever has the image's facts and not its bytes."""
    return ()


def further_digest(algorithm: str, *parts: Stored) -> tuple[str, str]:
    """Return one further digest of a file given in parts, as (algorithm, lower-case hex)."""
    if algorithm not in ALGORITHMS:
        raise TypeError(f"{algorithm} is none of {', '.join(ALGORITHMS)}")
    hasher = hashlib.new(algorithm)
    for part in parts:
        for piece in pieces_of(part):
            hasher.update(piece)
    return algorithm, hasher.hexdigest()
