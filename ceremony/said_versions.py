"""Which versions verified votes about the image say, those that count and those beside them.

Decides whose word on the version is heard. Refuses to know what a version is and whether
all say the same: version.py does.
"""

from __future__ import annotations

from ceremony.counting import Stand
from ceremony.release_rules import VersionSource
from ceremony.verdicts import Standing
from ceremony.version import Said

_AGREEING = (Standing.COUNTED, Standing.WEAK, Standing.DUPLICATE)
_SOURCES = {"minisign": VersionSource.MINISIGN_COMMENT}


def said_versions(stands: tuple[Stand, ...]) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """Return what is said by votes that count, and by weak ones that agree and do not."""
    told: dict[Said, None] = {}
    beside: dict[Said, None] = {}
    for stand in stands:
        vote, agrees = stand.vote, stand.standing in _AGREEING
        if vote.version and (agrees or stand.rule == "QRM-WEAK"):
            source = _SOURCES.get(vote.format, VersionSource.STATEMENT)
            (told if agrees else beside)[Said(source, vote.builder, vote.version)] = None
    return _sorted(told), _sorted(beside)


def _sorted(said: dict[Said, None]) -> tuple[Said, ...]:
    return tuple(sorted(said, key=lambda one: (one.source, one.who, one.text)))
