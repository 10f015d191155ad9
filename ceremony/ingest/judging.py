"""Reading and judging attestations in the confined child, from the parent's side.

Decides what is asked of the child, that its answer is a verdict on exactly what was asked, and
which files of a medium are left out because their reader ends or hangs (MED-SANDBOX): never
more than a few, else the whole medium is refused. It refuses to read any attestation itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

from ceremony.attest.nar_media import NarFacts
from ceremony.blobs import from_blob
from ceremony.codec import Json, Malformed, decode, encode
from ceremony.effects import Buffer
from ceremony.errors import Refused, refuse
from ceremony.events import MediaRead, PolicyRead
from ceremony.ingest import sandbox
from ceremony.ingest.reader import Request, written
from ceremony.ingest.sandbox import RULE, Limits, Lost
from ceremony.ports import Media, Progress, Report
from ceremony.show import escaped
from ceremony.types import Finding, ImageFacts, MediaFile, Severity
from ceremony.verdicts import Verdict

SECONDS = 30.0  # for the start and for few files
SECONDS_OF_A_FILE = 0.02
PATIENCE = 20.0  # seconds one file may take on a busy machine
MOST_LOST = 16


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict is a function of, the policy as bytes."""

    policy: bytes
    image_name: str
    image: ImageFacts
    files: tuple[MediaFile, ...]
    now: datetime
    archives: tuple[NarFacts, ...] = ()
    ledger_head: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, what confined the child, and the files that were left out, as findings."""

    verdict: Verdict
    confined: tuple[str, ...]
    lost: tuple[Finding, ...]


def judge_apart(case: Case, report: Report = lambda _: None) -> Judged:
    """Return the child's verdict; where its reader dies, once more without what kills it.

    Refused: MED-SANDBOX, or what the policy's own reading refuses.
    """
    try:
        return _asked(case, ())
    except Lost:
        kept, lost = sieve(case.policy, case.files, report)
        if not lost:
            raise
        return _asked(replace(case, files=kept), lost)


def sieve(
    policy: bytes, files: tuple[MediaFile, ...], report: Report = lambda _: None
) -> tuple[tuple[MediaFile, ...], tuple[Finding, ...]]:
    """Return the files without those that end or hang their reader, and a finding for each."""
    kept = sorted(set(files), key=lambda file: (file.path, file.data))
    read: set[MediaFile] = set()
    lost: list[Finding] = []
    while True:
        begun: list[int] = []

        def at(number: int, *, begun: list[int] = begun, total: int = len(kept)) -> None:
            begun.append(number)
            report(Progress("reading attestations", number + 1, total, "files"))

        skip: list[Json] = [number for number, file in enumerate(kept) if file in read]
        request = Request({"task": "read", "skip": skip}, policy, tuple(kept))
        try:
            answer = sandbox.run(written(request), _limits(len(kept), PATIENCE), at)
        except Lost as error:
            if not 0 <= error.at < len(kept):
                raise
            if len(lost) == MOST_LOST:
                text = f"more than {MOST_LOST} files end their reader"
                raise refuse(RULE, text) from None
            read.update(kept[number] for number in begun[:-1] if number < len(kept))
            lost.append(_left_out(kept.pop(error.at), error))
        else:
            if not isinstance(_member(answer.value, "read"), int):
                raise refuse(RULE, "the reader's answer has not the shape of one")
            return tuple(file for file in files if file in set(kept)), tuple(lost)


def _left_out(file: MediaFile, error: Lost) -> Finding:
    digest = hashlib.sha256(file.data).hexdigest()
    text = f"{escaped(file.path)} ({digest}) is left out: {error.findings[0].text}"
    return Finding(RULE, Severity.WARN, text)


def _asked(case: Case, lost: tuple[Finding, ...]) -> Judged:
    asked: dict[str, Json] = {
        "task": "judge",
        "name": case.image_name,
        "facts": encode(case.image),
        "now": case.now.isoformat(),
        "archives": encode(case.archives),
        "ledger_head": case.ledger_head,
    }
    request = Request(asked, case.policy, case.files)
    patience = SECONDS + SECONDS_OF_A_FILE * len(case.files)
    limits = replace(_limits(len(case.files), patience), bundles=_may_pin_identities(case.policy))
    answer = sandbox.run(written(request), limits)
    try:
        verdict = decode(Verdict, _member(answer.value, "verdict"))
    except Malformed as error:
        raise refuse(RULE, f"the reader answered no verdict: {escaped(str(error))}") from None
    if not _fits(verdict, case):
        raise refuse(RULE, "the reader answered for another policy, image or medium")
    return Judged(verdict, answer.confined, lost)


def _may_pin_identities(policy: bytes) -> bool:
    """Say whether a policy may enrol a Sigstore identity, which the child must be ready for."""
    return b"sigstore" in policy


def _limits(files: int, patience: float) -> Limits:
    return Limits(SECONDS + SECONDS_OF_A_FILE * files, patience)


def _member(value: Json, name: str) -> Json:
    """Return the answer's one member, or raise what the child was refused."""
    match value:
        case {"refused": [*findings]}:
            try:
                raise Refused(*(decode(Finding, finding) for finding in findings))
            except Malformed:
                raise refuse(RULE, "the reader refused without a finding") from None
        case dict() if list(value) == [name]:
            return value[name]
        case _:
            raise refuse(RULE, "the reader's answer has not the shape of one")


def _fits(verdict: Verdict, case: Case) -> bool:
    paths = {file.path for file in case.files}
    return (
        verdict.policy_sha256.value == hashlib.sha256(case.policy).digest()
        and verdict.image_sha256 == case.image.sha256
        and verdict.image_name == case.image_name
        and not (verdict.operators or verdict.reason)
        and all(disposition.file in paths for disposition in verdict.dispositions)
    )


@dataclass(slots=True)
class SievedMedia:
    """A medium whose attestations were all read once in the child before anybody else sees them.

    What ends its reader stands in neither the manifest nor the files, only in the problems.
    """

    medium: Media
    _policy: bytes = field(default=b"", init=False)

    def read_policy(self) -> PolicyRead:
        """Return the policy and the signatures beside it."""
        found = self.medium.read_policy()
        self._policy = from_blob(found.policy).data
        return found

    def read(
        self, names: tuple[str, ...], most_bytes: int, report: Report
    ) -> tuple[MediaRead, Buffer]:
        """Return what is on the medium, and the image's copy in memory."""
        found, image = self.medium.read(names, most_bytes, report)
        if not self._policy:
            self.read_policy()
        return sieved(found, self._policy, report), image


def sieved(found: MediaRead, policy: bytes, report: Report = lambda _: None) -> MediaRead:
    """Return what was read without the files that end their reader; a refusal is a problem."""
    blobs = {from_blob(blob): blob for blob in found.files}
    try:
        kept, lost = sieve(policy, tuple(blobs), report)
    except Refused as error:
        return replace(found, problems=(*found.problems, *error.findings))
    paths = {file.path for file in blobs} - {file.path for file in kept}
    return replace(
        found,
        manifest=tuple(entry for entry in found.manifest if entry.path not in paths),
        files=tuple(blobs[file] for file in kept),
        problems=(*found.problems, *lost),
    )
