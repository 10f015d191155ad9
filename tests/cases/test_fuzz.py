"""Mutated attestations of every format: each is read or refused by name, none raises anything else.

The seeds are the numbered cases' own files and media of every other format. An ordinary run stops
after 100,000 inputs or 20 seconds, after 3,000 inputs at the least; UKI_CEREMONY_FUZZ_MINUTES=60
goes on for an hour with fresh mutations. What still counts after a mutation says only what
somebody enrolled signed, and what a confined child tells of a file is what reading it here says.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pytest
from cases.books import ALL
from cases.fuzz_seeds import Medium, media
from quorum.release import Release, judged

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format, gather, read
from ceremony.attest.nar_media import looks_like_nar
from ceremony.attest.record import Attestation, Claims, Malformed, Reading, Unverified
from ceremony.ingest.sigstore import sigstore_verifier
from ceremony.ingest.told import telling, understood
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

    medium: Medium
    place: int

    @property
    def file(self) -> MediaFile:
        return self.medium.files[self.place]


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


PLAIN: tuple[Mutation, ...] = (flip, flip, cut, drop, double, insert, overwrite, noise)


def within(chance: random.Random, data: bytearray) -> None:
    """Change what some base64 says and write it anew: most other changes end at its spelling."""
    found = [place for place in BASE64.finditer(data) if len(place[0]) >= SHORTEST]
    if not found:
        return
    place = chance.choice(found)
    text = place[0].replace(b"\n", b"").rstrip(b"=")
    text = text[: len(text) - (len(text) % 4 == 1)]
    inner = bytearray(base64.b64decode(text + b"=" * (-len(text) % 4)))
    chance.choice((*PLAIN, tree) if inner[:1] == b"{" else PLAIN)(chance, inner)
    again = base64.b64encode(inner)
    if b"\n" in place[0]:  # armour
        again = b"\n".join(again[at : at + 64] for at in range(0, len(again), 64)) + b"\n"
    data[place.start() : place.end()] = again
    data[:] = CHECKSUM.sub(b"\n", data)


def tree(chance: random.Random, data: bytearray) -> None:
    """Change one value of a JSON document, take it away or say it twice."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    above: Any = None
    at: Any = None
    node = document
    while isinstance(node, dict | list) and node and chance.random() < 0.8:
        above, at = node, chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node = node[at]
    if above is None:
        return
    match chance.randrange(4):
        case 0:
            del above[at]
        case 1 if isinstance(above, list):
            above.append(node)
        case 2 if isinstance(above, dict):
            above[chance.choice(("", "sha256", "name", "\u0661", f"{at} "))] = node
        case _:
            above[at] = chance.choice(VALUES)
    data[:] = json.dumps(document).encode()


BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]+\n?)+={0,2}\n?")
CHECKSUM = re.compile(rb"\n=[A-Za-z0-9+/]{4}\n")  # OpenPGP's, which may be missing
SHORTEST = 40
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**53, 2**64, "", "a" * 300, "\u202e", [], [[]], {}, {"sha256": "ab"}),
    *("0" * 64, "AAAA", "https://slsa.dev/provenance/v1", "link", "layout", 1e3, ["x"] * 2000),
)
MUTATIONS: tuple[Mutation, ...] = (*PLAIN, within, within, within, within, tree, tree)


