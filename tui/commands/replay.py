"""replay BUNDLE: recompute every decision, without a key and without trust in the operator."""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.codec import Json
from ceremony.errors import MediaTrouble, Refused
from ceremony.ingest.reading import read_folder
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped
from ceremony.types import Finding, Severity
from transcripts.replay import Replayed, Verdict, replay
from tui.commands import Exit
from tui.commands.files import is_bundle, read_image
from tui.commands.report import findings_json, put, put_findings, put_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Replay and report: 0 REPRODUCED, 1 DIFFERS or FORGED, 4 INCOMPLETE."""
    if not options.bundle.is_dir():
        raise MediaTrouble("MED-PATH", f"{options.bundle} is not a folder")
    image = read_image(options.image) if options.image else None
    try:
        files = read_folder(options.bundle)
        found = replay(files, image, late_verifier()) if is_bundle(files) else _no_bundle(options)
    except OSError as error:
        raise MediaTrouble("MED-PATH", f"{options.bundle}: {error.strerror or error}") from None
    except Refused as error:
        found = _not_a_bundle(error.findings)
    if options.json:
        put_json(_json(found))
    else:
        _put(found)
    return {
        Verdict.REPRODUCED: Exit.YES,
        Verdict.INCOMPLETE: Exit.INCOMPLETE,
        Verdict.DIFFERS: Exit.REFUSED,
        Verdict.FORGED: Exit.REFUSED,
    }[found.verdict]


def _no_bundle(options: argparse.Namespace) -> Replayed:
    text = f"{escaped(str(options.bundle), 4096)} is no bundle: it has none of its three lists"
    finding = Finding("TRN-FOLDER", Severity.REFUSE, text)
    return Replayed(Verdict.INCOMPLETE, "open", "", "", 0, None, (), 0, (finding,))


def _not_a_bundle(findings: tuple[Finding, ...]) -> Replayed:
    return Replayed(Verdict.DIFFERS, "open", "", "", 0, None, (), 0, findings)


def _put(found: Replayed) -> None:
    put_findings(found.findings)
    if not found.events:  # nothing was replayed: there is nothing to say of it
        put(str(found.verdict))
        return
    put(
        f"ceremony  {found.ceremony}, {found.mode}",
        f"outcome   {found.outcome}",
        f"events    {found.events}",
        f"head      {found.head.spoken if found.head else '-'}",
        *(f"{name:<9} {value}" for name, value in found.anchors),
        f"witnesses {len(found.witnesses)} of {found.needed}: {', '.join(found.witnesses) or '-'}",
        str(found.verdict),
    )


def _json(found: Replayed) -> Json:
    return {
        "verdict": str(found.verdict),
        "events": found.events,
        "rules": [*dict.fromkeys(finding.rule for finding in found.findings)],
        "ceremony": found.ceremony,
        "mode": found.mode,
        "outcome": found.outcome,
        "witnesses": [*found.witnesses],
        "findings": findings_json(found.findings),
    }
