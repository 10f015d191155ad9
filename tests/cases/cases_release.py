"""Cases that stand in no book of tests/quorum: wrapped keys, certificates, several media."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path

from attest.gpg_home import Gpg
from pe.images import MOMENT, signer, uki
from quorum.casebook import (
    DIGEST,
    TRIO,
    Build,
    Built,
    Case,
    Files,
    keys_of,
    loaded,
    nobody_confirms,
    rows,
    signed_sums,
    with_third,
)
from quorum.release import COMMIT, IMAGE, OTHER, Release, checksums, facts, pair
from quorum.security_key import SecurityKey
from quorum.toml_text import Table

from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.types import ImageFacts, MediaFile

CASES: list[Case] = []
SIGNED: Table = {"signed_input": "report"}


@cache
def unsigned_uki() -> bytes:
    return bytes(uki())


@cache
def signed_uki() -> bytes:
    by = signer("the last release's signer")
    planned = plan(unsigned_uki(), by.certificate, (), MOMENT)
    return b"".join(assemble(unsigned_uki(), planned, by.sign(planned.attributes)).pieces())


@cache
def signed_facts() -> ImageFacts:
    return inspect(signed_uki(), OPEN_GATES)


def case(  # noqa: PLR0913, PLR0917 - what a case is made of
    number: str,
    verdict: str,
    votes: int,
    rule: str = "",
    image: Callable[[], ImageFacts] = facts,
    head: Callable[[Files], str] = nobody_confirms,
) -> Callable[[Build], Build]:
    def note(build: Build) -> Build:
        CASES.append(Case(number, build.__name__, build, verdict, votes, rule, image, head))
        return build

    return note


@case("50b", "REFUSE", 2, "QRM-TOUCH")
def a_security_key_that_nobody_touched(release: Release) -> Built:
    return _security_key(release, flags=0)


@case("50c", "ACCEPT", 3)
def a_security_key_that_was_touched(release: Release) -> Built:
    return _security_key(release, flags=1)


@case("50d", "ACCEPT", 3)
def a_security_key_that_nobody_touches_where_the_policy_says_so(release: Release) -> Built:
    return _security_key(release, flags=0, touch="optional")


@case("74a", "ACCEPT", 3, "QRM-SIGNED", signed_facts)
def a_signed_image_where_the_policy_admits_one(release: Release) -> Built:
    return release.policy(gates=SIGNED), release.all(*TRIO, image=unsigned_uki())


@case("74b", "REFUSE", 3, "QRM-SIGNED", signed_facts)
def a_signed_image_where_the_policy_admits_none(release: Release) -> Built:
    return release.policy(), release.all(*TRIO, image=unsigned_uki())


@case("75", "REFUSE", 2, "QRM-SIGNED", signed_facts)
def an_attestation_over_the_signed_file(release: Release) -> Built:
    agreeing = release.all("ann", "bob", image=unsigned_uki())
    return release.policy(gates=SIGNED), (*agreeing, *release.attest("cat", signed_uki()))


@case("75b", "REFUSE", 0, "QRM-SUBJECT")
def attestations_over_the_signed_file_of_an_unsigned_image(release: Release) -> Built:
    return release.policy(), release.all(*TRIO, image=IMAGE + b"\0certificate table")


@case("82", "REFUSE", 2, "QRM-NAME")
def a_part_of_the_image_is_not_the_image(release: Release) -> Built:
    content = checksums(DIGEST, "vmlinuz", {"git_commit": COMMIT})
    return with_third(release, *signed_sums(release, content))


@case("84a", "ACCEPT", 3, "QRM-COPY")
def two_sticks_with_the_same_copies(release: Release) -> Built:
    again = (release.attest(name, folder=f"second/{name}") for name in TRIO)
    return release.policy(), (*release.all(*TRIO), *(file for one in again for file in one))


@case("84b", "OVERRIDE_NEEDED", 3, "QRM-TWO-ANSWERS")
def two_sticks_with_different_copies(release: Release) -> Built:
    second = release.attest("ann", OTHER, folder="second/ann")
    return release.policy(), (*release.all(*TRIO), *second)


@case("7", "REFUSE", 1, "QRM-ONE-VOTE")
def an_openpgp_primary_key_and_its_subkey(release: Release) -> Built:
    content = _sums()
    with Gpg.made() as gpg:
        primary = gpg.key("dan <dan@x>", "ed25519")
        gpg("--quick-add-key", primary, "ed25519", "sign", "never")
        tables = _openpgp(release, gpg.export("dan@x"))
        keys = gpg.fingerprints("dan@x")
        signatures = [gpg.sign(f"{key}!", content) for key in keys]
    assert len(keys) == 2
    files = (MediaFile(f"dan/SHA256SUMS.{n}.asc", one) for n, one in enumerate(signatures))
    return loaded(tables), (MediaFile("dan/SHA256SUMS", content), *files)


@case("54", "ACCEPT", 3)
def an_openpgp_key_that_expired_after_it_signed(release: Release) -> Built:
    content = _sums()
    with Gpg.made() as gpg:
        gpg.key("dan <dan@x>", "ed25519", "51d")  # made on 1 October, expired on 21 November
        tables = _openpgp(release, gpg.export("dan@x"))
        signature = gpg.sign("dan@x", content)
        assert "EXPKEYSIG" in {words[0] for words in gpg.status(signature, content)}
    files = pair("dan/SHA256SUMS", content, signature, ".asc")
    return loaded(tables), (*release.all("ann", "bob"), *files)


def _sums() -> bytes:
    return checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT})


def _openpgp(release: Release, exported: bytes) -> Table:
    """Return the policy with dan's key in OpenPGP's wrapping."""
    tables = release.tables()
    text = base64.b64encode(exported).decode()
    keys_of(tables, 3)[0] |= {"type": "openpgp", "public": text}
    rows(tables)[3]["formats"] = ["openpgp"]
    return tables


def _security_key(release: Release, flags: int, **more: str) -> Built:
    token = SecurityKey.make()
    tables = release.tables()
    keys_of(tables, 3)[0].update(public=token.line, **more)
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    files = pair("dan/SHA256SUMS", content, token.sign(content, flags=flags))
    return loaded(tables), (*release.all("ann", "bob"), *files)


def _fresh(release: Release, name: str) -> Path:
    path = release.folder / name
    for old in path.parent.glob(f"{name}*"):
        old.unlink()
    return path
