"""Verdicts are read from the lines of the very disk; everything else is no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from boot.firmware import Console, Said

FIRST = 'Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x3,0x0)'
SECOND = 'Boot000A "UEFI Misc Device 2" from PciRoot(0x0)/Pci(0x3,0x1)'
SHELL = 'Boot0002 "EFI Internal Shell" from Fv(7CB8BDC9)/FvFile(7C04A583)'
LINE = "boot case 0, x86_64."


def ran(option: str) -> list[str]:
    return [
        f"BdsDxe: loading {option}",
        f"BdsDxe: starting {option}",
        LINE,
        f"BdsDxe: failed to start {option}: Aborted",
    ]


def refused(option: str, status: str = "Access Denied") -> list[str]:
    return [f"BdsDxe: loading {option}", f"BdsDxe: failed to load {option}: {status}"]


@pytest.mark.parametrize(
    ("lines", "first", "second"),
    [
        ([*ran(FIRST), *refused(SECOND)], Said.BOOTS, Said.REFUSED),
        ([*refused(FIRST), *ran(SECOND)], Said.REFUSED, Said.BOOTS),
        (ran(FIRST)[:3], Said.BOOTS, Said.NEITHER),
        ([], Said.NEITHER, Said.NEITHER),
        # The firmware refuses its own shell with the same words.
        (refused(SHELL), Said.NEITHER, Said.NEITHER),
        ([*refused(FIRST), *refused(SHELL)], Said.REFUSED, Said.NEITHER),
        # What is no image was not refused, and one that does not print did not run.
        (refused(FIRST, "Not Found"), Said.UNUSABLE, Said.NEITHER),
        (refused(FIRST, "Device Error"), Said.NEITHER, Said.NEITHER),
        ([*ran(FIRST)[:2], *ran(FIRST)[3:]], Said.NEITHER, Said.NEITHER),
        # A line counts between its own disk's start and the next event.
        ([LINE, *refused(SECOND)], Said.NEITHER, Said.REFUSED),
        ([*ran(FIRST)[:2], *refused(SECOND), LINE], Said.NEITHER, Said.REFUSED),
        ([*refused(FIRST), *ran(FIRST)], Said.NEITHER, Said.NEITHER),
    ],
)
def test_verdicts(lines: list[str], first: Said, second: Said) -> None:
    console = Console("\r\n".join(lines), Path("serial.log"))
    assert (console.said(0, LINE), console.said(1, LINE)) == (first, second)
