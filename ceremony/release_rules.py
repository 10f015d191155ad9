"""The tables [version] and [ledger] as dataclasses: which release may follow which.

Decides only shapes and the words that may stand in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VersionSource(StrEnum):
    """Where a version may be read."""

    STATEMENT = "statement"
    MINISIGN_COMMENT = "minisign-comment"
    FILE_NAME = "file-name"


class VersionScheme(StrEnum):
    """How a version is written and which of two is greater."""

    SEMVER = "semver"
    SEMVER_COMMIT = "semver-commit"
    DATE_COMMIT = "date-commit"


class VersionOrder(StrEnum):
    """What a version must be to the greatest one that was signed."""

    STRICTLY_GREATER = "strictly-greater"
    ANY = "any"


class Resign(StrEnum):
    """What becomes of the last version's very bytes when they are presented again."""

    ALLOW_LOGGED = "allow-logged"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class VersionRule:
    """Which version an image may have, and where it is read, first source first."""

    source: tuple[VersionSource, ...]
    scheme: VersionScheme
    rule: VersionOrder
    deny: tuple[str, ...]
    same_digest_resign: Resign


@dataclass(frozen=True, slots=True)
class LedgerRule:
    """The file on the media that says what was signed before."""

    file: str
