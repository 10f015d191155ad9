"""report BUNDLE: what a bundle says, for people: HTML to print and file, or text.

It begins with what replay says, and a report of a record that does not hold is written as
well. The file must be new, and outside the bundle: one more file in it is another bundle.
"-" is standard output, which then holds the report alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from qrcode.constants import ERROR_CORRECT_M

from ceremony.content import Stored
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped
from transcripts.files import read_bundle, write_new
from transcripts.replay import Replayed, replay
from transcripts.report import controls
from transcripts.report.compose import compose, record_of
from transcripts.report.document import Matrix, Report
from transcripts.report.heads import checkpoint_of
from transcripts.report.html import html
from transcripts.report.text import text
from tui import identity
from tui.commands import Exit
from tui.commands.files import copy_image, is_bundle, shown_or_file
from tui.commands.findings import put
from tui.commands.replay import EXITS, not_a_bundle
from tui.given import lies_in

CONTROLS = Path(controls.__file__).with_name("controls.toml")
QR_LEVEL = ERROR_CORRECT_M


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--html", metavar="FILE", type=Path, help="write HTML, to print and file; - shows it"
    )
    form.add_argument(
        "--text", metavar="FILE", type=Path, help="write text; without, or -: show it"
    )


def run(options: argparse.Namespace) -> Exit:
    """Replay, report; 0 REPRODUCED, 1 DIFFERS or FORGED, 4 INCOMPLETE, as replay does."""
    named: Path | None = options.html or options.text
    target = shown_or_file(str(named)) if named else None
    if target:
        _require_new(target, options.bundle)
    files, found = _replayed(options)
    report = made(files, found, identity.tool_version())
    if target:
        _write(target, (html(report) if options.html else text(report)).encode("utf-8"))
        put(f"{report.banner.line}", f"report    {escaped(str(target), 4096)}")
    elif options.html:
        sys.stdout.buffer.write(html(report).encode("utf-8"))
        sys.stdout.buffer.flush()
    else:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text(report).encode(encoding, "backslashreplace").decode(encoding))
    return EXITS[found.verdict]


def made(files: Mapping[str, Stored], found: Replayed, by: str) -> Report:
    """Return the report of a bundle's files that were replayed to `found`, written by `by`."""
    record = record_of(files, found)
    known = controls.parse(CONTROLS.read_text("utf-8"))
    return compose(record, known, _modules(checkpoint_of(record)), by)


def _modules(checkpoint: bytes) -> Matrix:
    if not checkpoint:
        return ()
    from tui.parts.qr import matrix  # noqa: PLC0415 - only a sound record has a code

    return matrix(checkpoint, QR_LEVEL)[0]


def _replayed(options: argparse.Namespace) -> tuple[dict[str, Stored], Replayed]:
    if not options.bundle.is_dir():
        raise MediaTrouble("MED-GONE", f"{escaped(str(options.bundle), 4096)} is not a folder")
    image = copy_image(options.image) if options.image else None
    try:
        files = read_bundle(options.bundle)
    except OSError as error:
        text_ = f"{escaped(str(options.bundle), 4096)}: {error.strerror or error}"
        raise MediaTrouble("MED-GONE", text_) from None
    except Refused as error:
        return {}, not_a_bundle(error.findings)
    if not is_bundle(files):
        raise refuse("TRN-FOLDER", f"{escaped(str(options.bundle), 4096)} is no bundle")
    return files, replay(files, image, late_verifier())


def _require_new(target: Path, bundle: Path) -> None:
    """MED-OUTPUT: nothing is overwritten, and nothing is put into the evidence."""
    if os.path.lexists(target):
        raise refuse("MED-OUTPUT", f"{escaped(str(target), 4096)} is there already")
    if lies_in(target, bundle):
        text_ = f"{escaped(str(target), 4096)} is inside the bundle, which must stay as it is"
        raise refuse("MED-OUTPUT", text_)


def _write(target: Path, data: bytes) -> None:
    """Let the whole file appear under its name at once, and never in another's place."""
    try:
        write_new(target, data)
    except FileExistsError:
        raise refuse("MED-OUTPUT", f"{escaped(str(target), 4096)} is there already") from None
    except OSError as error:
        text_ = f"{escaped(str(target), 4096)}: {error.strerror or error}"
        raise MediaTrouble("MED-WRITE", text_) from None
