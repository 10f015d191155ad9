"""The demo image: a real, bootable UKI of the distribution's parts, the same bytes each time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tui.rehearsal.initrd import build_initrd
from tui.rehearsal.parts import Parts, find_parts, running_architecture
from tui.rehearsal.uki import build_uki, section_content

NAME = "anchor.efi"
CONSOLES = {"x86_64": "console=tty0 console=ttyS0", "aarch64": "console=tty0 console=ttyAMA0"}
SBAT_HEAD = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"


@dataclass(frozen=True, slots=True)
class DemoImage:
    """An image for a rehearsal: its file name, its bytes, and what it was made of."""

    name: str
    data: bytes
    description: str
    architecture: str


def make_demo_image(cache: Path, epoch: int) -> DemoImage:
    """Build the image for this machine's architecture; `epoch` is its SOURCE_DATE_EPOCH."""
    parts = find_parts(cache, running_architecture())
    return DemoImage(NAME, assemble(parts, epoch), parts.description, parts.architecture)


def assemble(parts: Parts, epoch: int) -> bytes:
    """Put a UKI together; the same parts and epoch (seconds since 1970) give the same bytes."""
    made = datetime.fromtimestamp(epoch, UTC)
    release = (
        "ID=uki-ceremony-demo\n"
        'NAME="UKI ceremony demo"\n'
        'PRETTY_NAME="UKI ceremony demo image"\n'
        f"VERSION_ID={made:%Y.%m.%d}\n"
        f"BUILD_ID={hashlib.sha256(parts.kernel).hexdigest()[:16]}\n"
    )
    sbat = section_content(parts.stub, ".sbat").rstrip(b"\0") or SBAT_HEAD
    sbat += f"uki-ceremony-demo,1,UKI ceremony,demo,{made:%Y.%m.%d},https://example.org\n".encode()
    command_line = f"{CONSOLES[parts.architecture]} panic=-1 quiet"
    return build_uki(
        parts.stub,
        [
            (".osrel", release.encode()),
            (".cmdline", command_line.encode()),
            (".uname", parts.release.encode()),
            (".sbat", sbat),
            (".initrd", build_initrd(parts.busybox, epoch)),
            (".linux", parts.kernel),
        ],
    )
