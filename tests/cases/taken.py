"""A numbered case as a medium: its files written to a folder, taken in as a ceremony does, judged.

What comes out is compared with the table expected.toml: verdict, votes, the rules of what is
reported, and for each file what became of it and why.
"""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path

from quorum.casebook import Case
from quorum.release import IMAGE, NOW, Release

from ceremony.attest.gather import Reader, read_here
from ceremony.blobs import from_blob
from ceremony.ingest.media import FolderMedia
from ceremony.pe.unsigned import further_digests
from ceremony.quorum import Verdict, examine
from ceremony.types import MediaFile, Severity

TABLE = Path(__file__).with_name("expected.toml")
MANY = 30  # files, from which on the table names only those that are somebody's

Row = dict[str, object]


def expected() -> dict[str, Row]:
    """Return the table's rows by the number of the case."""
    return tomllib.loads(TABLE.read_text("utf-8"))


def taken(files: tuple[MediaFile, ...], folder: Path) -> tuple[MediaFile, ...]:
    """Write the files below a folder, and return what a ceremony takes from there.

    A name with ".." in it can stand on no file system; such a file comes as it is.
    """
    folder.mkdir(exist_ok=True)
    (folder / "anchor.efi").write_bytes(IMAGE)
    aside = []
    for file in files:
        if ".." in file.path.split("/"):
            aside.append(file)
            continue
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    media, _ = FolderMedia(folder, folder).read(("anchor.efi",), 1 << 20, lambda _: None)
    return (*(from_blob(blob) for blob in media.files), *aside)


def seen(case: Case, release: Release, folder: Path, read: Reader = read_here) -> Row:
    """Return the row that a case gives; `read` reads the evidence, here or in the child."""
    policy, files = case.build(release)
    there, further = taken(files, folder), partial(further_digests, IMAGE)
    verdict = examine(
        policy,
        "anchor.efi",
        case.image(),
        there,
        NOW,
        further=further,
        ledger_head=case.head(files),
        read=read,
    ).verdict
    return row(case.says, verdict)


def row(says: str, verdict: Verdict) -> Row:
    """Return a verdict as a row of the table."""
    told = [finding for finding in verdict.findings if finding.severity is not Severity.INFO]
    dispositions = verdict.dispositions
    if len(dispositions) > MANY:
        dispositions = tuple(d for d in dispositions if d.builder)
    parts = [f"{p.component}: {p.votes} for {p.sha256[:8] or '-'}" for p in verdict.components]
    return {
        "says": says.replace("_", " "),
        "verdict": str(verdict.verdict),
        "votes": verdict.votes,
        "refuses": sorted({f.rule for f in told if f.severity is Severity.REFUSE}),
        "reports": sorted({f.rule for f in told if f.severity is Severity.WARN}),
        **({"components": parts} if parts else {}),
        "files": {
            file: ", ".join(
                f"{d.disposition} {d.rule}".strip() for d in dispositions if d.file == file
            )
            for file in sorted({d.file for d in dispositions})
        },
    }
