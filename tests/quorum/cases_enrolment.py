"""The cases of keys, windows, times, revocation, pins and lock files."""

from __future__ import annotations

from datetime import datetime, timedelta

from quorum.casebook import (
    DIGEST,
    TRIO,
    Built,
    case,
    envelope,
    keys_of,
    loaded,
    revoking,
    rows,
    with_third,
)
from quorum.release import COMMIT, IMAGE, LOCK, NOW, Release, sha256, statement
from quorum.toml_text import Table

from ceremony.types import MediaFile


def timed(release: Release, finished: datetime) -> Built:
    payload = statement(DIGEST, "anchor.efi", {"git_commit": COMMIT}, finished=finished)
    return with_third(release, envelope(release, payload))


def locked(release: Release, lock: bytes) -> Built:
    pins = {"git_commit": COMMIT, "flake_lock": sha256(LOCK)}
    inputs: Table = {
        "must_agree": ["git_commit", "flake_lock"],
        "flake_lock_file": "flake.lock",
    }
    files = (file for name in TRIO for file in release.attest(name, IMAGE, pins))
    return release.policy(inputs=inputs), (*files, MediaFile("flake.lock", lock))


@case("55", "REFUSE", 2, "QRM-WINDOW")
def a_signature_after_the_keys_window(release: Release) -> Built:
    tables = release.tables()
    keys_of(tables, 1)[0]["to"] = NOW - timedelta(days=10)
    return loaded(tables), release.all(*TRIO)


@case("55b", "ACCEPT", 3)
def a_signature_inside_a_window_that_has_ended_since(release: Release) -> Built:
    tables = release.tables()
    keys_of(tables, 1)[0]["to"] = NOW - timedelta(days=1)
    return loaded(tables), release.all(*TRIO)


@case("56", "REFUSE", 2, "QRM-FUTURE")
def an_attestation_from_the_future(release: Release) -> Built:
    return timed(release, NOW + timedelta(minutes=11))


@case("56b", "ACCEPT", 3)
def an_attestation_inside_the_skew(release: Release) -> Built:
    return timed(release, NOW + timedelta(minutes=9))


@case("56c", "ACCEPT", 3)
def an_attestation_at_the_end_of_the_skew(release: Release) -> Built:
    return timed(release, NOW + timedelta(minutes=10))


@case("57b", "ACCEPT", 3)
def an_attestation_as_old_as_max_age(release: Release) -> Built:
    return timed(release, NOW - timedelta(days=45))


@case("57", "REFUSE", 2, "QRM-STALE")
def an_attestation_older_than_max_age(release: Release) -> Built:
    return timed(release, NOW - timedelta(days=46))


@case("58", "REFUSE", 2, "QRM-UNTIMED")
def a_format_without_time_where_time_is_wanted(release: Release) -> Built:
    return release.policy(time={"untimed": "refuse"}), release.all(*TRIO)


@case("60", "REFUSE", 2, "QRM-REVOKED")
def a_key_that_is_revoked_altogether(release: Release) -> Built:
    return revoking(release, "bob", "all"), release.all(*TRIO)


@case("60b", "ACCEPT", 3)
def a_key_that_is_revoked_after_it_signed(release: Release) -> Built:
    return revoking(release, "bob", "after"), release.all(*TRIO)


@case("61", "REFUSE", 1, "QRM-ONE-VOTE")
def an_old_and_a_new_key_of_one_builder(release: Release) -> Built:
    tables = release.tables("ann", "bob", "cat")
    keys_of(tables, 0).extend(keys_of(release.tables("dan"), 0))
    return loaded(tables), release.all("ann", "dan")


@case("62", "REFUSE", 2, "QRM-ENROLLED")
def a_builder_who_is_not_enrolled(release: Release) -> Built:
    return release.policy(), release.all("ann", "bob", "fay")


@case("62b", "REFUSE", 2, "QRM-FORMAT")
def a_format_that_is_not_enrolled(release: Release) -> Built:
    tables = release.tables()
    rows(tables)[2]["formats"] = ["sshsig"]
    return loaded(tables), (*release.all("ann", "bob"), *release.attest("cat"))


