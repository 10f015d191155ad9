"""Whether a policy has a moment at which enough builders can vote, told by keys alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import refuses
from quorum.casebook import keys_of, loaded, rows
from quorum.release import COMMIT, IMAGE, NOW, Release, checksums, judged, pair, sha256
from quorum.security_key import SecurityKey
from quorum.ssh_authority import Making
from quorum.toml_text import Table, toml

from ceremony.errors import Refused
from ceremony.policy import load

DAY = timedelta(days=1)


def fault(tables: Table) -> str:
    with pytest.raises(Refused) as caught:
        load(toml(tables))
    (found,) = [f.text for f in caught.value.findings if f.rule == "POL-THRESHOLD"]
    return found


@refuses("POL-THRESHOLD")
def test_the_builders_who_cannot_vote_are_named_with_the_reason(release: Release) -> None:
    tables = release.tables(time={"max_age": "1d"})
    keys_of(tables, 0)[0]["to"] = NOW - 30 * DAY
    keys_of(tables, 1)[0]["from"] = NOW + 90 * DAY
    keys_of(tables, 1)[0]["to"] = NOW + 91 * DAY
    told = fault(tables)
    assert "2 of 3 principals agree: cat, dan" in told
    assert "ann cannot, as its key's window is over" in told
    assert "bob cannot, as its key's window begins later" in told


@refuses("POL-THRESHOLD")
def test_the_best_moment_is_told_and_the_first_is_not_always(release: Release) -> None:
    tables = release.tables(time={"max_age": "1d"}, quorum={"threshold": 4})
    keys_of(tables, 0)[0]["to"] = NOW - 15 * DAY  # over before the two others begin
    for number in (1, 2):
        keys_of(tables, number)[0]["from"] = NOW
    told = fault(tables)
    assert "3 of 4 principals agree: bob, cat, dan; ann cannot" in told


@refuses("POL-THRESHOLD")
def test_a_security_key_signs_no_envelope(release: Release) -> None:
    tables = release.tables("ann", "bob", "cat")
    keys_of(tables, 0)[0]["public"] = SecurityKey.make().line
    assert loaded(tables).builders[0].keys[0].key.is_security_key
    rows(tables)[0]["formats"] = ["dsse"]
    assert "ann cannot, as no key of it signs a format of it that counts" in fault(tables)


def test_no_more_than_64_moments_are_looked_at(release: Release) -> None:
    """A policy of more is taken: what cannot be told is no fault."""
    tables = release.tables("ann", "bob", "dan", time={"max_age": "1d", "future_skew": "0s"})
    (ann, bob, dan) = (keys_of(tables, number) for number in range(3))
    bob[0]["to"] = NOW
    ann[0]["from"] = dan[0]["from"] = NOW + 30 * DAY
    assert "there is no moment at which it can be met" in fault(tables)
    for number in range(62):  # with the two moments above there are 64
        ann.append(brief(ann[0], NOW + timedelta(minutes=number + 1)))
    assert "there is no moment at which it can be met" in fault(tables)
    bob.append(brief(ann[0], NOW + timedelta(hours=3)))
    assert load(toml(tables)).builders


def brief(key: Table, start: datetime) -> Table:
    """Return a key of its own that is enrolled for a second."""
    token = SecurityKey.make()
    return key | {"public": token.line, "from": start, "to": start + timedelta(seconds=1)}


def test_what_says_no_time_is_of_the_moment_itself(release: Release) -> None:
    """A link of a key that is over is dated by the ceremony; an envelope by its own time."""
    tables = release.tables("ann", "bob", "cat", time={"max_age": "40d"})
    keys_of(tables, 2)[0]["to"] = NOW - 21 * DAY  # a day before the policy begins
    assert load(toml(tables)).builders
    rows(tables)[2]["formats"] = ["rebuilderd"]
    assert "cat cannot" in fault(tables)


def test_an_sshsig_by_a_key_that_is_enrolled_as_pem_is_a_vote(release: Release) -> None:
    """Such a builder counted, and a policy that needs it was refused all the same."""
    by = Making()
    assert isinstance(by.user, Ed25519PrivateKey)
    tables = release.tables("ann", "bob", "dan", quorum={"threshold": 3})
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    pem = by.user.public_key().public_bytes(*form).decode()
    keys_of(tables, 2)[0].update(type="spki", public=pem)
    rows(tables)[2]["formats"] = ["sshsig"]
    policy = loaded(tables)
    sums = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
    his = pair("dan/SHA256SUMS", sums, by.sign_plain(sums))
    assert judged(policy, (*release.all("ann", "bob"), *his)).verdict == "ACCEPT"


def test_a_key_that_begins_within_the_skew_of_the_policys_end_has_a_vote(release: Release) -> None:
    """A clock that is ahead dates it after the policy's end; such a vote counts before it."""
    tables = release.tables("ann", "bob", "dan", time={"future_skew": "10m"})
    ends = NOW + 60 * DAY
    keys_of(tables, 2)[0]["from"] = ends + timedelta(minutes=9)
    assert loaded(tables).expires == ends
    keys_of(tables, 2)[0]["from"] = ends + timedelta(minutes=10)
    assert "dan cannot, as its key's window begins later" in fault(tables)
