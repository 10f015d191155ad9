"""The image's further digests: what builders list besides SHA-256 is checked, not believed.

Decides which algorithms are computed and takes the image's bytes in file order, as a sink of
the same single read as all else. Votes are compared by SHA-256; these only have to agree.
Refuses to know who lists them.
"""

from __future__ import annotations

import hashlib

from ceremony.pe.headers import Bytes

ALGORITHMS = ("sha384", "sha512")


class FurtherDigest:
    """One further digest of a file, as a sink that may be fed on a thread of its own."""

    def __init__(self, algorithm: str) -> None:
        if algorithm not in ALGORITHMS:
            raise TypeError(f"{algorithm} is none of {', '.join(ALGORITHMS)}")
        self.algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        self._hash.update(chunk)

    def pair(self) -> tuple[str, str]:
        """Return the algorithm and the lower-case hex digits, as judge's `digests` takes them."""
        return self.algorithm, self._hash.hexdigest()


def further_digests(*pieces: Bytes) -> tuple[tuple[str, str], ...]:
    """Return every further digest of a file given in pieces."""
    sinks = tuple(FurtherDigest(algorithm) for algorithm in ALGORITHMS)
    for piece in pieces:
        for sink in sinks:
            sink.update(piece)
    return tuple(sink.pair() for sink in sinks)
