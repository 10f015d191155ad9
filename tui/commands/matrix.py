"""A verdict drawn for people: the matrix of builders and what each missing vote needs.

Decides columns and sentences. It refuses to know why anything counts: that is the verdict's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony.policy_model import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.rules.register import lookup
from ceremony.show import escaped
from ceremony.verdicts import Answer, Part, Row, Standing, Verdict
from tui.commands.advice import command

NAME, DIGEST, COLUMN = 20, 16, 12
MATCH = "match"
COUNTS = (Standing.COUNTED, Standing.WEAK)


@dataclass(frozen=True, slots=True)
class Advice:
    """One builder without a vote: why, in a sentence, and what it should run ("" nothing)."""

    builder: str
    says: str
    run: str


def matrix_lines(verdict: Verdict) -> tuple[str, ...]:
    """Return the matrix: a row a builder, and what its variants stand for."""
    image = escaped(verdict.image_name, NAME)
    head = f"{'Builder':<{NAME}} {image:<{NAME}} {'Vote':<{COLUMN}} Principal"
    return (
        head,
        *(_row(row) for row in verdict.matrix),
        "",
        *_variants(verdict.matrix, verdict.image_sha256.hex),
        *(line for part in verdict.components for line in _part(part)),
    )


def _part(part: Part) -> tuple[str, ...]:
    """Return a component's matrix: only those who answered, for few builders know a part."""
    name = escaped(part.component, NAME)
    said = tuple(row for row in part.matrix if row.answer is not Answer.MISSING)
    return (
        "",
        f"{'Component':<{NAME}} {name:<{NAME}} {'Vote':<{COLUMN}} Principal",
        *(_row(row) for row in said),
        *(("nobody attests it",) if not said else ()),
        "",
        *_variants(said, part.sha256 or "-"),
    )


def _row(row: Row) -> str:
    answer = {
        Answer.MATCH: MATCH,
        Answer.VARIANT: f"variant {row.variant}",
        Answer.MISSING: "missing",
    }[row.answer]
    vote = row.disposition or "-"
    principal = escaped(row.principal, NAME)
    return f"{escaped(row.builder, NAME):<{NAME}} {answer:<{NAME}} {vote:<{COLUMN}} {principal}"


def _variants(matrix: tuple[Row, ...], sha256: str) -> tuple[str, ...]:
    found = {row.variant: row.sha256 for row in matrix if row.answer is Answer.VARIANT}
    return (
        f"match      {sha256}",
        *(f"variant {letter:<2} {digest}" for letter, digest in sorted(found.items())),
    )


def explained(policy: Policy, verdict: Verdict) -> tuple[Advice, ...]:
    """Return advice for every builder that has no vote, by builder id."""
    voters = {row.builder for row in verdict.matrix if row.disposition in COUNTS}
    spoken = {
        builder: voter
        for one in verdict.principals
        if one.vote in COUNTS
        for voter in [next((name for name in one.builders if name in voters), one.name)]
        for builder in one.builders
    }
    return tuple(
        _advice(policy, verdict, row, spoken)
        for row in verdict.matrix
        if row.disposition not in COUNTS
    )


def advice_lines(advice: tuple[Advice, ...]) -> tuple[str, ...]:
    """Return advice as lines: the sentence, and the command below it."""
    lines: list[str] = []
    for one in advice:
        lines.append(f"{escaped(one.builder, NAME)}: {one.says}")
        if one.run:
            lines.append(f"    {one.run}")
    return tuple(lines)


def _advice(policy: Policy, verdict: Verdict, row: Row, spoken: Mapping[str, str]) -> Advice:
    if row.rule != "QRM-ABSENT" and row.disposition == Standing.DUPLICATE:
        return Advice(row.builder, f"{row.text}; nothing more is needed of it", "")
    if row.rule == "QRM-ABSENT" and row.builder in spoken:
        text = f"it has not spoken, but is one principal with {escaped(spoken[row.builder])}"
        return Advice(row.builder, f"{text}, which has its vote; nothing is needed of it", "")
    if row.disposition == Standing.DISSENT:
        text = f"{row.text}: find out why the builds differ before anything is signed"
        return Advice(row.builder, text, "")
    rule = lookup(row.rule)
    following = rule.next if rule and row.rule != "QRM-ABSENT" else "Ask it to build and attest."
    builder = policy.builder_named[row.builder]
    if KeyWrapping.SIGSTORE in {key.wrapping for key in builder.keys}:
        following += " Its enrolled workflow does that, run again."
    run = command(policy, verdict, builder)
    return Advice(row.builder, f"{row.text}. {following}", run)
