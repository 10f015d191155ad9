"""The judge: from the policy, the image's digest and a set of files to a verdict.

Decides ACCEPT, REFUSE or OVERRIDE_NEEDED, and for every file what became of it and why.
Refuses to know the clock, the disk and the order in which files came. Held by tests: the
order of files and copies change nothing; files that are no votes never turn ACCEPT into
REFUSE, nor does one more agreeing vote; one verified other answer on the same inputs
always stops ACCEPT.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from ceremony.admission import Barred, Subject, Vote, admit
from ceremony.attest.gather import Evidence, Format, gather, read
from ceremony.counting import Stand, count
from ceremony.errors import refuse
from ceremony.matrix import principal_votes, rows
from ceremony.policy_model import Policy
from ceremony.principals import principal_names
from ceremony.show import escaped
from ceremony.types import Finding, ImageFacts, MediaFile, Severity, refusals
from ceremony.verdicts import (
    Answer,
    Disposition,
    Judgement,
    PrincipalVote,
    Row,
    Standing,
    Verdict,
)

__all__ = [
    "Answer",
    "Disposition",
    "Judgement",
    "PrincipalVote",
    "Row",
    "Standing",
    "Verdict",
    "apply_override",
    "judge",
]

VETOES = ("QRM-DISSENT", "QRM-TWO-ANSWERS")
MOST_FINDINGS_OF_A_RULE = 20
MOST_REASON = 2000


def judge(  # noqa: PLR0913 - the six things that a verdict is a function of
    policy: Policy,
    image_name: str,
    image: ImageFacts,
    files: tuple[MediaFile, ...],
    now: datetime,
    *,
    digests: tuple[tuple[str, str], ...] = (),
) -> Verdict:
    """Judge one image; `now` is the ceremony's confirmed time, aware.

    `digests` are further digests of the image's bytes as (algorithm, hex): an attestation
    that lists sha384 or sha512 besides sha256 counts only if these are given and fit.
    """
    subject = Subject({**dict(digests), "sha256": image.sha256.hex})
    names = principal_names(policy)
    votes, barred = _admitted(policy, subject, files, now)
    counted = count(policy, votes, subject.sha256, _locks(policy, files), names)
    stands = tuple(sorted(counted.stands, key=lambda s: (s.vote.file, s.vote.builder)))
    findings = _bounded(
        (*_name_findings(policy, image_name), *counted.findings, *_told(barred, subject))
    )
    return Verdict(
        verdict=_judgement(policy, findings),
        policy_sha256=policy.sha256,
        image_name=image_name,
        image_sha256=image.sha256,
        inputs=counted.inputs,
        votes=counted.votes,
        weak=counted.weak,
        findings=findings,
        dispositions=_dispositions(stands, barred),
        matrix=rows(policy, stands, barred, subject.sha256, names),
        principals=principal_votes(policy, stands),
    )


def _admitted(
    policy: Policy, subject: Subject, files: tuple[MediaFile, ...], now: datetime
) -> tuple[tuple[Vote, ...], tuple[Barred, ...]]:
    votes: list[Vote] = []
    barred: list[Barred] = []
    seen: dict[tuple[bytes, ...], str] = {}
    for evidence in gather(files):
        if _is_lock(policy, evidence):
            continue
        first = seen.setdefault(evidence.identity, evidence.file.path)
        if evidence.format is not Format.UNKNOWN and first != evidence.file.path:
            barred.append(_copy(evidence, first))
            continue
        for reading in read(evidence, policy):
            outcome = admit(reading, policy, subject, now)
            if isinstance(outcome, Vote):
                votes.append(outcome)
            else:
                barred.append(outcome)
    return tuple(votes), tuple(barred)


def _copy(evidence: Evidence, first: str) -> Barred:
    text = f"a copy of {escaped(first)}"
    return Barred(evidence.file.path, "", Standing.DUPLICATE, "QRM-COPY", text, "")


def _is_lock(policy: Policy, evidence: Evidence) -> bool:
    return evidence.format is Format.UNKNOWN and _named_lock(policy, evidence.file)


def _named_lock(policy: Policy, file: MediaFile) -> bool:
    name = policy.inputs.flake_lock_file
    return bool(name) and (file.path == name or file.path.endswith("/" + name))


def _locks(policy: Policy, files: tuple[MediaFile, ...]) -> frozenset[str] | None:
    """Return the hashes of the lock files on the media, None where the policy names none.

    A stray second lock file only adds a hash that no builder pins.
    """
    if not policy.inputs.flake_lock_file:
        return None
    locks = (file for file in files if _named_lock(policy, file))
    return frozenset(hashlib.sha256(file.data).hexdigest() for file in locks)


def _name_findings(policy: Policy, image_name: str) -> tuple[Finding, ...]:
    if image_name in policy.artifact.names:
        return ()
    text = f"the file presented is called {escaped(image_name)}, which the policy does not name"
    return (Finding("QRM-NAME", Severity.WARN, text),)


def _told(barred: tuple[Barred, ...], subject: Subject) -> tuple[Finding, ...]:
    """Report what must not get lost: other answers without proof, near names, faulty files."""
    findings: dict[Finding, None] = {}
    for one in barred:
        file = escaped(one.file)
        if one.says and one.says != subject.sha256:
            text = f"{file} says the image is {one.says[:16]}, which is not proved: {one.text}"
            findings[Finding("QRM-UNVERIFIED", Severity.WARN, text)] = None
        elif one.rule == "QRM-NEAR-NAME" or (one.standing is Standing.MALFORMED and one.builder):
            who = escaped(one.builder)
            findings[Finding(one.rule, Severity.WARN, f"{file} of {who}: {one.text}")] = None
    return tuple(findings)


def _bounded(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Keep the first of each rule and grade, and say how many more there are."""
    groups: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.severity), []).append(finding)
    kept: list[Finding] = []
    for (rule, severity), group in groups.items():
        kept.extend(group[:MOST_FINDINGS_OF_A_RULE])
        more = len(group) - MOST_FINDINGS_OF_A_RULE
        if more > 0:
            kept.append(Finding(rule, severity, f"and {more} more of this kind"))
    order = list(Severity)
    return tuple(sorted(kept, key=lambda finding: order.index(finding.severity)))


