"""The judge: from the policy, the image's digest and a set of files to a verdict.

Decides ACCEPT, REFUSE or OVERRIDE_NEEDED, and for every file what became of it and why.
Refuses to know the clock, the disk and the order in which files came. Held by tests: the
order of files and copies change nothing; files that are no votes never turn ACCEPT into
REFUSE, nor does one more agreeing vote; one verified other answer on the same inputs
always stops ACCEPT.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from ceremony import components, ledger, version
from ceremony.admission import Barred, Subject
from ceremony.artifact_names import exact
from ceremony.attest.aids import NONE, Aids
from ceremony.attest.gather import Reader, read_here
from ceremony.characters import is_printable
from ceremony.counting import Stand, count
from ceremony.digesting import Further, nothing_further
from ceremony.errors import refuse
from ceremony.hearing import hear, locks
from ceremony.matrix import principal_votes, rows
from ceremony.policy_model import Policy
from ceremony.policy_tables import MOST_NAME
from ceremony.principals import principal_names
from ceremony.questions import MOST_CHARACTERS
from ceremony.said_versions import said_versions
from ceremony.show import escaped
from ceremony.succession import ledger_findings
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
    "Judged",
    "Judgement",
    "PrincipalVote",
    "Row",
    "Standing",
    "Verdict",
    "apply_override",
    "examine",
    "judge",
]

# What the policy's operators may set aside.
VETOES = ("QRM-DISSENT", "QRM-TWO-ANSWERS", "QRM-ROLLBACK", components.DISSENT)
MOST_FINDINGS_OF_A_RULE = 20
# Of one operator: a name, ": ", an answer and "; " (engine/judge.py joins them).
MOST_REASON = MOST_NAME + MOST_CHARACTERS + 4
MOST_TOLD = 2000  # of all reasons in a finding; the verdict has them whole


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, and what the ledger's next line needs: version, attestations, ledger.

    `attestations` are the SHA-256 (hex, sorted) of every attestation's file that an enrolled
    key signed, whatever became of it.
    """

    verdict: Verdict
    version: str
    attestations: tuple[str, ...]
    ledger: ledger.Ledger | None


def judge(  # noqa: PLR0913 - the seven things that a verdict is a function of
    policy: Policy,
    image_name: str,
    image: ImageFacts,
    files: tuple[MediaFile, ...],
    now: datetime,
    *,
    aids: Aids = NONE,
    further: Further = nothing_further,
    ledger_head: str = "",
) -> Verdict:
    """Judge one image; `now` is the ceremony's confirmed time, aware.

    `aids` are what some formats need besides the files. `further` computes further digests of
    the image when they are asked for: an attestation that lists sha384 or sha512 besides
    sha256 counts only if they are known and fit. `ledger_head` is the head of the ledger (hex)
    that people confirmed, "" for nobody did; it matters only to a policy that demands a ledger.
    """
    return examine(
        policy,
        image_name,
        image,
        files,
        now,
        aids=aids,
        further=further,
        ledger_head=ledger_head,
    ).verdict


def examine(  # noqa: PLR0913 - as judge
    policy: Policy,
    image_name: str,
    image: ImageFacts,
    files: tuple[MediaFile, ...],
    now: datetime,
    *,
    aids: Aids = NONE,
    further: Further = nothing_further,
    ledger_head: str = "",
    read: Reader = read_here,
) -> Judged:
    """Judge one image, and return what the ledger is to hold of it besides.

    `read` reads the evidence, in this process or in another: the answer is the same.
    """
    wanted = exact(policy.artifact.names, image_name)
    subject = _subject(image, wanted, files)
    names = principal_names(policy)
    taken = hear(policy, subject, now, names, aids, read, further)
    on_media = locks(policy, files)
    counted = count(policy, taken.votes, subject.sha256, on_media, names)
    build = components.Build(image, counted.inputs, on_media)
    parts, of_parts = components.counted(policy, build, taken.parts, names)
    stands = tuple(sorted(counted.stands, key=lambda s: (s.vote.file, s.vote.builder)))
    told, beside = said_versions(policy, stands)
    said = version.read(policy, image_name, told, counted.inputs, beside)
    rule = policy.ledger
    book = ledger.read(files, rule.file, ledger_head) if rule else None
    findings = _bounded(
        (
            *_name_findings(wanted, image_name),
            *_signed_findings(policy, image),
            *counted.findings,
            *of_parts,
            *taken.findings,
            *said.findings,
            *_ledger_findings(policy, book, said.version, subject),
            *_told(taken.barred, subject),
        )
    )
    verdict = Verdict(
        verdict=_judgement(policy, findings),
        policy_sha256=policy.sha256,
        image_name=image_name,
        image_sha256=image.sha256,
        inputs=counted.inputs,
        votes=counted.votes,
        weak=counted.weak,
        findings=findings,
        dispositions=_dispositions(stands, taken.barred),
        matrix=rows(policy, stands, taken.barred, subject.sha256, names),
        principals=principal_votes(policy, stands),
        components=parts,
    )
    text = said.version.text if said.version else ""
    return Judged(verdict, text, taken.attestations, book)


def _subject(image: ImageFacts, names: tuple[str, ...], files: tuple[MediaFile, ...]) -> Subject:
    """Return what the votes are about: the image, a signed one as it was before."""
    forms = tuple({"sha256": digest.hex} for digest in image.unsigned or (image.sha256,))
    return Subject(forms, names, files, image.sha256.hex if image.unsigned else "")


def _signed_findings(policy: Policy, image: ImageFacts) -> tuple[Finding, ...]:
    """QRM-SIGNED: an image that is signed already, which only some policies admit."""
    if not image.unsigned:
        return ()
    text = "the image carries signatures; votes are compared with the image without them"
    return (Finding("QRM-SIGNED", policy.gates.signed_input, text),)


def _ledger_findings(
    policy: Policy, book: ledger.Ledger | None, found: version.Version | None, subject: Subject
) -> tuple[Finding, ...]:
    if book is None:
        return ()
    there = {hashlib.sha256(file.data).hexdigest() for file in subject.files}
    same = {subject.sha256, subject.signed, *(form["sha256"] for form in subject.forms)} - {""}
    return ledger_findings(policy, book, found, same, there)


def _name_findings(names: tuple[str, ...], image_name: str) -> tuple[Finding, ...]:
    if image_name in names:
        return ()
    text = f"the file presented is called {escaped(image_name)}, which the policy does not name"
    return (Finding("QRM-NAME", Severity.WARN, text),)


def _told(barred: tuple[Barred, ...], subject: Subject) -> tuple[Finding, ...]:
    """Report what must not get lost: other answers without proof, near names, faulty files."""
    findings: dict[Finding, None] = {}
    for one in barred:
        file = escaped(one.file)
        if one.rule == "QRM-RETRACTED":  # told with the retraction
            continue
        if one.rule == "QRM-SIGNED":
            who = escaped(one.builder)
            findings[Finding(one.rule, Severity.WARN, f"{file} of {who}: {one.text}")] = None
        elif one.says and one.says != subject.sha256:
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
    most = len(operators) * MOST_REASON
    if not is_printable(reason) or not 0 < len(reason.strip(" ")) <= most:
        raise refuse("QRM-OVERRIDE", f"a reason of 1 to {most:,} printable characters is needed")
    who = ", ".join(escaped(operator) for operator in operators)
    text = f"the veto was set aside by {who}: {escaped(reason.strip(' '), MOST_TOLD)}"
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
        reason=reason.strip(" "),
    )
