from __future__ import annotations

from dataclasses import replace

import pytest
from marks import accepts, refuses
from pe.images import ACCEPTED, VECTORS, Vector, all_vectors, read_vector, uki

from ceremony.pe.inspect import Gates, inspect
from ceremony.pe.layout import MOST_BYTES
from ceremony.rules import pe, sig
from ceremony.rules import uki as uki_rules
from ceremony.types import Severity, refusals

UKI_SECTIONS = (".osrel", ".uname", ".sbat", ".cmdline", ".initrd", ".linux")
GATES = Gates("x86_64", UKI_SECTIONS, Severity.WARN, Severity.WARN, MOST_BYTES)
IN_CODE = {
    # rules whose vectors are made in code, not in a text file
    "SIG-ATTEMPTS",  # of a ceremony, not of an image: tests/steps/sign
    "SIG-FILE",  # of a detached signature's file: tests/sbsigntools
    "SIG-SECOND",  # decided by the engine: tests/steps/verify
    *("PE-TOO-LARGE", "SIG-KEY", "SIG-TIME", "SIG-SIGNER"),
    *("SIG-PROFILE", "SIG-MISSING", "SIG-CHECKSUM", "SIG-ATTACH", "SIG-REVOKED", "SIG-DBX"),
    *("SIG-CHAIN", "SIG-ACTION", "SIG-NUMBER"),
}


@accepts(
    "PE-TOO-LARGE",
    "PE-DOS-MAGIC",
    "PE-LFANEW",
    "PE-LFANEW-ALIGN",
    "PE-SIGNATURE",
    "PE-MACHINE",
    "PE-MAGIC",
    "PE-DIRECTORIES",
    "PE-OPTIONAL-SIZE",
    "PE-SECTION-COUNT",
    "PE-SECTION-TABLE",
    "PE-HEADERS-ZERO",
    "PE-HEADERS-CERTDIR",
    "PE-HEADERS-TABLE",
    "PE-HEADERS-SECTION",
    "PE-HEADERS-EOF",
    "PE-HEADER-BYTES",
    "PE-SUBSYSTEM",
    "PE-IMAGE-SIZE",
    "PE-FILE-ALIGNMENT",
    "PE-SECTION-ALIGNMENT",
    "PE-NX",
    "PE-RELOCATIONS",
    "PE-DEBUG",
    "PE-RESOURCES",
    "PE-ENTRY",
    "PE-SECTION-NAME",
    "PE-SECTION-EOF",
    "PE-SECTION-WRAP",
    "PE-SECTION-2GIB",
    "PE-SECTION-OVERLAP",
    "PE-SECTION-HEADERS",
    "PE-SECTION-ORDER",
    "PE-SECTION-GAP",
    "PE-SECTION-ADDRESS",
    "PE-ADDRESS-IMAGE",
    "PE-ADDRESS-OVERLAP",
    "PE-VIRTUAL-SIZE",
    "PE-WX",
    "PE-OVERLAY",
    "SIG-PRESENT",
    "UKI-SECTION-MISSING",
    "UKI-SECTION-TWICE",
    "UKI-PROFILES",
    "UKI-CONTENT",
    "UKI-LENGTH",
    "UKI-SBAT",
    "UKI-OSREL",
    "UKI-UNAME",
    "UKI-CMDLINE-NUL",
    "UKI-CMDLINE-NEWLINE",
    "UKI-CMDLINE-ASCII",
    "UKI-KERNEL",
    "UKI-INITRD",
)
def test_a_plain_uki_breaks_no_rule() -> None:
    facts = inspect(uki(), GATES)
    # The one thing to tell is the kernel's own digest.
    assert [(f.rule, f.severity) for f in facts.findings] == [("UKI-LINUX", Severity.INFO)]
    assert facts.accepted


@accepts("UKI-LINUX")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i386", "arm"])
def test_a_uki_of_every_machine_is_accepted(machine: str) -> None:
    gates = Gates(machine, UKI_SECTIONS, Severity.REFUSE, Severity.REFUSE, MOST_BYTES)
    facts = inspect(uki(machine), gates)
    assert [(f.rule, f.severity) for f in facts.findings] == [("UKI-LINUX", Severity.INFO)]
    assert facts.machine == machine
    assert facts.meaning.kernel == "6.1.0-test-amd64"


@accepts(
    "PE-CERTDIR-EMPTY",
    "PE-CERTDIR-WRAP",
    "PE-CERTDIR-LARGE",
    "PE-CERTDIR-EOF",
    "PE-CERTDIR-HEADER",
    "PE-CERTDIR-SECTION",
    "PE-CERTDIR-ALIGN",
    "PE-CERTDIR-MULTIPLE",
    "PE-CERTDIR-END",
    "PE-CERT-LENGTH",
    "PE-CERT-REVISION",
    "PE-CERT-TYPE",
    "PE-CERT-SLACK",
    "PE-CERT-SIZE",
    "PE-CERT-COUNT",
    "SIG-DER",
    "SIG-CMS",
    "SIG-SIGNERS",
    "SIG-OUTER",
    "SIG-ALGORITHM",
    "SIG-DIGEST",
    "SIG-ATTRIBUTES",
    "SIG-CERTIFICATE",
    "SIG-KEY",
    "SIG-VALUE",
    "SIG-SIGNER",
)
def test_a_signed_uki_is_only_said_to_be_signed(signed: bytes) -> None:
    facts = inspect(signed, GATES)
    assert {f.rule for f in facts.findings} == {"UKI-LINUX", "SIG-PRESENT"}
    (signature,) = facts.signatures
    assert signature.signer == "CN=alice"
    assert signature.authenticode == facts.authenticode == inspect(uki(), GATES).authenticode


