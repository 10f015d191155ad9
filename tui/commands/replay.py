"""replay BUNDLE: recompute every decision, without a key and without trust in the operator."""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.codec import Json
from ceremony.errors import MediaTrouble, Refused
from ceremony.ingest.reading import read_folder
from ceremony.ingest.sigstore import late_verifier
from ceremony.types import Finding
from transcripts.replay import Replayed, Verdict, replay
from tui.commands import Exit
from tui.commands.files import read_image
from tui.commands.findings import findings_json, put, put_findings, put_json

EXITS = {
    Verdict.REPRODUCED: Exit.YES,
    Verdict.INCOMPLETE: Exit.INCOMPLETE,
    Verdict.DIFFERS: Exit.REFUSED,
    Verdict.FORGED: Exit.REFUSED,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Replay and report: 0 REPRODUCED, 1 DIFFERS or FORGED, 4 INCOMPLETE."""
    if not options.bundle.is_dir():
        raise MediaTrouble("MED-GONE", f"{options.bundle} is not a folder")
    image = read_image(options.image) if options.image else None
    try:
        found = replay(read_folder(options.bundle), image, late_verifier())
    except OSError as error:
        raise MediaTrouble("MED-GONE", f"{options.bundle}: {error.strerror or error}") from None
    except Refused as error:
        found = not_a_bundle(error.findings)
    if options.json:
        put_json(_json(found))
    else:
        _put(found)
    return EXITS[found.verdict]


def not_a_bundle(findings: tuple[Finding, ...]) -> Replayed:
    """Return what stands for a folder that cannot be read as a bundle."""
    return Replayed(Verdict.DIFFERS, "open", "", "", 0, None, (), 0, findings)


def _put(found: Replayed) -> None:
    put_findings(found.findings)
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
