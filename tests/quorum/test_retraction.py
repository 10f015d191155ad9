"""Taking back an attestation: who may, what it does, and that both files are kept."""

from __future__ import annotations

import json

import pytest
from marks import accepts, refuses
from quorum.casebook import loaded, rows
from quorum.release import COMMIT, IMAGE, OTHER, Release, judged, pair, sha256
from quorum.tool_keys import MinisignKey, SshKey

from ceremony.policy import Policy
from ceremony.quorum import Verdict
from ceremony.types import MediaFile, Severity

Files = tuple[MediaFile, ...]


def taking_back(release: Release, name: str, hash_: str, also: bytes = b"") -> Files:
    """Return what `name` signs to take back an attestation by its hash."""
    key = release.keys[name]
    if isinstance(key, SshKey):
        content = f"# retracts sha256:{hash_}\n".encode() + also
        return pair(f"{name}-takes-back/SHA256SUMS", content, key.sign(content))
    assert isinstance(key, MinisignKey)
    content = also or b"# nothing\n"
    return pair(
        f"{name}-takes-back/x.sha256",
        content,
        key.sign(content, f"retracts:sha256:{hash_}"),
        ".minisig",
    )


def dissent(release: Release, name: str = "dan") -> tuple[Files, str]:
    files = release.attest(name, OTHER)
    return files, sha256(files[-1].data)


def dispositions(verdict: Verdict) -> dict[str, tuple[str, str]]:
    return {d.file: (d.disposition, d.rule) for d in verdict.dispositions}


def severities(verdict: Verdict, rule: str) -> list[Severity]:
    return [finding.severity for finding in verdict.findings if finding.rule == rule]


@accepts("QRM-RETRACTED", "QRM-RETRACTION")
def test_without_a_retraction_a_dissent_stands(release: Release) -> None:
    other, _ = dissent(release)
    verdict = judged(release.policy(), (*release.all("ann", "bob", "cat"), *other))
    assert verdict.verdict == "OVERRIDE_NEEDED"
    assert not severities(verdict, "QRM-RETRACTED")
    assert not severities(verdict, "QRM-RETRACTION")


@refuses("QRM-RETRACTED", "QRM-RETRACTION")
def test_a_dissenter_takes_it_back(release: Release) -> None:
    """Case 24: accepted, reported, both kept."""
    other, hash_ = dissent(release)
    files = (
        *release.all("ann", "bob", "cat"),
        *other,
        *taking_back(release, "dan", hash_),
    )
    verdict = judged(release.policy(), files)
    assert verdict.verdict == "ACCEPT"
    assert severities(verdict, "QRM-RETRACTED") == [Severity.WARN]
    kept = dispositions(verdict)
    assert kept["dan/SHA256SUMS.sig"] == ("not-counted", "QRM-RETRACTED")
    assert kept["dan-takes-back/SHA256SUMS.sig"] == ("not-counted", "QRM-RETRACTION")


def test_a_dissenter_takes_it_back_and_votes_anew_in_one_file(release: Release) -> None:
    other, hash_ = dissent(release)
    anew = f"{sha256(IMAGE)}  anchor.efi\n# git_commit {COMMIT}\n".encode()
    files = (
        *release.all("ann", "bob"),
        *other,
        *taking_back(release, "dan", hash_, anew),
    )
    verdict = judged(release.policy(), files)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)


def shared(release: Release, *names: str) -> Policy:
    """Return a policy where dan and the others of `names` are one principal."""
    tables = release.tables("ann", "bob", "cat", "dan", "fay")
    for row in rows(tables):
        if row["id"] in names:
            row["persons"] = [row["id"], "dan"]
    return loaded(tables)


def test_another_enrolled_key_of_the_principal_takes_it_back(release: Release) -> None:
    """Case 25."""
    other, hash_ = dissent(release)
    files = (*release.all("ann", "bob", "cat"), *other, *taking_back(release, "fay", hash_))
    assert judged(shared(release, "fay"), files).verdict == "ACCEPT"