def _judgement(policy: Policy, findings: tuple[Finding, ...]) -> Judgement:
    stops = refusals(findings)
    if not stops:
        return Judgement.ACCEPT
    only_vetoes = all(finding.rule in VETOES for finding in stops)
    if only_vetoes and policy.dissent.override.operators > 0:
        return Judgement.OVERRIDE_NEEDED
    return Judgement.REFUSE


def _dispositions(stands: tuple[Stand, ...], barred: tuple[Barred, ...]) -> tuple[Disposition, ...]:
    found = [
        *(Disposition(s.vote.file, s.vote.builder, s.standing, s.rule, s.text) for s in stands),
        *(Disposition(b.file, b.builder, b.standing, b.rule, b.text) for b in barred),
    ]
    return tuple(sorted(found, key=lambda d: (d.file, d.builder, d.rule, d.text)))


def apply_override(
    verdict: Verdict, operators: tuple[str, ...], reason: str, policy: Policy
) -> Verdict:
    """QRM-OVERRIDE: enough distinct persons of the policy set a veto aside, with a reason.

    Nothing but a veto can be set aside. The dissent stays in the verdict, as a warning.
    """
    needed = policy.dissent.override.operators
    known = {person.id for person in policy.persons}
    if verdict.verdict is not Judgement.OVERRIDE_NEEDED or verdict.policy_sha256 != policy.sha256:
        raise refuse("QRM-OVERRIDE", "there is no veto of this policy to set aside")
    if len(set(operators)) != len(operators) or not known.issuperset(operators):
        raise refuse("QRM-OVERRIDE", "every operator must be a person of the policy, named once")
    if needed == 0 or len(operators) < needed:
        raise refuse("QRM-OVERRIDE", f"{needed} operators are needed, {len(operators)} are named")
    if not 0 < len(reason.strip()) <= MOST_REASON:
        raise refuse("QRM-OVERRIDE", f"a reason of 1 to {MOST_REASON} characters is needed")
    who = ", ".join(escaped(operator) for operator in operators)
    text = f"the veto was set aside by {who}: {escaped(reason.strip(), MOST_REASON)}"
    return replace(
        verdict,
        verdict=Judgement.ACCEPT,
        findings=(
            *(
                replace(finding, severity=Severity.WARN) if finding.rule in VETOES else finding
                for finding in verdict.findings
            ),
            Finding("QRM-OVERRIDE", Severity.WARN, text),
        ),
        operators=operators,
        reason=reason.strip(),
    )
