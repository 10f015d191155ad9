"""No process of a ceremony grows with the image: nobody holds it whole, not even once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sbsigntools.test_large import grow

PROGRAM = Path(__file__).with_name("weighing_images.py")
SMALL, LARGE = 1, 97  # MiB
MOST_KIB = 16 * 1024  # of 96 MiB more; a chunk in flight is 1 MiB
ROOM = Path("/dev/shm")  # the copy is in memory anyway; a disk would only take time

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="there is no /proc/self/status"
)


def peak(*words: str | Path) -> int:
    command = [sys.executable, "-I", PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    status, kibibytes = done.stdout.split()[-2:]
    assert status == "0", done.stdout[-2000:] + done.stderr[-2000:]
    return int(kibibytes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Return two folders with an image each, a small and a large one, to hold rehearsals in."""
    base = tmp_path_factory.mktemp("weight")
    if ROOM.is_dir() and shutil.disk_usage(ROOM).free > 1 << 30:
        base = ROOM / f"uki-ceremony-{base.parent.name}-{base.name}"
    made = base / "small", base / "large"
    for folder, mebibytes in zip(made, (SMALL, LARGE), strict=True):
        folder.mkdir(parents=True)
        grow(folder / "anchor.efi", mebibytes)
    yield made
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def held(folders: tuple[Path, Path]) -> list[int]:
    """Return the peaks of two whole rehearsals, which stay in their folders."""
    return [
        peak("rehearse", folder / "r", "--image", folder / "anchor.efi", "--auto")
        for folder in folders
    ]


def test_a_whole_rehearsal_weighs_the_same(
    held: list[int], record_property: Callable[[str, object], None]
) -> None:
    small, large = held
    record_property("KiB more", large - small)
    assert large - small <= MOST_KIB


@pytest.mark.parametrize(
    "command",
    [
        ("replay", "r/out"),
        ("report", "r/out"),
        ("replay", "r/out", "--image", "anchor.efi"),
        ("inspect", "anchor.efi"),
    ],
    ids=["replay", "report", "replay with the image", "inspect"],
)
def test_reading_it_again_weighs_the_same(
    command: tuple[str, ...], folders: tuple[Path, Path], held: list[int]
) -> None:
    assert len(held) == len(folders)
    small, large = (
        peak(*(folder / word if "." in word or "/" in word else word for word in command))
        for folder in folders
    )
    assert large - small <= MOST_KIB
