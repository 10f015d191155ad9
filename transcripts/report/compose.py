"""The whole report of one bundle, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Mapping

from ceremony import bundle
from ceremony.content import Stored, octets_of
from transcripts.log import read_log
from transcripts.replay import Replayed
from transcripts.report import (
    controls,
    deviations,
    findings,
    heads,
    image,
    judging,
    limits,
    people,
    sentences,
    signing,
    summary,
)
from transcripts.report.document import Matrix, Report
from transcripts.report.record import Record

TITLE = "Report of a signing ceremony"


def record_of(files: Mapping[str, Stored], found: Replayed) -> Record:
    """Return the record of a bundle that was replayed to `found`."""
    return Record(files, read_log(octets_of(files.get(bundle.TRANSCRIPT, b""))), found)


def compose(
    record: Record, known: tuple[controls.Control, ...], modules: Matrix, made_by: str
) -> Report:
    """Return the report.

    `modules` are those of the QR code of `heads.checkpoint_of(record)`, () where there is none;
    `made_by` is the program that writes the report.
    """
    sections = (
        summary.section(record),
        people.section(record),
        image.section(record),
        judging.section(record),
        findings.decisions(record),
        signing.token(record),
        signing.signature(record),
        signing.outputs(record),
        deviations.section(record),
        heads.section(record, modules),
        controls.section(record, known),
        limits.section(),
    )
    whole = (*sections, findings.explained(sections), sentences.index(record))
    return Report(TITLE, summary.banner(record), whole, made_by)
