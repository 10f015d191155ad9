"""One certified key, one vote: several authorities may certify it, each for a builder of its own.

Decides which votes may be counted together. A key that no policy enrols becomes known by its
certificates only, and whoever holds it may have one from each authority; the same signature
even serves with each of them. Such a key speaks for one principal, whichever makes the most
of it, so that one more certificate never takes a vote away. Refuses to know what suffices.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice, product

from ceremony.admission import Vote

# Ways to give shared keys to principals. An authority may certify everybody else's keys, so the
# first way already lets as many principals speak as can.
MOST_CHOICES = 64
MOST_TRIED = 400  # keys that are looked at before one is found for a principal


def choices(votes: Sequence[Vote], principal: Mapping[str, str]) -> Iterator[list[Vote]]:
    """Yield sets of votes in which each certified key speaks for one principal only.

    In the first of them as many principals have a vote as in any other.
    """
    speaks: dict[str, set[str]] = {}
    for vote in votes:
        if vote.certified:
            speaks.setdefault(vote.certified, set()).add(principal[vote.builder])
    shared = {key: sorted(names) for key, names in sorted(speaks.items()) if len(names) > 1}
    # By their other votes these speak already, the best of which is a full one.
    others = {(principal[v.builder], v.full) for v in votes if v.certified not in shared}
    best = _matched(shared, others) if shared else {}
    ways = [_first(names, best.get(key, names[0])) for key, names in shared.items()]
    for chosen in islice(product(*ways), MOST_CHOICES):
        given = dict(zip(shared, chosen, strict=True))
        yield [
            vote
            for vote in votes
            if given.get(vote.certified, name := principal[vote.builder]) == name
        ]


def speaking(votes: Sequence[Vote], principal: Mapping[str, str]) -> set[str]:
    """Return as many principals as the votes can stand for, each key for one."""
    return {principal[vote.builder] for vote in next(choices(votes, principal))}


def _first(names: list[str], best: str) -> list[str]:
    return [best, *(name for name in names if name != best)]


def _matched(
    shared: Mapping[str, Sequence[str]], others: Container[tuple[str, bool]]
) -> dict[str, str]:
    """Return a principal for each key that can be given to one who needs it: a maximum matching.

    Who could have fewest of the keys is served first and is never left without one again,
    however many keys an authority certified for somebody else.
    """
    keys: dict[str, list[str]] = {}
    for key, names in shared.items():
        for name in names:
            if (name, True) not in others:
                keys.setdefault(name, []).append(key)
    holder: dict[str, str] = {}

    def place(name: str, tried: set[str]) -> bool:
        for key in keys[name]:
            if key not in tried and len(tried) < MOST_TRIED:
                tried.add(key)
                if key not in holder or place(holder[key], tried):
                    holder[key] = name
                    return True
        return False

    for name in sorted(keys, key=lambda one: ((one, False) in others, len(keys[one]), one)):
        place(name, set())
    return holder
