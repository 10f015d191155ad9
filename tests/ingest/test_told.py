"""What the confined child tells of a file is what reading it here would have said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from quorum import cases_components, cases_enrolment, cases_envelopes, cases_formats, cases_votes
from quorum.casebook import CASES, Case
from quorum.hearsay import as_told
from quorum.release import Release

from ceremony.attest.aids import NONE
from ceremony.attest.gather import Evidence, gather, read
from ceremony.attest.record import Reading
from ceremony.ingest.asking import room
from ceremony.ingest.told import telling, understood
from ceremony.policy import Policy

BOOKS = (
    cases_votes,
    cases_enrolment,
    cases_formats,
    cases_envelopes,
    cases_components,
)  # each fills CASES


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def retold(evidence: Evidence, policy: Policy) -> tuple[Reading, ...]:
    told = json.dumps(telling(read(evidence, policy), evidence, policy.artifact.names))
    assert len(told) <= room(evidence)
    return understood(
        json.loads(told), evidence, policy, replace(NONE, names=policy.artifact.names)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_every_numbered_case_comes_through_the_child_unchanged(
    case: Case, release: Release
) -> None:
    policy, files = case.build(release)
    for evidence in gather(files):
        here = read(evidence, policy)
        assert retold(evidence, policy) == tuple(as_told(one, policy) for one in here)
