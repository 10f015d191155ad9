"""What came in: the medium's manifest, and the image with what it means when it is booted."""

from __future__ import annotations

from ceremony.events import ManifestEntry, MediaRead
from ceremony.types import ImageFacts
from transcripts.report.document import (
    Block,
    Cell,
    Code,
    Facts,
    Lines,
    Paragraph,
    Section,
    Table,
    at,
    cell,
    code,
)
from transcripts.report.findings import found_table
from transcripts.report.record import Record, shaped

MOST_FILES = 1000
MOST_PAIRS = 60


def section(record: Record) -> Section:
    """Return the section on medium and image."""
    blocks: list[Block] = []
    for number, media in record.media:
        blocks += _medium(number, media)
    if not record.media:
        blocks.append(Paragraph(("No medium was taken in.",)))
    inspected = record.decided("inspect.verdict")
    if inspected:
        number, decided = inspected
        facts = shaped(ImageFacts, decided.facts)
        if facts is None:
            blocks.append(Paragraph(("The facts of the image cannot be read: ", *at(number))))
        else:
            blocks += _image(number, facts)
            blocks += found_table("Findings on the image", decided.findings)
    elif record.media:
        blocks.append(Paragraph(("The image was not inspected.",)))
    return Section("image", "The image", tuple(blocks))


def _medium(number: int, media: MediaRead) -> list[Block]:
    facts: list[tuple[str, Cell]] = [
        ("Read in", at(number)),
        ("Source", code(media.source)),
        ("Mounted", code(media.mount)),
        ("Image on it", code(media.image.path if media.image else "")),
        ("SHA-256 while reading", code(media.image.sha256 if media.image else "")),
        ("SHA-256 of the copy", code(media.image_again)),
    ]
    return [
        Facts(f"Medium read in event {number}", tuple(facts)),
        _files(f"Files on the medium of event {number}", media.manifest),
        *found_table("Problems while reading", media.problems),
    ]


def _files(caption: str, entries: tuple[ManifestEntry, ...]) -> Table:
    rows = tuple(
        ((Code(entry.path),), cell(f"{entry.size:,}"), code(entry.sha256))
        for entry in entries[:MOST_FILES]
    )
    more = max(0, len(entries) - MOST_FILES)
    return Table(caption, ("File", "Bytes", "SHA-256"), rows, more)


def _image(number: int, facts: ImageFacts) -> list[Block]:
    meaning = facts.meaning
    authenticode = facts.authenticode.hex if facts.authenticode else ""
    rows: list[tuple[str, Cell]] = [
        ("Inspected in", at(number)),
        ("Size", (f"{facts.size:,} bytes, {facts.machine}",)),
        ("SHA-256", code(facts.sha256.hex)),
        ("Authenticode SHA-256", code(authenticode)),
        ("Kernel version", code(meaning.kernel)),
        ("Command line", code(meaning.command_line)),
        ("Initrd", code(meaning.initrd)),
        ("Stub", code(meaning.stub)),
        ("os-release", _pairs(meaning.os_release)),
        ("SBAT", (Lines(meaning.sbat[:MOST_PAIRS]),) if meaning.sbat else ("-",)),
        ("Signatures before", (_signatures(facts),)),
    ]
    sections = tuple(
        (
            (Code(section.name),),
            cell(f"{section.offset:#x}"),
            cell(f"{section.size:,}"),
            cell(f"{section.virtual_size:,}"),
            code(section.sha256.hex),
        )
        for section in facts.sections[:MOST_FILES]
    )
    head = ("Section", "Offset", "Bytes", "In memory", "SHA-256")
    more = max(0, len(facts.sections) - MOST_FILES)
    return [Facts("The image", tuple(rows)), Table("Sections of the image", head, sections, more)]


def _pairs(pairs: tuple[tuple[str, str], ...]) -> Cell:
    if not pairs:
        return ("-",)
    return (Lines(tuple(f"{name}={value}" for name, value in pairs[:MOST_PAIRS])),)


def _signatures(facts: ImageFacts) -> str:
    if not facts.signatures:
        return "none"
    return "; ".join(signature.signer for signature in facts.signatures[:MOST_PAIRS])
