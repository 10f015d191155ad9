"""Corners of the count and of reading that no numbered case reaches."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.casebook import (
    DIGEST,
    ELSEWHERE,
    TRIO,
    envelope,
    keys_of,
    loaded,
    provenance,
    rows,
    signed_sums,
    with_third,
)
from quorum.release import (
    COMMIT,
    IMAGE,
    NOW,
    OTHER,
    Release,
    checksums,
    facts,
    judged,
    pair,
    sha256,
    statement,
)
from quorum.security_key import SecurityKey
from quorum.toml_text import Table
from quorum.tool_keys import BareKey, MinisignKey

from ceremony.policy import Policy
from ceremony.quorum import Verdict, judge
from ceremony.types import MediaFile

PINNED = {"git_commit": COMMIT}


def rules(verdict: Verdict) -> set[str]:
    return {f.rule for f in verdict.findings} | {d.rule for d in verdict.dispositions}


def said(release: Release, *names: str, pins: dict[str, str]) -> tuple[MediaFile, ...]:
    return tuple(file for name in names for file in release.attest(name, IMAGE, pins))


def test_a_weak_vote_that_counts_stands_for_its_group(release: Release) -> None:
    quorum: Table = {"weak_votes_max": 1, "rule": "1 of far"}
    policy = release.policy(quorum=quorum, groups={"far": ["dan"]})
    files = (*release.all("ann", "bob"), *said(release, "cat", "dan", pins={}))
    verdict = judged(policy, files)
    # of the two weak votes it is dan's, not the first one's, that makes the rule hold
    assert (verdict.verdict, verdict.votes, verdict.weak) == ("ACCEPT", 3, 1)
    assert {d.builder: d.rule for d in verdict.dispositions} == {
        "ann": "",
        "bob": "",
        "cat": "QRM-WEAK",
        "dan": "QRM-PINS",
    }


def test_a_principal_counts_once_in_a_group(release: Release) -> None:
    tables = release.tables(
        "ann", "bob", "cat", "dan", "eve", groups={"core": ["ann", "bob", "cat"]}
    )
    rows(tables)[1] |= {"shares_with": ["ann"]}
    tables["quorum"] = {"threshold": 3, "rule": "2 of core"}
    verdict = judged(loaded(tables), release.all("ann", "bob", "dan", "eve"))
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 3)
    assert "QRM-GROUP" in rules(verdict)


def test_two_commits_that_weak_votes_could_both_carry_are_a_split(release: Release) -> None:
    policy = release.policy(*TRIO, "dan", "eve", quorum={"weak_votes_max": 1})
    files = (
        *said(release, "ann", "bob", pins=PINNED),
        *said(release, "cat", "dan", pins=ELSEWHERE),
        *said(release, "eve", pins={}),
    )
    verdict = judged(policy, files)
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 3)
    assert "QRM-SPLIT" in rules(verdict)
    alone = judged(policy, tuple(f for f in files if not f.path.startswith("dan")))
    assert alone.verdict == "ACCEPT"


def test_weak_votes_alone_must_not_contradict_each_other(release: Release) -> None:
    both: Table = {"must_agree": ["git_commit", "flake_lock"]}
    policy = release.policy(inputs=both, quorum={"weak_votes_max": 3})
    agreeing = judged(
        policy, (*said(release, "ann", "bob", pins=PINNED), *said(release, "cat", pins={}))
    )
    assert (agreeing.verdict, agreeing.inputs) == ("ACCEPT", (("git_commit", COMMIT),))
    torn = (*said(release, "ann", pins=PINNED), *said(release, "bob", pins=ELSEWHERE))
    verdict = judged(policy, (*torn, *said(release, "cat", pins={})))
    assert (verdict.verdict, verdict.inputs) == ("REFUSE", ())
    assert "QRM-SPLIT" in rules(verdict)


def test_copies_of_files_that_are_no_attestation_are_only_listed(release: Release) -> None:
    files = (MediaFile("a/readme", b"x"), MediaFile("b/readme", b"x"))
    listed = judged(release.policy(), files).dispositions
    assert [d.rule for d in listed] == ["ATT-FORMAT", "ATT-FORMAT"]


def revoked(release: Release, since: datetime) -> Policy:
    tables = release.tables()
    (key,) = next(b for b in loaded(tables).builders if b.id == "cat").keys
    tables["revoked"] = [{"fpr": key.key.fpr, "since": since, "mode": "after"}]
    return loaded(tables)


def test_the_edges_of_revocation_window_and_age(release: Release) -> None:
    made = NOW - timedelta(days=2)  # what cat's provenance says
    second = timedelta(seconds=1)
    files = release.all(*TRIO)
    assert judged(revoked(release, made + second), files).verdict == "ACCEPT"
    assert "QRM-REVOKED" in rules(judged(revoked(release, made), files))
    for start, end, fits in (
        (made, made + second, True),
        (made - second, made, False),
        (made + second, NOW + second, False),
    ):
        tables = release.tables()
        keys_of(tables, 2)[0].update({"from": start, "to": end})
        assert ("QRM-WINDOW" in rules(judged(loaded(tables), files))) is not fits
    policy = release.policy(time={"max_age": "2d", "future_skew": "0s"})
    assert judged(policy, files).verdict == "ACCEPT"
    assert "QRM-STALE" in rules(judged(policy, files, now=NOW + second))


def test_an_untimed_signature_is_dated_by_the_ceremony(release: Release) -> None:
    tables = release.tables()
    keys_of(tables, 0)[0]["to"] = NOW
    assert "QRM-WINDOW" in rules(judged(loaded(tables), release.all(*TRIO)))
    keys_of(tables, 0)[0]["to"] = NOW + timedelta(seconds=1)
    assert judged(loaded(tables), release.all(*TRIO)).verdict == "ACCEPT"


def test_a_security_key_for_another_application_is_another_key(release: Release) -> None:
    token = SecurityKey.make()
    tables = release.tables(*TRIO)
    keys_of(tables, 0)[0]["public"] = token.line
    stray = SecurityKey(token.private, "ssh:elsewhere")
    content = checksums(DIGEST, "anchor.efi", PINNED)
    verdict = judged(loaded(tables), pair("SHA256SUMS", content, stray.sign(content)))
    assert [d.rule for d in verdict.dispositions] == ["QRM-ENROLLED"]


def test_a_signature_that_does_not_fit_the_key_it_names_says_so(release: Release) -> None:
    payload = statement(DIGEST, "anchor.efi", PINNED)
    document = json.loads(envelope(release, payload, hint="cat").data)
    document["payload"] = json.loads(envelope(release, payload + b" ").data)["payload"]
    file = MediaFile("cat.json", json.dumps(document).encode())
    (disposition,) = judged(release.policy(), (file,)).dispositions
    assert (disposition.builder, disposition.rule) == ("cat", "ATT-SIGNATURE")


def test_signature_checks_of_an_envelope_are_capped_and_a_keyid_saves_them(
    release: Release,
) -> None:
    strangers = [BareKey(Ed25519PrivateKey.generate()) for _ in range(70)]
    tables = release.tables("ann", "bob")
    (eve,) = rows(release.tables("eve"))
    (key,) = keys_of(release.tables("eve"), 0)
    for number, stranger in enumerate(strangers):
        more = key | {"type": "spki", "public": stranger.line}
        rows(tables).append(eve | {"id": f"b{number}", "persons": [f"p{number}"], "key": [more]})
    policy = loaded(tables)
    payload = statement(DIGEST, "anchor.efi", PINNED)
    for hint, rule in (("", "QRM-ENROLLED"), ("b69", "")):
        file = MediaFile("x.json", strangers[69].envelope(payload, hint=hint))
        (disposition,) = judged(policy, (file,)).dispositions
        assert disposition.rule == rule
        assert "64 checks" in disposition.text or not rule


@pytest.mark.parametrize("content", [b"no sums\n", checksums(sha256(OTHER), "x", {}) * 2])
def test_what_nobody_enrolled_signed_need_not_be_readable(release: Release, content: bytes) -> None:
    key = release.keys["fay"]
    assert hasattr(key, "sign")
    files = pair("fay/SHA256SUMS", content, key.sign(content))
    verdict = judged(release.policy(), (*release.all(*TRIO), *files))
    assert verdict.verdict == "ACCEPT"
    assert "QRM-UNVERIFIED" not in rules(verdict)


def test_minisign_without_its_file_or_with_a_stranger_key(release: Release) -> None:
    sums, signature = release.attest("bob")
    (alone,) = judged(release.policy(), (signature,)).dispositions
    assert (alone.builder, alone.rule) == ("bob", "ATT-ALONE")
    without_bob = release.policy("ann", "cat", "dan")
    for files in ((signature,), (sums, signature)):
        assert "QRM-ENROLLED" in rules(judged(without_bob, files))


def test_minisign_pins_must_not_contradict_the_checksum_file(release: Release) -> None:
    key = release.keys["bob"]
    assert isinstance(key, MinisignKey)
    content = checksums(DIGEST, "anchor.efi", ELSEWHERE)
    comment = f"github.com/acme/anchor/commit/{COMMIT}"
    files = pair("x.sha256", content, key.sign(content, comment), ".minisig")
    (disposition,) = judged(release.policy(), files).dispositions
    assert (disposition.builder, disposition.rule) == ("bob", "ATT-PIN")


def test_two_policy_names_may_stand_in_one_file_with_one_digest(release: Release) -> None:
    names: Table = {"names": ["anchor.efi", "result/anchor.efi"]}
    one = checksums(DIGEST, "anchor.efi", PINNED)
    same = one + checksums(DIGEST, "result/anchor.efi", {})
    policy, files = with_third(release, *signed_sums(release, same), artifact=names)
    assert judged(policy, files).verdict == "ACCEPT"
    torn = one + checksums(sha256(OTHER), "result/anchor.efi", {})
    policy, files = with_third(release, *signed_sums(release, torn), artifact=names)
    assert "ATT-TWICE" in rules(judged(policy, files))


def test_a_dissent_with_a_digest_that_nobody_computed_is_a_dissent(release: Release) -> None:
    digests = {"sha256": sha256(OTHER), "sha512": "0" * 128}
    subject = [{"name": "anchor.efi", "digest": digests}]
    payload = json.dumps(provenance(subject=subject)).encode()
    files = (*release.all("ann", "bob", "dan"), envelope(release, payload))
    verdict = judge(release.policy(), "anchor.efi", facts(), files, NOW)
    assert verdict.verdict == "OVERRIDE_NEEDED"
    assert [d.rule for d in verdict.dispositions if d.builder == "cat"] == ["QRM-DISSENT"]


def test_a_weak_vote_says_what_it_lacks_and_how_many_there_are(release: Release) -> None:
    both: Table = {"must_agree": ["flake_lock", "git_commit"]}
    policy = release.policy(*TRIO, "dan", "eve", inputs=both, quorum={"weak_votes_max": 2})
    payload = json.loads(statement(DIGEST, "anchor.efi", PINNED))
    del payload["predicate"]["buildDefinition"]["externalParameters"]["base_image"]
    bare_cat = envelope(release, json.dumps(payload).encode())
    full = {"git_commit": COMMIT, "flake_lock": sha256(IMAGE)}
    files = (*said(release, "ann", pins=full), *said(release, "dan", pins={}), bare_cat)
    verdict = judged(policy, files)
    assert (verdict.verdict, verdict.votes, verdict.weak) == ("ACCEPT", 3, 2)
    told = {d.builder: (d.disposition, d.rule, d.text) for d in verdict.dispositions}
    lacks = "it does not say the digest of the container image that it was built in"
    assert told["dan"] == ("weak", "QRM-PINS", "it does not say flake_lock, git_commit")
    assert told["cat"] == ("weak", "QRM-BASE-IMAGE", f"{lacks}, nor flake_lock")
    (enough,) = [f.text for f in verdict.findings if f.rule == "QRM-THRESHOLD"]
    assert enough == "3 principals agree, 3 are needed: ann, cat, dan (2 weak)"
    pinned = judged(policy, said(release, "cat", "ann", "bob", pins=full))
    (enough,) = [f.text for f in pinned.findings if f.rule == "QRM-THRESHOLD"]
    assert enough == "3 principals agree, 3 are needed: ann, bob, cat"
