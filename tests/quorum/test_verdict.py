"""What a verdict tells: the matrix, the principals, bounded findings, escaped text."""

from __future__ import annotations

import hashlib
import json
from functools import partial

from marks import accepts, refuses
from quorum.casebook import (
    ELSEWHERE,
    TRIO,
    envelope,
    keys_of,
    loaded,
    provenance,
    revoking,
    rows,
    signed_sums,
)
from quorum.cases_envelopes import subject
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
)
from quorum.security_key import SecurityKey

from ceremony.digesting import nothing_further
from ceremony.pe.unsigned import further_digests
from ceremony.quorum import Answer, judge
from ceremony.types import DigestPairs, MediaFile, Severity


@accepts("QRM-ABSENT")
@refuses("QRM-ABSENT")
def test_the_matrix_has_a_row_for_every_builder(release: Release) -> None:
    names = ("ann", "bob", "cat", "dan", "eve", "fay")
    files = (
        *release.all("ann", "bob"),
        *release.attest("cat", OTHER),
        *release.attest("dan", b"a third image", ELSEWHERE),
        *release.attest("eve", OTHER, ELSEWHERE),
    )
    verdict = judged(release.policy(*names), files)
    letters = dict(zip(sorted((sha256(OTHER), sha256(b"a third image"))), "AB", strict=True))
    table = [(row.builder, row.answer, row.variant, row.rule) for row in verdict.matrix]
    assert table == [
        ("ann", Answer.MATCH, "=", ""),
        ("bob", Answer.MATCH, "=", ""),
        ("cat", Answer.VARIANT, letters[sha256(OTHER)], "QRM-DISSENT"),
        ("dan", Answer.VARIANT, letters[sha256(b"a third image")], "QRM-OTHER-INPUTS"),
        ("eve", Answer.VARIANT, letters[sha256(OTHER)], "QRM-OTHER-INPUTS"),
        ("fay", Answer.MISSING, "", "QRM-ABSENT"),
    ]


def test_a_builder_whose_file_is_no_vote_has_a_row_that_says_why(release: Release) -> None:
    twice = checksums(sha256(IMAGE), "anchor.efi", {}) * 2
    files = (
        *release.attest("bob", OTHER),
        *signed_sums(release, twice),
        *release.attest("cat", b"a third image", folder="b"),
        *release.attest("cat", folder="a"),
    )
    verdict = judged(revoking(release, "bob", "all"), (*release.all("ann"), *files))
    table = [(row.builder, row.answer, row.disposition, row.rule) for row in verdict.matrix]
    assert table == [
        ("ann", Answer.MATCH, "counted", ""),
        ("bob", Answer.VARIANT, "not-counted", "QRM-REVOKED"),
        ("cat", Answer.VARIANT, "dissent", "QRM-DISSENT"),  # before its own agreeing vote
        ("dan", Answer.MISSING, "malformed", "ATT-TWICE"),
    ]
    assert [row.sha256 for row in verdict.matrix[1:3]] == [sha256(OTHER), sha256(b"a third image")]


def test_principals_say_what_joins_their_builders(release: Release) -> None:
    tables = release.tables("ann", "bob", "cat", "dan", "eve")
    rows(tables)[1] |= {"persons": ["bob", "ann"]}
    rows(tables)[2] |= {"shares_with": ["bob"]}
    verdict = judged(loaded(tables), release.all("bob"))
    joined = [(one.name, one.builders, one.because, one.vote) for one in verdict.principals]
    assert joined == [
        ("ann", ("ann", "bob", "cat"), "person ann, store bob", "counted"),
        ("dan", ("dan",), "", ""),
        ("eve", ("eve",), "", ""),
    ]


def test_text_from_outside_is_escaped_and_findings_are_bounded(release: Release) -> None:
    stray = [
        MediaFile(f"{n}\x1b]0;x\x07\u202e.dsse", release.attest("eve", f"{n}".encode())[0].data)
        for n in range(40)
    ]
    verdict = judged(release.policy(), (*release.all(*TRIO), *stray))
    assert verdict.verdict == "ACCEPT"
    told = [finding for finding in verdict.findings if finding.rule == "QRM-UNVERIFIED"]
    assert len(told) == 21
    assert told[-1].text == "and 20 more of this kind"
    texts = [f.text for f in verdict.findings] + [d.text for d in verdict.dispositions]
    assert all(text.isascii() and text.isprintable() for text in texts)


@accepts("QRM-NAME")
@refuses("QRM-NAME")
def test_a_presented_file_of_another_name_is_told(release: Release) -> None:
    verdict = judge(release.policy(), "stray.efi", facts(), release.all(*TRIO), NOW)
    assert verdict.verdict == "ACCEPT"
    told = [finding.severity for finding in verdict.findings if finding.rule == "QRM-NAME"]
    assert told == [Severity.WARN]
    assert not [
        f for f in judged(release.policy(), release.all(*TRIO)).findings if f.rule == "QRM-NAME"
    ]


@accepts("ATT-DIGEST")
@refuses("ATT-DIGEST")
def test_a_second_digest_must_be_right_too(release: Release) -> None:
    good, bad = hashlib.sha512(IMAGE).hexdigest(), hashlib.sha512(OTHER).hexdigest()
    policy = release.policy(inputs={"must_agree": []})
    for listed, known, standing in (
        (good, partial(further_digests, IMAGE), "counted"),
        (bad, partial(further_digests, IMAGE), "malformed"),
        (good, nothing_further, "not-counted"),
    ):
        file = envelope(release, subject(sha256=sha256(IMAGE), sha512=listed))
        verdict = judge(policy, "anchor.efi", facts(), (file,), NOW, further=known)
        assert [d.disposition for d in verdict.dispositions] == [standing]


def test_a_further_digest_is_computed_only_where_an_enrolled_key_lists_it(
    release: Release,
) -> None:
    asked: list[tuple[str, ...]] = []

    def further(listed: tuple[str, ...]) -> tuple[DigestPairs, ...]:
        asked.append(listed)
        return further_digests(IMAGE, listed)

    known = release.policy(inputs={"must_agree": []})
    strange = release.policy("ann", "bob", "dan", inputs={"must_agree": []})
    listing = envelope(release, subject(sha256=sha256(IMAGE), sha384="0" * 96))
    other = [{"name": "other", "digest": {"sha256": sha256(IMAGE), "sha512": "0" * 128}}]
    elsewhere = envelope(release, json.dumps(provenance(subject=other)).encode())
    for policy, files, wanted in (
        (known, release.all(*TRIO), []),
        (known, (elsewhere,), []),
        (known, (listing,), [("sha384",)]),
        (strange, (listing,), []),
    ):
        asked.clear()
        judge(policy, "anchor.efi", facts(), files, NOW, further=further)
        assert asked == wanted


@accepts("QRM-TOUCH")
@refuses("QRM-TOUCH")
def test_a_security_key_must_have_been_touched(release: Release) -> None:
    token = SecurityKey.make()
    tables = release.tables("ann", "bob", "cat")
    keys_of(tables, 0)[0]["public"] = token.line
    policy = loaded(tables)
    content = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
    for flags, standing in ((1, "counted"), (5, "counted"), (0, "not-counted"), (4, "not-counted")):
        files = pair("SHA256SUMS", content, token.sign(content, flags=flags))
        (disposition,) = judged(policy, files).dispositions
        assert disposition.disposition == standing
        assert disposition.rule == ("" if standing == "counted" else "QRM-TOUCH")