@case("63", "REFUSE", 2, "QRM-WEAK")
def two_weak_votes_where_one_counts(release: Release) -> Built:
    weak = (file for name in ("bob", "dan") for file in release.attest(name, IMAGE, {}))
    files = (*release.all("ann"), *weak)
    return release.policy(quorum={"weak_votes_max": 1}), files


@case("63b", "ACCEPT", 3, "QRM-PINS")
def a_weak_vote_that_counts(release: Release) -> Built:
    files = (*release.all("ann", "bob"), *release.attest("dan", IMAGE, {}))
    return release.policy(quorum={"weak_votes_max": 1}), files


@case("63c", "REFUSE", 2, "QRM-PINS")
def a_vote_without_pins_where_the_policy_rejects_it(release: Release) -> Built:
    files = (*release.all("ann", "bob"), *release.attest("dan", IMAGE, {}))
    changes: dict[str, Table] = {
        "quorum": {"weak_votes_max": 1},
        "inputs": {"missing": "reject"},
    }
    return release.policy(**changes), files


@case("63d", "REFUSE", 2, "QRM-ONE-VOTE")
def two_weak_votes_of_one_principal(release: Release) -> Built:
    tables = release.tables(quorum={"weak_votes_max": 2})
    keys_of(tables, 3).extend(keys_of(release.tables("fay"), 0))
    weak = (file for name in ("dan", "fay") for file in release.attest(name, IMAGE, {}))
    return loaded(tables), (*release.all("ann"), *weak)


@case("63e", "REFUSE", 2, "QRM-ONE-VOTE")
def a_weak_vote_beside_a_full_one_of_the_same_builder(release: Release) -> Built:
    files = (*release.all("ann", "dan"), *release.attest("dan", IMAGE, {}, folder="dan-2"))
    return release.policy(quorum={"weak_votes_max": 2}), files


@case("64", "REFUSE", 0, "QRM-LOCK")
def a_lock_file_that_nobody_built_from(release: Release) -> Built:
    return locked(release, LOCK + b" ")


@case("64b", "ACCEPT", 3)
def the_lock_file_that_all_built_from(release: Release) -> Built:
    return locked(release, LOCK)


@case("64f", "ACCEPT", 3)
def the_lock_file_in_a_folder(release: Release) -> Built:
    policy, files = locked(release, LOCK)
    return policy, (*files[:-1], MediaFile("src/flake.lock", LOCK))


@case("64g", "REFUSE", 0, "QRM-LOCK")
def a_file_whose_name_only_ends_like_the_lock_files(release: Release) -> Built:
    policy, files = locked(release, LOCK)
    return policy, (*files[:-1], MediaFile("aflake.lock", LOCK))


@case("64e", "REFUSE", 3, "QRM-LOCK")
def a_lock_file_that_the_one_who_pins_one_did_not_build_from(release: Release) -> Built:
    inputs: Table = {
        "must_agree": ["git_commit", "flake_lock"],
        "flake_lock_file": "flake.lock",
    }
    pins = {"git_commit": COMMIT, "flake_lock": sha256(LOCK + b" ")}
    files = (*release.all(*TRIO), *release.attest("dan", IMAGE, pins))
    return (
        release.policy(inputs=inputs, quorum={"weak_votes_max": 3}),
        (*files, MediaFile("flake.lock", LOCK)),
    )


@case("64d", "REFUSE", 0, "QRM-THRESHOLD")
def the_right_lock_file_and_nobody_who_agrees(release: Release) -> Built:
    policy, _ = locked(release, LOCK)
    return policy, (MediaFile("flake.lock", LOCK),)


@case("64c", "REFUSE", 0, "QRM-LOCK")
def a_lock_file_that_is_not_there(release: Release) -> Built:
    policy, files = locked(release, LOCK)
    return policy, tuple(file for file in files if file.path != "flake.lock")
