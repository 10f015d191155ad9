"""Real firmware with Secure Boot on, emulated: what it says to each of many disks.

One start of QEMU has a disk for every image; the firmware tries them in order. A verdict is
read from the console by the device path of the very disk: firmware refuses its own shell with
the same words, and some refusals print nothing. Where the console shows neither that the
image ran nor that it was refused, there is no verdict.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from boot.databases import Databases, enrol, virt_fw_vars
from boot.disks import PATH, TOOLS, write_disks

TIMEOUT = 300  # seconds for one start; it takes 3 to 15 on an idle machine
OPTIONS = "-nodefaults -no-reboot -display none -monitor none -net none"
CRASHES = ("X64 Exception Type", "Synchronous Exception")
LOGS = "UKI_CEREMONY_BOOT_LOGS"  # the folder to keep the logs in, if not pytest's own
FIRST_SLOT, SLOTS, FUNCTIONS = 3, 24, 8  # of the PCI bus: where the disks are
EVENT = re.compile(
    r"BdsDxe: (?P<what>loading|starting|failed to load|failed to start) Boot[0-9A-F]{4} .* "
    r"from (?P<device>[^:]+?)(: (?P<status>.+))?"
)
ESCAPES = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")


class Said(StrEnum):
    """What the firmware did with an image, or with what should be one."""

    BOOTS = "boots"
    REFUSED = "refused"
    UNUSABLE = "is no image to it"
    NEITHER = "neither: the console shows no verdict"


STATUSES = {  # UEFI 2.10, 7.4: what LoadImage returns
    "Access Denied": Said.REFUSED,
    "Not Found": Said.UNUSABLE,
    "Unsupported": Said.UNUSABLE,
    "Load Error": Said.UNUSABLE,
    "Invalid Parameter": Said.UNUSABLE,
    "Out of Resources": Said.UNUSABLE,
}


@dataclass(frozen=True)
class Board:
    """An emulated machine, and the firmware that it may have, best first."""

    qemu: str
    machine: str
    codes: tuple[Path, ...]
    variables: Path

    @property
    def code(self) -> Path:
        return next((path for path in self.codes if path.is_file()), self.codes[-1])


OVMF, AAVMF = Path("/usr/share/OVMF"), Path("/usr/share/AAVMF")
BOARDS = {
    "x86_64": Board(
        "qemu-system-x86_64",
        "-machine q35,smm=on,accel=tcg -global driver=cfi.pflash01,property=secure,value=on"
        " -global ICH9-LPC.disable_s3=1",
        # Debian 13's OVMF_CODE_4M.fd has no Secure Boot.
        (OVMF / "OVMF_CODE_4M.secboot.fd",),
        OVMF / "OVMF_VARS_4M.fd",
    ),
    "aarch64": Board(
        "qemu-system-aarch64",
        "-machine virt,accel=tcg -cpu cortex-a57",
        (AAVMF / "AAVMF_CODE.secboot.fd", AAVMF / "AAVMF_CODE.fd"),
        # Debian 12's AAVMF_VARS.fd is all zeros, no variable store.
        AAVMF / "AAVMF_VARS.snakeoil.fd",
    ),
}


@dataclass(frozen=True)
class Console:
    """What one start showed, and where the log of it is kept."""

    text: str
    log: Path

    def said(self, disk: int, line: str) -> Said:
        """Return the verdict on a disk whose image prints a line that starts with `line`."""
        started, ran, status, current = False, False, "", False
        for shown in self.text.splitlines():
            event = EVENT.fullmatch(shown.strip())
            if event is None:
                ran = ran or (current and started and shown.startswith(line))
                continue
            current = event["device"] == device_path(disk)
            if current:
                started = started or event["what"] == "starting"
                status = event["status"] if event["what"] == "failed to load" else status
        if started:
            return Said.BOOTS if ran and not status else Said.NEITHER
        return STATUSES.get(status, Said.NEITHER)

    def beside(self, found: Iterable[str]) -> str:
        """Return the text of a failure: what was found, and the console it was read from."""
        return "\n".join([*found, f"the console, kept in {self.log}:", self.text])


def require(architecture: str) -> None:
    """Skip the test where something is missing, naming it."""
    board = BOARDS[architecture]
    for tool in (board.qemu, *TOOLS):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"{tool} is not installed")
    for path in (board.code, board.variables):
        if not path.is_file():
            pytest.skip(f"there is no firmware {path}")
    if virt_fw_vars() is None:
        pytest.skip("virt-fw-vars (virt-firmware) is not installed")


def start(
    architecture: str, images: list[bytes], databases: Databases, log: Path, memory: int = 256
) -> Console:
    """Start the machine once, with a disk for each image and `memory` MiB.

    The last image is to power the machine off. A machine that crashes is ended, and so is one
    that is still on after TIMEOUT.
    """
    assert len(images) <= SLOTS * FUNCTIONS
    board, scratch, log = BOARDS[architecture], log.with_suffix(".scratch"), kept(log)
    scratch.mkdir()
    variables = scratch / "variables.fd"
    enrol(board.variables, databases, variables)
    flash = "if=pflash,format=raw,unit="
    command: list[str | Path] = [board.qemu, *board.machine.split(), *OPTIONS.split()]
    command += ["-m", str(memory), "-serial", f"file:{log}"]
    command += ["-drive", f"{flash}0,readonly=on,file={board.code}"]
    command += ["-drive", f"{flash}1,file={variables}"]
    for number, disk in enumerate(write_disks(scratch / "disks", architecture, images)):
        slot, function = place(number)
        device = f"virtio-blk-pci,drive=d{number},bootindex={number + 1}"
        device += f",addr={slot:#x}.{function:#x},multifunction=on"
        command += ["-drive", f"if=none,id=d{number},format=raw,readonly=on,file={disk}"]
        command += ["-device", device]
    note = run(command, log)
    shutil.rmtree(scratch)
    return Console(ESCAPES.sub("", read(log)) + note, log)


def run(command: list[str | Path], log: Path) -> str:
    """Run QEMU until the machine is off; return what is to be noted behind its log."""
    complaints = log.with_suffix(".qemu")
    environment = os.environ | {"PATH": PATH}
    deadline, note = time.monotonic() + TIMEOUT, ""
    with (
        complaints.open("wb") as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=environment
        ) as process,
    ):
        while process.poll() is None and not note:
            time.sleep(0.1)
            if time.monotonic() > deadline:
                note = f"\n[ended: still on after {TIMEOUT} seconds]\n"
            elif any(crash in read(log) for crash in CRASHES):
                note = "\n[ended: the firmware crashed]\n"
        process.kill()
    said = read(complaints)
    complaints.unlink()
    return note + said


def read(log: Path) -> str:
    """Return what a log holds so far."""
    return log.read_bytes().decode("utf-8", "replace") if log.exists() else ""


def kept(log: Path) -> Path:
    """Return where a log goes: to the folder that LOGS names, if it is set."""
    folder = os.environ.get(LOGS)
    if not folder:
        return log
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder).absolute() / log.name


def place(disk: int) -> tuple[int, int]:
    """Return slot and function of a disk on the PCI bus."""
    return FIRST_SLOT + disk // FUNCTIONS, disk % FUNCTIONS


def device_path(disk: int) -> str:
    """Return the device path of a disk, in the text form that firmware prints."""
    slot, function = place(disk)
    return f"PciRoot(0x0)/Pci(0x{slot:X},0x{function:X})"
