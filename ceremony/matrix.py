"""The verdict drawn as a matrix: one row for each enrolled builder, one vote a principal.

Decides which of a builder's attestations stands for it and which letter another digest
gets. Refuses to know why anything counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from ceremony.admission import Barred
from ceremony.attest.record import Pairs
from ceremony.counting import Stand
from ceremony.policy_model import Policy
from ceremony.policy_people import Builder
from ceremony.principals import principals
from ceremony.verdicts import Answer, PrincipalVote, Row, Standing

# What people must see first stands first.
_ORDER = (
    Standing.DISSENT,
    Standing.COUNTED,
    Standing.WEAK,
    Standing.DUPLICATE,
    Standing.NOT_COUNTED,
    Standing.MALFORMED,
)


@dataclass(frozen=True, slots=True)
class _Line:
    order: int
    file: str
    sha256: str
    inputs: Pairs
    standing: Standing
    rule: str
    text: str


def rows(
    policy: Policy,
    stands: tuple[Stand, ...],
    barred: tuple[Barred, ...],
    sha256: str,
    names: Mapping[str, str],
) -> tuple[Row, ...]:
    """Return the matrix, by builder id."""
    lines: dict[str, list[_Line]] = {}
    for s in stands:
        line = _Line(
            *(_ORDER.index(s.standing), s.vote.file, s.vote.sha256, s.vote.inputs),
            *(s.standing, s.rule, s.text),
        )
        lines.setdefault(s.vote.builder, []).append(line)
    for b in barred:
        line = _Line(_ORDER.index(b.standing), b.file, b.says, (), b.standing, b.rule, b.text)
        lines.setdefault(b.builder, []).append(line)
    shown = {
        builder.id: min(lines[builder.id], key=lambda line: (line.order, line.file))
        for builder in policy.builders
        if builder.id in lines
    }
    variants = _variants({line.sha256 for line in shown.values()} - {"", sha256})
    variants[sha256] = "="
    return tuple(
        _row(builder, names[builder.id], shown.get(builder.id), variants)
        for builder in sorted(policy.builders, key=lambda builder: builder.id)
    )


def _variants(digests: set[str]) -> dict[str, str]:
    letters = (*ascii_uppercase, *(f"V{number}" for number in range(27, len(digests) + 1)))
    return dict(zip(sorted(digests), letters, strict=False))


def _row(builder: Builder, principal: str, line: _Line | None, variants: Mapping[str, str]) -> Row:
    variant = variants.get(line.sha256, "") if line else ""
    answer = {"": Answer.MISSING, "=": Answer.MATCH}.get(variant, Answer.VARIANT)
    return Row(
        builder=builder.id,
        principal=principal,
        organisation=builder.organisation,
        isolation=builder.isolation,
        answer=answer,
        variant=variant,
        sha256=line.sha256 if line else "",
        inputs=line.inputs if line else (),
        disposition=str(line.standing) if line else "",
        rule=line.rule if line else "QRM-ABSENT",
        text=line.text if line else "no attestation of this builder is here",
    )


def principal_votes(policy: Policy, stands: tuple[Stand, ...]) -> tuple[PrincipalVote, ...]:
    """Return every principal with its builders and how its vote stands."""
    best: dict[str, Standing] = {}
    for stand in stands:
        builder = stand.vote.builder
        other = best.get(builder, stand.standing)
        best[builder] = min(other, stand.standing, key=_ORDER.index)
    return tuple(
        PrincipalVote(
            name=principal.name,
            builders=principal.builders,
            because=principal.because,
            vote=_best([best[name] for name in principal.builders if name in best]),
        )
        for principal in principals(policy.builders)
    )


def _best(standings: list[Standing]) -> str:
    return str(min(standings, key=_ORDER.index)) if standings else ""
