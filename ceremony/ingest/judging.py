"""Reading attestations in the confined child, from the parent's side.

Decides what of the child's answer is believed (told.py), and which files of a medium are left
out because their reader ends, hangs or answers garbage (MED-SANDBOX): never more than a few,
else the whole medium is refused. Refuses to read any attestation itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from ceremony.artifact_names import exact
from ceremony.attest.aids import NONE, Aids
from ceremony.attest.gather import Evidence, Format, gather, read
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.record import Reading
from ceremony.attest.sigstore import Verifier, pinned_roots
from ceremony.blobs import from_blob
from ceremony.codec import Json
from ceremony.content import Content
from ceremony.digesting import Further, nothing_further
from ceremony.errors import Refused, refuse
from ceremony.events import MediaRead, PolicyRead
from ceremony.ingest.asking import BATCH, ask
from ceremony.ingest.sandbox import RULE, Listener, Lost
from ceremony.ingest.told import Garbage, understood
from ceremony.policy import load
from ceremony.policy_model import Policy
from ceremony.ports import Media, Progress, Report
from ceremony.quorum import examine
from ceremony.show import escaped
from ceremony.types import Finding, ImageFacts, MediaFile, Severity
from ceremony.verdicts import Verdict

MOST_LOST = 16
TRIES = 2  # a child that ends for reasons of the machine's own may do so once

# These say by their names alone that nothing in them is read.
_PLAIN = (Format.ROOT, Format.CHECKSUMS, Format.UNKNOWN)

Readings = dict[Evidence, tuple[Reading, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict is a function of, the policy as bytes.

    `verifier` says whether Sigstore bundles can be verified: the child loads its own. `further`
    computes further digests of the image, which this process has.
    """

    policy: bytes
    image_name: str
    image: ImageFacts
    files: tuple[MediaFile, ...]
    now: datetime
    archives: tuple[NarFacts, ...] = ()
    ledger_head: str = ""
    verifier: Verifier | None = None
    further: Further = nothing_further


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, and the files that were left out, as findings."""

    verdict: Verdict
    lost: tuple[Finding, ...]


def judge_apart(case: Case, report: Report = lambda _: None) -> Judged:
    """Return the verdict on what the child reads; once more without what ends its reader.

    Refused: MED-SANDBOX, or what the policy's own reading refuses.
    """
    policy = load(case.policy)
    try:
        return Judged(_verdict(policy, case, report), ())
    except Lost:
        kept, lost = sieve(policy, case.files, _aids(policy, case), report)
        if not lost:
            raise
        return Judged(_verdict(policy, replace(case, files=kept), report), lost)


def _verdict(policy: Policy, case: Case, report: Report) -> Verdict:
    return examine(
        policy,
        case.image_name,
        case.image,
        case.files,
        case.now,
        aids=_aids(policy, case),
        further=case.further,
        ledger_head=case.ledger_head,
        read=partial(read_apart, report=report),
    ).verdict


def _aids(policy: Policy, case: Case) -> Aids:
    names = exact(policy.artifact.names, case.image_name)
    return Aids(archives=case.archives, verifier=case.verifier, names=names)


def read_apart(
    found: tuple[Evidence, ...], policy: Policy, aids: Aids, report: Report = lambda _: None
) -> tuple[tuple[Reading, ...], ...]:
    """Read every piece in a confined child, in order: the Reader of a ceremony that is held.

    Lost (MED-SANDBOX) when the child twice does not answer.
    """
    for _ in range(TRIES - 1):
        try:
            return _read_once(found, policy, aids, report)
        except Lost:
            pass
    return _read_once(found, policy, aids, report)


def _read_once(
    found: tuple[Evidence, ...], policy: Policy, aids: Aids, report: Report
) -> tuple[tuple[Reading, ...], ...]:
    apart = tuple(evidence for evidence in found if evidence.format not in _PLAIN)
    readings: Readings = {}

    def at(number: int) -> None:
        report(Progress("reading attestations", number, len(apart), "files"))

    if apart:
        ask(apart, policy, aids, BATCH, Listener(at, _Taker(apart, policy, aids, readings)))
    return tuple(
        readings[evidence] if evidence in readings else read(evidence, policy, NONE)
        for evidence in found
    )


@dataclass(frozen=True, slots=True)
class _Taker:
    """Takes what is told of the evidence, one batch after the other."""

    apart: tuple[Evidence, ...]
    policy: Policy
    aids: Aids
    readings: Readings

    def __call__(self, at: int, told: Json) -> None:
        """Take one batch; Lost names the piece of which nothing sensible was told."""
        if at != len(self.readings) or not isinstance(told, list):
            raise Lost("the reader told of something else than it was asked", -1)
        for number, one in enumerate(told, at):
            if number >= len(self.apart):
                raise Lost("the reader told of more than it was asked", -1)
            evidence = self.apart[number]
            try:
                self.readings[evidence] = understood(one, evidence, self.policy, self.aids)
            except Garbage as error:
                raise Lost(
                    f"the reader told what cannot be: {escaped(str(error))}", number
                ) from None


def sieve(
    policy: Policy, files: tuple[MediaFile, ...], aids: Aids, report: Report = lambda _: None
) -> tuple[tuple[MediaFile, ...], tuple[Finding, ...]]:
    """Return the files without those that end or hang their reader, and a finding for each."""
    gathered = gather(files)
    roots = tuple(one.file for one in gathered if one.format is Format.ROOT)
    aids = replace(aids, roots=pinned_roots(roots, policy))
    kept = [one for one in gathered if one.format not in _PLAIN]
    done = 0
    lost: dict[MediaFile, Finding] = {}
    while rest := tuple(kept[done:]):
        begun = [0]

        def at(number: int, *, begun: list[int] = begun, start: int = done) -> None:
            begun[0] = number
            report(Progress("reading attestations", start + number + 1, len(kept), "files"))

        taker = _Taker(rest, policy, aids, {})
        try:
            ask(rest, policy, aids, 1, Listener(at, taker))
        except Lost as error:
            if not 0 <= error.at < len(rest):
                raise
            if len(lost) == MOST_LOST:
                text = f"more than {MOST_LOST} files end their reader"
                raise refuse(RULE, text) from None
            guilty = kept.pop(done + error.at).file
            lost[guilty] = _left_out(guilty, error)
            done += error.at
        else:
            break
    return tuple(file for file in files if file not in lost), tuple(lost.values())


def _left_out(file: MediaFile, error: Lost) -> Finding:
    digest = hashlib.sha256(file.data).hexdigest()
    text = f"{escaped(file.path)} ({digest}) is left out: {error.findings[0].text}"
    return Finding(RULE, Severity.WARN, text)


@dataclass(slots=True)
class SievedMedia:
    """A medium whose attestations were all read once in the child before anybody else sees them.

    What ends its reader stands in neither the manifest nor the files, only in the problems.
    """

    medium: Media
    verifier: Verifier | None = None
    _policy: bytes = field(default=b"", init=False)

    def read_policy(self) -> PolicyRead:
        """Return the policy and the signatures beside it."""
        found = self.medium.read_policy()
        self._policy = from_blob(found.policy).data
        return found

    def read(
        self, names: tuple[str, ...], most_bytes: int, report: Report
    ) -> tuple[MediaRead, Content]:
        """Return what is on the medium, and the image's copy, which nobody can change."""
        found, image = self.medium.read(names, most_bytes, report)
        if not self._policy:
            self.read_policy()
        return sieved(found, self._policy, self.verifier, report), image


def sieved(
    found: MediaRead,
    policy: bytes,
    verifier: Verifier | None,
    report: Report = lambda _: None,
) -> MediaRead:
    """Return what was read without the files that end their reader; a refusal is a problem."""
    blobs = {from_blob(blob): blob for blob in found.files}
    try:
        rules = load(policy)
        names = exact(rules.artifact.names, found.image.path) if found.image else ()
        aids = Aids(archives=found.archives, verifier=verifier, names=names)
        kept, lost = sieve(rules, tuple(blobs), aids, report)
    except Refused as error:
        return replace(found, problems=(*found.problems, *error.findings))
    paths = {file.path for file in blobs} - {file.path for file in kept}
    return replace(
        found,
        manifest=tuple(entry for entry in found.manifest if entry.path not in paths),
        files=tuple(blobs[file] for file in kept),
        problems=(*found.problems, *lost),
    )
