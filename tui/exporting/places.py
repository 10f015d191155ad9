"""What an export reads and where it writes: a bundle that holds, and one new file outside it."""

from __future__ import annotations

import os
from pathlib import Path

from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.reading import read_regular
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped
from transcripts.exports.source import Sealed, sealed
from transcripts.files import read_bundle
from tui.building.writing import write_new
from tui.commands.files import copy_image, is_bundle
from tui.given import lies_in


def read_sealed(folder: Path, image: Path | None) -> Sealed:
    """Return a bundle that replays to REPRODUCED; MED-PATH, TRN-FOLDER, TRN-EXPORT otherwise."""
    unsigned = copy_image(image) if image else None
    try:
        files = read_bundle(folder)
    except OSError as error:
        text = f"{escaped(str(folder), 4096)}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None
    if not is_bundle(files):
        raise refuse("TRN-FOLDER", f"{escaped(str(folder), 4096)} is no bundle")
    return sealed(files, unsigned, late_verifier())


def read_small(path: Path, most_bytes: int) -> bytes:
    """Return a small file's bytes; MED-SIZE, MED-SPECIAL, MED-PATH."""
    try:
        return read_regular(path, most_bytes)
    except OSError as error:
        text = f"{escaped(str(path), 4096)}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None


def require_new(output: Path, folder: Path) -> None:
    """MED-OUTPUT: an export overwrites nothing, and is no part of the bundle."""
    shown = escaped(str(output), 4096)
    if os.path.lexists(output):
        raise refuse("MED-OUTPUT", f"{shown} is there already")
    if lies_in(output, folder):
        raise refuse("MED-OUTPUT", f"{shown} would stand in the bundle, which lists its files")


def write(output: Path, data: bytes) -> None:
    """Write one new file whole or not at all; MED-OUTPUT, MED-FOLDER, MED-WRITE."""
    write_new(output.parent, {output.name: data})
