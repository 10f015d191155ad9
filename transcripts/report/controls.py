"""Controls of published standards, and the queries over events that evidence them.

A clause names an event and what must hold of it; a control needs all of `all`, one of `any`,
and takes `also` where it is there. Decides what a clause is and when one is met. A record
that replay does not reproduce evidences nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial

from ceremony.events import Decided, Event
from ceremony.types import Severity
from transcripts.report.document import Cell, Events, Mark, Paragraph, Run, Section, Table, cell
from transcripts.report.heads import checkpoint_of
from transcripts.report.record import Record

MOST_NUMBERS = 12


@dataclass(frozen=True, slots=True)
class Clause:
    """What one event must be, or which proof the bundle must give ("" and 0: not asked).

    `has` is the path of a member that is there and not empty; `rule` must be among a
    decision's findings, and only as information; `persons` distinct people must have answered.
    """

    event: str = ""
    outcome: str = ""
    role: str = ""
    has: str = ""
    rule: str = ""
    persons: int = 1
    proof: str = ""

    @property
    def words(self) -> str:
        """Return the clause as people read it."""
        if self.proof:
            return f"proof of {self.proof}"
        parts = (
            (self.outcome, f" with outcome {self.outcome}"),
            (self.role, f" by the {self.role}"),
            (self.has, f" with {self.has}"),
            (self.rule, f" with {self.rule} fulfilled"),
            (self.persons > 1, f" by {self.persons} persons"),
        )
        return self.event + "".join(text for wanted, text in parts if wanted)


@dataclass(frozen=True, slots=True)
class Control:
    """One control, where it stands, and what evidences it; `note` where no event can."""

    id: str
    title: str
    sources: tuple[str, ...]
    says: str
    all: tuple[Clause, ...] = ()
    any: tuple[Clause, ...] = ()
    also: tuple[Clause, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found for one control: event numbers, proofs, and clauses that are not met."""

    events: tuple[int, ...]
    proofs: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Tell whether the control is evidenced."""
        return not self.lacking


def _countersigned(record: Record) -> str:
    found = record.found
    if not found.witnesses or len(found.witnesses) < found.needed:
        return ""
    return f"countersignatures of {', '.join(found.witnesses)}"


PROOFS: dict[str, Callable[[Record], str]] = {
    "replay": lambda record: "replay REPRODUCED" if record.sound else "",
    "checkpoint": lambda record: "checkpoint.txt" if checkpoint_of(record) else "",
    "countersignatures": _countersigned,
}


def parse(text: str) -> tuple[Control, ...]:
    """Return the controls of a data file; TypeError for what is none."""
    return tuple(_control(entry) for entry in tomllib.loads(text)["control"])


def _control(entry: dict[str, object]) -> Control:
    values: dict[str, object] = dict(entry)
    for name in ("all", "any", "also"):
        clauses = values.get(name, [])
        if not isinstance(clauses, list):
            raise TypeError(f"{name} is an array of clauses")
        values[name] = tuple(_clause(clause) for clause in clauses)
    sources = values.get("sources", [])
    values["sources"] = tuple(sources) if isinstance(sources, list) else ()
    if not set(values) <= {field.name for field in fields(Control)}:
        raise TypeError(f"unknown member in control {values.get('id')}")
    control = Control(**values)  # type: ignore[arg-type] # TOML; the names were checked
    asks = bool(control.all or control.any)
    if asks == bool(control.note):
        raise TypeError(f"control {control.id} has a query or a note, one of them")
    return control


def _clause(values: dict[str, object]) -> Clause:
    clause = Clause(**values)  # type: ignore[arg-type] # TOML; another name is a TypeError
    if bool(clause.event) == bool(clause.proof) or (clause.proof and clause.proof not in PROOFS):
        raise TypeError("a clause names an event, or a proof that is known")
    return clause


def evidence(control: Control, record: Record) -> Evidence:
    """Return what the record has for one control."""
    if control.note:
        return Evidence((), (), (control.note,))
    events: set[int] = set()
    proofs: list[str] = []
    lacking: list[str] = []
    met = partial(_met, record=record, events=events, proofs=proofs)
    lacking += [clause.words for clause in control.all if not met(clause)]
    if control.any and not any([met(clause) for clause in control.any]):  # noqa: C419 - all are met
        lacking.append(" or ".join(clause.words for clause in control.any))
    for clause in control.also:
        met(clause)
    return Evidence(tuple(sorted(events)), tuple(dict.fromkeys(proofs)), tuple(lacking))


def _met(clause: Clause, record: Record, events: set[int], proofs: list[str]) -> bool:
    if clause.proof:
        said = PROOFS[clause.proof](record)
        proofs += [said] if said else []
        return bool(said)
    found = [n for n in record.by_name.get(clause.event, ()) if matches(clause, n.event)]
    persons = {getattr(n.event, "person", "") for n in found}
    if not found or len(persons) < clause.persons:
        return False
    events |= {n.number for n in found}
    return True


def matches(clause: Clause, event: Event) -> bool:
    """Tell whether one event is what a clause asks for, persons aside."""
    return (
        event.name == clause.event
        and clause.outcome in ("", *_outcomes(event))
        and clause.role in ("", getattr(event, "role", ""))
        and (not clause.has or bool(_reach(event, clause.has)))
        and (not clause.rule or _fulfilled(event, clause.rule))
    )


def _outcomes(event: Event) -> Iterator[str]:
    for path in ("outcome", "result.outcome", "answer"):
        found = _reach(event, path)
        if isinstance(found, str):
            yield str(found)


def _reach(value: object, path: str) -> object:
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, tuple | list):
            value = (
                value[int(name)]
                if name.isascii() and name.isdecimal() and int(name) < len(value)
                else None
            )
        else:
            value = getattr(value, name, None)
    return value


def _fulfilled(event: Event, rule: str) -> bool:
    if not isinstance(event, Decided):
        return False
    graves = {finding.severity for finding in event.findings if finding.rule == rule}
    return graves == {Severity.INFO}


def section(record: Record, controls: tuple[Control, ...]) -> Section:
    """Return every control with its evidence."""
    said = (
        "These texts govern certification authorities and their keys; they are used here by "
        "analogy. The wording is ours and short. What an event evidences is what it says, not "
        "that the people who said it were right; an auditor decides what is enough."
    )
    rows = tuple(
        (
            cell(control.title),
            (", ".join(control.sources),),
            cell(control.says),
            _cell(control, record),
        )
        for control in controls
    )
    met = sum(evidence(control, record).holds for control in controls) if record.sound else 0
    told = f"{met} of {len(controls)} controls are evidenced."
    if not record.sound:
        told += f" A record that is {record.found.verdict} evidences none."
    head = ("Control", "Found in", "In our words", "Evidence")
    return Section(
        "controls",
        "Controls",
        (Paragraph((said,)), Paragraph((told,)), Table("Controls and their evidence", head, rows)),
    )


def _cell(control: Control, record: Record) -> Cell:
    missing = Mark("not evidenced", good=False)
    if not record.sound:
        return (missing, f": replay says {record.found.verdict}")
    found = evidence(control, record)
    if control.note:
        return (missing, f": {control.note}")
    if not found.holds:
        return (missing, f": lacks {'; '.join(found.lacking)}")
    runs: list[Run] = ["evidence: "]
    if found.events:
        runs.append(Events(found.events[:MOST_NUMBERS]))
    if len(found.events) > MOST_NUMBERS:
        runs.append(f" and {len(found.events) - MOST_NUMBERS:,} more")
    if found.proofs:
        runs.append(("; " if found.events else "") + "; ".join(found.proofs))
    return tuple(runs)
