"""check IMAGE --policy P --attestations DIR: would a ceremony count a quorum here."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from ceremony import policy as policies
from ceremony.blobs import from_blob
from ceremony.codec import Json
from ceremony.engine.inspect import gates
from ceremony.engine.judge import verdict_lines
from ceremony.errors import Refused
from ceremony.ingest.media import FolderMedia
from ceremony.pe.inspect import inspect
from ceremony.quorum import judge
from ceremony.types import Finding, refusals
from ceremony.verdicts import Disposition
from tui.commands import Exit
from tui.commands.files import read_image, read_small_files
from tui.commands.report import findings_json, put, put_findings, put_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--policy", type=Path, required=True, help="the signed policy, TOML")
    parser.add_argument(
        "--attestations",
        metavar="DIR",
        type=Path,
        required=True,
        help="the whole medium: attestations and the lock file they pin",
    )
    parser.add_argument("--name", help="the image's path on the medium, if not its file name")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Judge and report; 1 unless the verdict is ACCEPT and policy and image hold."""
    try:
        return _run(options)
    except Refused as error:
        if not options.json:
            raise
        put_json(_json("REFUSE", error.findings, (), error.findings))
        return Exit.REFUSED


def _run(options: argparse.Namespace) -> Exit:
    now = datetime.now(UTC)
    read = FolderMedia(options.attestations, options.policy).read_policy()
    data = from_blob(read.policy).data
    policy = policies.load(data)
    signatures = tuple(from_blob(blob) for blob in read.signatures)
    facts = inspect(read_image(options.image), gates(policy))
    files, problems = read_small_files(
        options.attestations, policy.artifact.names, policy.artifact.max_bytes
    )
    name = options.name or options.image.name
    verdict = judge(policy, name, facts, files, now)
    others: tuple[Finding, ...] = (
        *policies.check_owners(policy, data, signatures),
        *policies.check_window(policy, now),
        *facts.findings,
        *problems,
    )
    stops = refusals((*others, *verdict.findings))
    word = "REFUSE" if refusals(others) else str(verdict.verdict)
    if options.json:
        put_json(_json(word, stops, verdict.dispositions, (*others, *verdict.findings)))
    else:
        put(*verdict_lines(verdict))
        put_findings(refusals(others))
        put(word)
    return Exit.YES if word == "ACCEPT" else Exit.REFUSED


def _json(
    word: str,
    stops: tuple[Finding, ...],
    dispositions: tuple[Disposition, ...],
    findings: tuple[Finding, ...],
) -> Json:
    return {
        "verdict": word,
        "rules": [*dict.fromkeys(finding.rule for finding in stops)],
        "attestations": [
            {
                "file": d.file,
                "builder": d.builder,
                "disposition": str(d.disposition),
                "rule": d.rule,
                "text": d.text,
            }
            for d in dispositions
        ],
        "findings": findings_json(findings),
    }
