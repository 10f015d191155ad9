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


_PLACE = {standing: place for place, standing in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class _Line:
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
    best: dict[str, tuple[tuple[int, str], Stand | Barred]] = {}
    for s in stands:
        place = (_PLACE[s.standing], s.vote.file)
        if s.vote.builder not in best or place < best[s.vote.builder][0]:
            best[s.vote.builder] = place, s
    for b in barred:
        place = (_PLACE[b.standing], b.file)
        if b.builder not in best or place < best[b.builder][0]:
            best[b.builder] = place, b
    shown = {b.id: _line(best[b.id][1]) for b in policy.builders if b.id in best}
    variants = _variants({line.sha256 for line in shown.values()} - {"", sha256})
    variants[sha256] = "="
    return tuple(
        _row(builder, names[builder.id], shown.get(builder.id), variants)
        for builder in sorted(policy.builders, key=lambda builder: builder.id)
    )


def _line(one: Stand | Barred) -> _Line:
    if isinstance(one, Barred):
        return _Line(one.says, (), one.standing, one.rule, one.text)
    return _Line(one.vote.sha256, one.vote.inputs, one.standing, one.rule, one.text)


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
        best[builder] = min(other, stand.standing, key=_PLACE.__getitem__)
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
