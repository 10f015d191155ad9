"""A vote by certificate through the confined child: the parent proves certificate and signature."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cases import cases_certificates  # fills CASES
from cases.cases_release import CASES
from marks import refuses
from quorum.casebook import Case, keys_of, loaded
from quorum.hearsay import as_told
from quorum.release import COMMIT, IMAGE, Release, checksums, pair, sha256
from quorum.ssh_authority import Making, listed

from ceremony.attest.aids import NONE
from ceremony.attest.gather import Evidence, gather, read
from ceremony.attest.record import Attestation, Reading
from ceremony.attest.ssh_certificate import read_certificate
from ceremony.ingest.told import Garbage, telling, understood
from ceremony.policy import Policy

CONTENT = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
BY_CERTIFICATE = [case for case in CASES if case.build.__module__ == cases_certificates.__name__]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def believed(told: object, evidence: Evidence, policy: Policy) -> tuple[Reading, ...]:
    plain = json.loads(json.dumps(told))
    return understood(plain, evidence, policy, replace(NONE, names=policy.artifact.names))


@pytest.mark.parametrize("case", BY_CERTIFICATE, ids=lambda case: case.number)
def test_every_case_by_certificate_comes_through_the_child_unchanged(
    case: Case, release: Release
) -> None:
    policy, files = case.build(release)
    for evidence in gather(files):
        here = read(evidence, policy)
        plain = tuple(as_told(reading, policy) for reading in here)
        told = telling(here, evidence, policy.artifact.names)
        assert believed(told, evidence, policy) == plain


def enrolled(release: Release, by: Making, kind: str = "ssh-ca") -> Policy:
    tables = release.tables()
    more = {"principals": ["dan"]} if kind == "ssh-ca" else {}
    keys_of(tables, 3)[0].update({"type": kind, "public": by.line} | more)
    return loaded(tables)


def told_of(by: Making, policy: Policy) -> tuple[list[list[Any]], Evidence]:
    """Return what the child tells of a signature by certificate: a list to spoil."""
    (evidence,) = gather(pair("dan/SHA256SUMS", CONTENT, by.sign(CONTENT)))
    told = json.loads(json.dumps(telling(read(evidence, policy), evidence, ())))
    return told, evidence


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def halves(by: Making) -> list[str]:
    found = read_certificate(by.blob)
    return [b64(found.signed), b64(found.signature)]


REAL = Making()
STRANGER = Making(user=REAL.user, principals=listed("dan"))
OTHER_KEY = Making(REAL.authority)
LIES: dict[str, tuple[list[str], str]] = {
    "another-authority": (halves(STRANGER), "its authority did not sign"),
    "another-certified-key": (halves(OTHER_KEY), "does not fit this key"),
    "another-principal": (
        [b64(read_certificate(REAL.blob).signed.replace(b"dan", b"fay")), halves(REAL)[1]],
        "its authority did not sign",
    ),
    "no-certificate": ([], "signs nothing but certificates"),
    "half-a-certificate": (halves(REAL)[:1], "signs nothing but certificates"),
    "one-part-more": ([*halves(REAL), ""], "signs nothing but certificates"),
}


@refuses("ATT-CERTIFICATE")
@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_about_a_certificate_is_not_believed(release: Release, lie: str) -> None:
    parts, why = LIES[lie]
    policy = enrolled(release, REAL)
    told, evidence = told_of(REAL, policy)
    (found,) = believed(told, evidence, policy)
    assert isinstance(found, Attestation)
    assert found.certificate == read_certificate(REAL.blob)
    told[0][-1][2][2:] = parts
    with pytest.raises(Garbage, match=why):
        believed(told, evidence, policy)


def test_an_authoritys_own_signature_is_no_vote_whatever_the_child_says(release: Release) -> None:
    plain = Making(user=REAL.authority)
    as_key = enrolled(release, REAL, "ssh")
    (evidence,) = gather(pair("dan/SHA256SUMS", CONTENT, plain.sign_plain(CONTENT)))
    told = telling(read(evidence, as_key), evidence, ())
    assert isinstance(believed(told, evidence, as_key)[0], Attestation)
    with pytest.raises(Garbage, match="signs nothing but certificates"):
        believed(told, evidence, enrolled(release, REAL))


def test_a_plain_key_certifies_nothing_whatever_the_child_says(release: Release) -> None:
    told, evidence = told_of(REAL, enrolled(release, REAL))
    with pytest.raises(Garbage, match="no such proof"):
        believed(told, evidence, enrolled(release, REAL, "ssh"))
