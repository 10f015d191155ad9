"""A reader that was taken over tells of other bytes, which an enrolled key signed as well.

The parent reads them as strictly as an honest reader would: what is no attestation there makes
no vote here, and what a vote says is bound as its format binds it.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attest.gpg_home import CREATED, SIGNED, HandMade, area, subpacket
from cases.signed_scenes import (
    HERE,
    LOCK,
    THERE,
    Scene,
    dsse,
    link,
    metablocked,
    minisign,
    minisign_signature,
    narinfo,
    openpgp,
    signify,
    sshsig,
    stated,
    sums,
)
from quorum.release import OTHER, Release, sha256
from quorum.tool_keys import BareKey, SshKey

from ceremony.attest.dsse import IN_TOTO, pae
from ceremony.attest.minisign import read_minisign
from ceremony.attest.olpc_json import canonical
from ceremony.attest.record import Attestation
from ceremony.attest.sshsig import read_sshsig
from ceremony.ingest.told import Garbage

EXPIRING = subpacket(3, (86400).to_bytes(4, "big"))
TWICE = sums() + f"{sha256(OTHER)}  {HERE}\n".encode()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def told_of(scene: Scene, content: bytes, signature: bytes, *parts: bytes) -> list[list[Any]]:
    """Return what the child tells, of other bytes of the same key."""
    told = scene.told()
    told[0][-1] = [b64(content), b64(signature), [b64(part) for part in parts]]
    return told


def counted(scene: Scene, told: list[list[Any]] | None = None) -> Attestation:
    (found,) = scene.believed(told or scene.told())
    assert isinstance(found, Attestation)
    return found


def test_checksums_that_contradict_themselves_are_no_vote(release: Release) -> None:
    key = release.keys["dan"]
    assert isinstance(key, SshKey)
    scene = sshsig(release, sums())
    for content in (sums(), TWICE):
        said = read_sshsig(key.sign(content))
        parts = (said.hash_algorithm.encode(), bytes(5))
        told = told_of(scene, content, said.signature, *parts)
        if content is TWICE:
            with pytest.raises(Garbage, match="again"):
                scene.believed(told)
        else:
            assert counted(scene, told) == counted(scene)


def test_signed_words_that_are_no_checksums_are_no_vote(release: Release) -> None:
    scene = signify(release, sums())
    for content, why in (
        (sums() + b"do not release it\n", "no checksum line"),
        (sums().replace(b"\n", b"\r\n"), "invisible"),
        (sums()[:-1], "newline"),
        (b"\xff\n", "UTF-8"),
    ):
        with pytest.raises(Garbage, match=why):
            scene.believed(told_of(scene, content, scene.sign(content)))


def test_a_trusted_comment_is_read_here_together_with_the_checksums(release: Release) -> None:
    honest = minisign(release, sums())
    assert counted(honest).claims == honest.read().claims
    content = sums() + b"# host h2\n"
    parsed = read_minisign(minisign_signature(release, content))
    parts = (parsed.algorithm, parsed.trusted_comment.encode(), parsed.global_signature)
    with pytest.raises(Garbage, match="host is said twice"):
        honest.believed(told_of(honest, content, parsed.signature, *parts))


FIELDS = {
    "expires": (area(CREATED, EXPIRING), "expires"),
    "made-twice": (area(CREATED, CREATED), "when it was made"),
    "made-never": (area(), "when it was made"),
    "must-be-understood": (area(CREATED, subpacket(0x80 | 20, b"x")), "must be understood"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_signed_fields_of_openpgp_are_read_here(name: str, release: Release) -> None:
    hashed, why = FIELDS[name]
    scene = openpgp(release, sums())
    assert scene.key is not None
    body = HandMade(scene.key).sign(sums(), hashed=hashed)
    with pytest.raises(Garbage, match=why):
        scene.believed(told_of(scene, sums(), body[-64:], body[: 4 + len(hashed)]))


def test_a_time_that_stands_elsewhere_among_the_signed_fields_is_not_the_time(
    release: Release,
) -> None:
    """Found by reading: four bytes anywhere among them were once time enough."""
    later = int((SIGNED + timedelta(days=1)).timestamp()).to_bytes(4, "big")
    scene = openpgp(release, sums(), area(CREATED, subpacket(28, later)))
    assert counted(scene).claims.time == SIGNED


PAYLOADS = {
    "a-subject-twice": (stated().replace(THERE.encode(), HERE.encode()), "stands twice"),
    "no-statement": (b'{"subject": []}', "_type"),
    "a-name-twice": (stated().replace(b'{"_type"', b'{"_type": "x", "_type"'), "twice"),
    "a-layout": (b'{"_type": "layout"}', "layout"),
    "no-json": (sums(), "no JSON"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_read_here_as_strictly_as_there(name: str, release: Release) -> None:
    payload, why = PAYLOADS[name]
    key = release.keys["cat"]
    assert isinstance(key, BareKey)
    scene = dsse(release, stated())
    signature = key.sign(pae(IN_TOTO, payload))
    with pytest.raises(Garbage, match=why):
        scene.believed(told_of(scene, payload, signature, IN_TOTO.encode()))


def test_a_material_is_no_subject_and_a_start_is_no_end(release: Release) -> None:
    said = counted(dsse(release, stated())).claims
    assert [artifact.name for artifact in said.artifacts] == [HERE, THERE]
    assert said.time == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert dict(said.pins)["flake_lock"] == LOCK


SIGNED_LINK = canonical({"_type": "link", "materials": {}, "name": "build", "products": {}})
LINKS = {
    "white-space": SIGNED_LINK.replace(b":", b": "),
    "a-name-twice": SIGNED_LINK.replace(b'{"_type"', b'{"_type":"x","_type"', 1),
    "a-fraction": SIGNED_LINK.replace(b'"build"', b"1.5"),
    "no-number": SIGNED_LINK.replace(b'"build"', b"NaN"),
    "half-a-pair": SIGNED_LINK.replace(b"build", b"\\ud800"),
    "deep": b"[" * 100_000,
    "no-utf-8": b"\xff",
    "too-long": b'"' + b"x" * (4 << 20) + b'"',
    "a-rounded-number": SIGNED_LINK.replace(b'"build"', b"9007199254740992"),
    "many-digits": SIGNED_LINK.replace(b'"build"', b"1" * 5000),
    "one-level-too-deep": SIGNED_LINK.replace(b'"build"', b"[" * 31 + b"]" * 31),
    "no-object": b"[]",
    "no-product": SIGNED_LINK,
}


@pytest.mark.parametrize("name", LINKS)
def test_what_is_no_canonical_link_is_none_though_it_is_signed(name: str, release: Release) -> None:
    scene = metablocked(release, link())
    told = told_of(scene, LINKS[name], scene.sign(LINKS[name]))
    with pytest.raises(
        Garbage, match=r"canonical JSON|no object|no product|more than|deeper|beyond"
    ):
        scene.believed(told)


SELF = b";/nix/store/" + b"0" * 32 + b"-uki,"  # the first reference, behind the size
FINGERPRINTS = {
    "another-version": (b"1;", b"2;", "no narinfo's fingerprint"),
    "a-field-more": (b"1;", b"1;1;", "no narinfo's fingerprint"),
    "not-ascii": (b"1;", b"\xe9;", "no narinfo's fingerprint"),
    "another-store": (b",/nix/", b",/gnu/", "no narinfo's fingerprint"),
    "not-sorted": (b"uki,", b"uki,/nix/store/" + b"0" * 32 + b"-a,", "no narinfo's fingerprint"),
    "no-hash": (b"sha256:", b"sha512:", "NarHash"),
    "another-archive": (b";sha256:", b";sha256:0", "NarHash"),
    "another-size": (SELF, b"0" + SELF, "is not here"),
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_a_fingerprint_is_read_here_with_the_archive_that_it_names(
    name: str, release: Release
) -> None:
    before, after, why = FINGERPRINTS[name]
    scene = narinfo(release)
    signed = base64.b64decode(scene.told()[0][-1][0])
    changed = signed.replace(before, after, 1)
    assert changed != signed
    with pytest.raises(Garbage, match=why):
        scene.believed(told_of(scene, changed, scene.sign(changed)))


def test_that_a_path_is_named_by_its_content_is_read_off_the_file_here(release: Release) -> None:
    """Nobody signs the line CA: it is taken from the medium and not from the child."""
    by_inputs, by_content = narinfo(release), narinfo(release, "CA: text:sha256:0\n")
    for scene, pins in ((by_inputs, ["store_path"]), (by_content, [])):
        assert counted(scene).claims == scene.read().claims
        assert [name for name, _ in scene.read().claims.pins] == pins
