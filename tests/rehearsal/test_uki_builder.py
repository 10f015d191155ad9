"""The image builder's output is what the strict parser demands, the same bytes each time."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ceremony.pe.layout import read_layout
from ceremony.types import Severity
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.uki import NotAStub, architecture, build_uki, section_content, section_names

ARCHITECTURES = ("x86_64", "aarch64")
CONTENTS = st.lists(st.binary(max_size=3000), max_size=8)


def grave(image: bytes) -> list[str]:
    reading = read_layout(memoryview(image), len(image))
    assert reading.layout is not None
    assert not [f for f in reading.findings if f.rule == "PE-OVERLAY"]
    assert len(image) % 8 == 0
    return [finding.rule for finding in reading.findings if finding.severity is not Severity.INFO]


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_tiny_program_is_a_sound_image_by_itself(machine: str) -> None:
    program = efi_program(machine)
    assert architecture(program) == machine
    assert section_names(program) == (".text", ".rodata")
    assert "UKI-CEREMONY-DEMO" in section_content(program, ".rodata").decode("utf-16-le")
    assert grave(program) == []


@given(contents=CONTENTS)
def test_sections_come_back_and_the_strict_parser_finds_nothing(contents: list[bytes]) -> None:
    sections = [(f".s{number}", b"x" + content) for number, content in enumerate(contents)]
    image = build_uki(efi_program("x86_64"), sections)
    assert image == build_uki(efi_program("x86_64"), sections)
    assert section_names(image) == (".text", ".rodata", *(name for name, _ in sections))
    assert [section_content(image, name) for name, _ in sections] == [c for _, c in sections]
    assert grave(image) == []


def test_a_section_that_the_stub_has_is_replaced() -> None:
    stub = build_uki(efi_program("x86_64"), [(".sbat", b"old"), (".last", b"end")])
    image = build_uki(stub, [(".sbat", b"new and longer")])
    assert section_names(image) == (".text", ".rodata", ".last", ".sbat")
    assert section_content(image, ".sbat") == b"new and longer"
    assert grave(image) == []


def test_symbol_table_time_checksum_and_bytes_behind_the_sections_are_dropped() -> None:
    clean = build_uki(efi_program("x86_64"), [(".a", b"content")])
    stub = bytearray(efi_program("x86_64"))
    struct.pack_into("<3I", stub, 64 + 8, 1_700_000_000, len(stub), 12)
    struct.pack_into("<I", stub, 64 + 24 + 64, 0x12345678)
    stub += b"a symbol table, a string table"
    assert build_uki(bytes(stub), [(".a", b"content")]) == clean


def test_headers_without_room_are_refused() -> None:
    many = [(f".s{number}", b"x") for number in range(100)]
    with pytest.raises(NotAStub, match="no room"):
        build_uki(efi_program("x86_64"), many)


def test_headers_grow_where_the_address_space_lets_them() -> None:
    sections = [(f".s{number}", b"x") for number in range(40)]
    image = build_uki(efi_program("x86_64"), sections)
    assert len(section_names(image)) == 42
    assert grave(image) == []


@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=8)).map(
            lambda cut: efi_program("x86_64")[: cut[0]] + cut[1]
        ),
    )
)
def test_what_is_no_stub_is_refused_or_built(data: bytes) -> None:
    with contextlib.suppress(NotAStub):
        assert build_uki(data, [(".a", b"content")])
