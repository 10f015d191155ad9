"""replay BUNDLE: recompute every decision, without a key and without trust in the operator.

With --prove or --consistent-with it makes a proof too, for somebody who has the checkpoint
and not the bundle; none is made of a bundle that is forged or differs.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Mapping
from pathlib import Path

from ceremony import bundle
from ceremony.codec import Json, encode
from ceremony.content import Stored, octets_of
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped
from ceremony.types import Finding, Severity
from transcripts import proofs
from transcripts.files import read_bundle
from transcripts.proofs import Proof
from transcripts.replay import Replayed, Verdict, replay
from tui.commands import Exit, archive
from tui.commands.files import copy_image, is_bundle, shown_or_file
from tui.commands.findings import findings_json, put, put_findings, put_json
from tui.given import lies_in
from tui.sbsigntools.draft import drafting

EXITS = {
    Verdict.REPRODUCED: Exit.YES,
    Verdict.INCOMPLETE: Exit.INCOMPLETE,
    Verdict.DIFFERS: Exit.REFUSED,
    Verdict.FORGED: Exit.REFUSED,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "bundle", metavar="BUNDLE", type=Path, help="a bundle, or an archive of bundles"
    )
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument("--prove", metavar="N", type=int, help="prove event N, counted from 1")
    proof.add_argument(
        "--consistent-with",
        metavar="COUNT:ROOT",
        help="prove that the transcript extends an earlier head; ROOT may be its six words",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=shown_or_file, help="where the proof goes; - shows it"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Replay and report: 0 REPRODUCED, 1 DIFFERS or FORGED, 4 INCOMPLETE."""
    if options.bundle.is_file():
        text = f"{escaped(str(options.bundle), 4096)} is one file, and a bundle is a folder"
        raise refuse("TRN-FOLDER", text)
    if not options.bundle.is_dir():
        raise MediaTrouble("MED-PATH", f"{options.bundle} is not a folder")
    if archive.is_archive(options.bundle):
        if options.json or options.image or options.output or _asks_for_proof(options):
            raise refuse("TRN-BUNDLE", f"{options.bundle} holds bundles; name one of them")
        return archive.run(options.bundle)
    _check_output(options)
    image = copy_image(options.image) if options.image else None
    files: dict[str, Stored] = {}
    gc.disable()  # a long transcript is a million objects without a cycle, looked at in vain
    try:
        files = read_bundle(options.bundle)
        found = replay(files, image, late_verifier()) if is_bundle(files) else _no_bundle(options)
    except OSError as error:
        raise MediaTrouble("MED-PATH", f"{options.bundle}: {error.strerror or error}") from None
    except Refused as error:
        found = not_a_bundle(error.findings)
    finally:
        gc.enable()
    if not options.json:
        _put(found)
    proof = b""
    if found.verdict in (Verdict.REPRODUCED, Verdict.INCOMPLETE):
        proof = _prove(files, found, options)
    if options.json:
        put_json(_json(found, proof))
    return EXITS[found.verdict]


def _no_bundle(options: argparse.Namespace) -> Replayed:
    text = f"{escaped(str(options.bundle), 4096)} is no bundle: it has none of its three lists"
    finding = Finding("TRN-FOLDER", Severity.REFUSE, text)
    return Replayed(Verdict.INCOMPLETE, "open", "", "", 0, None, (), 0, (finding,))


def _asks_for_proof(options: argparse.Namespace) -> bool:
    return options.prove is not None or options.consistent_with is not None


def _check_output(options: argparse.Namespace) -> None:
    """MED-OUTPUT: a proof overwrites nothing, and is no part of the bundle."""
    if not options.output:
        return
    shown = escaped(str(options.output))
    if os.path.lexists(options.output):
        raise refuse("MED-OUTPUT", f"{shown} is there already")
    if lies_in(options.output, options.bundle):
        raise refuse("MED-OUTPUT", f"{shown} would stand in the bundle, which lists its files")


def _prove(files: Mapping[str, Stored], found: Replayed, options: argparse.Namespace) -> bytes:
    """TRN-PROOF: write the proof that was asked for and return it, b"" where none was."""
    raw = tuple(octets_of(files.get(bundle.TRANSCRIPT, b"")).split(b"\n")[:-1])
    if found.head is None or not _asks_for_proof(options):
        return b""
    if options.prove is not None:
        proof = proofs.prove_line(raw, options.prove - 1, found.head)
        said = f"event {proof.place + 1}"
    else:
        earlier = proofs.read_earlier(options.consistent_with)
        proof = proofs.prove_extension(raw, earlier, found.head)
        said = f"the first {earlier.count} lines are those of the earlier head"
    if options.output:
        with drafting(options.output) as draft:
            draft.update(proof.text)
            draft.commit()
    if not options.json:
        put(f"proof     {said}, under {found.head.count} lines", *_told(proof, options.output))
    return proof.text


def _told(proof: Proof, output: Path | None) -> tuple[str, ...]:
    return (f"          {output}",) if output else tuple(proof.text.decode().splitlines())


def not_a_bundle(findings: tuple[Finding, ...]) -> Replayed:
    """Return what stands for a folder that cannot be read as a bundle."""
    line = any(finding.rule == "TRN-LINE" for finding in findings)
    verdict = Verdict.FORGED if line else Verdict.DIFFERS
    return Replayed(verdict, "open", "", "", 0, None, (), 0, findings)


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
        f"previous  {found.previous or 'none named'}",
        *(f"{name:<9} {value}" for name, value in found.anchors),
        f"witnesses {len(found.witnesses)} of {found.needed}: {', '.join(found.witnesses) or '-'}",
        str(found.verdict),
    )


def _json(found: Replayed, proof: bytes) -> Json:
    return {
        "verdict": str(found.verdict),
        "events": found.events,
        "rules": [*dict.fromkeys(finding.rule for finding in found.findings)],
        "ceremony": found.ceremony,
        "mode": found.mode,
        "outcome": found.outcome,
        "witnesses": [*found.witnesses],
        "findings": findings_json(found.findings),
        "first": encode(found.first),
        "head": found.head.root.hex() if found.head else "",
        "previous": found.previous,
        "proof": proof.decode(),
    }