@refuses("QRM-RETRACTION")
def test_nobody_else_takes_it_back(release: Release) -> None:
    other, hash_ = dissent(release)
    files = (*release.all("ann", "bob", "cat"), *other)
    verdict = judged(shared(release), (*files, *taking_back(release, "fay", hash_)))
    assert verdict.verdict == "OVERRIDE_NEEDED"
    (finding,) = [f for f in verdict.findings if f.rule == "QRM-RETRACTION"]
    assert finding.severity is Severity.WARN
    assert finding.text.endswith(f"of fay takes back {hash_[:16]}, which is another's")


def test_a_revoked_key_takes_nothing_back(release: Release) -> None:
    other, hash_ = dissent(release, "ann")
    back = taking_back(release, "dan", hash_)
    tables = release.tables("ann", "bob", "cat", "dan", "fay")
    rows(tables)[3]["persons"] = ["dan", "ann"]
    files = (*release.all("bob", "cat", "fay"), *other, *back)
    assert judged(loaded(tables), files).verdict == "ACCEPT"
    fpr = next(k.key.fpr for b in loaded(tables).builders if b.id == "dan" for k in b.keys)
    since = tables["valid_from"]
    tables["revoked"] = [{"fpr": fpr, "since": since, "mode": "all"}]
    assert judged(loaded(tables), files).verdict == "OVERRIDE_NEEDED"


@refuses("QRM-RETRACTION")
@pytest.mark.parametrize("hash_", ["ab" * 32, "AB" * 32, "ab", ""])
def test_what_names_nothing_here_takes_nothing_back(release: Release, hash_: str) -> None:
    other, _ = dissent(release)
    back = taking_back(release, "dan", hash_) if hash_ else taking_back(release, "dan", "x")
    verdict = judged(release.policy(), (*release.all("ann", "bob", "cat"), *other, *back))
    assert verdict.verdict == "OVERRIDE_NEEDED"
    (finding,) = [f for f in verdict.findings if f.rule == "QRM-RETRACTION"]
    assert finding.severity is Severity.WARN
    sound = hash_ == "ab" * 32
    why = f"{hash_[:16]}, which is not here" if sound else "something, but not as sha256: and 64"
    assert f"of dan takes back {why}" in finding.text
    named = hash_[:16] if sound else "something unnamed"
    (back_text,) = [d.text for d in verdict.dispositions if d.rule == "QRM-RETRACTION"]
    assert back_text == f"it votes for nothing: it takes back {named}"


def test_a_vote_that_is_taken_back_is_none(release: Release) -> None:
    files = release.all("ann", "bob", "cat")
    back = taking_back(release, "bob", sha256(release.attest("bob")[-1].data))
    verdict = judged(release.policy(), (*files, *back))
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 2)
    assert severities(verdict, "QRM-RETRACTED") == [Severity.WARN]


def test_an_envelope_in_other_bytes_is_taken_back_with_the_one_named(release: Release) -> None:
    """Whoever writes the JSON anew cannot bring a dissent back."""
    tables = release.tables("ann", "bob", "cat", "dan", "fay")
    rows(tables)[2]["persons"] = ["cat", "dan"]
    (envelope,) = release.attest("cat", OTHER)
    anew = MediaFile(
        "again/x.intoto.json", json.dumps(json.loads(envelope.data), indent=3).encode()
    )
    assert anew.data != envelope.data
    back = taking_back(release, "dan", sha256(envelope.data))
    files = (*release.all("ann", "bob", "fay"), envelope, anew)
    assert judged(loaded(tables), files).verdict == "OVERRIDE_NEEDED"
    assert judged(loaded(tables), (*files, *back)).verdict == "ACCEPT"


def test_a_builder_who_took_something_back_attests_again(release: Release) -> None:
    other, hash_ = dissent(release)
    files = (*other, *taking_back(release, "dan", hash_), *release.all("ann", "bob", "dan"))
    verdict = judged(release.policy(), files)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)