def mutant(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if changed:
            chance.choice(MUTATIONS)(chance, changed)
    if changed == data:  # no base64 and no JSON
        flip(chance, changed)
    return bytes(changed)


def of_cases(release: Release) -> Iterator[Medium]:
    cases = (Medium(*case.build(release)) for case in ALL)
    return (medium for medium in cases if len(medium.files) <= 60)


def seeds(found: Iterable[Medium]) -> Iterator[Seed]:
    seen: set[tuple[str, bytes]] = set()
    for medium in found:
        for place, file in enumerate(medium.files):
            known = (file.path, file.data)
            if known not in seen and 0 < len(file.data) <= MOST_BYTES:
                seen.add(known)
                yield Seed(medium, place)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def one(seed: Seed, chance: random.Random) -> tuple[tuple[MediaFile, ...], MediaFile]:
    files = seed.medium.files
    changed = MediaFile(seed.file.path, mutant(chance, seed.file.data))
    return (*files[: seed.place], changed, *files[seed.place + 1 :]), changed


def read_all(
    files: tuple[MediaFile, ...], medium: Medium, about: MediaFile | None = None
) -> Iterator[Reading]:
    """Yield what is told of files; with `about` only of evidence that this one is part of."""
    aids = medium.aids(files)
    aside = about is not None and (looks_like_nar(about.path) or about in aids.roots)
    for evidence in gather(files):
        if about is None or aside or about == evidence.file or about in evidence.signed:
            told = read(evidence, medium.policy, aids)
            assert told, "a file of which nothing is told"
            if about is not None and evidence.format not in NOT_ASKED:
                heard = replace(aids, names=aids.names or medium.policy.artifact.names)
                expected = [as_heard(reading, heard.names) for reading in told]
                assert retold(told, evidence, medium.policy, heard) == expected
            yield from told


# Nothing in them is read, so that no confined child is asked for them.
NOT_ASKED = (Format.ROOT, Format.CHECKSUMS, Format.UNKNOWN)


def retold(
    told: tuple[Reading, ...], evidence: Evidence, policy: Policy, aids: Aids
) -> list[Reading]:
    """Return what comes of readings on their way from a confined child."""
    words = json.loads(json.dumps(telling(told, evidence, aids.names)))
    return list(understood(words, evidence, policy, aids))


def as_heard(reading: Reading, names: tuple[str, ...]) -> Reading:
    """Return what is told of a reading: no proof, and of what is not proved the artifact's."""
    match reading:
        case Attestation():
            return replace(reading, proof=None)
        case Unverified(claims=claims):
            artifacts = claims.artifacts if claims else ()
            ours = tuple(one for one in artifacts if one.name in names)
            return replace(reading, claims=Claims(ours, (), None, ()) if ours else None)
        case Malformed():
            return reading


def said(medium: Medium) -> set[Claims]:
    return {r.claims for r in read_all(medium.files, medium) if isinstance(r, Attestation)}


def test_every_seed_of_a_format_of_its_own_is_read_as_it_stands(release: Release) -> None:
    verifier = sigstore_verifier()
    formats = set()
    for medium in media(release, verifier):
        readings = read_all(medium.files, medium)
        formats |= {r.format for r in readings if isinstance(r, Attestation)}
    assert formats >= {"signify", "narinfo", "in-toto-link", "rebuilderd"}
    assert ("sigstore" in formats) == (verifier is not None)


def test_no_mutated_file_raises_anything(release: Release) -> None:
    start = int(time.time()) if FUZZ_SECONDS else 20261122
    chance = random.Random(start)
    known = [list(seeds(of_cases(release))), list(seeds(media(release, sigstore_verifier())))]
    assert len(known[0]) > 60
    assert len(known[1]) > 10
    # A mutation may undo what a case had spoiled, so it is all that was ever signed.
    whole = {id(seed.medium): seed.medium for seed in chain(*known)}
    genuine = set(chain(*(said(medium) for medium in whole.values())))
    rules: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    count = 0
    end = time.monotonic() + max(SECONDS, FUZZ_SECONDS)
    while count < LEAST or (time.monotonic() < end and (FUZZ_SECONDS or count < INPUTS)):
        seed = chance.choice(chance.choice(known))
        files, changed = one(seed, chance)
        count += 1
        try:
            if count % JUDGED_EVERY == 0:
                judged(seed.medium.policy, files)
            for reading in read_all(files, seed.medium, changed):
                if isinstance(reading, Attestation):
                    assert reading.claims in genuine, "a forgery"
                    formats[reading.format] += 1
                elif isinstance(reading, Malformed):
                    rules[reading.rule] += 1
                formats[f"{reading.format} read"] += 1
        except Exception as error:
            error.add_note(f"input {count} of {start}: {changed.path!r}: {changed.data[:2000]!r}")
            raise
    assert set(rules) <= set(RULES)
    told = f"{count:,} inputs; {dict(formats.most_common())}; {dict(rules.most_common())}"
    print(told)  # noqa: T201 - the figures of a long run
