"""What lies under the image's name and is no plain file is refused by name, with no output."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import rehearsing
from marks import refuses

from ceremony.events import Decided, MediaRead, Outcome
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.types import Finding
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


def pipe(image: Path) -> None:
    os.mkfifo(image)


def socket_file(image: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(image.parent)  # a socket's path has 108 bytes at the most
        try:
            server.bind(image.name)
        finally:
            os.chdir(here)


def device(image: Path) -> None:
    try:
        os.mknod(image, 0o20600, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("this user may not make a device (CAP_MKNOD)")


def link_to_elsewhere(image: Path) -> None:
    image.symlink_to(image.parent.parent / "kept.efi")


def link_beside(image: Path) -> None:
    (image.parent / "other").write_bytes((image.parent.parent / "kept.efi").read_bytes())
    image.symlink_to("other")


def folder(image: Path) -> None:
    image.mkdir()


def sparse(image: Path) -> None:
    whole = (image.parent.parent / "kept.efi").read_bytes()
    image.write_bytes(whole[:-1])
    os.truncate(image, len(whole) + (1 << 16))


SHAPES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "pipe": (pipe, "MED-SPECIAL", "anchor.efi is a pipe"),
    "socket": (socket_file, "MED-SPECIAL", "anchor.efi is a socket"),
    "device": (device, "MED-SPECIAL", "anchor.efi is a character device"),
    "link to elsewhere": (link_to_elsewhere, "MED-SPECIAL", "anchor.efi is a link"),
    "link beside": (link_beside, "MED-SPECIAL", "anchor.efi is a link"),
    "folder": (folder, "MED-IMAGE", "0 files named anchor.efi"),
    "sparse": (sparse, "MED-SPARSE", "anchor.efi is a sparse file"),
}


@refuses("MED-SPECIAL", "MED-SPARSE", "MED-IMAGE")
@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_that_is_no_plain_file_ends_before_anything_is_made(
    shape: str, prepared: Prepared
) -> None:
    make, rule, text = SHAPES[shape]
    image = prepared.media / "anchor.efi"
    image.rename(prepared.folder / "kept.efi")
    make(image)
    with pytest.raises(EOFError):
        hold(rehearsing.places_of(prepared), Leaves(prepared.sheet))
    read = next(e for e in rehearsing.events(prepared) if isinstance(e, MediaRead))
    verdict = next(e for e in rehearsing.decisions(prepared, "ingest.verdict"))
    assert read.image is None
    assert verdict.outcome is Outcome.REFUSED
    assert says(verdict, rule, text)
    assert not prepared.out.exists()
    assert not list(prepared.folder.rglob("*.signed.efi"))


class Leaves(ScriptFace):
    """Answers by the sheet until the medium was refused, and goes away then."""

    def answer(self, question: Question) -> Answer | Interruption:
        if question.name == "ingest.again":
            raise EOFError
        return super().answer(question)


def says(verdict: Decided, rule: str, text: str) -> bool:
    found: tuple[Finding, ...] = verdict.findings
    return any(f.rule == rule and text in f.text for f in found)
