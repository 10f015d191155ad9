"""What every admitted vote is: counted, weak, duplicate, not counted, or dissent.

Decides over all votes at once, by principal: who agrees on the image from the reference
inputs, whether that is a quorum, and who verifiably says otherwise on the same inputs.
Refuses to know files that are no votes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony.admission import Vote
from ceremony.attest.record import Pairs
from ceremony.inputs import LOCK, contradicts, lock_fits, reference, shown
from ceremony.policy_model import Policy
from ceremony.show import escaped
from ceremony.tally import Tally, tally
from ceremony.types import Finding, Severity
from ceremony.verdicts import Standing


@dataclass(frozen=True, slots=True)
class Stand:
    """One vote and what it is, under which rule ("" for one that counts), and why."""

    vote: Vote
    standing: Standing
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """The whole count; `votes` principals agree, `weak` of them by weak votes only."""

    inputs: Pairs
    votes: int
    weak: int
    stands: tuple[Stand, ...]
    findings: tuple[Finding, ...]


def count(
    policy: Policy,
    votes: tuple[Vote, ...],
    sha256: str,
    locks: frozenset[str] | None,
    principal: Mapping[str, str],
) -> Count:
    """Count all votes about the image `sha256`; `locks` are the lock files' hashes on media."""
    agreeing = [vote for vote in votes if vote.sha256 == sha256]
    others = [vote for vote in votes if vote.sha256 != sha256]
    fitting = [vote for vote in agreeing if lock_fits(vote, locks)]
    inputs = reference(policy, fitting, others, principal, locks)
    same = [vote for vote in fitting if not contradicts(vote.inputs, inputs.key)]
    beside = set(agreeing).difference(same) if len(same) < len(agreeing) else ()
    full, weak = _ballots(same, principal)
    counted = tally(policy, full, weak)
    stands = [
        *(_beside(vote, locks) for vote in beside),
        *_agreeing(policy, same, counted, principal),
        *(_dissenting(vote, inputs.key, locks) for vote in others),
    ]
    weak_only = len(set(counted.weak) - set(full))
    return Count(
        inputs=inputs.key,
        votes=counted.votes,
        weak=weak_only,
        stands=tuple(stands),
        findings=(
            *_tallied(policy, counted, full, weak_only),
            *_lock_findings(policy, agreeing, locks),
            *(Finding("QRM-SPLIT", Severity.REFUSE, text) for text in inputs.split),
            *_dissent_findings(policy, stands, principal, anybody=bool(agreeing)),
        ),
    )


