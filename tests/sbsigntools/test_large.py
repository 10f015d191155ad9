"""Images of up to a gigabyte: sbsign's bytes, in the memory that a small one takes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pe.images import uki
from sbsigntools.desk import TIME, Desk

MIB = 1 << 20
MOST_MEMORY = 64 * MIB
ROOM = Path("/dev/shm")  # a gigabyte through a disk would be a test of the disk


def grow(image: Path, mebibytes: int) -> None:
    """Make an image's last section, .linux, `mebibytes` longer, and not of zeros."""
    content = bytearray(uki())
    row = content.index(b".linux\0\0")
    (size,) = struct.unpack_from("<I", content, row + 16)
    for at in (row + 8, row + 16):
        struct.pack_into("<I", content, at, size + mebibytes * MIB)
    optional = struct.unpack_from("<I", content, 0x3C)[0] + 24
    (image_size,) = struct.unpack_from("<I", content, optional + 56)
    struct.pack_into("<I", content, optional + 56, image_size + mebibytes * MIB)
    block = os.urandom(MIB)
    with image.open("wb") as file:
        file.write(content)
        for number in range(mebibytes):
            file.write(number.to_bytes(8, "little") + block[8:])


@pytest.fixture
def roomy(desk: Desk) -> Iterator[Desk]:
    """Return a desk on a file system in memory."""
    if not ROOM.is_dir() or shutil.disk_usage(ROOM).free < 5 << 30:
        pytest.skip(f"less than 5 GiB are free in {ROOM}")
    folder = ROOM / f"uki-ceremony-test-{os.getpid()}"
    shutil.copytree(desk.folder, folder)
    try:
        yield Desk(folder, desk.alice, desk.bob)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("mebibytes", [30, 300, 1024])
def test_the_bytes_of_sbsign_in_constant_memory(mebibytes: int, roomy: Desk) -> None:
    grow(roomy.image, mebibytes)
    # VmHWM and not ru_maxrss: that one remembers the size of the process that forked.
    program = (
        "import sys; from tui.entry import start; status = start(sys.argv[1:]); "
        "print(status, *(l.split()[1] for l in open('/proc/self/status') if 'VmHWM' in l))"
    )
    for words in (
        ("sbsign", "--key", "alice.key", "--cert", "alice.pem", "--time", TIME, "--output",
         "signed.efi", "image.efi"),
        ("sbverify", "--cert", "alice.pem", "signed.efi"),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *words],
            cwd=roomy.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        status, kibibytes = done.stdout.split()[-2:]
        assert status == "0", done.stderr
        assert int(kibibytes) * 1024 < MOST_MEMORY
    same = subprocess.run(["cmp", roomy.theirs("image.efi"), roomy.signed], check=False)
    assert same.returncode == 0
