"""The mutations on which signing tools crash or sign what firmware refuses, and what ours says.

One row a mutation: its number in the survey of sbsign, pesign, osslsigncode and
systemd-sbsign, the text vector that makes it, and every rule that refuses it. Number 5 is
the control; a row without a number was left unrun there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat import asn1
from pe.edk2 import Boots, Database, firmware_verdict
from pe.images import ACCEPTED, MOMENT, VECTORS, Signer, read_vector, uki

from ceremony.errors import Refused
from ceremony.pe.attach import win_certificate
from ceremony.pe.cms import ContentInfo
from ceremony.pe.inspect import Gates, inspect
from ceremony.pe.layout import MOST_BYTES, read_layout
from ceremony.pe.sign import assemble, plan
from ceremony.pe.verify import verify
from ceremony.types import Severity, refusals

GATES = Gates(
    "x86_64",
    (".osrel", ".uname", ".sbat", ".cmdline", ".initrd", ".linux"),
    Severity.WARN,
    Severity.WARN,
    MOST_BYTES,
)


@dataclass(frozen=True)
class Row:
    """One mutation; the planner leaves `gated` ones to the policy's gates."""

    number: int | None
    vector: str
    rules: frozenset[str]
    gated: bool = False

    def __str__(self) -> str:
        return self.vector if self.number is None else f"{self.number:02}-{self.vector}"


def refused(number: int | None, vector: str, *rules: str, gated: bool = False) -> Row:
    return Row(number, vector, frozenset(rules), gated)


