"""The ledger: one line for each ceremony, which blocks rollback and reuse of a version.

    {"artifact":...,"attestations":[...],...,"previous":"<64 hex>",...,"version":"1.2.3"}

Each line is canonical JSON (RFC 8785) and a newline; `previous` is the SHA-256 of the line
before it, so that the last line's SHA-256, the head, holds every ceremony's own head too.
Nobody signs it: the head on paper does. A ledger counts only when people confirm its head,
and a copy with another head is then reported and nothing else. Refuses to know the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ceremony.attest import strict_json
from ceremony.codec import Malformed, decode, encode
from ceremony.errors import Refused, refuse
from ceremony.show import counted, escaped
from ceremony.types import Finding, MediaFile, Severity

RULE = "QRM-LEDGER"
HEAD_RULE = "QRM-LEDGER-HEAD"
FORK_RULE = "QRM-LEDGER-FORK"
NO_HEAD = "0" * 64  # before the first line
MOST_BYTES = 16 << 20
MOST_LINE = 1 << 19
MOST_LINES = 10_000
MOST_COPIES = 16
MOST_ATTESTATIONS = 4096
_HEX = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class Ended(StrEnum):
    """How the ceremony of a line ended."""

    SIGNED = "signed"
    REFUSED = "refused"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ceremony: what it was about, under which policy, how it ended, its own head.

    `attestations` are the SHA-256 of the verified attestations' files that lay before it.
    """

    artifact: str
    attestations: tuple[str, ...]
    ceremony: str
    ended: Ended
    head: str
    policy_id: str
    policy_sequence: int
    policy_sha256: str
    previous: str
    sha256: str
    time: str
    version: str

    def __post_init__(self) -> None:
        digests = (self.head, self.policy_sha256, self.previous, self.sha256, *self.attestations)
        if not all(_HEX.fullmatch(digest) for digest in digests):
            raise ValueError("a digest is not 64 lower-case hex digits")
        if list(self.attestations) != sorted(set(self.attestations)):
            raise ValueError("the attestations are not sorted")
        if len(self.attestations) > MOST_ATTESTATIONS or not _MOMENT.fullmatch(self.time):
            raise ValueError("too many attestations, or a time that is none")
        if self.policy_sequence < 1:
            raise ValueError("a sequence below 1")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The copy that counts: its lines, its head, its bytes, and what was found on the way."""

    entries: tuple[Entry, ...]
    head: str
    data: bytes
    findings: tuple[Finding, ...]


def line(entry: Entry) -> bytes:
    """Return an entry's line."""
    text = json.dumps(encode(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def appended(ledger: Ledger, entry: Entry) -> bytes:
    """Return the ledger's bytes with one more line; the entry's `previous` must be its head."""
    if entry.previous != ledger.head:
        raise refuse(FORK_RULE, "the new line does not follow the ledger's last one")
    return ledger.data + line(entry)


def parse(data: bytes) -> Ledger:
    """Read a ledger strictly; Refused (QRM-LEDGER) names the line and what is wrong."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the ledger has more than {MOST_BYTES} bytes")
    lines = data.split(b"\n")
    if lines.pop():
        raise refuse(RULE, f"line {len(lines) + 1} of the ledger does not end with a newline")
    if not 0 < len(lines) <= MOST_LINES:
        raise refuse(RULE, f"the ledger has {len(lines)} lines; 1 to {MOST_LINES} are read")
    head = NO_HEAD
    entries: list[Entry] = []
    for number, content in enumerate(lines, 1):
        entry = _entry(number, content)
        if entry.previous != head:
            raise refuse(RULE, f"line {number} of the ledger does not follow the one before it")
        entries.append(entry)
        head = hashlib.sha256(content + b"\n").hexdigest()
    return Ledger(tuple(entries), head, data, ())


def _entry(number: int, content: bytes) -> Entry:
    place = f"line {number} of the ledger"
    try:
        entry = decode(Entry, strict_json.loads(content, MOST_LINE))
    except Refused as error:
        raise refuse(RULE, f"{place}: {error.findings[0].text}") from None
    except Malformed as error:
        raise refuse(RULE, f"{place}: {escaped(str(error))}") from None
    if line(entry) != content + b"\n":
        raise refuse(RULE, f"{place} is not canonical JSON")
    return entry


def read(files: Iterable[MediaFile], name: str, confirmed: str) -> Ledger:
    """Return the copy whose head people confirmed; else the longest, with a refusal.

    `confirmed` is the head from paper in hex, NO_HEAD where there was no ceremony before,
    "" where nobody confirmed anything.
    """
    copies, findings = _copies(files, name, confirmed)
    if not copies:
        return Ledger((), NO_HEAD, b"", (*findings, _missing(name, confirmed)))
    chosen = next((copy for copy in copies if copy.head == confirmed), None)
    if chosen is None:
        findings += [_unconfirmed(copies, confirmed), *_forks(copies[0], copies, Severity.REFUSE)]
        return Ledger(copies[0].entries, copies[0].head, copies[0].data, tuple(findings))
    text = f"{counted(len(chosen.entries), 'ceremonies')} before this, head {confirmed[:16]}"
    findings += [
        Finding(HEAD_RULE, Severity.INFO, text + ", as people confirmed"),
        *_forks(chosen, copies, Severity.WARN),
    ]
    return Ledger(chosen.entries, chosen.head, chosen.data, tuple(findings))


def is_ledger(path: str, name: str) -> bool:
    """Say whether a path is the ledger's, in any folder."""
    return path == name or path.endswith("/" + name)


def _copies(
    files: Iterable[MediaFile], name: str, confirmed: str
) -> tuple[list[Ledger], list[Finding]]:
    """Return the distinct copies that can be read, the longest first.

    A flood of copies cannot keep out the one that people confirmed: it is read first.
    """
    found: dict[bytes, str] = {}
    for file in sorted(files, key=lambda f: (f.path, f.data)):
        if is_ledger(file.path, name):
            found.setdefault(file.data, file.path)
    copies: list[Ledger] = []
    findings: list[Finding] = []
    if len(found) > MOST_COPIES:
        text = f"{len(found)} different ledgers; the first {MOST_COPIES} were read"
        findings.append(Finding(FORK_RULE, Severity.WARN, text))
    first = sorted(found.items(), key=lambda item: _last(item[0]) != confirmed)
    for data, path in first[:MOST_COPIES]:
        try:
            copies.append(parse(data))
        except Refused as error:
            text = f"{escaped(path)}: {error.findings[0].text}"
            findings.append(Finding(RULE, Severity.WARN, text))
    return sorted(copies, key=lambda copy: (-len(copy.entries), copy.head)), findings


def _last(data: bytes) -> str:
    """Return the SHA-256 of the last line, read or not."""
    at = data.rfind(b"\n", 0, max(len(data) - 1, 0)) + 1
    return hashlib.sha256(data[at:]).hexdigest()


def _missing(name: str, confirmed: str) -> Finding:
    if confirmed == NO_HEAD:
        return Finding(RULE, Severity.WARN, "no ledger: people confirmed that none was ever made")
    text = f"{escaped(name)} is not on the media; the policy wants what was signed before"
    return Finding(RULE, Severity.REFUSE, text)


def _unconfirmed(copies: list[Ledger], confirmed: str) -> Finding:
    longest = copies[0]
    there = f"{counted(len(longest.entries), 'ceremonies')}, head {longest.head[:16]}"
    if not confirmed:
        text = f"the ledger holds {there}; nobody confirmed that head from paper"
    elif any(entry.previous == confirmed for copy in copies for entry in copy.entries):
        text = f"the ledger goes on behind the confirmed head {confirmed[:16]}: {there}"
    else:
        text = f"the ledger is shortened or another's: {there}, confirmed was {confirmed[:16]}"
    return Finding(HEAD_RULE, Severity.REFUSE, text)


def _forks(chosen: Ledger, copies: list[Ledger], severity: Severity) -> list[Finding]:
    """QRM-LEDGER-FORK: every copy on the media is the one that counts."""
    return [
        Finding(FORK_RULE, severity, f"another copy of the ledger {_differs(chosen, copy)}")
        for copy in copies
        if copy.head != chosen.head
    ]


def _differs(chosen: Ledger, copy: Ledger) -> str:
    there = f"({counted(len(copy.entries), 'ceremonies')}, head {copy.head[:16]})"
    if chosen.data.startswith(copy.data):
        return f"ends earlier {there}"
    if copy.data.startswith(chosen.data):
        return f"goes on {there}"
    return f"tells another story {there}"
