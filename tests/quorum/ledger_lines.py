"""Ledgers and policies that demand one, for the tests of versions and ledgers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from quorum.release import IMAGE, NOW, Release, facts, sha256
from quorum.toml_text import Table, toml

from ceremony.codec import decode, encode
from ceremony.ledger import NO_HEAD, Ended, Entry, line
from ceremony.policy import Policy, load
from ceremony.quorum import Judged, examine
from ceremony.types import MediaFile

HEAD_OF_NONE = NO_HEAD
SAME_POLICY = "00" * 32
EARLIER = "2026-10-01T12:00:00Z"


def releasing(
    release: Release, *, tables: Mapping[str, Table] | None = None, **rule: object
) -> Policy:
    """Return a policy of ann, bob, cat with [version]; `rule` are keys of that table."""
    version: Table = {"source": ["statement"], **rule}
    return load(toml(release.tables("ann", "bob", "cat", **(tables or {}), version=version)))


def entry(version: str, image: bytes = IMAGE, **changes: object) -> Entry:
    """Return one line; `ledger` chains it."""
    values = {
        "artifact": "anchor.efi",
        "attestations": (),
        "ceremony": "c0" * 16,
        "ended": Ended.SIGNED,
        "head": "ab" * 32,
        "policy_id": "demo",
        "policy_sequence": 1,
        "policy_sha256": SAME_POLICY,
        "previous": NO_HEAD,
        "sha256": sha256(image),
        "time": EARLIER,
        "version": version,
    }
    return decode(Entry, encode(values | changes))


def ledger(policy: Policy | None, *entries: Entry) -> bytes:
    """Return the lines of a ledger; `policy` is the one of every line that names no other."""
    data, head = b"", NO_HEAD
    for one in entries:
        chained = replace(one, previous=head)
        if policy is not None and one.policy_sha256 == SAME_POLICY:
            chained = replace(chained, policy_sha256=policy.sha256.hex)
        data += line(chained)
        head = hashlib.sha256(line(chained)).hexdigest()
    return data


def head_of(data: bytes) -> str:
    last = data.rstrip(b"\n").rpartition(b"\n")[2] + b"\n"
    return hashlib.sha256(last).hexdigest()


def judged_with(  # noqa: PLR0913 - what a judgement is made of
    policy: Policy,
    files: Sequence[MediaFile],
    head: str,
    *,
    book: bytes | None = None,
    path: str = "anchor.efi",
    image: bytes = IMAGE,
) -> Judged:
    """Judge with a ledger on the media (None: none) whose head `head` people confirmed."""
    ledgers = () if book is None else (MediaFile("ledger.jsonl", book),)
    return examine(policy, path, facts(image), (*files, *ledgers), NOW, ledger_head=head)
