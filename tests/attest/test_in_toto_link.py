"""in-toto links: made by in-toto-run, judged by in-toto-verify, and spoiled."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attest.links import ARTIFACT, KINDS, LinkKey, enrolling, metablock, tool
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.release import NOW, Release, judged

from ceremony.attest.dsse import IN_TOTO, pae, read_envelope
from ceremony.attest.in_toto_link import (
    IN_TOTO_LINK,
    MOST_FILES,
    MOST_SIGNATURES,
    holds_link,
    link_claims,
    looks_like_link,
    read_link,
    read_link_payload,
    read_metablock,
)
from ceremony.attest.olpc_json import canonical
from ceremony.attest.record import Artifact, Attestation, Malformed, Unverified
from ceremony.attest.signers import signers
from ceremony.attest.strict_json import Json
from ceremony.errors import Refused
from ceremony.policy import Policy
from ceremony.types import MediaFile

LOCK = b'{"version": 7}\n'
SHA256 = hashlib.sha256(ARTIFACT).hexdigest()
COMMIT = "c0ffee" * 6 + "beef"
# Everything that canonicalisation could get wrong: quotes, backslashes, controls, UTF-8.
AWKWARD = 'a "quote", a \\\\ backslash\\n\\ttab \\033[31m caf\u00e9 \U0001f512'

plain_text = st.text(st.characters(codec="utf-8"), max_size=8)
plain: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | plain_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LinkKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: LinkKey.make(folder, name) for name in KINDS}


@pytest.fixture(scope="module")
def policy(release: Release, keys: dict[str, LinkKey]) -> Policy:
    return enrolling(release, {name: (key.public_pem,) for name, key in keys.items()})


@pytest.fixture(scope="module")
def stranger() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def link(keys: dict[str, LinkKey]) -> dict[str, Any]:
    return {
        "_type": "link",
        "name": "build",
        "materials": {"flake.lock": {"sha256": hashlib.sha256(LOCK).hexdigest()}},
        "products": {"anchor.efi": {"sha256": SHA256}},
        "byproducts": {},
        "environment": {},
        "command": ["nix", "build"],
    }


def ed25519(keys: dict[str, LinkKey]) -> Ed25519PrivateKey:
    private = keys["ed25519"].private
    assert isinstance(private, Ed25519PrivateKey)
    return private


@given(plain)
def test_canonical_json_is_securesystemslibs(value: Json) -> None:
    formats = pytest.importorskip("securesystemslib.formats")
    assert canonical(value) == formats.encode_canonical(value).encode()


@given(plain, plain)
def test_two_documents_share_a_canonical_form_only_if_they_are_one(one: Json, other: Json) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical(one) == canonical(other)) == same


@accepts("ATT-LINK")
@pytest.mark.parametrize("kind", KINDS)
def test_what_in_toto_run_signs_verifies_for_every_kind_of_key(
    kind: str, keys: dict[str, LinkKey], policy: Policy, tmp_path: Path
) -> None:
    (tmp_path / "flake.lock").write_bytes(LOCK)
    options = ("-m", "flake.lock", "--record-streams")
    path, data = keys[kind].run(tmp_path, *options, output=AWKWARD)
    assert looks_like_link(path.name, data)
    assert looks_like_link("renamed.json", data)
    (reading,) = read_link(MediaFile(path.name, data), policy)
    assert isinstance(reading, Attestation)
    assert (reading.builder, reading.format) == (kind, IN_TOTO_LINK)
    assert reading.key == keys[kind].public
    assert reading.sha256 == hashlib.sha256(data).hexdigest()
    assert reading.claims.artifacts == (Artifact("anchor.efi", (("sha256", SHA256),)),)
    assert reading.claims.pins == (("flake_lock", hashlib.sha256(LOCK).hexdigest()),)
    assert reading.claims.time is None
    # The key id of its signature is the one that we compute from the enrolled key.
    assert read_metablock(data).signatures[0][0] == keys[kind].key_id


@accepts("ATT-LINK")
@pytest.mark.parametrize("kind", KINDS)
def test_a_link_inside_dsse_is_found_by_its_type(
    kind: str, keys: dict[str, LinkKey], policy: Policy, tmp_path: Path
) -> None:
    (tmp_path / "flake.lock").write_bytes(LOCK)
    path, data = keys[kind].run(tmp_path, "--use-dsse", "-m", "flake.lock")
    assert not looks_like_link(path.name, data)
    envelope = read_envelope(data)
    assert envelope.payload_type == IN_TOTO
    message = pae(envelope.payload_type, envelope.payload)
    found = signers(envelope.signatures, message, policy)
    assert [key for key, *_ in found] == [keys[kind].public]
    assert holds_link(envelope.payload)
    claims = read_link_payload(envelope.payload)
    assert claims is not None
    assert claims.artifacts[0].digest("sha256") == SHA256
    assert dict(claims.pins)["flake_lock"] == hashlib.sha256(LOCK).hexdigest()


def test_a_statement_is_no_link() -> None:
    statement = b'{"_type": "https://in-toto.io/Statement/v1", "link": "link"}'
    assert holds_link(statement)
    assert read_link_payload(statement) is None
    assert not holds_link(b'{"_type": "https://in-toto.io/Statement/v1"}')


def layout(keys: dict[str, LinkKey], kind: str, inspections: list[object]) -> dict[str, Any]:
    return {
        "_type": "layout",
        "expires": (NOW + timedelta(days=3650)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "readme": "",
        "keys": {keys[kind].key_id: keys[kind].described},
        "steps": [
            {
                "_type": "step",
                "name": "build",
                "pubkeys": [keys[kind].key_id],
                "expected_command": [],
                "expected_materials": [["ALLOW", "*"]],
                "expected_products": [["CREATE", "anchor.efi"], ["DISALLOW", "*"]],
                "threshold": 1,
            }
        ],
        "inspect": inspections,
    }


def verify(folder: Path, keys: dict[str, LinkKey], kind: str, data: bytes) -> int:
    (folder / "root.layout").write_bytes(data)
    command = [tool("in-toto-verify"), "-q", "--layout", "root.layout"]
    command += ["--link-dir", f"links-{kind}"]
    command += ["--verification-keys", str(keys["ed25519"].pem.with_suffix(".pub"))]
    return subprocess.run(
        command, cwd=folder, check=False, capture_output=True, timeout=60
    ).returncode


@pytest.mark.parametrize("kind", KINDS)
def test_in_toto_verify_agrees_on_a_good_and_on_a_spoiled_link(
    kind: str, keys: dict[str, LinkKey], policy: Policy, tmp_path: Path
) -> None:
    path, data = keys[kind].run(tmp_path, "--record-streams", output=AWKWARD)
    root = metablock(layout(keys, kind, []), ed25519(keys), hint=keys["ed25519"].key_id)
    assert verify(tmp_path, keys, kind, root) == 0
    (reading,) = read_link(MediaFile("a.link", data), policy)
    assert isinstance(reading, Attestation)
    spoiled = data.replace(SHA256.encode(), hashlib.sha256(b"other").hexdigest().encode())
    assert spoiled != data
    path.write_bytes(spoiled)
    assert verify(tmp_path, keys, kind, root) != 0
    (reading,) = read_link(MediaFile("a.link", spoiled), policy)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-SIGNATURE", kind)  # its keyid names the key
    assert reading.claims is not None
    assert reading.claims.artifacts[0].digest("sha256") == hashlib.sha256(b"other").hexdigest()


@refuses("ATT-LAYOUT")
def test_the_command_of_a_layout_is_never_run(
    keys: dict[str, LinkKey], policy: Policy, tmp_path: Path
) -> None:
    inspection = {
        "_type": "inspection",
        "name": "look",
        "expected_materials": [["ALLOW", "*"]],
        "expected_products": [["ALLOW", "*"]],
        "run": ["touch", "it-ran"],
    }
    keys["ed25519"].run(tmp_path)
    root = metablock(layout(keys, "ed25519", [inspection]), ed25519(keys))
    assert looks_like_link("root.layout", root)
    for data in (root, root.replace(b'"sig": "', b'"sig": "00')):
        (reading,) = read_link(MediaFile("root.layout", data), policy)
        assert isinstance(reading, Unverified)
        assert (reading.rule, reading.claims) == ("ATT-LAYOUT", None)
    assert not (tmp_path / "it-ran").exists()
    signed = json.loads(root)["signed"]
    with pytest.raises(Refused, match="ATT-LAYOUT"):
        read_link_payload(json.dumps(signed).encode())
    # The same layout makes in-toto-verify run it: there was something not to do.
    hinted = metablock(signed, ed25519(keys), hint=keys["ed25519"].key_id)
    verify(tmp_path, keys, "ed25519", hinted)
    assert (tmp_path / "it-ran").exists()


@accepts("ATT-LAYOUT")
def test_a_link_named_as_a_layout_is_a_link(
    link: dict[str, Any], keys: dict[str, LinkKey], policy: Policy
) -> None:
    data = metablock(link, ed25519(keys))
    (reading,) = read_link(MediaFile("root.layout", data), policy)
    assert isinstance(reading, Attestation)


def test_white_space_and_order_are_nothing_and_a_wrong_hint_costs_nothing(
    link: dict[str, Any], keys: dict[str, LinkKey], policy: Policy
) -> None:
    data = metablock(link, ed25519(keys), hint="deadbeef")
    spread = json.dumps(json.loads(data), indent=3, sort_keys=True).encode() + b"\n"
    one, other = (read_link(MediaFile("l", each), policy)[0] for each in (data, spread))
    assert isinstance(one, Attestation)
    assert isinstance(other, Attestation)
    assert one.claims == other.claims
    assert one.sha256 != other.sha256


def test_each_key_that_signed_is_one_reading_and_a_stranger_none(
    link: dict[str, Any],
    keys: dict[str, LinkKey],
    release: Release,
    stranger: Ed25519PrivateKey,
) -> None:
    second = Ed25519PrivateKey.generate()
    pem = LinkKey("ed25519", second, Path()).public_pem
    both = enrolling(release, {"ann": (keys["ed25519"].public_pem,), "bob": (pem,)})
    data = metablock(link, ed25519(keys), stranger, second, ed25519(keys))
    readings = read_link(MediaFile("l", data), both)
    assert sorted(reading.builder for reading in readings) == ["ann", "bob"]
    (reading,) = read_link(MediaFile("l", metablock(link, stranger)), both)
    assert isinstance(reading, Unverified)
    assert reading.rule == "QRM-ENROLLED"
    named = metablock(link, stranger, hint=keys["ed25519"].public.fpr)
    (reading,) = read_link(MediaFile("l", named), both)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-SIGNATURE", "ann")


@pytest.mark.parametrize(
    ("materials", "pins"),
    [
        ({}, {}),
        ({"flake.lock": {"sha256": "a" * 64}}, {"flake_lock": "a" * 64}),
        ({"src/flake.lock": {"sha256": "a" * 64}}, {"flake_lock": "a" * 64}),
        ({"notflake.lock": {"sha256": "a" * 64}}, {}),
        ({"flake.lock": {"sha512": "a" * 128}}, {}),
        (
            {"flake.lock": {"sha256": "a" * 64}, "x/flake.lock": {"sha256": "b" * 64}},
            {"flake_lock": "a" * 64},
        ),
        ({"y/flake.lock": {"sha256": "a" * 64}, "x/flake.lock": {"sha256": "b" * 64}}, {}),
        ({"git+https://example.org/a": {"sha1": COMMIT}}, {"git_commit": COMMIT}),
        ({"git:head": {"sha1": COMMIT}}, {"git_commit": COMMIT}),
        ({"source": {"gitCommit": COMMIT}}, {"git_commit": COMMIT}),
        ({"source.tar": {"sha1": COMMIT}}, {}),
        ({"a": {"gitCommit": COMMIT}, "b": {"gitCommit": COMMIT}}, {"git_commit": COMMIT}),
        ({"a": {"gitCommit": COMMIT}, "b": {"gitCommit": "d" * 40}}, {}),
    ],
)
def test_pins_come_from_materials(
    materials: dict[str, object], pins: dict[str, str], link: dict[str, Any]
) -> None:
    assert dict(link_claims(link | {"materials": materials}).pins) == pins


def test_what_a_command_printed_pins_nothing_and_the_environment_only_claims(
    link: dict[str, Any],
) -> None:
    printed = {"git_commit": COMMIT, "isolation": "none", "stdout": "flake_lock " + "a" * 64}
    said = link_claims(
        link | {"byproducts": printed, "environment": {"isolation": "docker", "workdir": "/w"}}
    )
    assert [name for name, _ in said.pins] == ["flake_lock"]
    assert said.self_claims == (("isolation", "docker"),)


@refuses("ATT-LINK")
@pytest.mark.parametrize(
    "change",
    [
        *({"products": {}}, {"products": None}, {"products": []}, {"products": {"a": "b"}}),
        *({"products": {"": {"sha256": SHA256}}}, {"products": {"x" * 4097: {}}}),
        *({"products": {"a": {"sha256": SHA256.upper()}}}, {"products": {"a": {"sha256": 1}}}),
        *({"products": {"a": {"sha512": SHA256}}}, {"products": {"a": {"sha256": SHA256[1:]}}}),
        {"products": {"a": {f"h{n}": "" for n in range(33)}}},
        {"products": {str(n): {} for n in range(MOST_FILES + 1)}},
        {"materials": {str(n): {} for n in range(MOST_FILES + 1)}},
        *({"materials": None}, {"materials": {"a": None}}, {"_type": "Link"}, {"_type": None}),
    ],
)
def test_a_signed_link_that_is_none_is_malformed_and_its_builder_is_named(
    change: dict[str, Any], link: dict[str, Any], keys: dict[str, LinkKey], policy: Policy
) -> None:
    (reading,) = read_link(MediaFile("l", metablock(link | change, ed25519(keys))), policy)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-LINK", "ed25519")


@refuses("ATT-PIN")
@pytest.mark.parametrize(
    "materials",
    [{"flake.lock": {"sha256": "A" * 64}}, {"x": {"gitCommit": "main"}}],
)
def test_an_impossible_pin_is_malformed(materials: dict[str, Any], link: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="ATT-PIN"):
        link_claims(link | {"materials": materials})


@refuses("ATT-LINK")
@pytest.mark.parametrize(
    "change",
    [
        *({"signed": None}, {"signed": []}, {"signatures": None}, {"signatures": []}),
        *({"signatures": [1]}, {"signatures": [{"sig": "00"}]}, {"signatures": [{"keyid": ""}]}),
        {"signatures": [{"keyid": "", "sig": "00"}] * (MOST_SIGNATURES + 1)},
        *({"signatures": [{"keyid": "", "sig": text}]} for text in ("", "0", "0G", "AA", " 00")),
        *({"signatures": [{"keyid": "", "sig": text}]} for text in ("00\n", "00" * 4097)),
        {"extra": 1},
    ],
)
def test_what_is_no_metablock_is_refused(change: dict[str, object]) -> None:
    good = {"signed": {"_type": "link"}, "signatures": [{"keyid": "", "sig": "00"}]}
    assert read_metablock(json.dumps(good).encode()).signatures == (("", b"\0"),)
    with pytest.raises(Refused, match="ATT-LINK"):
        read_metablock(json.dumps(good | change).encode())


def test_a_link_signed_by_gpg_says_what_to_do(link: dict[str, Any], policy: Policy) -> None:
    entry = {"keyid": "ab", "sig": "00", "other_headers": "04"}
    data = json.dumps({"signed": link, "signatures": [entry]}).encode()
    (reading,) = read_link(MediaFile("l", data), policy)
    assert isinstance(reading, Unverified)
    assert "--signing-key" in reading.text


def test_one_name_twice_is_no_link(link: dict[str, Any], policy: Policy) -> None:
    data = json.dumps({"signed": link, "signatures": [{"keyid": "", "sig": "00"}]})
    twice = data.replace('"products": {', '"products": {"anchor.efi": {"sha256": "0"}, ')
    (reading,) = read_link(MediaFile("l", twice.encode()), policy)
    assert isinstance(reading, Malformed)
    assert reading.rule == "ATT-JSON"


@settings(max_examples=400)
@given(data=st.data())
def test_a_mutated_link_never_says_anything_else(
    data: st.DataObject, link: dict[str, Any], keys: dict[str, LinkKey], policy: Policy
) -> None:
    good = metablock(link, ed25519(keys))
    (genuine,) = read_link(MediaFile("l", good), policy)
    assert isinstance(genuine, Attestation)
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.integers(0, 3))
    spoiled = good[:at] + data.draw(st.binary(max_size=4)) + good[at + cut :]
    for reading in read_link(MediaFile("l", spoiled), policy):
        if isinstance(reading, Attestation):
            # White space or the keyid, which nothing is signed over.
            assert (reading.claims, reading.key) == (genuine.claims, genuine.key)


def test_the_judge_counts_links_by_builder_not_by_signature(
    keys: dict[str, LinkKey], release: Release, tmp_path: Path
) -> None:
    names = {"ann": "ed25519", "bob": "rsa-3072"}
    policy = enrolling(
        release,
        {builder: (keys[kind].public_pem,) for builder, kind in names.items()},
        quorum={"threshold": 2, "weak_votes_max": 2},
    )
    for kind in names.values():
        (tmp_path / kind).mkdir()
    _, plain = keys["ed25519"].run(tmp_path / "ed25519")
    _, wrapped = keys["rsa-3072"].run(tmp_path / "rsa-3072", "--use-dsse")
    files = (MediaFile("ann/build.link", plain), MediaFile("bob/build.link", wrapped))
    verdict = judged(policy, files, ARTIFACT)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 2)
    # One builder's two keys, and the same link said in other white space, are one vote.
    both = enrolling(
        release,
        {"ann": tuple(keys[kind].public_pem for kind in names.values())},
        quorum={"threshold": 1, "weak_votes_max": 2},
    )
    again = MediaFile("ann/again.link", json.dumps(json.loads(plain)).encode())
    assert judged(both, (*files, again), ARTIFACT).votes == 1
