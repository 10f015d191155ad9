"""FAT disks that hold one boot program each, written without root and without a mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tui.rehearsal.parts import EFI_NAMES

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin"))
TOOLS = ("mkfs.vfat", "mmd", "mcopy")
ROOM = 512 << 10  # of a disk beside the program


def write_disks(folder: Path, architecture: str, images: list[bytes]) -> list[Path]:
    """Write a disk for each image, which stands there as the default boot program."""
    folder.mkdir()
    size = (max(map(len, images)) + ROOM) >> 10
    empty, source = folder / "empty.img", folder / "boot.efi"
    _run("mkfs.vfat", "--invariant", "-C", empty, str(size))
    _run("mmd", "-i", empty, "::EFI", "::EFI/BOOT")
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number}.img"
        shutil.copy(empty, path)
        source.write_bytes(image)
        # UEFI 2.10, 3.5.1.1: \EFI\BOOT\BOOT{machine}.EFI on removable media
        name = f"BOOT{EFI_NAMES[architecture].upper()}.EFI"
        _run("mcopy", "-i", path, source, f"::EFI/BOOT/{name}")
        paths.append(path)
    return paths


def _run(*command: str | Path) -> None:
    environment = os.environ | {"PATH": PATH, "MTOOLS_SKIP_CHECK": "1"}
    program = shutil.which(str(command[0]), path=PATH)
    assert program
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
