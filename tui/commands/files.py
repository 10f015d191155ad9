"""What one-shot commands are given: regular files and folders to read, bounded; where to write.

"-" is standard output where a text is shown if no file is named. Anything else that is written
is a file: there "-" is refused, and never a file of that name.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ceremony import bundle
from ceremony.attest.nar_media import NarFacts
from ceremony.blobs import from_blob
from ceremony.errors import MediaTrouble
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.sealed_copy import SealedCopy, copy_file, sealed_copy
from ceremony.ingest.steady import open_itself
from ceremony.show import escaped
from ceremony.types import Finding, MediaFile

MOST_IMAGE = 2**32 - 2**16  # bytes; PE offsets are 32 bits, and a signature is still to fit


STANDARD_OUTPUT = "-"
LISTS = (bundle.TRANSCRIPT, bundle.CHECKPOINT, bundle.SUMS)


def shown_or_file(name: str) -> Path | None:
    """Return where a text goes that is shown, None, if no file is named or "-" is."""
    return None if name == STANDARD_OUTPUT else Path(name)


def file_alone(name: str) -> Path:
    """Return where a file goes; an ArgumentTypeError for "-"."""
    if name == STANDARD_OUTPUT:
        text = '"-" is standard output, and this is written to a file (./- names one "-")'
        raise argparse.ArgumentTypeError(text)
    return Path(name)


def taken_image(path: Path) -> SealedCopy:
    """Return an image as a ceremony would take it; MED-SPARSE beside what `copy_image` says."""
    try:
        with open_itself(path, escaped(str(path)), MOST_IMAGE, 0) as file:
            return sealed_copy(file, lambda _: None)
    except MediaTrouble as trouble:
        if trouble.rule != "MED-GONE":
            raise
        raise MediaTrouble("MED-PATH", trouble.text) from None


def copy_image(path: Path) -> SealedCopy:
    """Return the sealed copy of an image whose digest tells whether it is the one.

    MED-SPECIAL (a link, too), MED-SIZE, MED-CHANGED, MED-MEMORY, MED-PATH.
    """
    try:
        return copy_file(path, MOST_IMAGE)
    except OSError as error:
        text = f"{escaped(str(path))}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None


def is_bundle(files: Mapping[str, object]) -> bool:
    """Say whether a folder's files are a ceremony's outputs at all, whole or not."""
    return not files.keys().isdisjoint(LISTS)


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies in a folder besides the image: small files, what archives hold, findings."""

    files: tuple[MediaFile, ...]
    archives: tuple[NarFacts, ...]
    problems: tuple[Finding, ...]


def read_small_files(folder: Path, names: tuple[str, ...], most_bytes: int) -> Beside:
    """Return what lies below a folder, as a ceremony would take it.

    An image among the files, by `names`, is left out, as there.
    """
    if not folder.is_dir():
        raise MediaTrouble("MED-PATH", f"{escaped(str(folder))} is not a folder")
    media, _ = FolderMedia(folder, folder).read(names, most_bytes, lambda _: None)
    files = tuple(from_blob(blob) for blob in media.files)
    return Beside(files, media.archives, media.problems)
