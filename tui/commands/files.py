"""Reading what one-shot commands are given: regular files and folders, bounded."""

from __future__ import annotations

import stat
from pathlib import Path

from ceremony.blobs import from_blob
from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.media import FolderMedia
from ceremony.types import Finding, MediaFile


def read_image(path: Path) -> bytes:
    """Return an image's bytes; MED-SPECIAL for anything but a regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refuse("MED-SPECIAL", f"{path} is not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise MediaTrouble("MED-GONE", f"{path}: {error.strerror or error}") from None


def read_small_files(
    folder: Path, names: tuple[str, ...], most_bytes: int
) -> tuple[tuple[MediaFile, ...], tuple[Finding, ...]]:
    """Return the small files below a folder, as a ceremony would take them, and its findings.

    An image among them, by `names`, is left out, as there.
    """
    if not folder.is_dir():
        raise MediaTrouble("MED-GONE", f"{folder} is not a folder")
    media, _ = FolderMedia(folder, folder).read(names, most_bytes, lambda _: None)
    return tuple(from_blob(blob) for blob in media.files), media.problems
