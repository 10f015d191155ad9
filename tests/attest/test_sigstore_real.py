"""Bundles that nobody here made: cases of the Sigstore conformance suite, where present."""

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.release import NOW, Release, facts

from ceremony.attest.aids import Aids
from ceremony.attest.record import Attestation, Malformed, Reading, Unverified
from ceremony.attest.sigstore import Verifier, read_sigstore
from ceremony.attest.sigstore_key import parse_sigstore_key
from ceremony.errors import Refused
from ceremony.ingest.sigstore import sigstore_verifier
from ceremony.policy import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.policy_tables import EPOCH
from ceremony.quorum import judge
from ceremony.types import Digest, DigestKind, MediaFile

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "sigstore-bundles"
ISSUER = "https://token.actions.githubusercontent.com"
IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon"
    "/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ROWS = [
    tuple(line.split())
    for line in (Path(__file__).parent / "sigstore_real.txt").read_text("ascii").split("\n")
    if line and not line.startswith("#")
]
GOOD = [row[0] for row in ROWS if row[1] in {"attestation", "verified"}]

pytest.importorskip("sigstore", reason="the extra `sigstore` (PyPI: sigstore) is not installed")
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no sigstore-bundles beside the checkout"
)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    found = sigstore_verifier()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def production_root() -> bytes:
    """Return the public-good instance's root that the package comes with."""
    for store in (importlib.resources.files("sigstore") / "_store").iterdir():
        if store.name.endswith("sigstore.dev"):
            return (store / "trusted_root.json").read_bytes()
    pytest.skip("the sigstore package has no root of sigstore.dev")


def root_of(folder: Path) -> MediaFile:
    own = folder / "trusted_root.json"
    return MediaFile(own.name, own.read_bytes() if own.exists() else production_root())


def enrolled(release: Release, root: MediaFile, identity: str = IDENTITY) -> Policy:
    policy = release.policy("ann", quorum={"threshold": 1})
    (ann,) = policy.builders
    signer = parse_sigstore_key(identity, ISSUER, hashlib.sha256(root.data).hexdigest())
    pinned = replace(ann.keys[0], key=signer.keys[0], key_id=signer.key_id)
    return replace(policy, builders=(replace(ann, keys=(pinned,)),))


def read(folder: Path, data: bytes, policy: Policy, root: MediaFile, verifier: Verifier) -> Reading:
    own = folder / "artifact"
    artifact = MediaFile("a", (own if own.exists() else FOLDER / "a.txt").read_bytes())
    bundle = MediaFile("a.sigstore.json", data)
    return read_sigstore(bundle, (artifact,), (root,), policy, verifier)


def test_the_table_is_whole() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(
        path.name for path in FOLDER.iterdir() if path.is_dir()
    )


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_real_bundles_read_as_the_table_says(
    row: tuple[str, ...], release: Release, verifier: Verifier
) -> None:
    name, kind, rule = row
    folder = FOLDER / name
    data = (folder / "bundle.sigstore.json").read_bytes()
    root = root_of(folder)
    reading = read(folder, data, enrolled(release, root), root, verifier)
    match reading:
        case Attestation():
            found = ("attestation", "-")
        case Malformed(builder="ann"):
            found = ("verified", reading.rule)
        case Malformed() | Unverified():
            found = (type(reading).__name__.lower(), reading.rule)
    assert found == (kind, rule)
    # A name that ends in _fail must not verify.
    assert (kind in {"attestation", "verified"}) <= (not name.endswith("_fail"))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_real_bundles_are_judged_as_the_table_says(
    row: tuple[str, ...], release: Release, verifier: Verifier
) -> None:
    name, kind, rule = row
    folder = FOLDER / name
    root = root_of(folder)
    own = folder / "artifact"
    files = (
        MediaFile("a", (own if own.exists() else FOLDER / "a.txt").read_bytes()),
        MediaFile("a.sigstore.json", (folder / "bundle.sigstore.json").read_bytes()),
        root,
    )
    policy = enrolled(release, root)
    (ann,) = policy.builders
    held = replace(ann.keys[0], valid_from=EPOCH, wrapping=KeyWrapping.SIGSTORE)
    reading = read(folder, files[1].data, policy, root, verifier)
    claims = reading.claims if isinstance(reading, Attestation) else None
    artifact = claims.artifacts[0] if claims else None
    policy = replace(
        policy,
        builders=(replace(ann, formats=("sigstore",), keys=(held,)),),
        artifact=replace(policy.artifact, names=(artifact.name if artifact else "a",)),
        inputs=replace(policy.inputs, must_agree=()),
    )
    digest = artifact.digest("sha256") if artifact else hashlib.sha256(files[0].data).hexdigest()
    image = replace(facts(), sha256=Digest.from_hex(DigestKind.FILE_SHA256, digest))
    now = claims.time if claims and claims.time else NOW
    aids = Aids(verifier=verifier)
    verdict = judge(policy, policy.artifact.names[0], image, files, now, aids=aids)
    told = {d.file: (str(d.disposition), d.rule) for d in verdict.dispositions}
    wanted = {"attestation": "counted", "verified": "malformed", "unverified": "not-counted"}
    assert told["a.sigstore.json"] == (wanted.get(kind, kind), rule.strip("-"))
    assert verdict.verdict == ("ACCEPT" if kind == "attestation" else "REFUSE")


@pytest.mark.parametrize("name", GOOD)
def test_a_real_bundle_counts_for_nobody_else(
    name: str, release: Release, verifier: Verifier
) -> None:
    folder = FOLDER / name
    data = (folder / "bundle.sigstore.json").read_bytes()
    root = root_of(folder)
    policy = enrolled(release, root, IDENTITY.replace("heads/main", "heads/other"))
    reading = read(folder, data, policy, root, verifier)
    assert isinstance(reading, Unverified)
    assert reading.rule == "ATT-IDENTITY"


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=150)
@given(data=st.data())
def test_a_mutated_real_bundle_never_says_anything_else(
    name: str, data: st.DataObject, release: Release, verifier: Verifier
) -> None:
    folder = FOLDER / name
    good = (folder / "bundle.sigstore.json").read_bytes()
    root = root_of(folder)
    policy = enrolled(release, root)
    genuine = read(folder, good, policy, root, verifier)
    at = data.draw(st.integers(0, len(good) - 1))
    spoiled = good[:at] + data.draw(st.binary(max_size=3)) + good[at + 1 :]
    reading = read(folder, spoiled, policy, root, verifier)
    if isinstance(reading, Attestation):
        assert isinstance(genuine, Attestation)
        assert reading.claims == genuine.claims


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=60)
@given(data=st.data())
def test_a_mutated_root_is_refused_or_verifies_the_same(
    name: str, data: st.DataObject, verifier: Verifier
) -> None:
    folder = FOLDER / name
    bundle = (folder / "bundle.sigstore.json").read_bytes()
    good = root_of(folder).data
    at = data.draw(st.integers(0, len(good) - 1))
    spoiled = good[:at] + data.draw(st.binary(max_size=3)) + good[at + 1 :]
    content = (FOLDER / "a.txt").read_bytes() if name == "happy-path-v0.3" else None
    said = {"", "application/vnd.in-toto+json", "ATT-SIGSTORE"}
    assert _answer(verifier, spoiled, bundle, content) in said


def _answer(verifier: Verifier, root: bytes, bundle: bytes, content: bytes | None) -> str:
    try:
        return verifier.verify(root, bundle, (IDENTITY, ISSUER), content)[0]
    except Refused as error:
        return error.findings[0].rule
