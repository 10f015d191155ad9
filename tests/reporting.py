"""Reports for tests: of the published bundles, as they are and spoiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from ceremony.ingest.reading import read_folder
from transcripts.replay import make_sums, replay
from transcripts.report.compose import record_of
from transcripts.report.controls import Control, parse
from transcripts.report.document import Report
from transcripts.report.record import Record
from tui.commands.report import CONTROLS, made

GOLDEN = Path(__file__).resolve().parents[1] / "transcripts" / "golden"
KINDS = sorted(path.name for path in GOLDEN.iterdir())
REPORTED = sorted(path.parent.name for path in GOLDEN.glob("*/report.html"))
REPORTER = "the tests"
Files = dict[str, bytes]


def bundle(kind: str) -> Files:
    """Return the files of a published bundle."""
    return read_folder(GOLDEN / kind / "bundle")


def record(files: Files) -> Record:
    """Return the record of a bundle, replayed."""
    return record_of(files, replay(files))


def report(files: Files) -> Report:
    """Return the report of a bundle, replayed."""
    return made(files, replay(files), REPORTER)


@cache
def happy() -> Record:
    """Return the record of the undisturbed ceremony."""
    return record(bundle("happy"))


@cache
def controls() -> tuple[Control, ...]:
    """Return the controls that are shipped."""
    return parse(CONTROLS.read_text("utf-8"))


def resummed(files: Files) -> Files:
    """Return the files with SHA256SUMS over them."""
    rest = {name: data for name, data in files.items() if name != "SHA256SUMS"}
    return {**rest, "SHA256SUMS": make_sums(rest)}


def forged(files: Files) -> Files:
    """Change a fact in the middle of the chain."""
    changed = files["transcript.jsonl"].replace(b"6.1.0-tiny", b"6.1.0-tinY", 1)
    return resummed({**files, "transcript.jsonl": changed})


def differing(files: Files) -> Files:
    """Change the signed image."""
    return resummed({**files, "anchor.signed.efi": files["anchor.signed.efi"][:-1] + b"X"})


def incomplete(files: Files) -> Files:
    """Take a countersignature away."""
    return resummed({n: d for n, d in files.items() if n != "checkpoint.ed.sshsig"})


SPOILED: dict[str, Callable[[Files], Files]] = {
    "FORGED": forged,
    "DIFFERS": differing,
    "INCOMPLETE": incomplete,
}
