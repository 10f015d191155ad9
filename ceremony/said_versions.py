"""Which versions verified votes about the image say, those that count and those beside them.

Decides whose word on the version is heard. Refuses to know what a version is and whether
all say the same: version.py does.
"""

from __future__ import annotations

from ceremony.counting import Stand
from ceremony.policy_model import Policy
from ceremony.release_rules import VersionSource
from ceremony.verdicts import Standing
from ceremony.version import Said

_AGREEING = (Standing.COUNTED, Standing.WEAK, Standing.DUPLICATE)
_SOURCES = {"minisign": VersionSource.MINISIGN_COMMENT}


def said_versions(
    policy: Policy, stands: tuple[Stand, ...]
) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """Return what is said by votes that may count, and by weak ones under a policy of none.

    Which of more weak votes than may count are counted is no reason to hear these only.
    """
    weak_may = policy.quorum.weak_votes_max > 0
    told: dict[Said, None] = {}
    beside: dict[Said, None] = {}
    for stand in stands:
        vote, weak = stand.vote, stand.rule == "QRM-WEAK"
        if vote.version and (weak or stand.standing in _AGREEING):
            source = _SOURCES.get(vote.format, VersionSource.STATEMENT)
            heard = beside if weak and not weak_may else told
            heard[Said(source, vote.builder, vote.version)] = None
    return _sorted(told), _sorted(beside)


def _sorted(said: dict[Said, None]) -> tuple[Said, ...]:
    return tuple(sorted(said, key=lambda one: (one.source, one.who, one.text)))
