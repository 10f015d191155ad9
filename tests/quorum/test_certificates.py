"""Which certificates count as a builder's vote, and which do not, by name."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.casebook import keys_of, loaded
from quorum.release import COMMIT, IMAGE, NOW, OTHER, Release, checksums, facts, pair, sha256
from quorum.security_key import SecurityKey
from quorum.ssh_authority import FOREVER, Making, listed, options, public_blob
from quorum.toml_text import Table

from ceremony.admission import Vote
from ceremony.attest.sshsig import read_certifiable
from ceremony.counting import count
from ceremony.keys import parse_ssh_blob, parse_ssh_line
from ceremony.policy import Policy
from ceremony.principals import principal_names
from ceremony.quorum import Disposition, Verdict, judge
from ceremony.types import MediaFile

SUMS = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
SIGNED = int((NOW - timedelta(days=2)).timestamp())
STAMPED = SUMS + f"# timestamp {SIGNED}\n".encode()


@cache
def made() -> Making:
    return Making()


def tables(release: Release, authority: Making, **more: object) -> Table:
    found = release.tables()
    key: Table = {"type": "ssh-ca", "public": authority.line, "principals": ["dan", "dan-2"]}
    keys_of(found, 3)[0].update(key | more)
    return found


def judged(policy: Policy, *files: MediaFile) -> Verdict:
    return judge(policy, "anchor.efi", facts(), files, NOW)


def stands(policy: Policy, *files: MediaFile) -> Disposition:
    (one,) = judged(policy, *files).dispositions
    return one


def attested(by: Making, content: bytes = STAMPED, flags: int = 1) -> tuple[MediaFile, ...]:
    return pair("dan/SHA256SUMS", content, by.sign(content, flags=flags))


@accepts("QRM-CERTIFICATE", "QRM-REVOKED", "QRM-ALGORITHM", "POL-VALUE")
def test_a_certificate_of_the_enrolled_authority_is_a_vote(release: Release) -> None:
    policy = loaded(tables(release, made()))
    one = stands(policy, *attested(made()))
    assert (one.builder, one.disposition, one.rule) == ("dan", "counted", "")


@pytest.mark.parametrize("name", ["dan-2", "x,dan"])
def test_one_of_the_principals_is_enough(release: Release, name: str) -> None:
    by = Making(made().authority, principals=listed(*name.split(",")))
    assert stands(loaded(tables(release, made())), *attested(by)).disposition == "counted"


def at(offset: int) -> int:
    return SIGNED + offset


AUTHORITY = Ed25519PrivateKey.generate()
DEFECTS: dict[str, tuple[Making, str, str]] = {
    "host": (Making(AUTHORITY, use=2), "QRM-CERTIFICATE", "is a host's"),
    "wrong-principal": (
        Making(AUTHORITY, principals=listed("fay")),
        "QRM-CERTIFICATE",
        "the certificate is for fay, enrolled is dan, dan-2",
    ),
    "near-principal": (Making(AUTHORITY, principals=listed("Dan")), "QRM-CERTIFICATE", "for Dan"),
    "no-principal": (Making(AUTHORITY, principals=b""), "QRM-CERTIFICATE", "is for nobody"),
    "expired": (Making(AUTHORITY, before=at(0)), "QRM-CERTIFICATE", "valid from 1970"),
    "not-yet-valid": (Making(AUTHORITY, after=at(1)), "QRM-CERTIFICATE", "to for ever"),
    "never-valid": (Making(AUTHORITY, after=FOREVER, before=5), "QRM-CERTIFICATE", "from for ever"),
    "valid-in-no-calendar": (Making(AUTHORITY, after=1 << 62), "QRM-CERTIFICATE", "the second"),
    "force-command": (
        Making(AUTHORITY, critical=options(("force-command", b""))),
        "QRM-CERTIFICATE",
        "force-command: it may run one command only",
    ),
    "source-address": (
        Making(AUTHORITY, critical=options(("source-address", b""))),
        "QRM-CERTIFICATE",
        "source-address: it is bound to network addresses",
    ),
    "unknown-option": (
        Making(AUTHORITY, critical=options(("x@example.org", b""))),
        "QRM-CERTIFICATE",
        "x@example.org: nothing is known of it here",
    ),
    "verify-required": (
        Making(AUTHORITY, critical=options(("verify-required", b""))),
        "ATT-CERTIFICATE",
        "no PIN or finger",
    ),
    "other-authority": (Making(), "QRM-ENROLLED", "an authority, belongs to no enrolled builder"),
    "itself": (Making(AUTHORITY, AUTHORITY), "QRM-CERTIFICATE", "is itself the authority of dan"),
}


@refuses("QRM-CERTIFICATE", "QRM-ENROLLED", "ATT-CERTIFICATE")
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_certificate_that_may_not_count_is_refused_by_name(release: Release, defect: str) -> None:
    by, rule, why = DEFECTS[defect]
    policy = loaded(tables(release, Making(AUTHORITY)))
    one = stands(policy, *attested(by))
    assert (one.disposition, one.rule) == ("not-counted", rule)
    assert why in one.text
    assert one.builder == ("" if rule == "QRM-ENROLLED" else "dan")


def test_the_certificate_was_valid_when_it_was_signed_not_today(release: Release) -> None:
    by = Making(made().authority, after=at(0), before=at(1))
    policy = loaded(tables(release, made()))
    assert stands(policy, *attested(by)).disposition == "counted"
    # Who says no time is judged at the ceremony's.
    assert stands(policy, *attested(by, SUMS)).rule == "QRM-CERTIFICATE"


@refuses("QRM-CERTIFICATE")
def test_an_authority_signs_nothing_itself(release: Release) -> None:
    policy = loaded(tables(release, made()))
    plain = Making(user=made().authority)
    from_plain = plain.sign_plain(STAMPED)
    one = stands(policy, *pair("dan/SHA256SUMS", STAMPED, from_plain))
    assert (one.rule, one.builder) == ("QRM-CERTIFICATE", "dan")
    assert "signs nothing itself" in one.text


@refuses("QRM-CERTIFICATE")
def test_a_plain_key_with_a_certificate_of_nobody_enrolled_says_whose_it_is(
    release: Release,
) -> None:
    found, by = release.tables(), Making()
    keys_of(found, 3)[0]["public"] = by.user_line
    one = stands(loaded(found), *attested(by))
    assert (one.rule, one.builder) == ("QRM-CERTIFICATE", "dan")
    assert "the authority of its certificate is not" in one.text


@refuses("QRM-CERTIFICATE")
def test_a_plain_key_of_a_builder_is_no_authority(release: Release) -> None:
    found = release.tables()
    keys_of(found, 3)[0]["public"] = made().line
    one = stands(loaded(found), *attested(made()))
    assert "enrolled as a plain key only" in one.text


@refuses("QRM-CERTIFICATE")
def test_a_key_of_another_builder_cannot_be_certified(release: Release) -> None:
    found = tables(release, made())
    keys_of(found, 0)[0]["public"] = made().user_line
    one = stands(loaded(found), *attested(made()))
    assert one.text == "the certified key is enrolled for ann"


def test_a_builders_own_plain_key_may_be_certified_and_is_one_vote(release: Release) -> None:
    found = tables(release, made())
    window = {name: keys_of(found, 3)[0][name] for name in ("from", "to")}
    keys_of(found, 3).append({"type": "ssh", "public": made().user_line} | window)
    second = Making(made().authority, serial=8)
    third = pair("dan/b/SHA256SUMS", STAMPED, made().sign_plain(STAMPED))
    fourth = pair("dan/c/SHA256SUMS", STAMPED, second.sign(STAMPED))
    verdict = judged(loaded(found), *attested(made()), *third, *fourth)
    assert verdict.votes == 1
    assert sorted(d.disposition for d in verdict.dispositions) == [
        *("counted", "duplicate", "duplicate"),
    ]


def test_a_certificates_dissent_is_a_veto(release: Release) -> None:
    policy = loaded(tables(release, made()))
    content = checksums(sha256(OTHER), "anchor.efi", {"git_commit": COMMIT})
    verdict = judged(policy, *release.all("ann", "bob", "cat"), *attested(made(), content))
    assert verdict.verdict == "OVERRIDE_NEEDED"
    unproved = Making(made().authority, principals=listed("fay"))
    verdict = judged(policy, *release.all("ann", "bob", "cat"), *attested(unproved, content))
    assert verdict.verdict == "ACCEPT"
    assert "QRM-UNVERIFIED" in {finding.rule for finding in verdict.findings}


@refuses("QRM-REVOKED")
@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"fpr": "authority"}, "the authority is revoked"),
        ({"fpr": "user"}, "the certified key is revoked"),
        ({"fpr": "authority", "serials": ["6", "7"]}, 'the certificate "build host" (serial 7)'),
        ({"fpr": "authority", "key_ids": ["build host"]}, 'the certificate "build host" (serial'),
        ({"fpr": "authority", "serials": ["8"]}, ""),
        ({"fpr": "authority", "key_ids": ["build"]}, ""),
        ({"fpr": "user", "serials": ["7"]}, ""),
        ({"fpr": "authority", "mode": "after"}, ""),
        ({"fpr": "authority", "mode": "after", "since": NOW - timedelta(days=3)}, "the authority"),
    ],
    ids=range(9),
)
def test_a_certificate_is_revoked_by_key_authority_serial_or_key_id(
    release: Release, entry: Table, why: str
) -> None:
    found = tables(release, made())
    public = {"authority": made().authority, "user": made().user}[str(entry["fpr"])]
    assert isinstance(public, Ed25519PrivateKey)
    fpr = parse_ssh_blob(public_blob(public)).fpr
    found["revoked"] = [{"since": NOW} | entry | {"fpr": fpr}]
    one = stands(loaded(found), *attested(made()))
    assert one.rule == ("QRM-REVOKED" if why else "")
    assert one.text.startswith(why)


@refuses("QRM-ALGORITHM")
def test_key_and_authority_are_of_an_allowed_algorithm(release: Release) -> None:
    by = Making(made().authority, SecurityKey.make())
    for allowed, why in (
        (["ed25519", "sk-ssh-ed25519"], ""),
        (["ed25519"], "the policy allows no sk-ssh-ed25519"),
        (
            ["sk-ssh-ed25519", "ecdsa-p256-sha256"],
            "the policy allows no ed25519 (ed25519), as the authority's",
        ),
    ):
        found = tables(release, made()) | {"algorithms": {"sign": allowed}}
        found["quorum"] = {"threshold": 1}
        one = stands(loaded(found), *attested(by))
        assert one.rule == ("QRM-ALGORITHM" if why else "")
        assert one.text.startswith(why)


@accepts("QRM-TOUCH")
@refuses("QRM-TOUCH")
@pytest.mark.parametrize("touch", ["required", "optional"])
def test_touch_of_a_certified_security_key_is_as_the_policy_says(
    release: Release, touch: str
) -> None:
    by = Making(made().authority, SecurityKey.make())
    policy = loaded(tables(release, made(), touch=touch))
    one = stands(policy, *attested(by, flags=0))
    assert one.rule == ("QRM-TOUCH" if touch == "required" else "")
    assert stands(policy, *attested(by, flags=1)).rule == ""


def test_the_window_of_the_policy_holds_for_certificates(release: Release) -> None:
    policy = loaded(tables(release, made(), to=NOW - timedelta(days=3)))
    assert stands(policy, *attested(made())).rule == "QRM-WINDOW"


def test_the_authority_is_the_enrolled_key(release: Release) -> None:
    policy = loaded(tables(release, made()))
    fpr = parse_ssh_line(made().line)[0].fpr
    assert policy.enrolled[fpr][1].principals == ("dan", "dan-2")
    assert parse_ssh_line(made().line)[0] not in policy.bare_keys


def two_authorities(release: Release) -> tuple[Policy, Making, Making]:
    """Return dan's and ann's authority, who certify one key; ann has a key of her own, too."""
    found = release.tables("ann", "bob", "cat", "dan", quorum={"threshold": 2})
    by_dan, by_ann = made(), Making(user=made().user, principals=listed("ann"))
    keys_of(found, 3)[0].update(type="ssh-ca", public=by_dan.line, principals=["dan"])
    window = {name: keys_of(found, 0)[0][name] for name in ("from", "to")}
    key: Table = {"type": "ssh-ca", "public": by_ann.line, "principals": ["ann"]}
    keys_of(found, 0).append(key | window)
    return loaded(found), by_dan, by_ann


@refuses("QRM-CERTIFICATE")
def test_one_signature_shown_with_certificates_of_two_authorities_is_one_vote(
    release: Release,
) -> None:
    """What is signed does not name the certificate: in the file it can be exchanged."""
    policy, by_dan, by_ann = two_authorities(release)
    hers = pair("ann/SHA256SUMS", STAMPED, by_ann.sign(STAMPED))
    assert read_certifiable(hers[1].data).signature == (
        read_certifiable(attested(by_dan)[1].data).signature
    )
    verdict = judged(policy, *attested(by_dan), *hers)
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 1)
    told = {d.builder: (d.disposition, d.rule) for d in verdict.dispositions}
    assert told == {"ann": ("counted", ""), "dan": ("duplicate", "QRM-CERTIFICATE")}
    more = judged(policy, *attested(by_dan), *hers, *release.attest("ann"))
    assert (more.verdict, more.votes) == ("ACCEPT", 2), "ann needs that key no more"


def _vote(builder: str, certified: str, number: int, *, full: bool) -> Vote:
    return Vote(str(number), builder, "ab", (), full=full, certified=certified)


VOTES = st.lists(
    st.builds(
        _vote,
        st.sampled_from(("ann", "bob", "cat", "dan")),
        st.sampled_from(("", "", "p", "q")),
        st.integers(0, 99),
        full=st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda vote: vote.file,
)


@given(VOTES, st.integers(0, 1))
def test_one_more_certificate_never_takes_a_vote_away(
    release: Release, votes: list[Vote], weak: int
) -> None:
    policy = release.policy(
        "ann", "bob", "cat", "dan", quorum={"threshold": 2, "weak_votes_max": weak}
    )
    names = principal_names(policy)
    found = count(policy, tuple(votes), "ab", None, names)
    assert found.votes <= len({vote.certified or vote.builder for vote in votes})
    assert {stand.vote for stand in found.stands} == set(votes)
    for left_out in range(len(votes)):
        fewer = count(policy, (*votes[:left_out], *votes[left_out + 1 :]), "ab", None, names)
        assert fewer.votes <= found.votes


EVERYBODY = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ivy")


@pytest.mark.parametrize("own", [True, False], ids=["with-a-key-of-its-own", "without"])
def test_an_authority_that_certifies_everybodys_keys_takes_nobodys_vote(
    release: Release,
    own: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Of the 256 ways to give eight keys only 64 were tried, and all gave two of them to ann."""
    others = EVERYBODY[1:]
    policy = release.policy(*EVERYBODY, quorum={"threshold": len(others)})
    names = principal_names(policy)
    votes = [_vote(name, f"key of {name}", n, full=True) for n, name in enumerate(others)]
    assert count(policy, tuple(votes), "ab", None, names).votes == len(others)
    votes += [_vote("ann", f"key of {name}", 100 + n, full=True) for n, name in enumerate(others)]
    votes += [_vote("ann", "key of ann", 200, full=True)] if own else []
    found = count(policy, tuple(votes), "ab", None, names)
    assert found.votes == len(others) + own
    told = {stand.vote.builder for stand in found.stands if stand.standing == "counted"}
    assert told >= set(others)


@pytest.mark.parametrize("digest", ["ab", "cd"], ids=["the-image", "another-file"])
def test_one_key_of_two_authorities_is_no_threshold_for_other_inputs(
    release: Release, digest: str
) -> None:
    """Its two certificates were two principals there, which refused what ann and bob agree on."""
    policy = release.policy("ann", "bob", "dan", "fay", quorum={"threshold": 2})
    names = principal_names(policy)
    good = tuple(
        _vote(name, "", n, full=True)._replace(inputs=(("git_commit", COMMIT),))
        for n, name in enumerate(("ann", "bob"))
    )
    one_key = tuple(
        _vote(name, "p", n, full=True)._replace(inputs=(("git_commit", "a" * 40),), sha256=digest)
        for n, name in enumerate(("dan", "fay"), len(good))
    )
    found = count(policy, good + one_key, "ab", None, names)
    assert found.votes == len(good)
    assert [finding.rule for finding in found.findings if finding.severity == "refuse"] == []
    two_keys = (one_key[0], one_key[1]._replace(certified="q"))
    torn = count(policy, good + two_keys, "ab", None, names)
    assert "QRM-SPLIT" in {finding.rule for finding in torn.findings}
