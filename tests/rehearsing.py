"""Real rehearsals for tests: prepared once a session with a tiny bootable UKI, then copied.

Everything in them is real (ssh-keygen, minisign, SoftHSM); only the kernel is a tiny EFI
program, so that a whole ceremony takes a second.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path

from ceremony.types import Mode
from tui.commands.rehearse import places_of
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.prepare import Prepared, prepare, reopen
from tui.rehearsal.script import ScriptFace
from tui.rehearsal.uki import build_uki
from tui.wiring import Ended, Places, hold

SBAT = b"sbat,1,SBAT Version,sbat,1,https://example.org\ntiny,1,Tiny,tiny,1,https://example.org\n"


def tiny_uki(note: bytes = b"1") -> bytes:
    """Return a UKI of a few kilobytes that the strict parser accepts."""
    return build_uki(
        efi_program("x86_64"),
        [
            (".osrel", b'ID=tiny\nPRETTY_NAME="Tiny UKI ' + note + b'"\n'),
            (".cmdline", b"console=ttyS0 quiet"),
            (".uname", b"6.1.0-tiny"),
            (".sbat", SBAT),
            (".initrd", b"070701" + b"0" * 104 + note),
            (".linux", efi_program("x86_64")),
        ],
    )


def make(folder: Path, name: str = "anchor.efi") -> Prepared:
    """Prepare a rehearsal of the tiny UKI in `folder`."""
    image = folder.parent / f"{folder.name}-{name}"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(tiny_uki())
    named = folder.parent / f"{folder.name}-image" / name
    named.parent.mkdir()
    image.replace(named)
    return prepare(folder, named)


def copy(prepared: Prepared, folder: Path) -> Prepared:
    """Copy a prepared (and perhaps finished) rehearsal to `folder`; its token moves along."""
    shutil.copytree(prepared.folder, folder)
    for path in (folder / "machine.toml", *folder.glob("token/*.conf")):
        text = path.read_text("utf-8")
        path.write_text(text.replace(str(prepared.folder), str(folder)), "utf-8")
    return reopen(folder)


def script(prepared: Prepared, instead: Mapping[str, tuple[str, ...]] | None = None) -> ScriptFace:
    """Return the face that answers by the sheet, or by `instead`, silently."""
    return ScriptFace(prepared.sheet, io.StringIO(), instead)


def held(prepared: Prepared, instead: Mapping[str, tuple[str, ...]] | None = None) -> Ended:
    """Hold the rehearsal to its end."""
    return hold(places_of(prepared), script(prepared, instead))


def production(prepared: Prepared) -> Places:
    """Return the places of the same folders as a production ceremony."""
    places = places_of(prepared)
    return Places(
        mode=Mode.PRODUCTION,
        policy=places.policy,
        incoming=places.incoming,
        logs=places.logs,
        out=places.out,
        machine=places.machine,
        signers={},
    )
