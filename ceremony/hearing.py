"""What every file on the media says: votes, and files that are none, with the reason.

Decides which files are evidence at all (a copy, the lock file, the ledger and the owners'
signatures of a policy are not), and takes back the votes that their own principals took back.
Refuses to know which votes agree and how many there must be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ceremony import ledger, retraction
from ceremony.admission import Barred, Subject, Vote, admit, may_speak
from ceremony.attest.aids import NONE, Aids
from ceremony.attest.gather import Evidence, Format, Reader, gather, read_here
from ceremony.attest.record import Attestation, Reading
from ceremony.attest.sigstore import pinned_roots
from ceremony.attest.sshsig import read_sshsig
from ceremony.components import RULE as COMPONENT
from ceremony.digesting import ALGORITHMS, Further, nothing_further
from ceremony.errors import Refused
from ceremony.policy_model import POLICY_NAMESPACE, Policy
from ceremony.show import escaped
from ceremony.types import Finding, MediaFile, Severity
from ceremony.verdicts import Standing


@dataclass(frozen=True, slots=True)
class Heard:
    """What the files are: votes, what is none, the report on retractions, verified hashes.

    `parts` are the votes about each component, in the policy's order.
    """

    votes: tuple[Vote, ...]
    parts: tuple[tuple[Vote, ...], ...]
    barred: tuple[Barred, ...]
    findings: tuple[Finding, ...]
    attestations: tuple[str, ...]


def hear(  # noqa: PLR0913, PLR0917 - what the readings are a function of
    policy: Policy,
    subject: Subject,
    now: datetime,
    principal: Mapping[str, str],
    aids: Aids = NONE,
    read: Reader = read_here,
    further: Further = nothing_further,
) -> Heard:
    """Read and admit every file of the subject's; `principal` names one by builder id."""
    aids = replace(aids, names=subject.names)
    readings, barred = _readings(policy, subject.files, aids, read)
    signed = [one for one in readings if isinstance(one, Attestation)]
    if listed := _listed(signed, subject.names):
        subject = subject.knowing(further(listed))
    speaks = [
        retraction.named(one.claims) is not None and may_speak(one, policy, now) for one in signed
    ]
    gone = retraction.retractions(signed, speaks, principal)
    taken_back = {id(signed[place]): file for place, file in gone.by.items()}
    votes: list[Vote] = []
    parts: list[list[Vote]] = [[] for _ in policy.components]
    findings = list(gone.findings)
    for reading in readings:
        outcome = admit(reading, policy, subject, now)
        if isinstance(reading, Attestation) and policy.components:
            about = _about_parts(reading, policy, subject, now)
            outcome = _of_a_part(outcome, policy, about)
            if id(reading) not in taken_back:
                for place, said in about.items():
                    parts[place] += [said] if isinstance(said, Vote) else []
        if _is_vote(outcome) and id(reading) in taken_back:
            outcome = _retracted(outcome, taken_back[id(reading)])
            text = f"{escaped(outcome.file)} of {escaped(outcome.builder)}: {outcome.text}"
            findings.append(Finding("QRM-RETRACTED", Severity.WARN, text))
        if isinstance(outcome, Vote):
            votes.append(outcome)
        else:
            barred.append(outcome)
    hashes = tuple(sorted({one.sha256 for one in signed}))
    told = tuple(findings)
    return Heard(tuple(votes), tuple(map(tuple, parts)), tuple(barred), told, hashes)