REFUSED = (
    refused(1, "empty", "PE-DOS-MAGIC"),
    refused(2, "mz-only", "PE-DOS-MAGIC"),
    refused(3, "lfanew-past-eof", "PE-LFANEW"),
    refused(4, "lfanew-near-eof", "PE-LFANEW"),
    refused(6, "lfanew-in-dos-header", "PE-LFANEW"),
    refused(7, "pe32-magic-on-amd64", "PE-MAGIC", "PE-DIRECTORIES", "PE-OPTIONAL-SIZE"),
    refused(8, "optional-header-0x70", "PE-OPTIONAL-SIZE"),
    refused(
        *(9, "optional-header-0xffff", "PE-OPTIONAL-SIZE"),
        *("PE-SECTION-TABLE", "PE-HEADERS-TABLE"),
    ),
    refused(10, "directories-4", "PE-DIRECTORIES", "PE-OPTIONAL-SIZE"),
    refused(11, "directories-many", "PE-DIRECTORIES", "PE-OPTIONAL-SIZE"),
    refused(12, "headers-0", "PE-HEADERS-ZERO"),
    refused(13, "headers-before-certdir", "PE-HEADERS-CERTDIR"),
    refused(14, "headers-in-section-table", "PE-HEADERS-TABLE"),
    refused(15, "headers-0x7fffffff", "PE-HEADERS-EOF", "PE-IMAGE-SIZE"),
    refused(16, "headers-over-first-section", "PE-HEADERS-SECTION"),
    refused(17, "sections-0xffff", "PE-SECTION-COUNT", "PE-SECTION-TABLE", "PE-HEADERS-TABLE"),
    refused(18, "sections-0", "PE-SECTION-COUNT"),
    refused(19, "section-past-eof", "PE-SECTION-EOF"),
    refused(20, "section-pointer-past-eof", "PE-SECTION-EOF", "PE-SECTION-GAP"),
    refused(21, "section-wraps", "PE-SECTION-WRAP", "PE-SECTION-EOF", "PE-SECTION-GAP"),
    refused(22, "section-2gib", "PE-SECTION-2GIB", "PE-SECTION-EOF"),
    refused(23, "sections-overlap", "PE-SECTION-OVERLAP"),
    refused(24, "section-in-headers", "PE-SECTION-HEADERS", "PE-SECTION-GAP"),
    refused(25, "section-gap", "PE-SECTION-GAP"),
    refused(26, "sections-unsorted", "PE-SECTION-ORDER"),
    refused(27, "uki-two-linux", "UKI-SECTION-TWICE", gated=True),
    refused(31, "truncated-4k", "PE-SECTION-EOF"),
    refused(32, "certdir-past-eof", "PE-CERTDIR-EOF"),
    refused(33, "certdir-wraps", "PE-CERTDIR-WRAP", "PE-CERTDIR-EOF"),
    refused(34, "certdir-larger-than-file", "PE-CERTDIR-LARGE", "PE-CERTDIR-EOF"),
    refused(35, "certdir-in-section", "PE-CERTDIR-END", "PE-CERTDIR-SECTION"),
    refused(
        *(36, "certdir-in-headers", "PE-CERTDIR-HEADER"),
        *("PE-CERTDIR-END", "PE-CERTDIR-SECTION"),
    ),
    refused(37, "certdir-not-at-eof", "PE-CERTDIR-END"),
    refused(38, "certdir-unaligned", "PE-CERTDIR-ALIGN"),
    refused(39, "certdir-size-not-multiple-of-8", "PE-CERTDIR-MULTIPLE"),
    refused(40, "cert-length-0", "PE-CERT-LENGTH"),
    refused(41, "cert-length-7", "PE-CERT-LENGTH"),
    refused(42, "cert-length-0xfffffff8", "PE-CERT-LENGTH"),
    refused(43, "cert-revision-0x100", "PE-CERT-REVISION"),
    refused(44, "cert-type-guid", "PE-CERT-TYPE"),
    refused(45, "certdir-size-0-with-offset", "PE-CERTDIR-EMPTY"),
    refused(46, "certdir-size-4", "PE-CERTDIR-MULTIPLE", "PE-CERTDIR-ALIGN", "PE-CERTDIR-SECTION"),
    refused(47, "cert-hidden-behind-der", "PE-CERT-SLACK"),
    refused(48, "machine-other", "PE-MACHINE", gated=True),
    refused(49, "machine-unknown", "PE-MACHINE"),
    refused(50, "subsystem-windows", "PE-SUBSYSTEM"),
    refused(51, "image-size-0", "PE-IMAGE-SIZE", "PE-ADDRESS-IMAGE"),
    refused(52, "file-alignment-0", "PE-FILE-ALIGNMENT"),
    refused(53, "entry-outside", "PE-ENTRY"),
    refused(None, "section-name-not-ascii", "PE-SECTION-NAME", "UKI-SECTION-MISSING"),
    refused(None, "section-name-long-form", "PE-SECTION-NAME", gated=True),
    refused(None, "section-virtual-size-huge", "PE-ADDRESS-IMAGE"),
    refused(None, "section-mapped-past-image", "PE-ADDRESS-IMAGE"),
    refused(None, "cert-der-indefinite", "SIG-DER"),
    refused(None, "cert-der-not-minimal", "SIG-DER"),
    refused(None, "cert-length-9", "SIG-DER", "PE-CERT-SLACK", "PE-CERT-LENGTH"),
    refused(None, "cert-other-digest-algorithms", "SIG-ALGORITHM"),
    refused(None, "cert-type-guid-pkcs7", "PE-CERT-TYPE"),
    refused(None, "image-changed-after-signing", "SIG-DIGEST"),
    refused(None, "cert-17-entries", "PE-CERT-COUNT", "SIG-CMS"),
    refused(None, "cert-entry-over-64k", "PE-CERT-SIZE"),
    refused(None, "te-image", "PE-DOS-MAGIC"),
    refused(None, "te-magic", "PE-MAGIC"),
    refused(None, "lfanew-odd", "PE-LFANEW-ALIGN"),
    # Found by generated images, and refused by OVMF.
    refused(None, "image-size-no-room", "PE-IMAGE-SIZE", "UKI-SECTION-MISSING"),
    refused(None, "section-alignment-0", "PE-SECTION-ALIGNMENT"),
    refused(None, "section-alignment-1gib", "PE-SECTION-ALIGNMENT"),
    refused(None, "debug-directory-past-eof", "PE-DEBUG"),
    refused(None, "relocations-past-image", "PE-RELOCATIONS"),
    refused(None, "relocations-stripped", "PE-RELOCATIONS"),
)
SIGNED = (  # signed, with what people are told of it
    (5, "control", frozenset[str]()),
    (28, "overlay-3", {"PE-OVERLAY"}),
    (29, "overlay-4k", {"PE-OVERLAY"}),
    (30, "section-odd-size-at-end", {"UKI-LINUX"}),
    (54, "headers-hidden-bytes", {"PE-HEADER-BYTES"}),
    # Firmware starts these, and sbsign writes the same bytes: people decide.
    (None, "lfanew-even", {"PE-LFANEW-ALIGN"}),
    (None, "lfanew-not-8-aligned", {"PE-LFANEW-ALIGN"}),
    (None, "section-writable-executable", {"PE-WX"}),
    (None, "sections-mapped-over-each-other", {"PE-ADDRESS-OVERLAP", "UKI-CONTENT"}),
    (None, "section-virtual-size-larger", {"UKI-CONTENT"}),
)


