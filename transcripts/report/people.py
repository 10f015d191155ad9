"""Who took part, and what each of them said to which question, with the lines they were shown."""

from __future__ import annotations

from ceremony.events import Ack
from transcripts.report.document import (
    Block,
    Cell,
    Code,
    Events,
    Heading,
    Lines,
    Mark,
    Paragraph,
    Section,
    Table,
    bare,
    cell,
)
from transcripts.report.record import Record, answer_of

MOST_ANSWERS = 500  # of one person
MOST_PERSONS = 256
MOST_LINES = 200  # shown with one answer


def section(record: Record) -> Section:
    """Return the section on people."""
    blocks: list[Block] = []
    if record.policy is None:
        text = "No policy was accepted, so nobody is known by more than the id that was typed."
        blocks.append(Paragraph((text,)))
    else:
        blocks.append(_roles(record))
    said = "An answer stands under the id that was typed; who typed it is the witnesses' word."
    blocks.append(Paragraph((said,)))
    spoke = _in_order(record, tuple(record.answers))
    for person in spoke[:MOST_PERSONS]:
        blocks += [Heading(record.who(person)), _answers(record, person, record.answers[person])]
    if len(spoke) > MOST_PERSONS:
        blocks.append(Paragraph((f"and {len(spoke) - MOST_PERSONS:,} more ids.",)))
    return Section("people", "People and what they said", tuple(blocks))


def roles(record: Record) -> tuple[tuple[str, str], ...]:
    """Return (role, person id), in the order of the policy."""
    if record.policy is None:
        return ()
    policy = record.policy.roles
    return (
        ("administrator", policy.administrator),
        ("internal witness", policy.internal_witness),
        ("external witness", policy.external_witness),
        *(("key holder", holder) for holder in policy.key_holders),
    )


def _in_order(record: Record, spoke: tuple[str, ...]) -> tuple[str, ...]:
    known = [person for _, person in roles(record) if person in spoke]
    return tuple(dict.fromkeys((*known, *sorted(spoke))))


def _roles(record: Record) -> Table:
    named = roles(record)
    others = [p for p in record.persons if p not in {person for _, person in named}]
    rows: list[tuple[Cell, ...]] = []
    for role, person in (*named, *(("no role", other) for other in others)):
        known = record.persons.get(person)
        answered = tuple(number for number, _ in record.answers.get(person, ()))
        rows.append(
            (
                cell(role),
                cell(record.who(person)),
                cell(known.organisation if known else "-"),
                (Events(answered[:MOST_LINES]),) if answered else ("nothing",),
            )
        )
    head = ("Role", "Person", "Organisation", "Answered in")
    return Table("People of the policy", head, tuple(rows))


def _answers(record: Record, person: str, said: tuple[tuple[int, Ack], ...]) -> Table:
    rows = tuple(
        (
            bare(number),
            (Code(ack.name), f" as {ack.role}: ", Mark(answer_of(ack), good=True)),
            (_shown(ack.shown),),
        )
        for number, ack in said[:MOST_ANSWERS]
    )
    head = ("Event", "Question and answer", "Shown before it")
    caption = f"What {record.who(person)} said"
    return Table(caption, head, rows, max(0, len(said) - MOST_ANSWERS))


def _shown(lines: tuple[str, ...]) -> Lines:
    if len(lines) <= MOST_LINES:
        return Lines(lines)
    rest = f"... and {len(lines) - MOST_LINES:,} more lines, in the transcript"
    return Lines((*lines[:MOST_LINES], rest))
