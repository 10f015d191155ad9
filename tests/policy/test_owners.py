"""Who signed the policy: distinct owner keys over exactly these bytes, and the window."""

from __future__ import annotations

from datetime import timedelta

import pytest
from marks import accepts, refuses
from quorum.release import NOW, Release
from quorum.toml_text import toml

from ceremony.policy import Policy, check_owners, check_window, load
from ceremony.types import MediaFile, Severity, refusals

NAMESPACE = "policy@uki-ceremony"
Signed = tuple[Policy, bytes, dict[str, MediaFile]]


@pytest.fixture(scope="module")
def signed(release: Release) -> Signed:
    data = toml(release.tables())
    signatures = {
        owner.path.name: MediaFile(
            f"policy.toml.{owner.path.name}.sshsig", owner.sign(data, NAMESPACE)
        )
        for owner in release.owners
    }
    return load(data), data, signatures


@accepts("POL-OWNERS")
@pytest.mark.parametrize("names", [("owner-1", "owner-2"), ("owner-3", "owner-1", "owner-2")])
def test_enough_owners_signed(signed: Signed, names: tuple[str, ...]) -> None:
    policy, data, signatures = signed
    findings = check_owners(policy, data, tuple(signatures[name] for name in names))
    assert [finding.severity for finding in findings] == [Severity.INFO]
    assert all(name in findings[0].text for name in names)


@refuses("POL-OWNERS")
def test_one_owner_twice_is_one_and_the_missing_are_named(signed: Signed) -> None:
    policy, data, signatures = signed
    one = signatures["owner-2"]
    copy = MediaFile("policy.toml.other.sshsig", one.data)
    (finding,) = check_owners(policy, data, (one, copy, one))
    assert finding.severity is Severity.REFUSE
    assert "1 of 2" in finding.text
    assert "missing: owner-1, owner-3" in finding.text


@refuses("POL-OWNERS")
def test_other_bytes_other_namespaces_and_other_keys_do_not_count(
    release: Release, signed: Signed
) -> None:
    policy, data, signatures = signed
    stranger = release.keys["ann"]
    assert hasattr(stranger, "path")
    first, second = release.owners[:2]
    for bad, why in (
        (second.sign(data + b"\n", NAMESPACE), "does not fit"),
        (second.sign(data, "uki-attestation"), "for the namespace uki-attestation"),
        (stranger.sign(data, NAMESPACE), "is no owner's"),
        (b"garbage", "armour"),
        (b"", "armour"),
    ):
        files = (signatures["owner-1"], MediaFile("policy.toml.\x1b.sshsig", bad))
        findings = check_owners(policy, data, files)
        assert len(refusals(findings)) == 2
        assert why in findings[1].text
        assert findings[1].text.startswith("policy.toml.\\x1b.sshsig: ")
    assert first.line != second.line


def test_a_bad_signature_beside_enough_good_ones_is_a_warning(signed: Signed) -> None:
    policy, data, signatures = signed
    files = (*signatures.values(), MediaFile("policy.toml.x.sshsig", b"garbage"))
    findings = check_owners(policy, data, files)
    assert not refusals(findings)
    assert [f.severity for f in findings] == [Severity.INFO, Severity.WARN]


def test_a_flood_of_signature_files_is_bounded(signed: Signed) -> None:
    policy, data, signatures = signed
    flood = tuple(MediaFile(f"z{n}.sshsig", b"x") for n in range(300))
    findings = check_owners(policy, data, (*flood, *signatures.values()))
    assert not refusals(findings)
    assert len(findings) < 300


@accepts("POL-WINDOW")
@refuses("POL-WINDOW")
def test_the_window_includes_its_start_and_not_its_end(signed: Signed) -> None:
    policy, _, _ = signed
    second = timedelta(seconds=1)
    for moment, fits in (
        (policy.valid_from - second, False),
        (policy.valid_from, True),
        (NOW, True),
        (policy.expires - second, True),
        (policy.expires, False),
    ):
        findings = check_window(policy, moment)
        assert [f.rule for f in findings] == ([] if fits else ["POL-WINDOW"])
        assert bool(refusals(findings)) is not fits
