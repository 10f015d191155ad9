"""Links as rebuilderd serves them: Ed25519 with NULL parameters, two signatures, one rebuild."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from attest.links import enrolling, metablock
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.release import Release

from ceremony.attest.in_toto_link import read_link
from ceremony.attest.rebuilderd import (
    REBUILDERD,
    ZSTD,
    looks_like_rebuilderd,
    read_rebuilderd,
)
from ceremony.attest.record import Attestation, Malformed, Unverified
from ceremony.keys import ED25519_SPKI_WITH_NULL, parse_spki
from ceremony.policy import Policy
from ceremony.types import MediaFile

PACKAGE = "anchor_0.3.5-1_amd64.deb"
INFO = "anchor_0.3.5-1_amd64.buildinfo"


def digests(data: bytes) -> dict[str, str]:
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "sha512": hashlib.sha512(data).hexdigest(),
    }


def published(key: Ed25519PrivateKey) -> str:
    """Return the public key as rebuilderd publishes it, with NULL parameters."""
    spki = ED25519_SPKI_WITH_NULL + key.public_key().public_bytes_raw()
    text = base64.b64encode(spki).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def instance() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def worker() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def policy(release: Release, instance: Ed25519PrivateKey) -> Policy:
    return enrolling(release, {"rebuilder": (published(instance),)})


@pytest.fixture(scope="module")
def rebuild() -> dict[str, Any]:
    return {
        "_type": "link",
        "name": f"rebuild {PACKAGE}",
        "materials": {INFO: digests(b"info")},
        "products": {PACKAGE: digests(b"package")},
        "environment": None,
        "byproducts": {},
        "command": [],
    }


def test_the_published_key_has_parameters_that_only_we_forgive(
    instance: Ed25519PrivateKey,
) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_pem_public_key(published(instance).encode())
    plain = instance.public_key().public_bytes_raw()
    assert parse_spki(published(instance)).spki[-32:] == plain


@accepts("ATT-REBUILD")
def test_worker_and_instance_sign_and_it_is_one_builder(
    rebuild: dict[str, Any],
    worker: Ed25519PrivateKey,
    instance: Ed25519PrivateKey,
    policy: Policy,
    release: Release,
) -> None:
    data = metablock(rebuild, worker, instance)
    assert looks_like_rebuilderd("a.link", data)
    (reading,) = read_rebuilderd(MediaFile("a.link", data), policy)
    assert isinstance(reading, Attestation)
    assert (reading.builder, reading.format) == ("rebuilder", REBUILDERD)
    assert dict(reading.claims.pins) == {"buildinfo": hashlib.sha256(b"info").hexdigest()}
    assert dict(reading.claims.artifacts[0].digests) == digests(b"package")
    both = enrolling(release, {"rebuilder": (published(worker), published(instance))})
    readings = read_rebuilderd(MediaFile("a.link", data), both)
    assert [reading.builder for reading in readings] == ["rebuilder", "rebuilder"]


def test_a_package_that_is_its_own_material_pins_no_source(
    rebuild: dict[str, Any], instance: Ed25519PrivateKey, policy: Policy
) -> None:
    link = rebuild | {"materials": {PACKAGE: digests(b"package")}}
    (reading,) = read_rebuilderd(MediaFile("a.link", metablock(link, instance)), policy)
    assert isinstance(reading, Attestation)
    assert reading.claims.pins == ()


@refuses("ATT-REBUILD")
@pytest.mark.parametrize("name", ["build", "rebuild", "rebuild ", f"rebuild {INFO}", None, 7])
def test_a_link_with_another_name_is_no_rebuild(
    name: object, rebuild: dict[str, Any], instance: Ed25519PrivateKey, policy: Policy
) -> None:
    data = metablock(rebuild | {"name": name}, instance)
    (reading,) = read_rebuilderd(MediaFile("a.link", data), policy)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-REBUILD", "rebuilder")
    (reading,) = read_link(MediaFile("a.link", data), policy)
    assert isinstance(reading, Attestation)


@refuses("ATT-REBUILD")
def test_a_packed_answer_says_how_to_unpack_it(policy: Policy) -> None:
    data = ZSTD + bytes(20)
    assert looks_like_rebuilderd("attestation.json", data)
    assert not looks_like_rebuilderd("initrd.img", data)
    (reading,) = read_rebuilderd(MediaFile("attestation.json", data), policy)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-REBUILD"
    assert "zstd -d" in reading.text


def test_a_link_signed_by_strangers_alone_is_not_verified(
    rebuild: dict[str, Any], worker: Ed25519PrivateKey, policy: Policy
) -> None:
    (reading,) = read_rebuilderd(MediaFile("a", metablock(rebuild, worker)), policy)
    assert isinstance(reading, Unverified)
    assert reading.rule == "QRM-ENROLLED"


@settings(max_examples=200)
@given(data=st.data())
def test_a_mutated_rebuild_never_says_anything_else(
    data: st.DataObject, rebuild: dict[str, Any], instance: Ed25519PrivateKey, policy: Policy
) -> None:
    good = metablock(rebuild, instance)
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.integers(0, 3))
    spoiled = good[:at] + data.draw(st.binary(max_size=4)) + good[at + cut :]
    (genuine,) = read_rebuilderd(MediaFile("a", good), policy)
    assert isinstance(genuine, Attestation)
    for reading in read_rebuilderd(MediaFile("a", spoiled), policy):
        if isinstance(reading, Attestation):
            assert json.loads(spoiled)["signed"] == json.loads(good)["signed"]
            assert reading.claims == genuine.claims
