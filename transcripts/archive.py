"""An archive of past ceremonies: what each came to, and the chain from head to head.

Decides whether the heads that first lines name are there, and whether two ceremonies claim the
same place. Ceremonies that ended before an image was judged have no line in a ledger, so several
may follow the same one; of those that judged an image only one may, and only one may be the
first. A policy's id has a chain of its own; rehearsals that name none before them belong to no
chain. It refuses to know files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ceremony.show import escaped
from ceremony.types import Finding, Mode, Severity
from transcripts.faults import Verdict

RULE = "TRN-PREVIOUS"
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Record:
    """One bundle of an archive after its replay; `text` is its first finding, or empty.

    `head` and `previous` are roots in hex, "" where there is none; `judged` says whether an
    image was judged; `policy` is the policy's id.
    """

    name: str
    verdict: Verdict
    outcome: str
    mode: str
    ceremony: str
    events: int
    head: str
    previous: str
    judged: bool
    text: str
    policy: str = ""


def check_chain(records: Iterable[Record]) -> tuple[Finding, ...]:
    """TRN-PREVIOUS: named heads are in the archive, and no two judged ceremonies follow one."""
    records = tuple(records)
    there = {record.head for record in records if record.head}
    missing = [r for r in records if r.previous and r.previous not in there]
    found = [
        Finding(
            RULE, Severity.WARN, f"{escaped(r.name)} follows {r.previous[:16]}, which is not here"
        )
        for r in missing[:MOST_NAMED]
    ]
    return (*found, *_firsts(records), *_forks(records), *_doubles(records))


def _firsts(records: tuple[Record, ...]) -> list[Finding]:
    """TRN-PREVIOUS: one ceremony of a policy's chain is the first; a rehearsal starts no chain."""
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record.judged and not record.previous and record.mode == Mode.PRODUCTION:
            first[record.policy].setdefault(record.ceremony, record.name)
    several = [(policy, [*names.values()]) for policy, names in first.items() if len(names) > 1]
    return [
        Finding(
            RULE,
            Severity.WARN,
            f"{_listed(names)} name no ceremony before them, all under {escaped(policy, 60)}",
        )
        for policy, names in several[:MOST_NAMED]
    ]


def _forks(records: tuple[Record, ...]) -> list[Finding]:
    after: dict[str, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record.previous and record.judged:
            after[record.previous].setdefault(record.head, record.name)
    forks = [(head, [*names.values()]) for head, names in after.items() if len(names) > 1]
    return [
        Finding(RULE, Severity.REFUSE, f"{_listed(names)} all follow {head[:16]}")
        for head, names in forks[:MOST_NAMED]
    ]


def _doubles(records: tuple[Record, ...]) -> list[Finding]:
    """TRN-CEREMONY: copies of one ceremony hold the same lines."""
    heads: dict[str, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record.ceremony:
            heads[record.ceremony].setdefault(record.head, record.name)
    doubles = [[*names.values()] for names in heads.values() if len(names) > 1]
    return [
        Finding("TRN-CEREMONY", Severity.REFUSE, f"{_listed(names)} tell one ceremony differently")
        for names in doubles[:MOST_NAMED]
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(escaped(name, 60) for name in names[:4]) + ("..." if names[4:] else "")