def _ballots(
    votes: list[Vote], principal: Mapping[str, str]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    full: dict[str, set[str]] = {}
    weak: dict[str, set[str]] = {}
    for vote in votes:
        ballots = full if vote.full else weak
        ballots.setdefault(principal[vote.builder], set()).add(vote.builder)
    return full, weak


def _beside(vote: Vote, locks: frozenset[str] | None) -> Stand:
    if not lock_fits(vote, locks):
        text = "its flake_lock is not the hash of the flake.lock on the media"
        return Stand(vote, Standing.NOT_COUNTED, "QRM-LOCK", text)
    text = f"it agrees on the digest, but from other inputs: {shown(vote.inputs)}"
    return Stand(vote, Standing.NOT_COUNTED, "QRM-INPUTS", text)


def _agreeing(
    policy: Policy, votes: list[Vote], counted: Tally, principal: Mapping[str, str]
) -> list[Stand]:
    """Give each principal one counted vote, its first full one, and call the rest duplicates."""
    stands: list[Stand] = []
    spoken: dict[str, str] = {}
    weak_spoken: set[str] = set()
    for vote in sorted(votes, key=lambda v: (not v.full, v.builder, v.file)):
        name = principal[vote.builder]
        if vote.full and name not in spoken:
            spoken[name] = vote.builder
            stands.append(Stand(vote, Standing.COUNTED, "", f"a vote of {escaped(name)}"))
        elif not vote.full and name in counted.weak and name not in {*spoken, *weak_spoken}:
            weak_spoken.add(name)
            stands.append(Stand(vote, Standing.WEAK, *_lacking(policy, vote)))
        elif name in spoken or name in weak_spoken:
            stands.append(_duplicate(vote, spoken.get(name, vote.builder)))
        else:
            most = policy.quorum.weak_votes_max
            text = f"{_lacking(policy, vote)[1]}; at most {most} weak votes count"
            stands.append(Stand(vote, Standing.NOT_COUNTED, "QRM-WEAK", text))
    return stands


def _duplicate(vote: Vote, first: str) -> Stand:
    if first == vote.builder:
        text = f"{escaped(first)} has its vote already"
        return Stand(vote, Standing.DUPLICATE, "QRM-ONE-VOTE", text)
    text = f"one principal with {escaped(first)}, which has its vote already"
    return Stand(vote, Standing.DUPLICATE, "QRM-PRINCIPAL", text)


def _lacking(policy: Policy, vote: Vote) -> tuple[str, str]:
    """Return the rule that makes a vote weak, and what it lacks."""
    present = dict(vote.inputs)
    pins = [name for name in policy.inputs.must_agree if name not in present]
    if vote.based:
        return "QRM-PINS", f"it does not say {', '.join(pins)}"
    text = "it does not say the digest of the container image that it was built in"
    return "QRM-BASE-IMAGE", f"{text}, nor {', '.join(pins)}" if pins else text


def _dissenting(vote: Vote, key: Pairs, locks: frozenset[str] | None) -> Stand:
    says = f"it says the digest is {vote.sha256[:16]}"
    if contradicts(vote.inputs, key) or not lock_fits(vote, locks):
        text = f"{says}, from other inputs: {shown(vote.inputs)}"
        return Stand(vote, Standing.NOT_COUNTED, "QRM-OTHER-INPUTS", text)
    return Stand(vote, Standing.DISSENT, "QRM-DISSENT", f"{says}, from the same inputs")


def _tallied(
    policy: Policy, counted: Tally, full: Mapping[str, set[str]], weak_only: int
) -> tuple[Finding, ...]:
    if counted.lacks:
        return counted.lacks
    names = ", ".join(sorted({*full, *counted.weak}))
    text = f"{counted.votes} principals agree, {policy.quorum.threshold} are needed: {names}"
    weak = f" ({weak_only} weak)" if weak_only else ""
    return (Finding("QRM-THRESHOLD", Severity.INFO, text + weak),)


def _lock_findings(
    policy: Policy, agreeing: list[Vote], locks: frozenset[str] | None
) -> tuple[Finding, ...]:
    """QRM-LOCK: the lock file is on the media, and not another one than all who pin one pin."""
    if locks is None:
        return ()
    name = escaped(policy.inputs.flake_lock_file)
    if not locks:
        return (Finding("QRM-LOCK", Severity.REFUSE, f"{name} is not on the media"),)
    pinning = [vote for vote in agreeing if LOCK in dict(vote.inputs)]
    if pinning and not any(lock_fits(vote, locks) for vote in pinning):
        text = f"{name} on the media is none that a builder built from"
        return (Finding("QRM-LOCK", Severity.REFUSE, text),)
    return ()


def _dissent_findings(
    policy: Policy, stands: list[Stand], principal: Mapping[str, str], *, anybody: bool
) -> tuple[Finding, ...]:
    """QRM-DISSENT, QRM-TWO-ANSWERS, QRM-OTHER-INPUTS, QRM-INPUTS, QRM-SUBJECT."""
    severities = {
        "QRM-DISSENT": Severity.REFUSE,
        "QRM-OTHER-INPUTS": policy.dissent.other_inputs,
        "QRM-INPUTS": Severity.WARN,
    }
    findings = {
        Finding(s.rule, severities[s.rule], f"{escaped(s.vote.builder)}: {s.text}"): None
        for s in sorted(stands, key=lambda s: (s.rule, s.vote.builder, s.vote.sha256))
        if s.rule in severities
    }
    agree = {principal[s.vote.builder] for s in stands if _agrees(s)}
    differ = {principal[s.vote.builder] for s in stands if s.standing is Standing.DISSENT}
    for name in sorted(agree & differ):
        text = f"{escaped(name)} gives two digests for the same inputs"
        findings[Finding("QRM-TWO-ANSWERS", Severity.REFUSE, text)] = None
    if differ and not anybody:
        text = "every vote is for another file than the one presented"
        findings[Finding("QRM-SUBJECT", Severity.REFUSE, text)] = None
    return tuple(findings)


def _agrees(stand: Stand) -> bool:
    return stand.standing in (Standing.COUNTED, Standing.WEAK, Standing.DUPLICATE)