def test_the_table_has_every_mutation_once() -> None:
    numbers = [row.number for row in REFUSED] + [number for number, *_ in SIGNED]
    assert sorted(n for n in numbers if n is not None) == list(range(1, 55))
    assert [row.number for row in REFUSED if not row.rules] == []


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_a_mutation_is_refused_by_exactly_these_rules(
    row: Row, bases: dict[str, bytes], alice: Signer
) -> None:
    vector = read_vector(VECTORS / f"{row.vector}.txt")
    image = vector.apply(bases[vector.base])
    found = {f.rule for f in refusals(inspect(image, GATES).findings)}
    assert found == row.rules
    assert vector.rule in found
    if row.gated:
        plan(image, alice.certificate, (), MOMENT)
        return
    with pytest.raises(Refused) as refusing:
        plan(image, alice.certificate, (), MOMENT)
    assert vector.rule in {f.rule for f in refusing.value.findings}


@pytest.mark.parametrize(("number", "name", "told"), SIGNED, ids=[row[1] for row in SIGNED])
def test_a_mutation_that_policy_may_allow_is_told_and_signs(
    number: int | None, name: str, told: set[str], bases: dict[str, bytes], alice: Signer
) -> None:
    vector = read_vector(VECTORS / f"{name}.txt")
    image = vector.apply(bases[vector.base])
    facts = inspect(image, GATES)
    assert facts.accepted
    assert {f.rule for f in facts.findings if f.severity is Severity.WARN} == told
    assert vector.rule in {*(f.rule for f in facts.findings), ACCEPTED}
    planned = plan(image, alice.certificate, (), MOMENT)
    signed = b"".join(assemble(image, planned, alice.sign(planned.attributes)).pieces())
    assert len(signed) % 8 == 0
    assert verify(signed, alice.certificate) == ()
    verdict = firmware_verdict(signed, Database((alice.certificate,)), Database())
    assert verdict == Boots("signer in db")


def two_signers(read: ContentInfo) -> None:
    (signer,) = read.content.signers.as_list()
    read.content.signers = asn1.SetOf([signer, signer])


def no_signer(read: ContentInfo) -> None:
    read.content.signers = asn1.SetOf([])


@pytest.mark.parametrize(
    ("change", "rule"), [(two_signers, "SIG-SIGNERS"), (no_signer, "SIG-SIGNERS")]
)
def test_an_entry_of_another_number_of_signers_is_refused(
    change: Callable[[ContentInfo], None], rule: str, signed: bytes, alice: Signer
) -> None:
    image = uki()
    table = len(image)
    length = int.from_bytes(signed[table : table + 4], "little")
    read = asn1.decode_der(ContentInfo, signed[table + 8 : table + length])
    change(read)
    with pytest.raises(Refused) as refusing:
        plan(entry_replaced(signed, table, asn1.encode_der(read)), alice.certificate, (), MOMENT)
    assert [f.rule for f in refusing.value.findings] == [rule]


@pytest.mark.parametrize("inside", [True, False])
def test_an_element_behind_the_signed_data_is_refused(
    inside: bool,  # noqa: FBT001 - pytest passes it by name
    signed: bytes,
    alice: Signer,
) -> None:
    table = len(uki())
    length = int.from_bytes(signed[table : table + 4], "little")
    blob = signed[table + 8 : table + length] + b"\x02\x01\x01"
    if inside:
        blob = blob[:2] + (len(blob) - 4).to_bytes(2, "big") + blob[4:]
    with pytest.raises(Refused) as refusing:
        plan(entry_replaced(signed, table, blob), alice.certificate, (), MOMENT)
    rules = [f.rule for f in refusing.value.findings]
    assert rules == (["SIG-CMS"] if inside else ["PE-CERT-SLACK"])


def entry_replaced(signed: bytes, table: int, blob: bytes) -> bytes:
    entry = win_certificate(blob)
    image = bytearray(signed[:table] + entry)
    at = int.from_bytes(signed[0x3C:0x40], "little") + 24 + 144
    image[at + 4 : at + 8] = len(entry).to_bytes(4, "little")
    return bytes(image)


def test_a_file_too_large_for_32_bit_offsets_is_refused() -> None:
    reading = read_layout(uki(), MOST_BYTES + 1)
    assert [f.rule for f in reading.findings] == ["PE-TOO-LARGE"]
    assert reading.layout is None
