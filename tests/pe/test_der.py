from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.pe.der import MOST_DEPTH, check_der, element_size


@accepts("SIG-DER")
@pytest.mark.parametrize(
    "text",
    [
        "0500",
        "020100",
        "02020080",
        "0201ff",
        "3003020101",
        "3100",
        "a0020500",
        "8000",
        "010100",
        "0101ff",
        "030100",
        "030204f0",
        "06012a",
        "0603550403",
        "06028837",
        "0c02c3a9",
        "1e020041",
        "1c0400000041",
        "1302c3a9",
    ],
)
def test_strict_der_is_accepted(text: str) -> None:
    check_der(bytes.fromhex(text))


@refuses("SIG-DER")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing", ""),
        ("a tag alone", "30"),
        ("indefinite", "30800000"),
        ("length of length cut off", "3082"),
        ("length not minimal", "30810100"),
        ("length with a leading zero", "3082007f" + "00" * 127),
        ("short content", "0403aabb"),
        ("bytes behind", "050000"),
        ("child past parent", "300204ff"),
        ("high tag number", "1f010100"),
        ("end of contents", "0000"),
        ("constructed octet string", "2403040161"),
        ("primitive sequence", "1000"),
        ("empty integer", "0200"),
        ("integer with a leading zero", "02020001"),
        ("integer with leading ones", "0202ffff"),
        ("boolean of two bytes", "01020000"),
        ("boolean that is neither", "010101"),
        ("empty bit string", "0300"),
        ("bit string with eight unused bits", "030208ff"),
        ("bit string with unused bits set", "030204ff"),
        ("bit string of nothing with unused bits", "030101"),
        ("null with content", "050100"),
        ("empty object identifier", "0600"),
        ("object identifier cut off", "06035504f6"),
        ("object identifier padded", "060455048003"),
        ("object identifier padded at once", "06028001"),
        ("text that is no utf-8", "0c02c328"),
        ("half a utf-16 letter", "1e03004100"),
        ("half a utf-32 letter", "1c03004100"),
    ],
)
def test_what_is_not_strict_der_is_refused(name: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        check_der(bytes.fromhex(text))
    assert [f.rule for f in refused.value.findings] == ["SIG-DER"]


@refuses("SIG-DER")
def test_deep_nesting_is_refused() -> None:
    data = b"\x05\0"
    for _ in range(MOST_DEPTH + 1):
        data = b"\x30" + bytes((len(data),)) + data
    with pytest.raises(Refused):
        check_der(data)
    check_der(data[2:])


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_der_or_refused(data: bytes) -> None:
    try:
        check_der(data)
    except Refused:
        return
    assert element_size(data) == len(data)