@refuses(
    "PE-DOS-MAGIC",
    "PE-LFANEW",
    "PE-LFANEW-ALIGN",
    "PE-SIGNATURE",
    "PE-MACHINE",
    "PE-MAGIC",
    "PE-DIRECTORIES",
    "PE-OPTIONAL-SIZE",
    "PE-SECTION-COUNT",
    "PE-SECTION-TABLE",
    "PE-HEADERS-ZERO",
    "PE-HEADERS-CERTDIR",
    "PE-HEADERS-TABLE",
    "PE-HEADERS-SECTION",
    "PE-HEADERS-EOF",
    "PE-HEADER-BYTES",
    "PE-SUBSYSTEM",
    "PE-IMAGE-SIZE",
    "PE-FILE-ALIGNMENT",
    "PE-SECTION-ALIGNMENT",
    "PE-NX",
    "PE-RELOCATIONS",
    "PE-DEBUG",
    "PE-RESOURCES",
    "PE-ENTRY",
    "PE-SECTION-NAME",
    "PE-SECTION-EOF",
    "PE-SECTION-WRAP",
    "PE-SECTION-2GIB",
    "PE-SECTION-OVERLAP",
    "PE-SECTION-HEADERS",
    "PE-SECTION-ORDER",
    "PE-SECTION-GAP",
    "PE-SECTION-ADDRESS",
    "PE-ADDRESS-IMAGE",
    "PE-ADDRESS-OVERLAP",
    "PE-VIRTUAL-SIZE",
    "PE-WX",
    "PE-OVERLAY",
    "PE-CERTDIR-EMPTY",
    "PE-CERTDIR-WRAP",
    "PE-CERTDIR-LARGE",
    "PE-CERTDIR-EOF",
    "PE-CERTDIR-HEADER",
    "PE-CERTDIR-SECTION",
    "PE-CERTDIR-ALIGN",
    "PE-CERTDIR-MULTIPLE",
    "PE-CERTDIR-END",
    "PE-CERT-LENGTH",
    "PE-CERT-REVISION",
    "PE-CERT-TYPE",
    "PE-CERT-SLACK",
    "PE-CERT-SIZE",
    "PE-CERT-COUNT",
    "SIG-PRESENT",
    "SIG-DER",
    "SIG-CMS",
    "SIG-SIGNERS",
    "SIG-CERTIFICATE",
    "SIG-OUTER",
    "SIG-ALGORITHM",
    "SIG-DIGEST",
    "SIG-ATTRIBUTES",
    "SIG-VALUE",
    "UKI-SECTION-MISSING",
    "UKI-SECTION-TWICE",
    "UKI-PROFILES",
    "UKI-CONTENT",
    "UKI-LENGTH",
    "UKI-SBAT",
    "UKI-OSREL",
    "UKI-UNAME",
    "UKI-CMDLINE-NUL",
    "UKI-CMDLINE-NEWLINE",
    "UKI-CMDLINE-ASCII",
    "UKI-LINUX",
    "UKI-KERNEL",
    "UKI-INITRD",
)
@pytest.mark.parametrize(
    "vector",
    [v for v in all_vectors() if v.rule != ACCEPTED],
    ids=lambda v: v.name,
)
def test_a_vector_named_by_its_defect_breaks_its_rule(
    vector: Vector, bases: dict[str, bytes]
) -> None:
    facts = inspect(vector.apply(bases[vector.base]), GATES)
    assert (vector.rule, vector.severity) in [(f.rule, f.severity) for f in facts.findings]
    assert facts.accepted is all(f.severity is not Severity.REFUSE for f in facts.findings)


@pytest.mark.parametrize(
    "vector", [v for v in all_vectors() if v.rule == ACCEPTED], ids=lambda v: v.name
)
def test_a_vector_without_a_defect_is_accepted(vector: Vector, bases: dict[str, bytes]) -> None:
    assert inspect(vector.apply(bases[vector.base]), GATES).accepted


def test_every_rule_has_a_vector() -> None:
    rules = {*pe.RULES, *sig.RULES, *uki_rules.RULES}
    assert rules - IN_CODE == {vector.rule for vector in all_vectors()} - {ACCEPTED}


@refuses("PE-TOO-LARGE")
def test_an_image_above_the_policys_size_is_refused() -> None:
    image = uki()
    gates = Gates(None, (), Severity.WARN, Severity.WARN, len(image) - 1)
    assert [f.rule for f in inspect(image, gates).findings if f.severity is Severity.REFUSE] == [
        "PE-TOO-LARGE"
    ]


@refuses("PE-WX", "PE-ADDRESS-OVERLAP")
@pytest.mark.parametrize(
    ("vector", "gates", "rule"),
    [
        ("section-writable-executable", replace(GATES, writable_code=Severity.REFUSE), "PE-WX"),
        (
            "sections-mapped-over-each-other",
            replace(GATES, mapped_over=Severity.REFUSE),
            "PE-ADDRESS-OVERLAP",
        ),
    ],
)
def test_what_is_told_by_default_is_refused_where_policy_says(
    vector: str, gates: Gates, rule: str
) -> None:
    image = read_vector(VECTORS / f"{vector}.txt").apply(uki())
    assert inspect(image, GATES).accepted
    assert [f.rule for f in refusals(inspect(image, gates).findings)] == [rule]
