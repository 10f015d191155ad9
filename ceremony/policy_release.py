"""The policy's tables [version] and [ledger]: which release may follow which.

Decides what the two tables say, and that a policy which reads versions from file names has
names with a place for one. Refuses to know versions and ledgers themselves: version.py and
ledger.py do.
"""

from __future__ import annotations

from ceremony.artifact_names import PLACE
from ceremony.policy_model import Policy
from ceremony.policy_tables import Faults, Table
from ceremony.release_rules import (
    LedgerRule,
    Resign,
    VersionOrder,
    VersionRule,
    VersionScheme,
    VersionSource,
)
from ceremony.show import escaped

LEDGER_FILE = "ledger.jsonl"
MOST_DENIED = 64
MOST_WORD = 64


def version(root: Table) -> VersionRule | None:
    """Read [version], None where the policy has none."""
    if not root.has("version"):
        return None
    table = root.table("version")
    known = [str(source) for source in VersionSource]
    named = table.among("source", known)
    if not named and table.has("source"):
        table.fault("POL-VALUE", "source", f"at least one of {', '.join(known)} is wanted")
    deny = table.texts("deny", ())
    if len(deny) > MOST_DENIED or any(not _is_word(word) for word in deny):
        why = f"at most {MOST_DENIED} words of printable ASCII, at most {MOST_WORD} characters each"
        table.fault("POL-VALUE", "deny", why)
    read = VersionRule(
        source=tuple(VersionSource(name) for name in named if name in known),
        scheme=table.choice("scheme", VersionScheme, VersionScheme.SEMVER),
        rule=table.choice("rule", VersionOrder, VersionOrder.STRICTLY_GREATER),
        deny=deny,
        same_digest_resign=table.choice("same_digest_resign", Resign, Resign.ALLOW_LOGGED),
    )
    table.end()
    return read


def _is_word(word: str) -> bool:
    return word.isascii() and word.isprintable() and " " not in word and len(word) <= MOST_WORD


def ledger(root: Table, rule: VersionRule | None) -> LedgerRule | None:
    """Read [ledger]; a version that must grow demands one without being asked."""
    if not root.has("ledger"):
        grows = rule is not None and rule.rule is VersionOrder.STRICTLY_GREATER
        return LedgerRule(LEDGER_FILE) if grows else None
    table = root.table("ledger")
    file = table.name_text("file", LEDGER_FILE)
    if not file or file.startswith("/") or ".." in file.split("/"):
        table.fault("POL-VALUE", "file", "a path on the medium is wanted")
    table.end()
    return LedgerRule(file)


def check_names(policy: Policy, faults: Faults) -> None:
    """POL-VALUE: a name has at most one place for a version, and only where one is read."""
    placed = [name for name in policy.artifact.names if PLACE in name]
    for name in placed:
        if name.count(PLACE) > 1 or "/" in name[name.index(PLACE) :]:
            why = f"{escaped(name)}: {PLACE} stands once, in the last part of the path"
            faults.add("POL-VALUE", "artifact", "names", why)
    reads = policy.version is not None and VersionSource.FILE_NAME in policy.version.source
    if placed and not reads:
        why = f'{PLACE} needs "file-name" in [version].source'
        faults.add("POL-VALUE", "artifact", "names", why)
    if reads and not placed:
        why = f'"file-name" needs a name with {PLACE} in [artifact].names'
        faults.add("POL-VALUE", "version", "source", why)
