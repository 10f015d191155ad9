"""The cases of independence, agreement, dissent and split."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from quorum.casebook import ELSEWHERE, TRIO, Built, case, loaded, revoking, rows
from quorum.release import (
    BUILDERS,
    COMMIT,
    IMAGE,
    LOCK,
    MORE,
    OTHER,
    Release,
    base64_text,
    sha256,
)
from quorum.toml_text import Table

from ceremony.types import MediaFile

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def merged(release: Release, **shared: object) -> Built:
    tables = release.tables("ann", "bob", "cat", "dan")
    rows(tables)[1] |= shared
    return loaded(tables), release.all(*TRIO)


def alike(release: Release, attribute: str, value: str) -> Built:
    tables = release.tables("ann", "bob", "cat", "dan", quorum={"distinct": {attribute: 2}})
    for builder in rows(tables)[:3]:
        builder[attribute] = value
    return loaded(tables), release.all(*TRIO)


def both(commit: str) -> dict[str, str]:
    return {"git_commit": commit, "flake_lock": sha256(LOCK)}


def mirrored(document: Table) -> bytes:
    """Return the other ECDSA signature, (r, n - s), that fits the same message."""
    signatures = document["signatures"]
    assert isinstance(signatures, list)
    r, s = decode_dss_signature(base64.b64decode(signatures[0]["sig"]))
    return encode_dss_signature(r, P256_ORDER - s)


@case("1", "ACCEPT", 3)
def three_distinct_principals_agree(release: Release) -> Built:
    return release.policy(), release.all(*TRIO)


@case("2", "REFUSE", 2, "QRM-THRESHOLD")
def two_agree_where_three_are_needed(release: Release) -> Built:
    return release.policy(), release.all("ann", "bob")


@case("3", "REFUSE", 1, "QRM-COPY")
def the_same_files_three_times(release: Release) -> Built:
    copies = (release.attest("ann", folder=f"stick-{n}") for n in range(3))
    return release.policy(), tuple(file for copy in copies for file in copy)


@case("4a", "REFUSE", 1, "QRM-ONE-VOTE")
def the_same_statement_serialised_again(release: Release) -> Built:
    (file,) = release.attest("cat")
    again = json.dumps(json.loads(file.data), indent=2).encode()
    return release.policy(), (file, MediaFile("cat/again.json", again))


@case("4b", "REFUSE", 1, "QRM-ONE-VOTE")
def the_same_statement_with_other_ecdsa_bytes(release: Release) -> Built:
    (file,) = release.attest("cat")
    document = json.loads(file.data)
    twin = document | {"signatures": [{"sig": base64_text(mirrored(document))}]}
    return release.policy(), (file, MediaFile("cat/twin.json", json.dumps(twin).encode()))


@case("8", "REFUSE", 2, "QRM-PRINCIPAL")
def one_person_in_two_builders(release: Release) -> Built:
    return merged(release, persons=["ann", "bob"])


@case("9", "REFUSE", 2, "QRM-PRINCIPAL")
def a_store_shared_by_two_builders(release: Release) -> Built:
    return merged(release, shares_with=["ann"])


@case("9b", "REFUSE", 2, "QRM-PRINCIPAL")
def a_host_shared_by_two_builders(release: Release) -> Built:
    tables = release.tables("ann", "bob", "cat", "dan")
    for builder in rows(tables)[:2]:
        builder["host"] = "rack-7"
    return loaded(tables), release.all(*TRIO)


@case("9c", "REFUSE", 2, "QRM-PRINCIPAL")
def two_runners_of_one_organisation_without_persons(release: Release) -> Built:
    tables = release.tables("ann", "bob", "cat", "dan")
    for builder in rows(tables)[:2]:
        builder |= {"persons": [], "organisation": "Runners Ltd"}
    return loaded(tables), release.all(*TRIO)


@case("10", "REFUSE", 3, "QRM-DIVERSITY")
def one_organisation_where_two_are_needed(release: Release) -> Built:
    return alike(release, "organisation", "Annex")


@case("11", "REFUSE", 3, "QRM-DIVERSITY")
def one_isolation_where_two_are_needed(release: Release) -> Built:
    return alike(release, "isolation", "bwrap")


@case("13", "REFUSE", 3, "QRM-GROUP")
def a_group_member_is_missing(release: Release) -> Built:
    rule: Table = {"rule": "all(2 of core, 1 of external)"}
    groups: Table = {"core": ["ann", "bob", "cat"], "external": ["dan"]}
    return release.policy(quorum=rule, groups=groups), release.all(*TRIO)


@case("14", "REFUSE", 2, "QRM-THRESHOLD")
def a_member_of_two_groups_is_still_one_vote(release: Release) -> Built:
    rule: Table = {"rule": "all(2 of core, any(1 of external, 2 of rest))"}
    groups: Table = {
        "core": ["ann", "bob"],
        "external": ["ann"],
        "rest": ["cat", "dan"],
    }
    return release.policy(quorum=rule, groups=groups), release.all("ann", "bob")


@case("14b", "ACCEPT", 3)
def a_member_of_two_groups_counts_in_each(release: Release) -> Built:
    rule: Table = {"rule": "all(2 of core, 1 of external)"}
    groups: Table = {"core": ["ann", "bob"], "external": ["ann"]}
    return release.policy(quorum=rule, groups=groups), release.all(*TRIO)


@case("15", "OVERRIDE_NEEDED", 3, "QRM-DISSENT")
def three_agree_and_one_proves_another_image(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("dan", OTHER))


@case("15b", "REFUSE", 3, "QRM-DISSENT")
def a_dissent_where_nobody_may_override(release: Release) -> Built:
    never: Table = {"override": {"operators": 0}}
    files = (*release.all(*TRIO), *release.attest("dan", OTHER))
    return release.policy(dissent=never), files


@case("15c", "OVERRIDE_NEEDED", 3, "QRM-DISSENT")
def a_dissent_without_pins_shows_no_other_inputs(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("dan", OTHER, {}))


@case("16", "ACCEPT", 3, "QRM-OTHER-INPUTS")
def a_dissent_from_another_commit(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("dan", OTHER, ELSEWHERE))


@case("16b", "REFUSE", 3, "QRM-OTHER-INPUTS")
def a_dissent_from_another_commit_where_the_policy_refuses_it(release: Release) -> Built:
    files = (*release.all(*TRIO), *release.attest("dan", OTHER, ELSEWHERE))
    return release.policy(dissent={"other_inputs": "refuse"}), files


@case("17", "ACCEPT", 3, "QRM-UNVERIFIED")
def a_dissent_by_an_unknown_key(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("fay", OTHER))


@case("17b", "ACCEPT", 3, "QRM-UNVERIFIED")
def a_dissent_in_an_envelope_by_an_unknown_key(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("eve", OTHER))


@case("18", "ACCEPT", 3, "QRM-UNVERIFIED")
def a_dissent_by_a_revoked_key(release: Release) -> Built:
    files = (*release.all(*TRIO), *release.attest("dan", OTHER))
    return revoking(release, "dan", "all"), files


@case("19", "REFUSE", 0, "QRM-SUBJECT")
def every_builder_has_a_hash_of_its_own(release: Release) -> Built:
    names = (*(name for name, *_ in BUILDERS), *(name for name, *_ in MORE))
    files = (release.attest(name, name.encode()) for name in names)
    return release.policy(*names), tuple(file for some in files for file in some)


@case("20", "REFUSE", 2, "QRM-THRESHOLD")
def two_against_two(release: Release) -> Built:
    other = (*release.attest("cat", OTHER), *release.attest("dan", OTHER))
    return release.policy(), (*release.all("ann", "bob"), *other)


@case("21", "OVERRIDE_NEEDED", 5, "QRM-DISSENT")
def more_against_fewer_is_a_veto_all_the_same(release: Release) -> Built:
    agreeing, differing = (*TRIO, "dan", "eve"), ("fay", "gus", "hal", "ivy")
    other = (file for name in differing for file in release.attest(name, OTHER))
    return release.policy(*agreeing, *differing), (*release.all(*agreeing), *other)


@case("22", "REFUSE", 0, "QRM-SUBJECT")
def three_agree_on_another_file(release: Release) -> Built:
    return release.policy(), release.all(*TRIO, image=OTHER)


@case("23", "OVERRIDE_NEEDED", 3, "QRM-TWO-ANSWERS")
def one_principal_attests_two_images(release: Release) -> Built:
    return release.policy(), (*release.all(*TRIO), *release.attest("cat", OTHER, folder="b"))


@case("52", "ACCEPT", 3, "QRM-INPUTS")
def a_trusted_comment_with_another_commit(release: Release) -> Built:
    files = (*release.all("ann", "cat", "dan"), *release.attest("bob", IMAGE, ELSEWHERE))
    return release.policy(), files


@case("52b", "REFUSE", 2, "QRM-SPLIT")
def a_trusted_comment_with_another_commit_that_was_needed(release: Release) -> Built:
    files = (*release.all("ann", "cat"), *release.attest("bob", IMAGE, ELSEWHERE))
    return release.policy(), files


@case("65", "REFUSE", 2, "QRM-SPLIT")
def agreed_on_the_lock_and_not_on_the_commit(release: Release) -> Built:
    files = (
        *(file for name in ("ann", "bob") for file in release.attest(name, IMAGE, both(COMMIT))),
        *(file for name in ("cat", "dan") for file in release.attest(name, IMAGE, both("d" * 40))),
    )
    return release.policy(inputs={"must_agree": ["flake_lock", "git_commit"]}), files


@case("65b", "REFUSE", 3, "QRM-SPLIT")
def a_second_commit_with_as_many_behind_it(release: Release) -> Built:
    names = ("ann", "bob", "cat", "dan", "eve", "fay")
    files = (
        *release.all(*TRIO),
        *(file for name in names[3:] for file in release.attest(name, IMAGE, ELSEWHERE)),
    )
    return release.policy(*names), files


@case("65c", "REFUSE", 3, "QRM-SPLIT")
def a_second_commit_with_another_image_and_as_many_behind_it(release: Release) -> Built:
    names = ("ann", "bob", "cat", "dan", "eve", "fay")
    files = (
        *release.all(*TRIO),
        *(file for name in names[3:] for file in release.attest(name, OTHER, ELSEWHERE)),
    )
    return release.policy(*names), files


@case("65d", "REFUSE", 3, "QRM-SPLIT")
def a_second_commit_with_a_quorum_against_weak_votes_alone(release: Release) -> Built:
    weak = (file for name in TRIO for file in release.attest(name, IMAGE))
    names = ("dan", "eve", "fay")
    files = (file for name in names for file in release.attest(name, OTHER, both("d" * 40)))
    inputs: Table = {"must_agree": ["flake_lock", "git_commit"]}
    return (
        release.policy(*TRIO, *names, inputs=inputs, quorum={"weak_votes_max": 3}),
        (*weak, *files),
    )


@case("65e", "REFUSE", 3, "QRM-SPLIT")
def a_second_lock_file_with_a_quorum_against_weak_votes_alone(release: Release) -> Built:
    weak = (file for name in TRIO for file in release.attest(name, IMAGE))
    names = ("dan", "eve", "fay")
    pins = {"git_commit": COMMIT, "flake_lock": sha256(LOCK + b" ")}
    files = (file for name in names for file in release.attest(name, OTHER, pins))
    inputs: Table = {
        "must_agree": ["flake_lock", "git_commit"],
        "flake_lock_file": "flake.lock",
    }
    return (
        release.policy(*TRIO, *names, inputs=inputs, quorum={"weak_votes_max": 3}),
        (*weak, *files, MediaFile("flake.lock", LOCK)),
    )


@case("65f", "ACCEPT", 3, "QRM-INPUTS")
def a_second_commit_with_fewer_behind_it_beside_a_full_quorum(release: Release) -> Built:
    names = (*TRIO, "dan", "eve")
    others = (file for name in names[3:] for file in release.attest(name, IMAGE, ELSEWHERE))
    policy = release.policy(*names, quorum={"weak_votes_max": 1})
    return policy, (*release.all(*TRIO), *others)


@case("65g", "ACCEPT", 3, "QRM-OTHER-INPUTS")
def weak_votes_alone_for_another_image_are_no_quorum_elsewhere(release: Release) -> Built:
    names = (*TRIO, "dan", "eve", "fay")
    full = (file for name in TRIO for file in release.attest(name, IMAGE, both(COMMIT)))
    weak = (file for name in names[3:] for file in release.attest(name, OTHER, ELSEWHERE))
    inputs: Table = {"must_agree": ["flake_lock", "git_commit"]}
    return release.policy(*names, inputs=inputs), (*full, *weak)


@case("65h", "REFUSE", 0, "QRM-WEAK")
def weak_votes_that_contradict_each_other_where_none_counts(release: Release) -> Built:
    inputs: Table = {"must_agree": ["flake_lock", "git_commit"]}
    files = (*release.attest("ann"), *release.attest("bob", IMAGE, ELSEWHERE))
    return release.policy(inputs=inputs), files
