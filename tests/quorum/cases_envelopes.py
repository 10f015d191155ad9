"""The cases of DSSE envelopes, in-toto Statements and SLSA provenance."""

from __future__ import annotations

import json
from collections.abc import Callable

from quorum.casebook import (
    DIGEST,
    TRIO,
    Build,
    Built,
    bare,
    case,
    envelope,
    keys_of,
    loaded,
    provenance,
    rows,
    with_third,
)
from quorum.release import COMMIT, Release, statement

from ceremony.types import MediaFile


def subject(**digests: str) -> bytes:
    return json.dumps(provenance(subject=[{"name": "anchor.efi", "digest": digests}])).encode()


@case("34", "REFUSE", 2, "ATT-DIGEST")
def a_second_digest_that_is_wrong(release: Release) -> Built:
    return with_third(release, envelope(release, subject(sha256=DIGEST, sha512="0" * 128)))


@case("35", "REFUSE", 2, "ATT-DIGEST")
def only_weak_digests(release: Release) -> Built:
    return with_third(release, envelope(release, subject(md5="0" * 32, sha1="0" * 40)))


@case("36", "REFUSE", 2, "ATT-DIGEST")
def only_digests_of_something_else(release: Release) -> Built:
    return with_third(release, envelope(release, subject(gitCommit=COMMIT, dirHash=DIGEST)))


@case("37a", "REFUSE", 2, "ATT-STATEMENT")
def too_many_subjects(release: Release) -> Built:
    many = [{"name": f"{n}", "digest": {"sha256": DIGEST}} for n in range(1025)]
    return with_third(release, envelope(release, json.dumps(provenance(subject=many)).encode()))


@case("37b", "REFUSE", 2, "ATT-STATEMENT")
def too_many_digests(release: Release) -> Built:
    many = {f"h{n}": DIGEST for n in range(39)}
    return with_third(release, envelope(release, subject(sha256=DIGEST, **many)))


@case("38a", "REFUSE", 2, "ATT-PAYLOAD")
def a_payload_that_is_no_statement(release: Release) -> Built:
    payload = json.dumps(provenance()).encode()
    return with_third(release, envelope(release, payload, kind="text/plain"))


@case("38b", "REFUSE", 2, "ATT-PREDICATE")
def a_predicate_that_is_not_known(release: Release) -> Built:
    document = provenance(predicateType="https://example.org/predicate")
    return with_third(release, envelope(release, json.dumps(document).encode()))


@case("39", "REFUSE", 2, "ATT-JSON")
def a_json_name_twice(release: Release) -> Built:
    (file,) = release.attest("cat")
    twice = file.data.replace(b'{"payload":', b'{"payload":"AAAA","payload":', 1)
    return with_third(release, MediaFile(file.path, twice))


@case("40", "ACCEPT", 3)
def an_envelope_in_url_safe_base64(release: Release) -> Built:
    document = json.loads(release.attest("cat")[0].data)
    document["payload"] = document["payload"].replace("+", "-").replace("/", "_")
    for signature in document["signatures"]:
        signature["sig"] = signature["sig"].replace("+", "-").replace("/", "_")
    return with_third(release, MediaFile("cat/e.json", json.dumps(document).encode()))


def _base64(spoil: Callable[[str], str]) -> Build:
    def base64_with_a_second_spelling(release: Release) -> Built:
        payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT})
        payload += b" " * (1 + -len(payload) % 3)
        document = json.loads(envelope(release, payload).data)
        # the last character is a space, "IA==": "Ih==" decodes to the same byte
        assert document["payload"].endswith("IA==")
        document["payload"] = spoil(document["payload"])
        return with_third(release, MediaFile("cat/e.json", json.dumps(document).encode()))

    return base64_with_a_second_spelling


case("41a", "REFUSE", 2, "ATT-DSSE")(_base64(lambda text: text[:8] + "\n" + text[8:]))
case("41b", "REFUSE", 2, "ATT-DSSE")(_base64(lambda text: text + "AB=="))
case("41c", "REFUSE", 2, "ATT-DSSE")(_base64(lambda text: text[:8] + "!" + text[8:]))
case("41d", "REFUSE", 2, "ATT-DSSE")(_base64(lambda text: text[:-3] + "h=="))
case("41e", "REFUSE", 2, "ATT-DSSE")(_base64(lambda text: text.rstrip("=")))


@case("42", "ACCEPT", 3)
def a_keyid_that_is_wrong(release: Release) -> Built:
    payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    return with_third(release, envelope(release, payload, hint="eve"))


@case("43", "REFUSE", 1, "QRM-ONE-VOTE")
def two_signatures_of_one_builder_in_an_envelope(release: Release) -> Built:
    tables = release.tables(*TRIO)
    keys_of(tables, 2).extend(keys_of(release.tables("eve"), 0))
    payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    one, two = bare(release, "cat"), bare(release, "eve")
    document = json.loads(one.envelope(payload))
    document["signatures"] += json.loads(two.envelope(payload))["signatures"]
    return loaded(tables), (MediaFile("both.json", json.dumps(document).encode()),)


@case("43b", "REFUSE", 1, "QRM-PRINCIPAL")
def two_signatures_of_one_organisation_in_an_envelope(release: Release) -> Built:
    tables = release.tables(*TRIO, "dan", "eve")
    for number in (2, 4):
        rows(tables)[number] |= {"persons": [], "organisation": "Runners Ltd"}
    payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    document = json.loads(bare(release, "cat").envelope(payload))
    second = json.loads(bare(release, "eve").envelope(payload))
    document["signatures"] += second["signatures"]
    return loaded(tables), (MediaFile("both.json", json.dumps(document).encode()),)


@case("48", "ACCEPT", 3)
def a_statement_of_version_0_1(release: Release) -> Built:
    payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT}, version="v0.2")
    return with_third(release, envelope(release, payload))


@case("time", "REFUSE", 2, "ATT-TIME")
def a_time_that_is_none(release: Release) -> Built:
    document = provenance()
    document["predicate"] = {"runDetails": {"metadata": {"finishedOn": "yesterday"}}}
    return with_third(release, envelope(release, json.dumps(document).encode()))
