"""Our model of EDK2 against mutants that sbsign signs: the ones that start, and the others."""

from __future__ import annotations

import pytest
from pe.edk2 import Boots, Database, Denied, firmware_verdict
from pe.images import VECTORS, Broken, Signer, read_vector, uki
from pe.shapes import Shape
from pe.signing_tools import Tools

NOTHING = Database()
GOOD, UNKNOWN = Boots("signer in db"), Denied("no signature by one in db")
DEBUG = "debug directory past the end of the file"


def by(signer: Signer) -> Database:
    return Database((signer.certificate,))


# What the survey of tools found: sbsign signs these with success, and firmware refuses them.
REFUSED_BY_FIRMWARE = (
    *("directories-4", "directories-many", "headers-in-section-table"),
    *("headers-over-first-section", "section-in-headers", "certdir-unaligned"),
    *("certdir-size-not-multiple-of-8", "cert-length-0", "cert-length-7", "image-size-0"),
    "subsystem-windows",
)
STARTED_BY_FIRMWARE = (
    *("control", "sections-0", "section-past-eof", "section-gap", "sections-unsorted"),
    *("uki-two-linux", "overlay-3", "overlay-4k", "section-odd-size-at-end", "truncated-4k"),
    *("certdir-in-headers", "certdir-not-at-eof", "certdir-size-0-with-offset"),
    *("certdir-size-4", "cert-hidden-behind-der", "file-alignment-0", "entry-outside"),
    "headers-hidden-bytes",
)
FIRST_SIGNATURE_LOST = ("cert-length-0xfffffff8", "cert-revision-0x100", "cert-type-guid")


# Each of these was tried on OVMF or AAVMF; with the original value in its place it starts.
UNLOADABLE = (
    ("u32 optional+32 0", "SectionAlignment"),
    ("u32 optional+32 0x40000000", "SectionAlignment"),
    ("u16 coff+18 0x0207", "relocations stripped"),
    ("u32 optional+152 0x7fffff00|u32 optional+156 0x100", "relocations past SizeOfImage"),
    ("u32 optional+160 0x1000|u32 optional+164 28000", DEBUG),
    ("u32 optional+160 0x1000|u32 optional+164 28", ""),  # zeros, none of them CodeView
    ("u32 optional+160 0x1000|u32 optional+164 0x7fffffff", "debug directory past SizeOfImage"),
    ("u32 optional+160 0x7fff0000|u32 optional+164 28", "debug directory past SizeOfImage"),
    ("u32 optional+120 0x7fff0000|u32 optional+124 28", ""),  # imports
    ("u32 optional+32 3", ""),
    ("u16 coff+18 0", ""),
    ("u32 .text+8 0", ""),
)


@pytest.mark.parametrize(("changes", "why"), UNLOADABLE)
def test_what_cannot_be_loaded_does_not_start(
    changes: str, why: str, tools: Tools, alice: Signer
) -> None:
    broken = Broken(bytearray(uki()))
    for line in changes.split("|"):
        broken.change(line)
    signed = tools.sbsign(bytes(broken.image), alice)
    assert firmware_verdict(signed, by(alice), NOTHING) == (Denied(why) if why else GOOD)


@pytest.mark.parametrize(
    ("code", "verdict"), [(8, Denied("SizeOfImage")), (31, Denied("SizeOfImage")), (33, GOOD)]
)
def test_an_image_without_room_for_one_more_section_does_not_start(
    code: int, verdict: Boots | Denied, tools: Tools, alice: Signer
) -> None:
    image = Shape(section_alignment=32, code=code, lfanew=0x50).write()
    assert firmware_verdict(tools.sbsign(image, alice), by(alice), NOTHING) == verdict


def test_changes_after_signing_are_seen(tools: Tools, alice: Signer) -> None:
    signed = tools.sbsign(uki(), alice)
    stamped = bytearray(signed)
    stamped[0x88] ^= 1  # TimeDateStamp
    for changed in (bytes(stamped), signed + bytes(8), signed[:-8], signed[:4096]):
        assert isinstance(firmware_verdict(changed, by(alice), NOTHING), Denied)


def mutant_signed(name: str, bases: dict[str, bytes], tools: Tools, by_whom: Signer) -> bytes:
    vector = read_vector(VECTORS / f"{name}.txt")
    return tools.sbsign(vector.apply(bases[vector.base]), by_whom)


@pytest.mark.parametrize("name", REFUSED_BY_FIRMWARE)
def test_what_sbsign_should_not_have_signed_does_not_start(
    name: str, bases: dict[str, bytes], tools: Tools, bob: Signer
) -> None:
    signed = mutant_signed(name, bases, tools, bob)
    assert isinstance(firmware_verdict(signed, by(bob), NOTHING), Denied)


@pytest.mark.parametrize("name", STARTED_BY_FIRMWARE)
def test_what_sbsign_signs_and_we_mostly_refuse_would_start(
    name: str, bases: dict[str, bytes], tools: Tools, bob: Signer
) -> None:
    signed = mutant_signed(name, bases, tools, bob)
    assert firmware_verdict(signed, by(bob), NOTHING) == GOOD


@pytest.mark.parametrize("name", FIRST_SIGNATURE_LOST)
def test_a_signature_that_sbsign_drops_is_lost_to_firmware(
    name: str, bases: dict[str, bytes], tools: Tools, alice: Signer, bob: Signer
) -> None:
    signed = mutant_signed(name, bases, tools, bob)
    assert firmware_verdict(signed, by(bob), NOTHING) == GOOD
    assert firmware_verdict(signed, by(alice), NOTHING) == UNKNOWN
