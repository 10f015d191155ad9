"""Builders that attest a part of the image only, and what a [[component]] makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from quorum.casebook import ELSEWHERE, TRIO, Built, case, loaded
from quorum.release import COMMIT, IMAGE, LOCK, OTHER, Release, sha256
from quorum.toml_text import Table

from ceremony.policy import Policy
from ceremony.types import MediaFile

PART = b"the first program that the image starts"
PINS = {"git_commit": COMMIT}


def component(**changes: object) -> Table:
    return {"id": "bay0", "names": ["bay0", "bin/bay0"], "threshold": 2, **changes}


def policy(release: Release, *names: str, **changes: object) -> Policy:
    """Return a policy with one component; `changes` are keys of it."""
    tables = release.tables(*names)
    tables["component"] = [component(**changes)]
    return loaded(tables)


def of_part(
    release: Release,
    *names: str,
    data: bytes = PART,
    pins: Mapping[str, str] | None = None,
    called: str = "bay0",
) -> tuple[MediaFile, ...]:
    """Return what builders attest of the part."""
    said = PINS if pins is None else pins
    return tuple(
        file
        for name in names
        for file in release.attest(
            name, data, said, artifact=called, folder=f"{name}-{called[-4:]}-{sha256(data)[:4]}"
        )
    )


@case("82a", "ACCEPT", 3, "QRM-COMPONENT")
def a_part_counts_for_its_component_and_never_for_the_image(release: Release) -> Built:
    files = (*release.all(*TRIO), *of_part(release, "dan", "eve"))
    return policy(release, *TRIO, "dan", "eve"), files


@case("82b", "REFUSE", 2, "QRM-THRESHOLD")
def two_votes_for_the_image_and_two_for_a_part(release: Release) -> Built:
    files = (*release.all("ann", "bob"), *of_part(release, "dan", "eve"))
    return policy(release, *TRIO, "dan", "eve"), files


@case("82c", "REFUSE", 3, "QRM-COMPONENT")
def a_part_that_too_few_attest(release: Release) -> Built:
    files = (*release.all(*TRIO), *of_part(release, "dan"))
    return policy(release), files


@case("82d", "OVERRIDE_NEEDED", 3, "QRM-COMPONENT-DISSENT")
def a_part_that_one_builder_made_differently(release: Release) -> Built:
    other = of_part(release, "ann", data=OTHER)
    files = (*release.all(*TRIO), *of_part(release, "dan", "eve"), *other)
    return policy(release, *TRIO, "dan", "eve"), files


@case("82e", "ACCEPT", 3, "QRM-COMPONENT")
def a_part_from_another_commit_counts_for_nothing(release: Release) -> Built:
    other = of_part(release, "ann", data=OTHER, pins=ELSEWHERE)
    files = (*release.all(*TRIO), *of_part(release, "dan", "eve"), *other)
    return policy(release, *TRIO, "dan", "eve"), files


@case("82f", "REFUSE", 3, "QRM-COMPONENT")
def a_part_whose_group_is_missing(release: Release) -> Built:
    tables = release.tables(groups={"far": ["bob"]})
    tables["component"] = [component(rule="1 of far")]
    return loaded(tables), (*release.all(*TRIO), *of_part(release, "ann", "dan"))


@case("82g", "REFUSE", 3, "QRM-COMPONENT")
def a_part_that_is_no_section_of_the_image(release: Release) -> Built:
    files = (*release.all(*TRIO), *of_part(release, "dan", "eve"))
    return policy(release, *TRIO, "dan", "eve", section=".initrd"), files


@case("82h", "REFUSE", 3, "QRM-COMPONENT")
def weak_votes_for_a_part_where_none_counts(release: Release) -> Built:
    files = (*release.all(*TRIO), *of_part(release, "dan", "eve", pins={}))
    return policy(release, *TRIO, "dan", "eve"), files


@case("82i", "ACCEPT", 3, "QRM-COPY")
def copies_of_a_vote_for_a_part(release: Release) -> Built:
    votes = of_part(release, "dan", "eve")
    copies = tuple(MediaFile(f"again/{file.path}", file.data) for file in votes)
    return policy(release, *TRIO, "dan", "eve"), (*release.all(*TRIO), *votes, *copies)


def locked(release: Release, lock: bytes) -> Built:
    """Return votes of which the part's pin one lock file, and another on the medium."""
    tables = release.tables(
        *(*TRIO, "dan", "eve"),
        inputs={"must_agree": ["git_commit", "flake_lock"], "flake_lock_file": "flake.lock"},
    )
    tables["component"] = [component()]
    pins = PINS | {"flake_lock": sha256(LOCK)}
    images = (file for name in TRIO for file in release.attest(name, IMAGE, pins))
    parts = of_part(release, "dan", "eve", pins=PINS | {"flake_lock": sha256(lock)})
    return loaded(tables), (*images, *parts, MediaFile("flake.lock", LOCK))


@case("82j", "REFUSE", 3, "QRM-COMPONENT")
def a_part_from_another_lock_file(release: Release) -> Built:
    return locked(release, LOCK + b" ")


@case("82k", "ACCEPT", 3, "QRM-COMPONENT")
def a_part_from_the_same_lock_file(release: Release) -> Built:
    return locked(release, LOCK)


def twofold(release: Release) -> Policy:
    """Return a policy of two parts."""
    tables = release.tables(*TRIO, "dan", "eve")
    tables["component"] = [component(), component(id="kernel", names=["vmlinuz"])]
    return loaded(tables)


@case("82l", "ACCEPT", 3, "QRM-COMPONENT")
def two_parts_that_the_same_builders_attest_apart(release: Release) -> Built:
    parts = (
        *of_part(release, "dan", "eve"),
        *of_part(release, "dan", "eve", data=OTHER, called="vmlinuz"),
    )
    return twofold(release), (*release.all(*TRIO), *parts)


@case("82m", "REFUSE", 3, "QRM-NAME")
def a_file_that_is_neither_the_image_nor_a_part(release: Release) -> Built:
    stray = of_part(release, "dan", "eve", called="readme")
    return twofold(release), (*release.all(*TRIO), *stray)


@case("82n", "REFUSE", 3, "QRM-COMPONENT")
def a_part_that_all_built_from_another_commit(release: Release) -> Built:
    parts = of_part(release, "dan", "eve", pins=ELSEWHERE)
    return policy(release, *TRIO, "dan", "eve"), (*release.all(*TRIO), *parts)


@case("82o", "REFUSE", 3, "QRM-COMPONENT")
def a_part_from_another_lock_file_than_the_media_have(release: Release) -> Built:
    tables = release.tables(
        *(*TRIO, "dan", "eve"),
        inputs={"must_agree": ["git_commit", "flake_lock"], "flake_lock_file": "flake.lock"},
        quorum={"weak_votes_max": 3},
    )
    tables["component"] = [component(weak_votes_max=2)]
    parts = of_part(release, "dan", "eve", pins=PINS | {"flake_lock": sha256(LOCK + b" ")})
    return loaded(tables), (*release.all(*TRIO), *parts, MediaFile("flake.lock", LOCK))


@case("82p", "OVERRIDE_NEEDED", 3, "QRM-COMPONENT-DISSENT")
def a_full_vote_for_a_part_before_two_weak_ones(release: Release) -> Built:
    weak = of_part(release, "dan", "fay", data=OTHER, pins={})
    full = of_part(release, "eve")
    named = policy(release, *TRIO, "dan", "eve", "fay", threshold=1, weak_votes_max=2)
    return named, (*release.all(*TRIO), *weak, *full)
