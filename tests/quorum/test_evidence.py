"""What some builders must say besides: the base image of a container, the state of a jail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from marks import accepts, refuses
from quorum.casebook import loaded, rows
from quorum.release import BASE, COMMIT, IMAGE, NOW, Release, judged, pair, sha256
from quorum.tool_keys import SshKey

from ceremony.policy import Policy
from ceremony.types import MediaFile

JAIL = b"""path=/jails/build enforce_statfs=2 ip4=disable ip6=disable persist
/toolchain /jails/build/toolchain nullfs ro 0 0
/inputs /jails/build/inputs nullfs ro 0 0
/out /jails/build/output nullfs rw 0 0
"""


def container(release: Release, kind: str, **quorum: object) -> Policy:
    tables = release.tables("ann", "bob", "cat", quorum={"threshold": 3, **quorum})
    rows(tables)[0]["isolation"] = kind
    return loaded(tables)


@accepts("QRM-BASE-IMAGE")
@pytest.mark.parametrize("kind", ["docker", "podman"])
@pytest.mark.parametrize("said", [BASE, BASE.removeprefix("sha256:")])
def test_a_container_with_its_base_images_digest_counts(
    release: Release, kind: str, said: str
) -> None:
    files = release.attest("ann", pins={"git_commit": COMMIT, "base_image": said})
    verdict = judged(container(release, kind), (*files, *release.all("bob", "cat")))
    assert (verdict.verdict, verdict.votes, verdict.weak) == ("ACCEPT", 3, 0)


@refuses("QRM-BASE-IMAGE")
@pytest.mark.parametrize("said", ["", "alpine:3.20", "sha256:abc", "sha512:" + "a" * 128])
def test_a_container_without_it_is_weak(release: Release, said: str) -> None:
    pins = {"git_commit": COMMIT} | ({"base_image": said} if said else {})
    files = (*release.attest("ann", pins=pins), *release.all("bob", "cat"))
    verdict = judged(container(release, "docker", weak_votes_max=1), files)
    assert (verdict.verdict, verdict.votes, verdict.weak) == ("ACCEPT", 3, 1)
    assert {(d.disposition, d.rule) for d in verdict.dispositions if d.builder == "ann"} == {
        ("weak", "QRM-BASE-IMAGE")
    }
    verdict = judged(container(release, "docker"), files)
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 2)
    assert judged(container(release, "bwrap"), files).verdict == "ACCEPT"


def test_a_container_without_it_still_dissents(release: Release) -> None:
    files = (*release.attest("ann", b"another image"), *release.all("bob", "cat"))
    verdict = judged(container(release, "docker", threshold=2), files)
    assert verdict.verdict == "OVERRIDE_NEEDED"


def jailed(release: Release) -> Policy:
    tables = release.tables("ann", "bob", "cat")
    rows(tables)[0] |= {"isolation": "freebsd-jail", "require_jail_metadata": True}
    return loaded(tables)


def from_jail(release: Release, signed: bytes | None, there: bytes | None) -> tuple[MediaFile, ...]:
    """Return ann's attestation in BSD lines, over metadata that may differ from what is there."""
    key = release.keys["ann"]
    assert isinstance(key, SshKey)
    lines = [f"SHA256 (anchor.efi) = {sha256(IMAGE)}"]
    if signed is not None:
        lines.append(f"SHA256 (jail-metadata.txt) = {sha256(signed)}")
    content = "\n".join([*lines, f"# git_commit {COMMIT}", ""]).encode()
    metadata = () if there is None else (MediaFile("jail/jail-metadata.txt", there),)
    return (*pair("jail/SHA256SUMS", content, key.sign(content)), *metadata)


@accepts("ATT-JAIL")
def test_a_jail_that_shows_itself_closed_counts(release: Release) -> None:
    files = (*from_jail(release, JAIL, JAIL), *release.all("bob", "cat"))
    verdict = judged(jailed(release), files)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)


@refuses("ATT-JAIL")
@pytest.mark.parametrize(
    ("signed", "there"),
    [
        (None, JAIL),
        (JAIL, None),
        (JAIL, JAIL + b"\n"),
        (JAIL.replace(b"ip4=disable", b"ip4=inherit"),) * 2,
        (JAIL.replace(b" ip6=disable", b""),) * 2,
        (JAIL.replace(b"inputs nullfs ro", b"inputs nullfs rw"),) * 2,
    ],
)
def test_a_jail_that_does_not_is_no_vote(
    release: Release, signed: bytes | None, there: bytes | None
) -> None:
    files = (*from_jail(release, signed, there), *release.all("bob", "cat"))
    verdict = judged(jailed(release), files)
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 2)
    (told,) = [d for d in verdict.dispositions if d.builder == "ann"]
    assert (told.disposition, told.rule) == ("not-counted", "ATT-JAIL")
    tables = release.tables("ann", "bob", "cat")
    assert judged(loaded(tables), files).verdict == "ACCEPT"


@accepts("QRM-ALGORITHM")
@refuses("QRM-ALGORITHM")
def test_an_algorithm_serves_until_its_sunset(release: Release) -> None:
    for moment, votes in ((NOW + timedelta(days=1), 3), (NOW, 2), (NOW - timedelta(days=1), 2)):
        ends = {"algorithms": {"sunset": {"ed25519": moment}, "deny": ["sha1", "dsa"]}}
        policy = release.policy("ann", "cat", "dan", "fay", **ends)
        verdict = judged(policy, release.all("ann", "cat", "dan"))
        assert verdict.votes == votes
