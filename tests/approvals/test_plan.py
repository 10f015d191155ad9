"""The plan's text: one form, its own attributes, one QR code, and nothing else is a plan."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from approvals.holders import plan_of
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from qrcode.constants import ERROR_CORRECT_M

from ceremony.approval_plan import Plan, read_plan
from ceremony.errors import Refused
from ceremony.types import Mode
from tui.parts import qr

TEXT = plan_of().text


@accepts("APP-PLAN")
def test_a_plan_reads_as_it_was_written() -> None:
    assert read_plan(TEXT.encode()) == plan_of()
    assert len(TEXT) == 503
    assert plan_of().sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    rehearsal = replace(plan_of(), mode=Mode.REHEARSAL)
    assert len(rehearsal.text) == 503 - len("production") + len("rehearsal") == 502


def test_a_plan_fits_one_code_at_the_middle_level() -> None:
    _, version = qr.matrix(TEXT.encode(), ERROR_CORRECT_M)
    assert version <= 18


def test_the_attributes_are_those_that_are_signed() -> None:
    """Fixed by the profile: an auditor with another program gets the same digest."""
    assert plan_of().attributes == (
        "eea1e6a8b2b8f00399b962abd7fe8f72cfc6a1766517301b101b37ab4870e9e1"
    )


FAULTS = {
    "empty": "",
    "no last line feed": TEXT[:-1],
    "a line more": TEXT + "\n",
    "a carriage return": TEXT.replace("\n", "\r\n"),
    "upper case": TEXT.replace("a", "A"),
    "another format": TEXT.replace("plan/1", "plan/2"),
    "two spaces": TEXT.replace("image sha256 ", "image sha256  "),
    "another mode": TEXT.replace("production", "practice"),
    "lines changed round": "".join(TEXT.splitlines(keepends=True)[::-1]),
    "not ascii": TEXT.replace("0000", "0\u0660\u066000", 1),
    "a short digest": TEXT.replace("1" * 64, "1" * 63),
    "a time that is none": TEXT.replace("2026-11-22", "2026-02-30"),
    "a time that no signature can say": TEXT.replace("2026-11-22", "2050-11-22"),
    "another image's attributes": TEXT.replace("2" * 64, "5" * 64),
    "another time's attributes": TEXT.replace("14:03:07", "14:03:08"),
    "other attributes": TEXT[:-65] + "0" * 64 + "\n",
    "too long": TEXT * 3,
}


@refuses("APP-PLAN")
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_else_is_a_plan(fault: str) -> None:
    with pytest.raises(Refused, match="APP-PLAN"):
        read_plan(FAULTS[fault].encode())


@given(st.binary(max_size=1100) | st.text(max_size=600).map(lambda text: text.encode()))
def test_no_bytes_do_anything_else_than_parse_or_be_refused(data: bytes) -> None:
    try:
        read = read_plan(data)
    except Refused:
        return
    assert isinstance(read, Plan)
    assert read.text.encode() == data
