"""Whether a set of votes is enough: threshold, group rule, diversity minima, weak votes.

Decides on principals that agree, each with the builders through which it does. Refuses to
know why each agrees. All of it is monotone: one more agreeing vote never turns enough into
not enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TypeAlias

from ceremony import groups
from ceremony.policy_model import Policy
from ceremony.types import Finding, Severity

# Principal name to the builders through which it agrees.
Ballots: TypeAlias = Mapping[str, AbstractSet[str]]


@dataclass(frozen=True, slots=True)
class Tally:
    """Which weak principals were taken in, how many principals count, what is still lacking."""

    weak: tuple[str, ...]
    votes: int
    lacks: tuple[Finding, ...]


def tally(policy: Policy, full: Ballots, weak: Ballots) -> Tally:
    """Count the full votes and the best choice of at most weak_votes_max weak ones.

    policy_checks.py bounds the number of choices. Without any choice that suffices the
    first is reported: principals without a full vote come first, then by name.
    """
    pool = sorted(weak, key=lambda name: (name in full, name))
    most = min(policy.quorum.weak_votes_max, len(pool))
    first: Tally | None = None
    for chosen in combinations(pool, most):
        ballots = {name: full.get(name, frozenset()) for name in (*full, *chosen)}
        ballots |= {name: ballots[name] | weak[name] for name in chosen}
        counted = Tally(tuple(sorted(chosen)), len(ballots), _lacks(policy, ballots))
        if not counted.lacks:
            return counted
        first = first or counted
    if first is None:
        raise TypeError("an empty choice is always a choice")
    return first


def _lacks(policy: Policy, ballots: Ballots) -> tuple[Finding, ...]:
    return tuple(
        Finding(rule, Severity.REFUSE, text)
        for rule, text in chain(
            _threshold(policy, ballots), _groups(policy, ballots), _diversity(policy, ballots)
        )
    )


def _threshold(policy: Policy, ballots: Ballots) -> Iterator[tuple[str, str]]:
    """QRM-THRESHOLD: enough principals agree."""
    wanted = policy.quorum.threshold
    if len(ballots) < wanted:
        names = ", ".join(sorted(ballots)) or "none"
        yield "QRM-THRESHOLD", f"{len(ballots)} of {wanted} principals agree: {names}"


def _groups(policy: Policy, ballots: Ballots) -> Iterator[tuple[str, str]]:
    """QRM-GROUP: the rule over groups holds; a principal counts once in each of its groups."""
    tree = policy.quorum.tree
    if tree is None:
        return
    present = {
        group.name: sum(not builders.isdisjoint(group.members) for builders in ballots.values())
        for group in policy.groups
    }
    if not groups.holds(tree, lambda group: present.get(group, 0)):
        there = ", ".join(
            f"{present.get(need.group, 0)} of {need.count} of {need.group}"
            for need in groups.needs(tree)
        )
        yield "QRM-GROUP", f"the rule {tree} does not hold: {there} agree"


def _diversity(policy: Policy, ballots: Ballots) -> Iterator[tuple[str, str]]:
    """QRM-DIVERSITY: the agreeing principals differ enough in each attribute."""
    for attribute, wanted in policy.quorum.distinct:
        values = [
            (principal, str(getattr(policy.builder_named[builder], attribute)))
            for principal, builders in ballots.items()
            for builder in builders
        ]
        there = distinct_values(values, wanted)
        if there < wanted:
            yield "QRM-DIVERSITY", f"{there} of {wanted} different values of {attribute} agree"


def distinct_values(pairs: Iterable[tuple[str, str]], enough: int) -> int:
    """Return how many principals can each stand for a value of its own, counting to `enough`.

    `pairs` are (principal, value). One principal with two values stands for one of them, so
    this is a maximum matching. An empty value is unknown and stands for nothing.
    """
    values: dict[str, list[str]] = {}
    for principal, value in sorted(set(pairs)):
        if value:
            values.setdefault(principal, []).append(value)
    holder: dict[str, str] = {}

    def place(principal: str, tried: set[str]) -> bool:
        for value in values[principal]:
            if value not in tried:
                tried.add(value)
                if value not in holder or place(holder[value], tried):
                    holder[value] = principal
                    return True
        return False

    for principal in values:
        if len(holder) >= enough:
            break
        place(principal, set())
    return len(holder)
