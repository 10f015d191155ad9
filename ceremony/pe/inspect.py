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

from ceremony.pe.digest import Authenticode, FileSha256
from ceremony.pe.entries import read_entry
from ceremony.pe.headers import HEAD_BYTES, Bytes, refusal
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
    once; `overlay` and `signed_input` say how grave bytes behind the last section and
    signatures that stand there already are; `max_bytes` caps the file.
    """

    machine: str | None
    sections: tuple[str, ...]
    overlay: Severity
    signed_input: Severity
    max_bytes: int


OPEN_GATES = Gates(None, (), Severity.WARN, Severity.WARN, MOST_BYTES)


def inspect(
    image: Bytes, gates: Gates, run: Runner = in_turn, known: Digest | None = None
) -> ImageFacts:
    """Return all facts and findings of an image held in memory; `run` does the hashing.

    `known` is the SHA-256 of these very bytes, where this process has hashed them before.
    """
    view = memoryview(image)
    reading = read_layout(view[:HEAD_BYTES], len(view))
    layout = reading.layout
    file_digest, digest, hashed = _digests(view, layout, run, known)
    found = _of_a_uki(reading.findings) + _gate_findings(reading.machine, len(view), gates)
    if layout is None:
        return ImageFacts(
            size=len(view),
            sha256=file_digest,
            authenticode=None,
            machine=reading.machine,
            sections=(),
            signatures=(),
            meaning=NOTHING,
            findings=found,
        )
    contents = {at: content for at, (_, content) in hashed.items()}
    meaning, meant = read_meaning(view, layout.sections, contents)
    signatures, signed = _signatures(view, layout, digest, gates)
    found += _overlay_findings(view, layout, gates)
    found += section_findings(layout.sections, gates.sections) + meant + signed
    return ImageFacts(
        size=len(view),
        sha256=file_digest,
        authenticode=digest,
        machine=reading.machine,
        sections=tuple(_section(s, *hashed[s.at]) for s in layout.sections),
        signatures=signatures,
        meaning=meaning,
        findings=found,
        unsigned=unsigned_forms(view, layout, run),
    )


def _digests(
    view: memoryview, layout: Layout | None, run: Runner, known: Digest | None
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
            hashed[section.at] = _section_digests(view, section)

    run([by_section, *(partial(sink.update, view) for sink in sinks)])
    return known or plain.digest(), None if portable is None else portable.digest(), hashed


def _section_digests(view: memoryview, section: SectionHeader) -> tuple[Digest, str]:
    """Hash a section once: its raw bytes, and in hex its content without the padding."""
    hasher = hashlib.sha256(view[section.offset : section.offset + section.content_size])
    content = hasher.hexdigest()
    hasher.update(view[section.offset + section.content_size : section.end])
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


def _of_a_uki(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(
        replace(f, severity=Severity.REFUSE) if f.rule in UKI_ONLY else f for f in findings
    )


def _gate_findings(machine: str, size: int, gates: Gates) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if size > gates.max_bytes:
        text = f"{size} bytes, the policy allows {gates.max_bytes}"
        found.append(refusal("PE-TOO-LARGE", text, 0))
    if machine and gates.machine is not None and machine != gates.machine:
        text = f"the image is for {machine}, the policy expects {gates.machine}"
        found.append(refusal("PE-MACHINE", text, 0))
    return tuple(found)


def _overlay_findings(view: memoryview, layout: Layout, gates: Gates) -> tuple[Finding, ...]:
    overlay = view[layout.sections_end : layout.end]
    # sbsign pads an image to a multiple of 8 before it puts a table behind it.
    padding = layout.table_size and len(overlay) < ALIGNMENT and not any(overlay)
    if not overlay or padding:
        return ()
    text = f"{len(overlay)} bytes follow the last section"
    return (Finding("PE-OVERLAY", gates.overlay, text, layout.sections_end),)


def _signatures(
    view: memoryview, layout: Layout, digest: Digest | None, gates: Gates
) -> tuple[tuple[EmbeddedSignature, ...], tuple[Finding, ...]]:
    if digest is None or not layout.table_size:
        return (), ()
    entries, found = read_entries(view[layout.end :], layout.end)
    text = f"the image carries {len(entries)} signatures already"
    found = (Finding("SIG-PRESENT", gates.signed_input, text, layout.table_at), *found)
    signatures: list[EmbeddedSignature] = []
    for entry in entries:
        signature, faults = read_entry(entry, digest)
        signatures.append(signature)
        found += faults
    return tuple(signatures), found
