"""The quorum: the matrix of builders, the verdict, and what became of every file."""

from __future__ import annotations

from ceremony.events import Decided
from ceremony.verdicts import Answer, Disposition, Judgement, Row, Standing, Verdict
from transcripts.report.document import (
    Block,
    Cell,
    Code,
    Facts,
    Mark,
    Paragraph,
    RuleId,
    Section,
    Table,
    at,
    cell,
    code,
)
from transcripts.report.findings import found_table
from transcripts.report.record import Record, shaped

MOST_ROWS = 1000
COUNTS = (Standing.COUNTED, Standing.WEAK)


def section(record: Record) -> Section:
    """Return the section on the quorum."""
    blocks: list[Block] = []
    for name in ("judge.verdict", "judge.override_verdict"):
        decided = record.decided(name)
        if decided:
            blocks += _verdict(*decided)
    if not blocks:
        blocks.append(Paragraph(("No image was judged.",)))
    return Section("quorum", "The quorum", tuple(blocks))


def _verdict(number: int, decided: Decided) -> list[Block]:
    verdict = shaped(Verdict, decided.facts)
    if verdict is None:
        return [Paragraph(("The verdict cannot be read: ", *at(number)))]
    weak = f", {verdict.weak} of them weak" if verdict.weak else ""
    facts: list[tuple[str, Cell]] = [
        ("Verdict", (Mark(str(verdict.verdict), verdict.verdict is Judgement.ACCEPT),)),
        ("Decided in", at(number)),
        ("Independent votes", (f"{verdict.votes}{weak}",)),
        ("Image", (Code(verdict.image_name),)),
        ("Image SHA-256", code(verdict.image_sha256.hex)),
        *((f"Input {name}", code(value)) for name, value in verdict.inputs[:MOST_ROWS]),
    ]
    if verdict.operators:
        facts += [
            ("Overridden by", (", ".join(verdict.operators),)),
            ("Reason", (verdict.reason,)),
        ]
    name = "override" if decided.name == "judge.override_verdict" else "verdict"
    return [
        Facts(f"The {name} of event {number}", tuple(facts)),
        _matrix(verdict),
        *_variants(verdict),
        _principals(verdict),
        _dispositions(verdict.dispositions),
        *found_table("Findings of the judge", verdict.findings),
    ]


def _matrix(verdict: Verdict) -> Table:
    rows = tuple(
        (
            (row.builder,),
            (row.principal,),
            (row.organisation,),
            (row.isolation or "-",),
            (Mark(_answer(row), row.answer is Answer.MATCH),),
            (row.disposition or "-",),
            ((RuleId(row.rule), f": {row.text}") if row.rule else cell(row.text)),
        )
        for row in verdict.matrix[:MOST_ROWS]
    )
    head = ("Builder", "Principal", "Organisation", "Isolation", "Says", "Vote", "Why")
    more = max(0, len(verdict.matrix) - MOST_ROWS)
    return Table("Matrix: what each enrolled builder says of the image", head, rows, more)


def _answer(row: Row) -> str:
    match row.answer:
        case Answer.MATCH:
            return "same"
        case Answer.VARIANT:
            return f"other ({row.variant})"
        case Answer.MISSING:
            return "missing"


def _variants(verdict: Verdict) -> list[Block]:
    other = {row.variant: row.sha256 for row in verdict.matrix if row.answer is Answer.VARIANT}
    if not other:
        return []
    rows = tuple((cell(letter), code(digest)) for letter, digest in sorted(other.items()))
    return [Table("Other digests in the matrix", ("Letter", "SHA-256"), rows[:MOST_ROWS])]


def _principals(verdict: Verdict) -> Table:
    rows = tuple(
        (
            (one.name,),
            (", ".join(one.builders),),
            (one.because or "-",),
            (Mark(one.vote or "no vote", one.vote in COUNTS),),
        )
        for one in verdict.principals[:MOST_ROWS]
    )
    head = ("Principal", "Builders", "Joined by", "Vote")
    more = max(0, len(verdict.principals) - MOST_ROWS)
    return Table("Principals: who counts as one", head, rows, more)


def _dispositions(dispositions: tuple[Disposition, ...]) -> Table:
    # What was refused stands first: it is what a reader must not miss.
    order = sorted(dispositions, key=lambda d: (d.disposition in COUNTS, d.file))
    rows = tuple(
        (
            (Code(one.file),),
            (one.builder or "-",),
            (Mark(str(one.disposition), one.disposition in COUNTS),),
            ((RuleId(one.rule), f": {one.text}") if one.rule else cell(one.text)),
        )
        for one in order[:MOST_ROWS]
    )
    head = ("File", "Builder", "Disposition", "Why")
    more = max(0, len(order) - MOST_ROWS)
    return Table("Every attestation and what became of it", head, rows, more)
