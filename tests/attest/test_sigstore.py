"""Sigstore bundles under a pinned root and identity, judged by the real `sigstore` package."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.release import IMAGE, LOCK, NOW, Release, checksums, facts, sha256, statement

from ceremony.attest.aids import Aids
from ceremony.attest.record import Attestation, Malformed, Reading, Unverified
from ceremony.attest.sigstore import EXTRA, Verifier, pinned_roots, read_sigstore
from ceremony.attest.sigstore_bundle import (
    looks_like_sigstore,
    looks_like_trusted_root,
    read_bundle,
)
from ceremony.attest.sigstore_key import enrolled_signer, parse_sigstore_key
from ceremony.attest.sigstore_root import root_between
from ceremony.errors import Refused
from ceremony.ingest.sigstore import sigstore_verifier
from ceremony.keys import Scheme
from ceremony.policy import Policy
from ceremony.policy_people import BuilderKey
from ceremony.quorum import judge
from ceremony.types import MediaFile

pytest.importorskip("sigstore", reason="the extra `sigstore` (PyPI: sigstore) is not installed")

from attest.sigstore_made import (
    COMMIT,
    IDENTITY,
    ISSUER,
    MADE,
    REPOSITORY,
    Instance,
    Named,
    b64,
    key,
)

PINS = {"git_commit": COMMIT, "flake_lock": sha256(LOCK)}
STATEMENT = statement(sha256(IMAGE), "anchor.efi", PINS)
UNPINNED = statement(sha256(IMAGE), "anchor.efi", {})
EARLY = {"start": "2024-01-01T00:00:00Z", "end": "2026-11-20T12:05:00Z"}
LATE = {"start": "2026-11-20T12:05:00Z"}

Change = Callable[[dict[str, Any]], object]


def of_version_4(certificate: str) -> dict[str, str]:
    """Return a certificate that fuzzing found: the library raises no ValueError for it."""
    der = base64.b64decode(certificate)
    return {"rawBytes": b64(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1))}


SPOILED: dict[str, Change] = {
    "payload": lambda b: b["dsseEnvelope"].update(
        payload=b64(STATEMENT.replace(b"anchor", b"ANCHOR"))
    ),
    "payload type": lambda b: b["dsseEnvelope"].update(payloadType="text/plain"),
    "signature": lambda b: b["dsseEnvelope"]["signatures"][0].update(sig=b64(b"no signature")),
    "no promise": lambda b: b["verificationMaterial"]["tlogEntries"][0].pop("inclusionPromise"),
    "no proof": lambda b: b["verificationMaterial"]["tlogEntries"][0].pop("inclusionProof"),
    "time": lambda b: b["verificationMaterial"]["tlogEntries"][0].update(
        integratedTime="1795176061"
    ),
    "log body": lambda b: b["verificationMaterial"]["tlogEntries"][0].update(
        canonicalizedBody="e30="
    ),
    "two entries": lambda b: b["verificationMaterial"]["tlogEntries"].append({}),
}
NO_BUNDLE: dict[str, Change] = {
    "certificate of a version that does not exist": lambda b: b["verificationMaterial"].update(
        certificate=of_version_4(b["verificationMaterial"]["certificate"]["rawBytes"])
    ),
    "other type": lambda b: b.update(mediaType="application/json"),
    "no type": lambda b: b.update(mediaType=None),
    "no envelope": lambda b: b.pop("dsseEnvelope"),
    "two contents": lambda b: b.update(messageSignature={}),
    "snake case": lambda b: b.update(dsse_envelope={}),
    "envelope no object": lambda b: b.update(dsseEnvelope=[]),
    "no payload type": lambda b: b["dsseEnvelope"].pop("payloadType"),
    "payload no base64": lambda b: b["dsseEnvelope"].update(payload="A"),
    "snake case in the envelope": lambda b: b["dsseEnvelope"].update(payload_type="x"),
    "no certificate": lambda b: b["verificationMaterial"].pop("certificate"),
    "a key": lambda b: b["verificationMaterial"].update(publicKey={"hint": "x"}),
    "a chain": lambda b: b["verificationMaterial"].update(x509CertificateChain={}),
    "no entries": lambda b: b["verificationMaterial"].update(tlogEntries=[]),
    "nine entries": lambda b: b["verificationMaterial"].update(tlogEntries=[{}] * 9),
    "snake case of the certificate": lambda b: b["verificationMaterial"]["certificate"].update(
        raw_bytes=""
    ),
    "empty certificate": lambda b: b["verificationMaterial"]["certificate"].update(rawBytes=""),
    "certificate no certificate": lambda b: b["verificationMaterial"]["certificate"].update(
        rawBytes="MAA="
    ),
}


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance()


@pytest.fixture(scope="module")
def root(instance: Instance) -> MediaFile:
    return MediaFile("trusted_root.json", instance.trusted_root())


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    found = sigstore_verifier()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def enrolled(
    release: Release, root: MediaFile, identity: str = IDENTITY, issuer: str = ISSUER
) -> Policy:
    """Return a policy in which builder `ann` is a Sigstore signer, and `dan` has a real key."""
    policy = release.policy("ann", "dan", quorum={"threshold": 1})
    ann, dan = policy.builders
    signer = parse_sigstore_key(identity, issuer, "sha256:" + hashlib.sha256(root.data).hexdigest())
    pinned = replace(ann.keys[0], key=signer.keys[0], key_id=signer.key_id)
    return replace(policy, builders=(replace(ann, keys=(pinned,)), dan))


@pytest.fixture(scope="module")
def policy(release: Release, root: MediaFile) -> Policy:
    return enrolled(release, root)


@pytest.fixture(scope="module")
def bundle(instance: Instance) -> dict[str, Any]:
    return instance.attest(STATEMENT)


def read(
    bundle: object,
    policy: Policy,
    verifier: Verifier | None,
    root: MediaFile | None,
    *signed: MediaFile,
    path: str = "provenance.sigstore.json",
) -> Reading:
    data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    return read_sigstore(MediaFile(path, data), signed, (root,) if root else (), policy, verifier)


@accepts("ATT-BUNDLE", "ATT-BUNDLE-AGE", "ATT-BUNDLE-ONE", "ATT-IDENTITY", "ATT-ROOT")
@accepts("ATT-SIGSTORE")
def test_a_bundle_of_the_enrolled_workflow_is_an_attestation(
    bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    data = json.dumps(bundle).encode()
    assert looks_like_sigstore("provenance.sigstore.json", data)
    assert looks_like_sigstore("p.json", data)
    assert looks_like_trusted_root(root.path, root.data)
    reading = read(bundle, policy, verifier, root)
    assert isinstance(reading, Attestation)
    assert (reading.builder, reading.format, reading.key.algorithm) == (
        "ann",
        "sigstore",
        "sigstore",
    )
    assert reading.claims.artifacts[0].digest("sha256") == sha256(IMAGE)
    assert {name: dict(reading.claims.pins)[name] for name in PINS} == PINS
    assert reading.claims.time == MADE
    assert reading.sha256 == hashlib.sha256(data).hexdigest()


@accepts("QRM-ALGORITHM")
@refuses("QRM-ALGORITHM")
def test_a_bundle_counts_where_the_policy_takes_sigstore(
    bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    """The identity's algorithm is `sigstore`: a policy that leaves it out, or ends it, has none."""
    formats = (*policy.builders[0].formats, "sigstore")
    enrolled = replace(policy.builders[0], formats=formats)
    policy = replace(policy, builders=(enrolled, policy.builders[1]))
    files = (MediaFile("ann.sigstore.json", json.dumps(bundle).encode()), root)
    for sign, sunset, rule in (
        (policy.algorithms, (), ""),
        (policy.algorithms, (("sigstore", NOW + timedelta(days=1)),), ""),
        (policy.algorithms, (("sigstore", NOW),), "QRM-ALGORITHM"),
        (("ed25519",), (), "QRM-ALGORITHM"),
    ):
        changed = replace(policy, algorithms=sign, sunset=sunset)
        verdict = judge(changed, "anchor.efi", facts(), files, NOW, aids=Aids(verifier=verifier))
        assert [d.rule for d in verdict.dispositions if d.builder == "ann"] == [rule]
        assert (verdict.verdict == "ACCEPT") is (rule == "")


