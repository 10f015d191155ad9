"""Head words at each gate, the checkpoint with its QR code, and who countersigned it.

The words are computed here from the lines themselves, to be compared with the witnesses'
paper. The code is drawn only of a checkpoint that is in the bundle and is the lines' own.
"""

from __future__ import annotations

from ceremony import bundle
from ceremony.content import octets_of
from ceremony.steps import Step
from transcripts import countersign
from transcripts.checkpoint import Head
from transcripts.merkle import Tree
from transcripts.replay import Verdict
from transcripts.report.document import (
    Block,
    Cell,
    Code,
    Facts,
    Lines,
    Mark,
    Matrix,
    Paragraph,
    Picture,
    Section,
    Table,
    bare,
    cell,
    code,
)
from transcripts.report.record import Record

MOST_SIGNATURES = 256
MOST_GATES = 100  # a ceremony has ten; a forged record may go back and forth
STEPS = {str(step): step for step in Step}
WEAK = (Verdict.FORGED, Verdict.DIFFERS)


def section(record: Record, modules: Matrix) -> Section:
    """Return the section on heads; `modules` are those of the checkpoint's QR code."""
    said = (
        "At the end of each step the internal witness wrote event number and head words on "
        "paper. They must be these; each pins everything before it."
    )
    found = gates(record)
    rows = tuple(
        (cell(step.heading), bare(number), code(words))
        for step, number, words in found[:MOST_GATES]
    )
    more = max(0, len(found) - MOST_GATES)
    blocks: list[Block] = [
        Paragraph((said,)),
        Table("Head words at the gates", ("Step", "After event", "Head words"), rows, more),
        *_checkpoint(record, modules),
        *_countersignatures(record),
    ]
    return Section("heads", "Head words, checkpoint and countersignatures", tuple(blocks))


def gates(record: Record) -> tuple[tuple[Step, int, str], ...]:
    """Return (step, number of its last event, head words after it); the close line stands alone."""
    found: list[tuple[Step, int, str]] = []
    tree, step = Tree(), Step.OPEN
    for numbered, raw in zip(record.numbered, record.log.raw, strict=True):
        word = numbered.event.name.partition(".")[0]
        new = STEPS.get(word, step)
        if new is not step and tree.size:
            found.append((step, tree.size, Head("", tree.size, tree.root()).spoken))
        step = new
        tree.append(raw)
    if tree.size:
        found.append((step, tree.size, Head("", tree.size, tree.root()).spoken))
    return tuple(found)


def checkpoint_of(record: Record) -> bytes:
    """Return the checkpoint that may be drawn: the bundle's own, over exactly these lines."""
    head = record.found.head
    text = octets_of(record.files.get(bundle.CHECKPOINT, b""))
    if head is None or text != head.text or record.found.verdict in WEAK:
        return b""
    return text


def _checkpoint(record: Record, modules: Matrix) -> list[Block]:
    head, text = record.found.head, checkpoint_of(record)
    if head is None or not text:
        said = "There is no checkpoint here that could be relied on, so none is drawn."
        return [Paragraph((said,))]
    rows: tuple[tuple[str, Cell], ...] = (
        ("Head words", code(head.spoken)),
        ("Root", code(head.root.hex())),
        ("checkpoint.txt", (Lines(tuple(text.decode("ascii").splitlines())),)),
    )
    blocks: list[Block] = [Facts("The checkpoint over all lines", rows)]
    if modules:
        says = "QR code of checkpoint.txt"
        blocks.append(Picture(modules, says, tuple(text.decode("ascii").splitlines())))
    return blocks


def _countersignatures(record: Record) -> list[Block]:
    names = sorted(n for n in record.files if countersign.is_countersignature(n))
    needed = record.found.needed
    said = f"{len(record.found.witnesses)} of {needed} needed witnesses signed checkpoint.txt."
    if not names:
        return [Paragraph((said,))]
    rows = []
    for name in names[:MOST_SIGNATURES]:
        person = name.removeprefix(countersign.PREFIX).removesuffix(countersign.SUFFIX)
        rows.append(((Code(name),), cell(record.who(person)), (_standing(record, person),)))
    table = Table(
        "Countersignatures",
        ("File", "Person", "Standing"),
        tuple(rows),
        max(0, len(names) - MOST_SIGNATURES),
    )
    return [Paragraph((said,)), table]


def _standing(record: Record, person: str) -> Mark:
    if person in record.found.witnesses:
        return Mark("holds and counts", record.sound)
    policy = record.policy
    if policy is not None and person == policy.roles.administrator:
        return Mark("the administrator's: kept, not counted", good=False)
    return Mark("does not hold", good=False)
