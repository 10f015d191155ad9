"""Everything about one image in one call: facts, meaning and all findings.

Decides nothing of its own: it applies the policy's gates to what layout, table, entries and
contents tell, in one pass over the bytes a digest; further digests are taken when somebody
lists one (digesting.py). It never raises on hostile bytes; what cannot be told stays empty
and a finding says why.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from ceremony.content import Content, Stored, content_of, pieces_of
from ceremony.pe.digest import Authenticode, FileSha256
from ceremony.pe.entries import read_entry
from ceremony.pe.followed import cut_out, followed_findings
from ceremony.pe.headers import HEAD_BYTES, refusal
from ceremony.pe.layout import MOST_BYTES, Layout, read_layout
from ceremony.pe.sections import SectionHeader
from ceremony.pe.sweep import Sink
from ceremony.pe.table import ALIGNMENT, read_entries
from ceremony.pe.uki import NOTHING, read_meaning, section_findings
from ceremony.pe.unsigned import unsigned_forms
from ceremony.turns import Runner, in_turn
from ceremony.types import (
    Digest,
    DigestKind,
    EmbeddedSignature,
    Finding,
    ImageFacts,
    Section,
    Severity,
)

# The layout warns of what other EFI images may be; a UKI may not.
UKI_ONLY = frozenset({"PE-FILE-ALIGNMENT", "PE-SECTION-NAME", "PE-SUBSYSTEM"})
SectionDigests: TypeAlias = "dict[int, tuple[Digest, str]]"


@dataclass(frozen=True, slots=True)
class Gates:
    """What the policy asks of an image.

    `machine` is x86_64, aarch64, i386, arm or None for any; `sections` are required exactly
    once; `max_bytes` caps the file. The severities say how grave bytes behind the last section
    are, signatures that stand there already, a section that is writable and executable, and
    sections mapped over each other.
    """

    machine: str | None
    sections: tuple[str, ...]
    overlay: Severity
    signed_input: Severity
    max_bytes: int
    writable_code: Severity = Severity.WARN
    mapped_over: Severity = Severity.WARN


OPEN_GATES = Gates(None, (), Severity.WARN, Severity.WARN, MOST_BYTES)


def inspect(
    image: Stored, gates: Gates, run: Runner = in_turn, known: Digest | None = None
) -> ImageFacts:
    """Return all facts and findings of an image that is here; `run` does the hashing.

    `known` is the SHA-256 of these very bytes, where this process has hashed them before.
    """
    content = content_of(image)
    size = len(content)
    reading = read_layout(content.part(0, HEAD_BYTES), size)
    layout = reading.layout
    file_digest, digest, hashed = _digests(content, layout, run, known)
    found = _graded(reading.findings, gates)
    found += _gate_findings(reading.machine, size, gates)
    if layout is None:
        return ImageFacts(
            size=size,
            sha256=file_digest,
            authenticode=None,
            machine=reading.machine,
            sections=(),
            signatures=(),
            meaning=NOTHING,
            findings=found,
        )
    meaning, meant = read_meaning(
        content, layout.sections, {at: sha256 for at, (_, sha256) in hashed.items()}
    )
    signatures, signed = _signatures(content, layout, digest, gates)
    found += followed_findings(layout, cut_out(content, layout))
    found += _overlay_findings(content, layout, gates)
    found += section_findings(layout.sections, gates.sections) + meant + signed
    return ImageFacts(
        size=size,
        sha256=file_digest,
        authenticode=digest,
        machine=reading.machine,
        sections=tuple(_section(s, *hashed[s.at]) for s in layout.sections),
        signatures=signatures,
        meaning=meaning,
        findings=found,
        unsigned=unsigned_forms(content, layout, run),
    )


def _digests(
    image: Content, layout: Layout | None, run: Runner, known: Digest | None
) -> tuple[Digest, Digest | None, SectionDigests]:
    """Hash the file plainly unless it was, as Authenticode does, and section by section."""
    plain = FileSha256()
    portable = None if layout is None else Authenticode(layout)
    sinks: list[Sink] = [] if known else [plain]
    if portable is not None:
        sinks.append(portable)
    hashed: SectionDigests = {}

    def by_section() -> None:
        for section in layout.sections if layout else ():
            hashed[section.at] = _section_digests(image, section)

    def fed(sink: Sink) -> None:
        for piece in pieces_of(image):
            sink.update(piece)

    run([by_section, *(partial(fed, sink) for sink in sinks)])
    return known or plain.digest(), None if portable is None else portable.digest(), hashed


def _section_digests(image: Content, section: SectionHeader) -> tuple[Digest, str]:
    """Hash a section once: its raw bytes, and in hex its content without the padding."""
    hasher, padding = hashlib.sha256(), section.offset + section.content_size
    for piece in pieces_of(image, section.offset, padding):
        hasher.update(piece)
    content = hasher.hexdigest()
    for piece in pieces_of(image, padding, section.end):
        hasher.update(piece)
    return Digest(DigestKind.FILE_SHA256, hasher.digest()), content


def _section(header: SectionHeader, sha256: Digest, content: str) -> Section:
    return Section(
        name=header.name,
        offset=header.offset,
        size=header.size,
        virtual_address=header.virtual_address,
        virtual_size=header.virtual_size,
        characteristics=header.characteristics,
        sha256=sha256,
        content=Digest.from_hex(DigestKind.FILE_SHA256, content),
    )


def _graded(found: tuple[Finding, ...], gates: Gates) -> tuple[Finding, ...]:
    """Return the layout's findings as grave as a UKI, and the policy, have them."""
    grades = dict.fromkeys(UKI_ONLY, Severity.REFUSE)
    grades |= {"PE-WX": gates.writable_code, "PE-ADDRESS-OVERLAP": gates.mapped_over}
    return tuple(replace(f, severity=grades.get(f.rule, f.severity)) for f in found)


def _gate_findings(machine: str, size: int, gates: Gates) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if size > gates.max_bytes:
        text = f"{size} bytes, the policy allows {gates.max_bytes}"
        found.append(refusal("PE-TOO-LARGE", text, 0))
    if machine and gates.machine is not None and machine != gates.machine:
        text = f"the image is for {machine}, the policy expects {gates.machine}"
        found.append(refusal("PE-MACHINE", text, 0))
    return tuple(found)


def _overlay_findings(image: Content, layout: Layout, gates: Gates) -> tuple[Finding, ...]:
    at, size = layout.sections_end, layout.end - layout.sections_end
    # sbsign pads an image to a multiple of 8 before it puts a table behind it.
    padding = layout.table_size and size < ALIGNMENT and not any(image.part(at, layout.end))
    if not size or padding:
        return ()
    text = f"{size} bytes follow the last section"
    return (Finding("PE-OVERLAY", gates.overlay, text, layout.sections_end),)


def _signatures(
    image: Content, layout: Layout, digest: Digest | None, gates: Gates
) -> tuple[tuple[EmbeddedSignature, ...], tuple[Finding, ...]]:
    if digest is None or not layout.table_size:
        return (), ()
    entries, found = read_entries(image.part(layout.end, layout.size), layout.end)
    text = f"the image carries {len(entries)} signatures already"
    found = (Finding("SIG-PRESENT", gates.signed_input, text, layout.table_at), *found)
    signatures: list[EmbeddedSignature] = []
    for entry in entries:
        signature, faults = read_entry(entry, digest)
        signatures.append(signature)
        found += faults
    return tuple(signatures), found
