"""Same inputs: which must_agree pins the agreeing votes share, and which votes differ.

Decides the input key of a judgement and whether two keys compete for it (split). Pins that
a vote does not have contradict nothing. Refuses to know thresholds of groups and dissent.

With full votes (all pins there) the key with most principals is the reference. Another key
competes if it reaches the threshold itself, or, where the reference needs weak votes, if
it could with as many. Without full votes the weak ones must not contradict each other.
All of this looks at full votes only, so that one more weak vote cannot create a split. Where
no key can reach the threshold and all of them together would, that is a split too; so is a
threshold for another digest from other inputs, whoever agrees here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ceremony.admission import Vote
from ceremony.attest.record import Pairs
from ceremony.one_key import speaking
from ceremony.policy_model import Policy

LOCK = "flake_lock"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The reference key and why other keys compete with it (empty: none does)."""

    key: Pairs
    split: tuple[str, ...]


def contradicts(one: Pairs, other: Pairs) -> bool:
    """Say whether two sets of pins give one pin two values."""
    if one == other:
        return False
    values = dict(other)
    return any(values.get(name, value) != value for name, value in one)


def lock_fits(vote: Vote, locks: frozenset[str] | None) -> bool:
    """Say whether a vote's flake_lock is the hash of a lock file on the media (None: any)."""
    if locks is None:
        return True
    lock = dict(vote.inputs).get(LOCK)
    return lock is None or lock in locks


def shown(key: Pairs) -> str:
    """Return an input key for people."""
    return ", ".join(f"{name} {value[:12]}" for name, value in key) or "no pins"


def reference(
    policy: Policy,
    agreeing: Iterable[Vote],
    others: Iterable[Vote],
    principal: Mapping[str, str],
    locks: frozenset[str] | None,
) -> Inputs:
    """Return the reference key of the agreeing votes and what splits them."""
    found = _agreed(policy, agreeing, principal)
    apart = (v for v in others if contradicts(v.inputs, found.key) or not lock_fits(v, locks))
    return replace(
        found, split=(*found.split, *_elsewhere(policy.quorum.threshold, apart, principal))
    )


def _agreed(policy: Policy, agreeing: Iterable[Vote], principal: Mapping[str, str]) -> Inputs:
    """Return the reference key, and what splits those who agree on the image."""
    votes: dict[Pairs, list[Vote]] = {}
    weak: list[Vote] = []
    for vote in agreeing:
        if vote.full:
            votes.setdefault(vote.inputs, []).append(vote)
        else:
            weak.append(vote)
    if not votes:
        return _weak_reference(policy, weak)
    full = {inputs: speaking(those, principal) for inputs, those in votes.items()}
    key = max(sorted(full), key=lambda inputs: len(full[inputs]))
    threshold = policy.quorum.threshold
    reach = threshold
    if len(full[key]) < threshold:
        reach -= policy.quorum.weak_votes_max
    split = [
        f"{len(names)} principals built it from other inputs: {shown(inputs)}"
        for inputs, names in sorted(full.items())
        if inputs != key and len(names) >= reach
    ]
    return Inputs(key, (*split, *_torn(policy, full, key)))


def _torn(policy: Policy, full: Mapping[Pairs, set[str]], key: Pairs) -> tuple[str, ...]:
    """Return which inputs keep a quorum apart that agrees on the image: no key can reach it."""
    threshold = policy.quorum.threshold
    together = set().union(*full.values())
    if len(full[key]) + policy.quorum.weak_votes_max >= threshold or len(together) < threshold:
        return ()
    return tuple(
        f"{len(names)} of {len(together)} principals built it from {shown(inputs)}"
        for inputs, names in sorted(full.items())
    )


def _weak_reference(policy: Policy, weak: list[Vote]) -> Inputs:
    values: dict[str, set[str]] = {}
    for vote in weak:
        for name, value in vote.inputs:
            values.setdefault(name, set()).add(value)
    torn = sorted(name for name, found in values.items() if len(found) > 1)
    key = tuple(sorted((name, *found) for name, found in values.items() if len(found) == 1))
    counts = policy.quorum.weak_votes_max > 0
    split = tuple(f"the weak votes contradict each other in {name}" for name in torn if counts)
    return Inputs(tuple((pair[0], pair[1]) for pair in key), split)


def _elsewhere(
    threshold: int, apart: Iterable[Vote], principal: Mapping[str, str]
) -> tuple[str, ...]:
    """Return where a threshold agrees on another digest from other inputs."""
    groups: dict[tuple[Pairs, str], list[Vote]] = {}
    for vote in apart:
        if vote.full:
            groups.setdefault((vote.inputs, vote.sha256), []).append(vote)
    return tuple(
        f"{most} principals agree on {digest[:16]} from other inputs: {shown(inputs)}"
        for (inputs, digest), votes in sorted(groups.items())
        if (most := len(speaking(votes, principal))) >= threshold
    )
