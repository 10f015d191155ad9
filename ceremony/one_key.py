"""One certified key, one vote: several authorities may certify it, each for a builder of its own.

Decides which votes may be counted together. A key that no policy enrols becomes known by its
certificates only, and whoever holds it may have one from each authority; the same signature
even serves with each of them. Such a key speaks for one principal, whichever makes the most
of it, so that one more certificate never takes a vote away. Refuses to know what suffices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from ceremony.admission import Vote

# Ways to give shared keys to principals; only who holds several such keys makes more.
MOST_CHOICES = 64


def choices(votes: Sequence[Vote], principal: Mapping[str, str]) -> Iterator[list[Vote]]:
    """Yield sets of votes in which each certified key speaks for one principal only."""
    speaks: dict[str, set[str]] = {}
    for vote in votes:
        if vote.certified:
            speaks.setdefault(vote.certified, set()).add(principal[vote.builder])
    shared = {key: sorted(names) for key, names in sorted(speaks.items()) if len(names) > 1}
    for chosen in islice(product(*shared.values()), MOST_CHOICES):
        given = dict(zip(shared, chosen, strict=True))
        yield [
            vote
            for vote in votes
            if given.get(vote.certified, name := principal[vote.builder]) == name
        ]
