"""Mutated attestations of every format: each is read or refused by name, none raises anything else.

The seeds are the numbered cases' own files. An ordinary run stops after 100,000 inputs or 20
seconds; UKI_CEREMONY_FUZZ_MINUTES=60 goes on for an hour with fresh mutations.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cases.books import ALL
from quorum.release import Release, judged

from ceremony.attest.gather import gather, read
from ceremony.attest.record import Malformed
from ceremony.policy import Policy
from ceremony.rules.register import ALL as RULES
from ceremony.types import MediaFile

FUZZ_SECONDS = 60 * float(os.environ.get("UKI_CEREMONY_FUZZ_MINUTES", "0"))
SECONDS, INPUTS, LEAST = 20, 100_000, 3_000
MOST_BYTES = 20_000  # of a seed: large ones only make mutants slower
JUDGED_EVERY = 500
TOKENS = (
    *(b'"', b"{", b"[", b"]", b"}", b":", b",", b"\\", b"\0", b"\n", b"\r\n", b" ", b"=", b"/"),
    *(b"\xff" * 4, b"\x00" * 8, b"\x7f\xff\xff\xff", b"9" * 400, b"-1", b"1e999", b"null"),
    *(b"\\ud800", "\u202e".encode(), "\u0661".encode(), b"-----BEGIN ", b"AAAA", b"==="),
    *(b"[" * 2000, b'{"a":' * 500, b"sha256", b"sha512", b"sig", b"keyid", b"payload"),
)

Mutation = Callable[[random.Random, bytearray], None]


@dataclass(frozen=True)
class Seed:
    """One piece of evidence that may be mutated, with all that is on its medium."""

    policy: Policy
    files: tuple[MediaFile, ...]
    place: int


def flip(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def drop(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, 40)]


def double(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randrange(1, 200)]


def insert(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(data) + 1)
    data[place:place] = chance.choice(TOKENS)


def overwrite(chance: random.Random, data: bytearray) -> None:
    token = chance.choice(TOKENS)
    place = chance.randrange(len(data))
    data[place : place + len(token)] = token


def noise(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(data))
    data[place : place + 16] = chance.randbytes(16)


MUTATIONS: tuple[Mutation, ...] = (flip, flip, cut, drop, double, insert, overwrite, noise)


def mutant(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if changed:
            chance.choice(MUTATIONS)(chance, changed)
    return bytes(changed)


def seeds(release: Release) -> Iterator[Seed]:
    seen: set[tuple[str, bytes]] = set()
    for case in ALL:
        policy, files = case.build(release)
        if len(files) > 60:
            continue
        for place, file in enumerate(files):
            known = (file.path, file.data)
            if known not in seen and 0 < len(file.data) <= MOST_BYTES:
                seen.add(known)
                yield Seed(policy, files, place)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def one(seed: Seed, chance: random.Random) -> tuple[tuple[MediaFile, ...], MediaFile]:
    file = seed.files[seed.place]
    changed = MediaFile(file.path, mutant(chance, file.data))
    return (*seed.files[: seed.place], changed, *seed.files[seed.place + 1 :]), changed


def test_no_mutated_file_raises_anything(release: Release) -> None:
    start = int(time.time()) if FUZZ_SECONDS else 20261122
    chance = random.Random(start)
    known = list(seeds(release))
    assert len(known) > 60
    rules: Counter[str] = Counter()
    count = 0
    end = time.monotonic() + max(SECONDS, FUZZ_SECONDS)
    while time.monotonic() < end and (FUZZ_SECONDS or count < INPUTS):
        seed = chance.choice(known)
        files, changed = one(seed, chance)
        count += 1
        try:
            if count % JUDGED_EVERY == 0:
                judged(seed.policy, files)
            for evidence in gather(files):
                if changed == evidence.file or changed in evidence.signed:
                    told = read(evidence, seed.policy)
                    assert told, "a file of which nothing is told"
                    rules.update(t.rule for t in told if isinstance(t, Malformed))
        except Exception as error:
            error.add_note(f"input {count} of {start}: {changed.path!r}: {changed.data[:2000]!r}")
            raise
    assert count >= LEAST
    assert set(rules) <= set(RULES)
    print(f"{count:,} inputs; malformed by rule: {dict(rules.most_common())}")  # noqa: T201
