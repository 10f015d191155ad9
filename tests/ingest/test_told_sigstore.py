"""A reader's word that a Sigstore bundle is sound counts for Sigstore's signers and nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from marks import refuses
from quorum.enrolling import builder, enrolled
from quorum.release import COMMIT, IMAGE, Release, sha256

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format
from ceremony.attest.record import Attestation
from ceremony.attest.sigstore_key import parse_sigstore_key
from ceremony.ingest.told import Garbage, understood
from ceremony.policy import Policy
from ceremony.policy_people import FORMATS, KeyWrapping
from ceremony.types import MediaFile

EVIDENCE = Evidence(MediaFile("x.sigstore.json", b"{}"), Format.SIGSTORE, ())
WORKFLOW = "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main"


class Installed:
    """Stands for the part that verifies bundles in the child; here it is never asked."""

    def verify(
        self, trusted_root: bytes, bundle: bytes, signer: tuple[str, str], content: bytes | None
    ) -> tuple[str, bytes]:
        raise AssertionError(trusted_root, bundle, signer, content)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def vouched(fpr: str, scheme: str = "ecdsa") -> list[Any]:
    claims: list[Any] = [
        [["anchor.efi", [["sha256", sha256(IMAGE)]]]],
        [["git_commit", COMMIT]],
        None,
        [],
    ]
    return [["attestation", fpr, scheme, claims, None]]


@refuses("MED-SANDBOX")
def test_a_taken_over_reader_votes_for_no_builder_who_is_enrolled_with_a_key(
    release: Release,
) -> None:
    named = release.policy()
    policy = replace(named, builders=tuple(replace(b, formats=FORMATS) for b in named.builders))
    assert len(policy.enrolled) == 4
    for fpr in policy.enrolled:
        for scheme in ("ecdsa", "ed25519"):
            with pytest.raises(Garbage, match="enrolled with a key"):
                understood(vouched(fpr, scheme), EVIDENCE, policy, Aids(verifier=Installed()))


def signing(release: Release) -> Policy:
    key = parse_sigstore_key(WORKFLOW, "https://token.actions.githubusercontent.com", "ab" * 32)
    who = builder("sig", key.keys[0], KeyWrapping.SIGSTORE, key.key_id, ("sigstore",))
    return enrolled(release, who)


@refuses("MED-SANDBOX")
def test_where_nothing_verifies_bundles_none_is_vouched_for(release: Release) -> None:
    policy = signing(release)
    (fpr,) = policy.enrolled
    (taken,) = understood(vouched(fpr), EVIDENCE, policy, Aids(verifier=Installed()))
    assert isinstance(taken, Attestation)
    assert taken.builder == "sig"
    with pytest.raises(Garbage, match="nothing here verifies"):
        understood(vouched(fpr), EVIDENCE, policy, Aids())
    with pytest.raises(Garbage, match="enrolled with a key"):
        understood(vouched(fpr, "ed25519"), EVIDENCE, policy, Aids(verifier=Installed()))
