"""What reading attestations needs besides the files: facts from the edge, handed in.

An archive as large as the image passes through once, at the edge, and leaves its facts.
Verifying a Sigstore bundle needs an optional package that reads the machine's clock. Without
these aids such files are read, told and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.attest.nar_media import NarFacts
from ceremony.attest.sigstore import Verifier
from ceremony.types import MediaFile


@dataclass(frozen=True, slots=True)
class Aids:
    """Archives found beside the files, and who verifies Sigstore bundles, if anybody.

    `roots` are the trusted roots among the files that the policy pins, `names` the artifact's
    exact names.
    """

    archives: tuple[NarFacts, ...] = ()
    verifier: Verifier | None = None
    roots: tuple[MediaFile, ...] = ()
    names: tuple[str, ...] = ()


NONE = Aids()
