"""A reader that was taken over: no digest for a part that nobody signed, nothing that ends us."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from quorum.cases_components import PART, of_part, policy
from quorum.release import IMAGE, Release, sha256
from quorum.tool_keys import BareKey

from ceremony.attest.aids import NONE
from ceremony.attest.dsse import read_envelope
from ceremony.attest.gather import Evidence, gather, read
from ceremony.attest.record import Artifact, Attestation, Proof, Reading
from ceremony.ingest.told import Garbage, telling, understood
from ceremony.policy import Policy
from ceremony.types import MediaFile

FORGED = sha256(b"a part that nobody built")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def told_as(evidence: Evidence, rules: Policy, *artifacts: Artifact) -> tuple[Reading, ...]:
    """Take an attestation of which the child tells other claims than were signed."""
    told = json.loads(json.dumps(telling(read(evidence, rules), evidence, ())))
    if artifacts:
        told[0][-2] = [[[one.name, one.digests] for one in artifacts], [], None, []]
    return understood(told, evidence, rules, replace(NONE, names=rules.artifact.names))


def test_a_taken_over_reader_gives_no_part_a_digest_that_was_not_signed(release: Release) -> None:
    rules = policy(release, "ann", "bob", "dan")
    for evidence in gather(release.all("ann", "bob")):
        if not isinstance(read(evidence, rules)[0], Attestation):
            continue  # the sums that a signature is over
        with pytest.raises(Garbage, match="no reading"):
            told_as(evidence, rules, Artifact("bin/bay0", (("sha256", FORGED),)))


def test_a_part_with_the_digest_that_was_signed_comes_through(release: Release) -> None:
    rules = policy(release, "ann", "bob", "dan")
    for evidence in gather(of_part(release, "dan")):
        for reading in read(evidence, rules):
            if isinstance(reading, Attestation):
                (told,) = told_as(evidence, rules)
                assert isinstance(told, Attestation)
                assert told.claims.artifacts == (Artifact("bay0", (("sha256", sha256(PART)),)),)


SURROGATE = chr(0xD800)
PAIR = "a pair that no reader gives"
CLAIMS: dict[str, tuple[dict[str, object], str]] = {
    "a-pin-of-no-utf-8": ({"pins": (("git_commit", SURROGATE),)}, PAIR),
    "a-pin-with-a-name-of-no-utf-8": ({"pins": ((SURROGATE, "x"),)}, PAIR),
    "a-pin-that-turns-the-line": ({"pins": (("git_commit", chr(0x202E) + "x"),)}, PAIR),
    "a-pin-of-a-megabyte": ({"pins": (("git_commit", "x" * 2**20),)}, PAIR),
    "an-artifact-of-no-utf-8": ({"artifacts": (Artifact(SURROGATE, ()),)}, "surrogates"),
    "a-claim-that-no-builder-has": (
        {"self_claims": (("__class__", "x"), ("weather", "x"))},
        "a claim of no kind",
    ),
}


@pytest.mark.parametrize(("claims", "why"), CLAIMS.values(), ids=CLAIMS)
def test_what_a_taken_over_reader_tells_is_garbage_and_ends_nobody(
    claims: dict[str, Any], why: str, release: Release
) -> None:
    rules = policy(release, "ann", "bob", "dan")
    for evidence in gather(release.all("ann")):
        for reading in read(evidence, rules):
            if isinstance(reading, Attestation):
                said = replace(reading, claims=replace(reading.claims, **claims), proof=None)
                told = json.loads(json.dumps(telling((said,), evidence, ())))
                with pytest.raises(Garbage, match=why):
                    understood(told, evidence, rules, replace(NONE, names=rules.artifact.names))


def test_a_strangers_artifact_of_no_utf_8_is_garbage(release: Release) -> None:
    rules = policy(release, "ann", "bob", "dan")
    evidence = gather(release.all("ann"))[0]
    told: list[Any] = [["unverified", "", "ATT-SIGNATURE", "", [[SURROGATE, []]]]]
    with pytest.raises(Garbage, match="surrogates"):
        understood(told, evidence, rules, NONE)


def test_a_signed_payload_that_is_no_statement_is_no_vote_for_a_taken_over_reader(
    release: Release,
) -> None:
    rules = policy(release, "ann", "bob", "cat")
    (honest,) = release.attest("cat")
    (vote,) = (r for e in gather((honest,)) for r in read(e, rules) if isinstance(r, Attestation))
    key = release.keys["cat"]
    assert isinstance(key, BareKey)
    text = f"{sha256(IMAGE)} is broken, do not release it".encode()
    other = MediaFile(honest.path, key.envelope(text, "text/plain"))
    ((_, signature),) = read_envelope(other.data).signatures
    (evidence,) = gather((other,))
    assert not isinstance(read(evidence, rules)[0], Attestation)
    told = replace(vote, proof=Proof(text, signature, (b"text/plain",)))
    told = replace(told, claims=replace(vote.claims, pins=()))
    with pytest.raises(Garbage):
        understood(
            json.loads(json.dumps(telling((told,), evidence, ()))),
            evidence,
            rules,
            replace(NONE, names=rules.artifact.names),
        )
