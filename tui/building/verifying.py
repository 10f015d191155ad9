"""attest --verify: would these attestations count, in words, and if not what to run.

Decides with the ceremony's own judge, under the policy given and this machine's clock.
Without a policy it reads alone: what each file says, and whether the signature fits the key
that the file or --key names; whose key that is only a policy can say.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ceremony import policy as policies
from ceremony.codec import Json
from ceremony.engine.inspect import gates
from ceremony.errors import MediaTrouble
from ceremony.ingest.limits import MOST_SMALL_FILE
from ceremony.ingest.reading import read_regular
from ceremony.pe.inspect import inspect
from ceremony.policy_model import Policy
from ceremony.quorum import judge
from ceremony.show import escaped
from ceremony.types import Digest, DigestKind, Finding, ImageFacts, Meaning, MediaFile
from ceremony.verdicts import Answer, Disposition, Standing, Verdict
from tui.building.advice import COPY_AGAIN, next_step
from tui.building.reading_alone import NOT_VERIFIED, read_alone
from tui.commands import Exit
from tui.commands.files import read_small_files, taken_image
from tui.commands.findings import put, put_findings, put_json

COUNTS = (Standing.COUNTED, Standing.WEAK)
NOBODY = Digest(DigestKind.FILE_SHA256, bytes(32))
NO_MEANING = Meaning((), "", "", "", (), "")


@dataclass(frozen=True, slots=True)
class Line:
    """What is said of one file: would it count, why, and what to run."""

    file: str
    builder: str
    counts: bool
    rule: str
    text: str
    next: str
    heading: str = ""


def run(options: argparse.Namespace) -> Exit:
    """Read, judge and report; 0 when at least one attestation counts and none fails."""
    if options.policy is None:
        files, passed_over = _files(options, (), MOST_SMALL_FILE)
        lines = tuple(Line(*said) for said in read_alone(files, options.key))
    else:
        policy = policies.load(read_regular(options.policy, MOST_SMALL_FILE))
        files, passed_over = _files(options, policy.artifact.names, policy.artifact.max_bytes)
        lines = _judged(_as_far_as_given(policy, files), files, options)
    empty = {file.path for file in files if not file.data}
    lines = tuple(_of_empty(line) if line.file in empty else line for line in lines)
    good = any(line.counts for line in lines) and all(
        line.counts or line.rule in ("ATT-FORMAT", "QRM-ONE-VOTE", "QRM-COPY") for line in lines
    )
    put_findings(passed_over, to_stderr=True)
    _report(options, lines, good=good)
    return Exit.YES if good else Exit.REFUSED


def _of_empty(line: Line) -> Line:
    """Say what matters of an empty file: whatever its name promised is not in it."""
    heading = line.heading and NOT_VERIFIED
    text = "the file is empty"
    return replace(line, rule="ATT-FORMAT", text=text, next=COPY_AGAIN, heading=heading)


def _files(
    options: argparse.Namespace, names: tuple[str, ...], most_bytes: int
) -> tuple[tuple[MediaFile, ...], tuple[Finding, ...]]:
    """Return the files that were given, and what of the folders was passed over."""
    files: list[MediaFile] = []
    problems: list[Finding] = []
    for word in options.words:
        path = Path(word)
        if path.is_dir():
            inside = read_small_files(path, names, most_bytes)
            problems += inside.problems
            below = word.rstrip("/")
            files += [replace(file, path=f"{below}/{file.path}") for file in inside.files]
            continue
        try:
            files.append(MediaFile(word, read_regular(path, MOST_SMALL_FILE)))
        except OSError as error:
            text = f"{escaped(word)}: {error.strerror or error}"
            raise MediaTrouble("MED-PATH", text) from None
    return tuple(files), tuple(problems)


def _as_far_as_given(policy: Policy, files: tuple[MediaFile, ...]) -> Policy:
    """Return the policy without its lock file where none was given: a builder may not have it."""
    lock = policy.inputs.flake_lock_file
    if not lock or any(file.path.rpartition("/")[2] == lock for file in files):
        return policy
    return replace(policy, inputs=replace(policy.inputs, flake_lock_file=""))


def _judged(
    policy: Policy, files: tuple[MediaFile, ...], options: argparse.Namespace
) -> tuple[Line, ...]:
    """Judge under the policy; without an image, each digest that somebody attests in turn."""
    now = datetime.now(UTC)
    name = options.name or policy.artifact.names[0]
    if options.image is not None:
        facts = inspect(taken_image(options.image), gates(policy))
        return _lines(policy, judge(policy, name, facts, files, now))
    said = {
        row.sha256
        for row in judge(policy, name, _facts(NOBODY), files, now).matrix
        if row.answer is not Answer.MISSING
    }
    best: dict[tuple[str, str], Line] = {}
    for digest in [Digest.from_hex(DigestKind.FILE_SHA256, text) for text in sorted(said)] or [
        NOBODY
    ]:
        for line in _lines(policy, judge(policy, name, _facts(digest), files, now)):
            at = (line.file, line.builder)
            if at not in best or (line.counts and not best[at].counts):
                best[at] = line
    return tuple(best[at] for at in sorted(best))


def _facts(digest: Digest) -> ImageFacts:
    return ImageFacts(0, digest, None, "", (), (), NO_MEANING, ())


def _lines(policy: Policy, verdict: Verdict) -> tuple[Line, ...]:
    return tuple(_line(policy, d) for d in verdict.dispositions)


def _line(policy: Policy, found: Disposition) -> Line:
    builder = policy.builder_named.get(found.builder)
    counts = found.disposition in COUNTS
    malformed = found.disposition is Standing.MALFORMED
    step = next_step(found.rule, policy, builder, found.file, malformed=malformed)
    text = f"{found.disposition}: {found.text}"
    return Line(found.file, found.builder, counts, found.rule, text, step)


def _report(options: argparse.Namespace, lines: tuple[Line, ...], *, good: bool) -> None:
    if options.json:
        judged = options.policy is not None
        word = ("counts" if judged else "read") if good else "refused"
        put_json(_json(lines, word, judged=judged))
        return
    for line in lines:
        who = f" of {escaped(line.builder)}" if line.builder else ""
        would = "would count" if line.counts else "would not count"
        put(f"{escaped(line.file)}{who}: {line.heading or would}")
        put(f"       why:  {line.rule + ': ' if line.rule else ''}{line.text}")
        if line.next:
            put(f"       next: {line.next}")
    if not lines:
        put(
            "no attestation is here",
            "       next: give the files that attest wrote, or their folder",
        )
    if options.policy:
        put("COUNTS" if good else "DOES NOT COUNT")
    else:
        put("READ, NOT JUDGED" if good else "NOT VERIFIED")


def _json(lines: tuple[Line, ...], verdict: str, *, judged: bool) -> Json:
    return {
        "verdict": verdict,
        "rules": [*dict.fromkeys(line.rule for line in lines if line.rule)],
        "attestations": [
            {
                "file": escaped(line.file, 4096),
                "builder": escaped(line.builder),
                "counts": judged and line.counts,
                "rule": line.rule,
                "text": line.text,
                "next": line.next,
            }
            for line in lines
        ],
    }
