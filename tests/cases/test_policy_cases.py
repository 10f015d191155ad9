"""The cases that a policy's own reading decides, and who may sign it: 5, 6, 72, 73."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from quorum.casebook import keys_of, loaded
from quorum.release import NOW, Release, judged
from quorum.toml_text import Table, toml
from quorum.tool_keys import SshKey

from ceremony.errors import Refused
from ceremony.policy import check_owners, check_window, load
from ceremony.policy_model import POLICY_NAMESPACE
from ceremony.types import MediaFile, refusals


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def refused(data: bytes) -> set[str]:
    with pytest.raises(Refused) as error:
        load(data)
    return {finding.rule for finding in error.value.findings}


def test_5_one_public_key_of_two_builders_is_a_policy_error(release: Release) -> None:
    tables = release.tables("ann", "bob", "cat", "dan")
    keys_of(tables, 3)[0]["public"] = release.keys["ann"].line
    assert refused(toml(tables)) == {"POL-KEY-TWICE"}


def test_5_at_count_time_one_public_key_of_two_builders_is_one_vote(release: Release) -> None:
    policy = release.policy()
    twin = replace(policy.builders[1], keys=policy.builders[0].keys)
    doubled = replace(policy, builders=(policy.builders[0], twin, *policy.builders[2:]))
    assert judged(doubled, release.attest("ann")).votes == 1
    assert judged(doubled, release.all("ann", "cat", "dan")).votes == 3


def test_6_one_rsa_key_as_ssh_and_as_pem_is_one_key(release: Release) -> None:
    key = release.keys["dan"]
    assert isinstance(key, SshKey)
    command: list[str | Path] = ["ssh-keygen", "-e", "-m", "PKCS8", "-f", f"{key.path}.pub"]
    pem = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    tables = release.tables("ann", "bob", "cat", "dan")
    keys_of(tables, 2)[0] |= {"type": "spki", "public": pem}
    assert refused(toml(tables)) == {"POL-KEY-TWICE"}


def test_72_an_expired_policy_and_too_few_owners_are_refused(release: Release) -> None:
    policy = release.policy()
    data = toml(release.tables())
    one, two = (
        MediaFile(f"policy.toml.{n}.sshsig", owner.sign(data, POLICY_NAMESPACE))
        for n, owner in enumerate(release.owners[:2])
    )
    assert [f.rule for f in refusals(check_owners(policy, data, (one,)))] == ["POL-OWNERS"]
    assert not refusals(check_owners(policy, data, (one, two)))
    assert not check_window(policy, NOW)
    assert [f.rule for f in check_window(policy, policy.expires)] == ["POL-WINDOW"]
    assert [f.rule for f in check_window(policy, policy.valid_from.replace(year=2020))] == [
        "POL-WINDOW"
    ]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"quorum": {"threshold": 0}}, "POL-VALUE"),
        ({"quorum": {"threshold": 5}}, "POL-THRESHOLD"),
        ({"quorum": {"treshold": 3}}, "POL-UNKNOWN"),
        ({"quorums": {"threshold": 3}}, "POL-UNKNOWN"),
    ],
)
def test_73_a_policy_that_cannot_be_meant_is_refused(
    release: Release, change: dict[str, Table], rule: str
) -> None:
    assert rule in refused(toml(release.tables(**change)))


def test_73_a_table_twice_is_refused(release: Release) -> None:
    assert refused(toml(release.tables()) + b"[quorum]\nthreshold = 1\n") == {"POL-TOML"}
    assert loaded(release.tables()).quorum.threshold == 3
