"""check IMAGE --policy P --attestations DIR: would a ceremony count a quorum here.

The attestations are read and judged in the confined child; this process only draws.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ceremony import policy as policies
from ceremony.artifact_names import fits
from ceremony.blobs import from_blob
from ceremony.codec import Json
from ceremony.engine.inspect import gates
from ceremony.engine.judge import verdict_lines
from ceremony.errors import Refused
from ceremony.ingest.judging import Case, judge_apart
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.sigstore import late_verifier
from ceremony.ledger import HEAD_RULE, RULE
from ceremony.pe.inspect import inspect
from ceremony.pe.unsigned import further_digests
from ceremony.ports import Progress
from ceremony.show import escaped, printable
from ceremony.types import Finding, Severity, refusals
from ceremony.verdicts import Row, Verdict
from transcripts.threads import at_once
from tui.commands import Exit
from tui.commands.files import read_small_files, taken_image
from tui.commands.findings import findings_json, put, put_findings, put_json
from tui.commands.matrix import Advice, advice_lines, explained, matrix_lines

MANY = 100  # files, from which on progress is worth a line
HEAD_WANTED = "--ledger-head HEX is the head on paper; 64 zeros before the first ceremony"


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
    parser.add_argument(
        "--ledger-head", metavar="HEX", default="", help="the ledger's head, as people have it"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Judge and report; 1 unless the verdict is ACCEPT and policy and image hold."""
    try:
        return _run(options)
    except Refused as error:
        if not options.json:
            raise
        put_json(_json("REFUSE", error.findings, error.findings, None, ()))
        return Exit.REFUSED


def _run(options: argparse.Namespace) -> Exit:
    now = datetime.now(UTC)
    read = FolderMedia(options.attestations, options.policy).read_policy()
    data = from_blob(read.policy).data
    policy = policies.load(data)
    signatures = tuple(from_blob(blob) for blob in read.signatures)
    image = taken_image(options.image)
    facts = inspect(image, gates(policy), at_once)
    beside = read_small_files(
        options.attestations, policy.artifact.names, policy.artifact.max_bytes
    )
    name = options.name or options.image.name
    with _Progress(len(beside.files)) as progress:
        case = Case(
            policy=data,
            image_name=name,
            image=facts,
            files=beside.files,
            now=now,
            archives=beside.archives,
            verifier=late_verifier(),
            ledger_head=options.ledger_head,
            further=lambda listed: further_digests(image, listed, at_once),
        )
        judged = judge_apart(case, progress.report)
    verdict = judged.verdict
    others: tuple[Finding, ...] = (
        *policies.check_owners(policy, data, signatures),
        *policies.check_window(policy, now),
        *facts.findings,
        *beside.problems,
        *_name_findings(policy.artifact.names, name),
        *judged.lost,
    )
    stops = refusals((*others, *verdict.findings))
    word = "REFUSE" if refusals(others) else str(verdict.verdict)
    advice = explained(policy, verdict)
    if options.json:
        put_json(_json(word, stops, (*others, *verdict.findings), verdict, advice))
    else:
        put(*matrix_lines(verdict), "", *verdict_lines(verdict))
        if advice and word != "ACCEPT":
            put("", "Votes that are missing", *advice_lines(advice), "")
        told = (*judged.lost, *beside.problems, *refusals(others))
        put_findings(tuple(dict.fromkeys(told)))
        if not options.ledger_head and any(f.rule in (RULE, HEAD_RULE) for f in stops):
            put(HEAD_WANTED)
        put(word)
    return Exit.YES if word == "ACCEPT" else Exit.REFUSED


def _name_findings(names: tuple[str, ...], name: str) -> tuple[Finding, ...]:
    """MED-IMAGE: the ceremony finds the image by a name of the policy, and by no other."""
    if fits(names, name):
        return ()
    text = f"the policy names {' or '.join(map(escaped, names))}, not {escaped(name)}; see --name"
    return (Finding("MED-IMAGE", Severity.REFUSE, text),)


class _Progress:
    """One line on standard error that counts, where that is a terminal and there is much to do."""

    def __init__(self, files: int) -> None:
        self._shown = files >= MANY and sys.stderr.isatty()
        self._last = -1
        self._files = files

    def __enter__(self) -> Self:
        self._put(f"judging {self._files:,} files")
        return self

    def __exit__(self, *_: object) -> None:
        self._put("")

    def report(self, progress: Progress) -> None:
        """Show whole percents."""
        percent = 100 * progress.done // max(progress.total, 1)
        if percent != self._last:
            self._last = percent
            self._put(f"{progress.what}: {percent} % of {progress.total:,} {progress.unit}")

    def _put(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{printable(text)}")
            sys.stderr.flush()


def _json(
    word: str,
    stops: tuple[Finding, ...],
    findings: tuple[Finding, ...],
    verdict: Verdict | None,
    advice: tuple[Advice, ...],
) -> Json:
    return {
        "verdict": word,
        "rules": [*dict.fromkeys(finding.rule for finding in stops)],
        "matrix": [_row_json(row) for row in (verdict.matrix if verdict else ())],
        "components": [
            {
                "component": part.component,
                "sha256": part.sha256,
                "votes": part.votes,
                "weak": part.weak,
                "matrix": [_row_json(row) for row in part.matrix],
            }
            for part in (verdict.components if verdict else ())
        ],
        "attestations": [
            {
                "file": d.file,
                "builder": d.builder,
                "disposition": str(d.disposition),
                "rule": d.rule,
                "text": d.text,
            }
            for d in (verdict.dispositions if verdict else ())
        ],
        "advice": [{"builder": one.builder, "says": one.says, "run": one.run} for one in advice],
        "findings": findings_json(findings),
    }


def _row_json(row: Row) -> Json:
    return {
        "builder": row.builder,
        "principal": row.principal,
        "answer": str(row.answer),
        "variant": row.variant,
        "sha256": row.sha256,
        "disposition": row.disposition,
        "rule": row.rule,
    }