def _listed(signed: list[Attestation], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which further digests of the image the attestations list."""
    listed: set[str] = set()
    for reading in signed:
        for one in reading.claims.artifacts:
            if one.name in names:
                listed.update([name for name, _ in one.digests])
    return tuple(name for name in ALGORITHMS if name in listed)


def _about_parts(
    attestation: Attestation, policy: Policy, subject: Subject, now: datetime
) -> dict[int, Vote | Barred]:
    """Return what an attestation is about each component that it names, by its place."""
    named = {artifact.name for artifact in attestation.claims.artifacts}
    return {
        place: admit(attestation, policy, Subject((_ANY,), part.names, subject.files), now)
        for place, part in enumerate(policy.components)
        if not named.isdisjoint(part.names)
    }


# A part's digest is not known before its votes are counted.
_ANY = {"sha256": ""}


def _of_a_part(
    outcome: Vote | Barred, policy: Policy, about: Mapping[int, Vote | Barred]
) -> Vote | Barred:
    """QRM-COMPONENT: what is no vote about the image because it names parts only."""
    if isinstance(outcome, Vote) or outcome.rule not in _OTHER_NAMES or not about:
        return outcome
    for said in about.values():
        if isinstance(said, Barred):
            return replace(said, says="")
    parts = ", ".join(escaped(policy.components[place].id) for place in about)
    return replace(outcome, rule=COMPONENT, text=f"a vote for {parts}, never for the image")


_OTHER_NAMES = ("QRM-NAME", "QRM-NEAR-NAME")


def _is_vote(outcome: Vote | Barred) -> bool:
    return isinstance(outcome, Vote) or outcome.rule == COMPONENT


def _readings(
    policy: Policy, files: tuple[MediaFile, ...], aids: Aids, read: Reader
) -> tuple[list[Reading], list[Barred]]:
    """Read every file once; a copy under another name is told and not read again."""
    wanted: list[Evidence] = []
    copies: list[Barred] = []
    seen: dict[tuple[bytes, ...], str] = {}
    book = policy.ledger.file if policy.ledger else None
    gathered = gather(
        tuple(file for file in files if book is None or not ledger.is_ledger(file.path, book))
    )
    roots = tuple(one.file for one in gathered if one.format is Format.ROOT)
    aids = replace(aids, roots=pinned_roots(roots, policy))
    for evidence in gathered:
        if _is_lock(policy, evidence) or _is_owners(evidence):
            continue
        first = seen.setdefault(evidence.identity, evidence.file.path)
        if evidence.format is not Format.UNKNOWN and first != evidence.file.path:
            copies.append(_copy(evidence, first))
            continue
        wanted.append(evidence)
    found = read(tuple(wanted), policy, aids)
    return [reading for readings in found for reading in readings], copies


def _retracted(vote: Vote | Barred, by: str) -> Barred:
    """Return what a vote is that was taken back; one about parts says nothing of the image."""
    sha256 = vote.sha256 if isinstance(vote, Vote) else ""
    says = f"it says the image is {sha256[:16]}" if isinstance(vote, Vote) else vote.text
    text = f"{says}, and is taken back by {escaped(by)}"
    told = (Standing.NOT_COUNTED, "QRM-RETRACTED", text)
    return Barred(vote.file, vote.builder, *told, sha256)


def _copy(evidence: Evidence, first: str) -> Barred:
    text = f"a copy of {escaped(first)}"
    return Barred(evidence.file.path, "", Standing.DUPLICATE, "QRM-COPY", text, "")


def _is_lock(policy: Policy, evidence: Evidence) -> bool:
    return evidence.format is Format.UNKNOWN and _named_lock(policy, evidence.file)


def _is_owners(evidence: Evidence) -> bool:
    """Say whether a file signs a policy: POL-OWNERS judges that, beside the policy."""
    if evidence.format is not Format.SSHSIG or not evidence.file.path.endswith(".sshsig"):
        return False
    try:
        return read_sshsig(evidence.file.data).namespace == POLICY_NAMESPACE
    except Refused:
        return False


def _named_lock(policy: Policy, file: MediaFile) -> bool:
    name = policy.inputs.flake_lock_file
    return bool(name) and (file.path == name or file.path.endswith("/" + name))


def locks(policy: Policy, files: tuple[MediaFile, ...]) -> frozenset[str] | None:
    """Return the hashes of the lock files on the media, None where the policy names none.

    A stray second lock file only adds a hash that no builder pins.
    """
    if not policy.inputs.flake_lock_file:
        return None
    locks = (file for file in files if _named_lock(policy, file))
    return frozenset(hashlib.sha256(file.data).hexdigest() for file in locks)
