"""A sigsum policy file: which logs, which witnesses, and how many of them are enough.

    log <key> [<url>] | witness <name> <key> [<url>]
    group <name> all|any|<k> <name>... | quorum <name>          one a line, # comments

Source: doc/policy.md of sigsum-go. Decides whether a file is such a policy and whether a set
of witnesses is a quorum. Refuses to know proofs; URLs are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey, from_ed25519
from ceremony.show import escaped
from transcripts.exports.sigsum_leaf import key_hash

RULE = "TRN-SIGSUM"
MOST_BYTES = 64 * 1024
MOST_NAMES = 256
NONE = "none"
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_ITEMS = {"log": (2, 3), "witness": (3, 4), "group": (4, MOST_NAMES), "quorum": (2, 2)}


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by the name that the policy file gives it."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Group:
    """`least` of `members`, which are witnesses and groups by name."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SigsumPolicy:
    """Logs and witnesses by key hash, groups by name, and the name that must hold."""

    logs: Mapping[bytes, PublicKey]
    witnesses: Mapping[bytes, Witness]
    groups: Mapping[str, Group]
    quorum: str

    def is_quorum(self, cosigned: Collection[str]) -> bool:
        """Tell whether the witnesses of these names are enough."""
        return self.quorum == NONE or self._holds(self.quorum, cosigned)

    def _holds(self, name: str, cosigned: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigned
        return sum(self._holds(member, cosigned) for member in group.members) >= group.least


def read_policy(data: bytes) -> SigsumPolicy:
    """Return the policy that a file states; TRN-SIGSUM names the line that is no part of one."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the sigsum policy has more than {MOST_BYTES:,} bytes")
    reader = _Reader()
    # "a policy file parser may treat the items as opaque octet strings"
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        try:
            reader.take(line)
        except Refused as error:
            text = f"line {number} of the sigsum policy: {error.findings[0].text}"
            raise refuse(RULE, text) from None
    return reader.policy()


class _Reader:
    """Reads line after line; a name is defined before it is used, and used once."""

    def __init__(self) -> None:
        self._logs: dict[bytes, PublicKey] = {}
        self._witnesses: dict[bytes, Witness] = {}
        self._groups: dict[str, Group] = {}
        self._names: set[str] = set()
        self._free: set[str] = set()
        self._quorum = ""

    def take(self, line: str) -> None:
        # policy.md: of the control characters "only" tab and newline are allowed.
        if any((c < " " and c != "\t") or c == "\x7f" for c in line):
            raise refuse(RULE, "it has a control character")
        items = re.findall(r"[^ \t]+", line.partition("#")[0])
        if not items:
            return
        kind, least, most = items[0], *_ITEMS.get(items[0], (0, 0))
        if not least <= len(items) <= most:
            raise refuse(RULE, f"{escaped(kind, 20)} with {len(items) - 1} words is not known")
        match kind:
            case "log":
                self._add_log(items[1])
            case "witness":
                self._add_witness(items[1], items[2])
            case "group":
                self._add_group(items[1], items[2], items[3:])
            case _:
                self._set_quorum(items[1])

    def policy(self) -> SigsumPolicy:
        if not self._logs or not self._quorum:
            raise refuse(RULE, "the sigsum policy names no log, or has no quorum line")
        return SigsumPolicy(self._logs, self._witnesses, self._groups, self._quorum)

    def _add_log(self, text: str) -> None:
        raw, key = _key(text)
        if key_hash(raw) in self._logs:
            raise refuse(RULE, "this log stands twice")
        self._bound(len(self._logs))
        self._logs[key_hash(raw)] = key

    def _add_witness(self, name: str, text: str) -> None:
        raw, key = _key(text)
        if key_hash(raw) in self._witnesses:
            raise refuse(RULE, "this witness's key stands twice")
        self._define(name)
        self._witnesses[key_hash(raw)] = Witness(name, key)

    def _add_group(self, name: str, count: str, members: list[str]) -> None:
        for member in members:
            self._use(member)
        counts = {"all": len(members), "any": 1}
        least = counts.get(count) or (int(count) if _COUNT.fullmatch(count) else 0)
        if not 0 < least <= len(members):
            raise refuse(RULE, f"{escaped(count, 20)} of {len(members)} is no threshold")
        self._define(name)
        self._groups[name] = Group(least, tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum:
            raise refuse(RULE, "there is a second quorum line")
        if name != NONE:
            self._use(name)
        self._quorum = name

    def _define(self, name: str) -> None:
        if name in self._names or name == NONE:
            raise refuse(RULE, f"the name {escaped(name, 60)} is taken")
        self._bound(len(self._names))
        self._names.add(name)
        self._free.add(name)

    def _use(self, name: str) -> None:
        """Take a name as a member: one that was defined before, and only once."""
        if name not in self._free:
            raise refuse(RULE, f"{escaped(name, 60)} is not defined yet, or is a member already")
        self._free.remove(name)

    def _bound(self, there: int) -> None:
        if there >= MOST_NAMES:
            raise refuse(RULE, f"over {MOST_NAMES} logs, or witnesses and groups")


def _key(text: str) -> tuple[bytes, PublicKey]:
    if not _KEY.fullmatch(text):
        raise refuse(RULE, "a key is 64 hex digits")
    raw = bytes.fromhex(text)
    return raw, from_ed25519(raw)
