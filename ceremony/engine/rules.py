"""What a step of the engine may look at besides state and event: contents by their digest.

A digest names exactly one content, so looking one up is as pure as adding two numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ceremony.attest.gather import Reader, read_here
from ceremony.attest.sigstore import Verifier
from ceremony.content import Content, Stored, content_of
from ceremony.effects import Output
from ceremony.errors import OutOfOrder
from ceremony.events import Decided
from ceremony.turns import Runner, in_turn
from ceremony.types import Digest, DigestKind

RULESET = "1"


class NotHere(OutOfOrder):
    """The content that this would be recomputed from is not here."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the rules, and the large contents the ceremony has copied in.

    `contents` maps the SHA-256 in hex of an image to its bytes, or to what gives them part by
    part; `hashed` says that whoever put them there took the digests of these very bytes.
    `verifier` verifies Sigstore bundles, from their bytes alone, where that part is installed.
    `read` reads attestations: in this process for a replay, in a confined child while a
    ceremony is held. It may raise Refused (MED-SANDBOX), and what it returns never depends on
    where it read. `run` does work that may be done at once. `made` keeps the
    outputs that were made last, with what they were made of: a record may ask for them a
    million times. `recorded` are the decisions, by name, of a record that is replayed without
    its image (unseen.py); None while a ceremony is held, and whenever nothing may be believed.
    """

    contents: Mapping[str, Stored] = field(default_factory=dict)
    version: str = RULESET
    verifier: Verifier | None = None
    read: Reader = read_here
    run: Runner = in_turn
    hashed: bool = False
    recorded: Mapping[str, Decided] | None = None
    made: list[tuple[tuple[object, ...], tuple[Output, ...]]] = field(
        default_factory=list, compare=False, repr=False
    )

    def content(self, sha256: str) -> Content:
        """Return the bytes with this digest; OutOfOrder when nobody brought them."""
        try:
            return content_of(self.contents[sha256])
        except KeyError:
            raise NotHere(f"the content with SHA-256 {sha256} is not here") from None

    def lacks(self, sha256: str) -> bool:
        """Say whether a record stands in for this content, which nobody brought."""
        return self.recorded is not None and sha256 not in self.contents

    def told(self, name: str) -> Decided | None:
        """Return the decision of this name in the record that stands in for the content."""
        return (self.recorded or {}).get(name)

    def known(self, sha256: str) -> Digest | None:
        """Return the digest of the bytes under this name, None where it is to be computed."""
        if not self.hashed or sha256 not in self.contents:
            return None
        return Digest.from_hex(DigestKind.FILE_SHA256, sha256)
