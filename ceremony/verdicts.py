"""The shapes of a verdict: what was decided, on each file, builder and principal, and why.

Decides only shapes; quorum.py makes them. Everything here is text, numbers, tuples and
digests, so that it can be written to a transcript as it is and read back equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ceremony.types import Digest, Finding


class Judgement(StrEnum):
    """The three possible verdicts."""

    ACCEPT = "ACCEPT"
    REFUSE = "REFUSE"
    OVERRIDE_NEEDED = "OVERRIDE_NEEDED"


class Standing(StrEnum):
    """What became of one attestation."""

    COUNTED = "counted"
    WEAK = "weak"
    DUPLICATE = "duplicate"
    NOT_COUNTED = "not-counted"
    DISSENT = "dissent"
    MALFORMED = "malformed"


class Answer(StrEnum):
    """What a builder says about the image."""

    MATCH = "match"
    VARIANT = "variant"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Disposition:
    """What became of one file: whose it is ("" unknown), under which rule, why in a sentence.

    `file` is the path as found on the media, `text` is escaped; `rule` is empty for a vote
    that simply counts.
    """

    file: str
    builder: str
    disposition: Standing
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class PrincipalVote:
    """One principal: its builders, what joins them, and how its vote stands ("" none)."""

    name: str
    builders: tuple[str, ...]
    because: str
    vote: str


@dataclass(frozen=True, slots=True)
class Row:
    """One enrolled builder's line of the matrix.

    `variant` is "" for no answer, "=" for the image judged and "A", "B", ... for another
    digest; `sha256` is the digest that it says, `inputs` its must_agree pins.
    """

    builder: str
    principal: str
    organisation: str
    isolation: str
    answer: Answer
    variant: str
    sha256: str
    inputs: tuple[tuple[str, str], ...]
    disposition: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One component of the policy: the digest that its votes are compared with ("" none).

    `votes`, `weak` and `matrix` are as a verdict's, of the component's own votes.
    """

    component: str
    sha256: str
    votes: int
    weak: int
    matrix: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judge's whole answer about one image.

    `inputs` is the input key that the counted votes share, `votes` the number of principals
    counted (`weak` of them weak), `operators` and `reason` who set a veto aside and why,
    `components` the parts that have votes of their own.
    """

    verdict: Judgement
    policy_sha256: Digest
    image_name: str
    image_sha256: Digest
    inputs: tuple[tuple[str, str], ...]
    votes: int
    weak: int
    findings: tuple[Finding, ...]
    dispositions: tuple[Disposition, ...]
    matrix: tuple[Row, ...]
    principals: tuple[PrincipalVote, ...]
    operators: tuple[str, ...] = ()
    reason: str = ""
    components: tuple[Part, ...] = ()
