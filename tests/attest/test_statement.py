"""in-toto Statements: subjects, digests, and the pins of SLSA provenance."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from marks import accepts, refuses
from quorum.release import COMMIT, NOW, statement

from ceremony.attest.statement import read_statement
from ceremony.errors import Refused

DIGEST = "a" * 64
LOCK = "b" * 64
Document = dict[str, object]


def document(version: str = "v1", change: Document | None = None, **more: object) -> Document:
    pins = {"git_commit": COMMIT, "flake_lock": LOCK}
    data = statement(DIGEST, "anchor.efi", pins, version=version, finished=NOW)
    read: Document = json.loads(data)
    return read | (change or {}) | more


@accepts("ATT-STATEMENT", "ATT-PREDICATE", "ATT-TIME", "ATT-PAYLOAD", "ATT-TWICE", "ATT-PIN")
@pytest.mark.parametrize("version", ["v1", "v0.2"])
def test_both_versions_give_the_same_claims(version: str) -> None:
    claims = read_statement(json.dumps(document(version)).encode())
    assert [(a.name, a.digests) for a in claims.artifacts] == [
        ("anchor.efi", (("sha256", DIGEST),))
    ]
    assert tuple(pin for pin in claims.pins if pin[0] != "base_image") == (
        ("build_type", "https://example.org/nix-build"),
        ("flake_lock", LOCK),
        ("git_commit", COMMIT),
    )
    assert claims.time == NOW


def materials(*entries: object) -> bytes:
    predicate = {"buildDefinition": {"resolvedDependencies": list(entries)}}
    return json.dumps(document(predicate=predicate)).encode()


def test_a_commit_comes_from_git_commit_or_a_git_uris_sha1() -> None:
    by_name = {"uri": "x", "digest": {"gitCommit": COMMIT}}
    by_uri = {"uri": "git+https://example.org/a@refs/heads/main", "digest": {"sha1": COMMIT}}
    other_sha1 = {"uri": "https://example.org/tar.gz", "digest": {"sha1": "d" * 40}}
    for entries in ((by_name,), (by_uri,), (by_name, by_uri), (by_name, other_sha1)):
        assert dict(read_statement(materials(*entries)).pins)["git_commit"] == COMMIT
    assert read_statement(materials(other_sha1)).pins == ()


def test_two_commits_pin_nothing_and_two_locks_are_a_fault() -> None:
    one = {"uri": "a", "digest": {"gitCommit": COMMIT}}
    two = {"uri": "b", "digest": {"gitCommit": "d" * 40}}
    assert read_statement(materials(one, two)).pins == ()
    locks = ({"name": "flake.lock", "digest": {"sha256": c * 64}} for c in "ab")
    with pytest.raises(Refused, match="ATT-PIN"):
        read_statement(materials(*locks))
    assert read_statement(materials("x", None, {"digest": 1}, {"uri": 7})).pins == ()


def test_parameters_are_pins_and_internal_ones_are_claims_about_itself() -> None:
    predicate = {
        "buildDefinition": {
            "externalParameters": {"image_id": "anchor", "isolation": "none", "n": 7},
            "internalParameters": {"isolation": "docker", "image_id": "other"},
        }
    }
    claims = read_statement(json.dumps(document(predicate=predicate)).encode())
    assert claims.pins == (("image_id", "anchor"),)
    assert claims.self_claims == (("isolation", "docker"),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T13:00:00+01:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00.123456789Z", datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)),
    ],
)
def test_moments_are_rfc_3339(text: str, moment: datetime) -> None:
    predicate = {"runDetails": {"metadata": {"finishedOn": text}}}
    claims = read_statement(json.dumps(document(predicate=predicate)).encode())
    assert claims.time == moment


@refuses("ATT-TIME")
@pytest.mark.parametrize(
    "value",
    [
        *("", "yesterday", 7, "2026-11-20", "2026-11-20T12:00:00", "2026-13-20T12:00:00Z"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-20 12:00:00Z"),
    ],
)
def test_a_time_that_is_none_is_refused(value: object) -> None:
    predicate = {"runDetails": {"metadata": {"finishedOn": value}}}
    with pytest.raises(Refused, match="ATT-TIME"):
        read_statement(json.dumps(document(predicate=predicate)).encode())


def subject(name: object = "anchor.efi", **digests: object) -> Document:
    return {"name": name, "digest": digests or {"sha256": DIGEST}}


@refuses("ATT-STATEMENT", "ATT-PREDICATE", "ATT-TWICE")
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"_type": "link"}, "ATT-STATEMENT"),
        ({"_type": "https://in-toto.io/Statement/v2"}, "ATT-STATEMENT"),
        ({"_type": None}, "ATT-STATEMENT"),
        ({"subject": None}, "ATT-STATEMENT"),
        ({"subject": []}, "ATT-STATEMENT"),
        ({"subject": [7]}, "ATT-STATEMENT"),
        ({"subject": [{"name": "x"}]}, "ATT-STATEMENT"),
        ({"subject": [subject("")]}, "ATT-STATEMENT"),
        ({"subject": [subject(7)]}, "ATT-STATEMENT"),
        ({"subject": [subject("x" * 4097)]}, "ATT-STATEMENT"),
        ({"subject": [subject(sha256=DIGEST.upper())]}, "ATT-STATEMENT"),
        ({"subject": [subject(sha256=DIGEST[1:])]}, "ATT-STATEMENT"),
        ({"subject": [subject(sha256=7)]}, "ATT-STATEMENT"),
        ({"subject": [subject(sha512=DIGEST)]}, "ATT-STATEMENT"),
        ({"subject": [subject(**{f"h{n}": "x" for n in range(33)})]}, "ATT-STATEMENT"),
        ({"subject": [subject(f"{n}") for n in range(1025)]}, "ATT-STATEMENT"),
        ({"subject": [subject(), subject()]}, "ATT-TWICE"),
        ({"predicateType": "https://slsa.dev/provenance/v0.1"}, "ATT-PREDICATE"),
        ({"predicateType": None}, "ATT-STATEMENT"),
    ],
)
def test_what_is_no_statement_is_refused(change: Document, rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        read_statement(json.dumps(document(change=change)).encode())


def test_the_caps_are_exactly_where_they_are_said_to_be() -> None:
    many = [subject(f"{n}") for n in range(1024)]
    assert len(read_statement(json.dumps(document(subject=many)).encode()).artifacts) == 1024
    most = {f"h{n}": "x" for n in range(31)}
    wide = json.dumps(document(subject=[subject(sha256=DIGEST, **most)])).encode()
    assert read_statement(wide).artifacts[0].digests == (("sha256", DIGEST),)


@pytest.mark.parametrize("predicate", [None, [], "x", {"buildDefinition": 7}, {"runDetails": []}])
def test_an_empty_or_odd_predicate_pins_nothing(predicate: object) -> None:
    assert read_statement(json.dumps(document(predicate=predicate)).encode()).pins == ()


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b'"x"'])
def test_json_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(Refused, match="ATT-STATEMENT"):
        read_statement(payload)
