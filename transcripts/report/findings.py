"""Findings in a table, decisions with theirs, and the rules that a report names, explained."""

from __future__ import annotations

from collections.abc import Iterable

from ceremony.events import Decided, Outcome
from ceremony.rules.register import lookup
from ceremony.types import Finding, Severity
from transcripts.report.document import (
    Block,
    Bullets,
    Cell,
    Facts,
    Mark,
    Paragraph,
    RuleId,
    Run,
    Section,
    Table,
    bare,
    cell,
    code,
)
from transcripts.report.record import Record

MOST_FINDINGS = 500
MOST_IN_A_CELL = 40


def found_table(caption: str, findings: tuple[Finding, ...]) -> list[Block]:
    """Return findings as a table; nothing where there are none."""
    if not findings:
        return []
    rows = tuple(
        ((RuleId(f.rule),), (_severity(f.severity),), (f.text + _offset(f),))
        for f in findings[:MOST_FINDINGS]
    )
    more = max(0, len(findings) - MOST_FINDINGS)
    return [Table(caption, ("Rule", "Severity", "Finding"), rows, more)]


def decisions(record: Record) -> Section:
    """Return every decision with its outcome and its findings."""
    made = tuple(record.all(Decided))
    rows = tuple(
        (bare(number), code(event.name), (outcome(event.outcome),), _cell(event.findings))
        for number, event in made[:MOST_FINDINGS]
    )
    said = "Each was made by the program from the events before it"
    said += ", and replay made it again." if record.sound else "; replay does not confirm them all."
    table = Table(
        "Decisions",
        ("Event", "Decision", "Outcome", "Findings"),
        rows,
        max(0, len(made) - MOST_FINDINGS),
    )
    return Section("decisions", "Decisions", (Paragraph((said,)), table))


def outcome(value: Outcome) -> Mark:
    """Return an outcome as a mark."""
    return Mark(str(value), value is Outcome.OK)


def _severity(severity: Severity) -> Mark:
    return Mark(str(severity), severity is Severity.INFO)


def _cell(findings: tuple[Finding, ...]) -> Cell:
    runs: list[Run] = []
    for place, finding in enumerate(findings[:MOST_IN_A_CELL]):
        runs += ["; " if place else "", _severity(finding.severity), " "]
        runs += [RuleId(finding.rule), f": {finding.text}{_offset(finding)}"]
    if len(findings) > MOST_IN_A_CELL:
        runs.append(f"; and {len(findings) - MOST_IN_A_CELL:,} more")
    return tuple(runs) or ("nothing to say",)


def _offset(finding: Finding) -> str:
    return f" (offset {finding.offset:#x})" if finding.offset is not None else ""


def explained(sections: Iterable[Section]) -> Section:
    """Return what each rule says that `sections` name, by id."""
    named = sorted({run.id for section in sections for run in _runs(section) if _is_rule(run)})
    rows = []
    for name in named:
        rule = lookup(name)
        says = (rule.says, rule.next) if rule else ("no rule of this program has this id", "-")
        rows.append(((RuleId(name),), cell(says[0]), cell(says[1])))
    table = Table("Rules", ("Rule", "Must hold", "If not"), tuple(rows), anchor="rule")
    said = "Every rule id that stands above, in the words of the register of rules."
    return Section("rules", "Rules, explained", (Paragraph((said,)), table))


def _is_rule(run: Run) -> bool:
    return isinstance(run, RuleId)


def _runs(section: Section) -> Iterable[RuleId]:
    for block in section.blocks:
        match block:
            case Paragraph():
                cells: Iterable[Cell] = (block.runs,)
            case Facts():
                cells = (found for _, found in block.rows)
            case Table():
                cells = (found for row in block.rows for found in row)
            case Bullets():
                cells = block.items
            case _:
                cells = ()
        for found in cells:
            yield from (run for run in found if isinstance(run, RuleId))
