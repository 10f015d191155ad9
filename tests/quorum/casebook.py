"""How a numbered case is written: a policy, files, and what is expected of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from quorum.release import COMMIT, IMAGE, NOW, Release, facts, pair, sha256, statement
from quorum.toml_text import Table, toml
from quorum.tool_keys import BareKey, SshKey

from ceremony.policy import Policy, load
from ceremony.types import ImageFacts, MediaFile

Files = tuple[MediaFile, ...]
Built = tuple[Policy, Files]
Build = Callable[[Release], Built]
DIGEST = sha256(IMAGE)
ELSEWHERE = {"git_commit": "d" * 40}
TRIO = ("ann", "bob", "cat")


def nobody_confirms(_: Files) -> str:
    return ""


@dataclass(frozen=True)
class Case:
    """`rule` stands in the findings or in a disposition; "" where every vote counts.

    `image` gives the facts of what is judged, `head` which ledger's head people confirm.
    """

    number: str
    says: str
    build: Build
    verdict: str
    votes: int
    rule: str
    image: Callable[[], ImageFacts] = facts
    head: Callable[[Files], str] = nobody_confirms


CASES: list[Case] = []


def case(number: str, verdict: str, votes: int, rule: str = "") -> Callable[[Build], Build]:
    def note(build: Build) -> Build:
        says = build.__name__.replace("_", " ")
        CASES.append(Case(number, says, build, verdict, votes, rule))
        return build

    return note


def with_third(release: Release, *third: MediaFile, **changes: Table) -> Built:
    """Return two sound votes, and the files that would be the third."""
    return release.policy(**changes), (*release.all("ann", "bob"), *third)


def signed_sums(release: Release, content: bytes, namespace: str = "uki-attestation") -> Files:
    key = release.keys["dan"]
    assert isinstance(key, SshKey)
    return pair("dan/SHA256SUMS", content, key.sign(content, namespace))


def bare(release: Release, name: str) -> BareKey:
    key = release.keys[name]
    assert isinstance(key, BareKey)
    return key


def envelope(release: Release, payload: bytes, **changes: str) -> MediaFile:
    data = bare(release, "cat").envelope(payload, **changes)
    return MediaFile("cat/anchor.intoto.json", data)


def provenance(**changes: object) -> Table:
    document: Table = json.loads(statement(DIGEST, "anchor.efi", {"git_commit": COMMIT}))
    return document | changes


def rows(tables: Table) -> list[Table]:
    found = tables["builder"]
    assert isinstance(found, list)
    return found


def keys_of(tables: Table, number: int) -> list[Table]:
    found = rows(tables)[number]["key"]
    assert isinstance(found, list)
    return found


def loaded(tables: Table) -> Policy:
    return load(toml(tables))


def revoking(release: Release, name: str, mode: str) -> Policy:
    tables = release.tables()
    fpr = next(key.key.fpr for b in loaded(tables).builders if b.id == name for key in b.keys)
    tables["revoked"] = [{"fpr": fpr, "since": NOW - timedelta(days=1), "mode": mode}]
    return loaded(tables)
