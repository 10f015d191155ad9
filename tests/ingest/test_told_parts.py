"""A reader that was taken over cannot vote for a part with a digest that no builder signed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from quorum.cases_components import PART, of_part, policy
from quorum.release import Release, sha256

from ceremony.attest.aids import NONE
from ceremony.attest.gather import Evidence, gather, read
from ceremony.attest.record import Artifact, Attestation, Reading
from ceremony.ingest.told import Garbage, telling, understood
from ceremony.policy import Policy

FORGED = sha256(b"a part that nobody built")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def told_as(evidence: Evidence, rules: Policy, *artifacts: Artifact) -> tuple[Reading, ...]:
    (reading,) = read(evidence, rules)
    assert isinstance(reading, Attestation)
    said = replace(reading, claims=replace(reading.claims, artifacts=artifacts))
    told = json.loads(json.dumps(telling((said,), evidence)))
    return understood(told, evidence, rules, replace(NONE, names=rules.artifact.names))


def test_a_taken_over_reader_gives_no_part_a_digest_that_was_not_signed(release: Release) -> None:
    rules = policy(release, "ann", "bob", "dan")
    for evidence in gather(release.all("ann", "bob")):
        if not isinstance(read(evidence, rules)[0], Attestation):
            continue  # the sums that a signature is over
        with pytest.raises(Garbage, match="does not stand in what was signed"):
            told_as(evidence, rules, Artifact("bin/bay0", (("sha256", FORGED),)))


def test_a_part_with_the_digest_that_was_signed_comes_through(release: Release) -> None:
    rules = policy(release, "ann", "bob", "dan")
    for evidence in gather(of_part(release, "dan")):
        for reading in read(evidence, rules):
            if isinstance(reading, Attestation):
                (told,) = told_as(evidence, rules, *reading.claims.artifacts)
                assert isinstance(told, Attestation)
                assert told.claims.artifacts == (Artifact("bay0", (("sha256", sha256(PART)),)),)