@accepts("ATT-SIGSTORE")
def test_a_bundle_over_a_checksum_file_finds_it_among_the_candidates(
    instance: Instance, policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    sums = checksums(sha256(IMAGE), "anchor.efi", {"flake_lock": PINS["flake_lock"]})
    made = instance.sign_file(sums)
    files = (MediaFile("a", b"another"), MediaFile("SHA256SUMS", sums))
    reading = read(made, policy, verifier, root, *files)
    assert isinstance(reading, Attestation)
    # The commit is the one that the certificate names.
    assert dict(reading.claims.pins) == PINS | {"workflow_commit": COMMIT}
    reading = read(made, policy, verifier, root, files[0])
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-SIGSTORE", "ann")
    reading = read(made, policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-ALONE"


@refuses("ATT-IDENTITY")
@pytest.mark.parametrize(
    "names",
    [
        {"identity": IDENTITY.replace("acme", "evil")},
        {"identity": IDENTITY.replace("heads/main", "heads/main2")},
        {"identity": IDENTITY.replace("heads/main", "pull/7/merge")},
        {"identity": IDENTITY.replace("release.yml", "test.yml")},
        {"identity": IDENTITY.upper()},
        {"issuer": "https://accounts.invalid"},
    ],
)
def test_another_repository_ref_or_issuer_is_nobody_enrolled(
    names: dict[str, str], instance: Instance, policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    reading = read(instance.attest(STATEMENT, Named(**names)), policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-IDENTITY", "")
    assert reading.claims is not None


def test_every_tag_of_a_repository_may_be_enrolled(
    instance: Instance, release: Release, verifier: Verifier, root: MediaFile
) -> None:
    workflow = f"{REPOSITORY}/.github/workflows/release.yml"
    tags = enrolled(release, root, f"{workflow}@refs/tags/*")
    made = instance.attest(STATEMENT, Named(identity=f"{workflow}@refs/tags/v1.2.3"))
    assert isinstance(read(made, tags, verifier, root), Attestation)
    for ref in ("refs/heads/v1.2.3", "refs/tags/", "refs/tags/a/b", "refs/tags/-f"):
        made = instance.attest(STATEMENT, Named(identity=f"{workflow}@{ref}"))
        assert isinstance(read(made, tags, verifier, root), Unverified)


def test_a_near_miss_names_what_is_enrolled(
    instance: Instance, policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    made = instance.attest(STATEMENT, Named(identity=IDENTITY.replace("heads/main", "heads/fix")))
    reading = read(made, policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert "heads/fix" in reading.text
    assert f"ann is {IDENTITY}" in reading.text


@refuses("ATT-BUNDLE-AGE")
@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_an_old_bundle_is_told_so(
    version: str, bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    kind = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    reading = read(bundle | {"mediaType": kind}, policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-BUNDLE-AGE"
    assert "too old: attest again" in reading.text


@refuses("ATT-BUNDLE-ONE")
@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_bundle_has_one_signature(
    count: int, bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    envelope = bundle["dsseEnvelope"]
    spoiled = envelope | {"signatures": envelope["signatures"] * count}
    reading = read(bundle | {"dsseEnvelope": spoiled}, policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-BUNDLE-ONE"


@refuses("ATT-ROOT")
def test_only_the_pinned_root_will_do(
    bundle: dict[str, Any], policy: Policy, verifier: Verifier, instance: Instance
) -> None:
    older = MediaFile("old/trusted_root.json", instance.trusted_root(tlogs=EARLY))
    reading = read(bundle, policy, verifier, older)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-ROOT", "ann")
    assert "old/trusted_root.json is another" in reading.text
    reading = read(bundle, policy, verifier, None)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-ROOT"


def test_other_roots_cannot_crowd_out_the_pinned_one(policy: Policy, root: MediaFile) -> None:
    others = tuple(MediaFile(f"a{n}/trusted_root.json", b"%d" % n) for n in range(100))
    again = MediaFile("z/trusted_root.json", root.data)
    assert pinned_roots((*others, root, again), policy) == (root, others[0])
    assert pinned_roots(others, policy) == (others[0],)
    assert pinned_roots((), policy) == ()


@refuses("ATT-ROOT")
@pytest.mark.parametrize("part", ["tlogs", "certificateAuthorities", "ctlogs"])
@pytest.mark.parametrize("valid", [EARLY, LATE])
def test_what_was_not_valid_while_the_certificate_lived_does_not_count(  # noqa: PLR0913, PLR0917
    part: str,
    valid: dict[str, str],
    bundle: dict[str, Any],
    instance: Instance,
    release: Release,
    verifier: Verifier,
) -> None:
    cut = MediaFile("trusted_root.json", instance.trusted_root(**{part: valid}))
    # The package alone takes it, so this is ours to refuse (LATE only once that time has come).
    signer = (IDENTITY, ISSUER)
    if valid is EARLY:
        assert verifier.verify(cut.data, json.dumps(bundle).encode(), signer, None)
    reading = read(bundle, enrolled(release, cut), verifier, cut)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-ROOT"
    assert part in reading.text


@refuses("ATT-ROOT", "ATT-JSON")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((b"[]", "ATT-ROOT"), (b"{}", "ATT-ROOT"), (b"", "ATT-JSON"), (b"{'", "ATT-JSON")),
        *((b'{"tlogs": {}}', "ATT-ROOT"), (b'{"tlogs": [{}]}', "ATT-ROOT")),
        (b'{"tlogs": [{"publicKey": {"validFor": {}}}]}', "ATT-ROOT"),
        (b'{"tlogs": [{"publicKey": {"validFor": {"start": "x"}}}]}', "ATT-ROOT"),
        (
            b'{"tlogs": [{"publicKey": {"validFor": {"start": "2024-13-01T00:00:00Z"}}}]}',
            "ATT-ROOT",
        ),
    ],
)
def test_what_is_no_trusted_root_is_refused(text: bytes, rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        root_between(text, MADE, MADE)


@refuses("ATT-SIGSTORE")
def test_without_the_extra_nothing_verifies_and_it_is_said(
    bundle: dict[str, Any], policy: Policy, root: MediaFile
) -> None:
    reading = read(bundle, policy, None, root)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.text, reading.builder) == ("ATT-SIGSTORE", EXTRA, "ann")
    assert reading.claims is not None


def test_where_the_package_is_missing_there_is_no_verifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    monkeypatch.delitem(sys.modules, "ceremony.ingest.sigstore_package", raising=False)
    assert sigstore_verifier() is None


@refuses("ATT-SIGSTORE")
def test_an_instance_with_other_keys_does_not_verify(
    policy: Policy, verifier: Verifier, root: MediaFile, instance: Instance
) -> None:
    strangers = [
        Instance(),
        Instance(authority=key(), ct_log=instance.ct_log, rekor=instance.rekor),
        Instance(authority=instance.authority, ct_log=key(), rekor=instance.rekor),
        Instance(authority=instance.authority, ct_log=instance.ct_log, rekor=key()),
    ]
    for stranger in strangers:
        reading = read(stranger.attest(STATEMENT), policy, verifier, root)
        assert isinstance(reading, Unverified)
        assert (reading.rule, reading.builder) == ("ATT-SIGSTORE", "ann")


@refuses("ATT-SIGSTORE")
@pytest.mark.parametrize("change", SPOILED)
def test_a_spoiled_bundle_does_not_verify(
    change: str, bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    spoiled = copy.deepcopy(bundle)
    SPOILED[change](spoiled)
    reading = read(spoiled, policy, verifier, root)
    assert isinstance(reading, Unverified)
    assert (reading.rule, reading.builder) == ("ATT-SIGSTORE", "ann")


@refuses("ATT-BUNDLE")
@pytest.mark.parametrize("change", NO_BUNDLE)
def test_what_is_no_bundle_is_malformed(
    change: str, bundle: dict[str, Any], policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    spoiled = copy.deepcopy(bundle)
    NO_BUNDLE[change](spoiled)
    reading = read(spoiled, policy, verifier, root)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-BUNDLE", "")


@refuses("ATT-BUNDLE")
@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=1, seconds=1)])
def test_a_certificate_that_lives_long_does_not_say_when(
    life: timedelta, instance: Instance
) -> None:
    data = json.dumps(instance.attest(STATEMENT, Named(life=life))).encode()
    with pytest.raises(Refused, match="ATT-BUNDLE"):
        read_bundle(data)


def test_the_certificates_commit_stands_beside_the_statements(
    instance: Instance, policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    elsewhere = "d" * 40
    for made, commit, workflow in (
        (instance.attest(STATEMENT, Named(commit=elsewhere)), COMMIT, elsewhere),
        (instance.attest(UNPINNED, Named(commit=elsewhere)), elsewhere, elsewhere),
        (instance.attest(UNPINNED, Named(commit="")), None, None),
    ):
        reading = read(made, policy, verifier, root)
        assert isinstance(reading, Attestation)
        pins = dict(reading.claims.pins)
        assert (pins.get("git_commit"), pins.get("workflow_commit")) == (commit, workflow)


@refuses("ATT-PAYLOAD", "ATT-PREDICATE")
def test_a_verified_payload_that_is_no_provenance_is_malformed(
    instance: Instance, policy: Policy, verifier: Verifier, root: MediaFile
) -> None:
    reading = read(instance.attest(STATEMENT, kind="text/plain"), policy, verifier, root)
    assert isinstance(reading, Malformed)
    assert (reading.rule, reading.builder) == ("ATT-PAYLOAD", "ann")
    sbom = STATEMENT.replace(b"https://slsa.dev/provenance/v1", b"https://spdx.dev/Document")
    reading = read(instance.attest(sbom), policy, verifier, root)
    assert isinstance(reading, Malformed)
    assert reading.rule == "ATT-PREDICATE"


def test_the_name_of_a_signer_is_issuer_and_identity_without_the_root() -> None:
    one = parse_sigstore_key(IDENTITY, ISSUER, "a" * 64)
    assert one.keys == parse_sigstore_key(IDENTITY, ISSUER, "sha256:" + "b" * 64).keys
    others = [
        parse_sigstore_key(IDENTITY + "2", ISSUER, "a" * 64),
        parse_sigstore_key(IDENTITY, ISSUER + "2", "a" * 64),
    ]
    assert len({signer.keys[0].fpr for signer in (one, *others)}) == 3
    assert one.key_id == "a" * 64
    # As a key it signs nothing.
    with pytest.raises(Refused, match="ATT-SIGNATURE"):
        one.keys[0].verify(bytes(64), b"", Scheme.ED25519)


@refuses("ATT-KEY")
@pytest.mark.parametrize(
    ("identity", "issuer", "digest"),
    [
        *(
            (text, ISSUER, "a" * 64)
            for text in ("", "a b", "a\nb", "*", "a*", "caf\u00e9", "x" * 513)
        ),
        *((IDENTITY, text, "a" * 64) for text in ("", "http://a", "https://", "https://a\n")),
        *((IDENTITY, ISSUER, text) for text in ("", "a" * 63, "A" * 64, "sha256:", "x" + "a" * 64)),
        (f"{REPOSITORY}/*@refs/tags/*", ISSUER, "a" * 64),
    ],
)
def test_a_signer_that_cannot_be_is_refused(identity: str, issuer: str, digest: str) -> None:
    with pytest.raises(Refused, match="ATT-KEY"):
        parse_sigstore_key(identity, issuer, digest)


def test_a_real_key_is_no_signer(policy: Policy) -> None:
    keys: list[BuilderKey] = [key for builder in policy.builders for key in builder.keys]
    signers = [enrolled_signer(key) for key in keys]
    assert [signer.identity if signer else None for signer in signers] == [IDENTITY, None]


@settings(max_examples=300)
@given(data=st.data())
def test_a_mutated_bundle_never_says_anything_else(
    data: st.DataObject,
    bundle: dict[str, Any],
    policy: Policy,
    verifier: Verifier,
    root: MediaFile,
) -> None:
    good = json.dumps(bundle).encode()
    genuine = read(good, policy, verifier, root)
    assert isinstance(genuine, Attestation)
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.integers(0, 3))
    spoiled = good[:at] + data.draw(st.binary(max_size=4)) + good[at + cut :]
    reading = read(spoiled, policy, verifier, root)
    if isinstance(reading, Attestation):
        assert (reading.claims, reading.key) == (genuine.claims, genuine.key)
