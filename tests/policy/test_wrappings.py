"""Keys in every wrapping, made by the real tools: one key is one key, one builder one vote."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from marks import accepts, refuses
from quorum.casebook import keys_of, loaded, rows
from quorum.policy_faults import section
from quorum.release import Release
from quorum.toml_text import Table

from ceremony.errors import Refused
from ceremony.policy_people import KeyWrapping
from ceremony.principals import principals

SIGSTORE = {
    "type": "sigstore",
    "identity": "https://github.com/org/repo/.github/workflows/build.yml@refs/tags/*",
    "issuer": "https://token.actions.githubusercontent.com",
    "trusted_root_sha256": "sha256:" + "ab" * 32,
}


def texts(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return one Ed25519 key in every wrapping that is text of our own making."""
    public = key.public_key()
    raw = public.public_bytes_raw()
    numbered = base64.b64encode(b"Ed" + b"12345678" + raw).decode()
    return {
        "ssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        "minisign": numbered,
        "spki": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "nix": "cache-1:" + base64.b64encode(raw).decode(),
        "signify": f"untrusted comment: signify public key\n{numbered}\n",
    }


def enrolled(release: Release, *keys: Table) -> Table:
    """Return a policy whose first builder has these keys besides its own."""
    tables = release.tables()
    window = {name: keys_of(tables, 0)[0][name] for name in ("from", "to")}
    keys_of(tables, 0).extend(key | window for key in keys)
    return tables


def made_by_gpg(folder: Path, *arguments: str) -> bytes:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    environment = {**os.environ, "GNUPGHOME": str(folder)}
    command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give an armoured OpenPGP certificate with a primary and a subkey that sign."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    made_by_gpg(home, "--quick-gen-key", "Gus <gus@example.org>", "ed25519", "sign", "5y")
    listing = made_by_gpg(home, "--with-colons", "--list-keys").decode()
    primary = next(row.split(":")[9] for row in listing.split("\n") if row.startswith("fpr"))
    made_by_gpg(home, "--quick-add-key", primary, "ed25519", "sign", "5y")
    yield made_by_gpg(home, "--armor", "--export", primary).decode()
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@accepts("POL-PUBLIC-KEY", "POL-KEY-TWICE")
def test_keys_of_every_wrapping_are_one_builders_and_one_vote(
    release: Release, certificate: str
) -> None:
    more: list[Table] = [
        {"type": kind, "public": texts(Ed25519PrivateKey.generate())[kind]}
        for kind in ("ssh", "minisign", "spki", "nix", "signify")
    ]
    tables = enrolled(release, *more, {"type": "openpgp", "public": certificate}, dict(SIGSTORE))
    policy = loaded(tables)
    ann = policy.builder_named["ann"]
    assert [str(key.wrapping) for key in ann.keys] == [
        *("ssh", "ssh", "minisign", "spki", "nix", "signify", "openpgp", "openpgp", "sigstore"),
    ]
    assert [key.entry for key in ann.keys] == [1, 2, 3, 4, 5, 6, 7, 7, 8]
    assert all(policy.enrolled[key.key.fpr][0] is ann for key in ann.keys)
    assert next(p.builders for p in principals(policy.builders)) == ("ann",)
    signify = policy.by_key_id(KeyWrapping.SIGNIFY, b"12345678".hex())
    nix = policy.by_key_id(KeyWrapping.NIX, "cache-1")
    assert [holder.id for holder, _ in (*signify, *nix)] == ["ann", "ann"]
    assert b"12345678".hex() in policy.by_minisign_id
    only = [key for key in ann.keys if key.wrapping in (KeyWrapping.NIX, KeyWrapping.OPENPGP)]
    assert not {key.key for key in only} & set(policy.bare_keys)


@refuses("POL-KEY-TWICE")
@pytest.mark.parametrize("second", ["ssh", "minisign", "spki", "nix", "signify"])
@pytest.mark.parametrize("first", ["ssh", "minisign", "spki", "nix", "signify"])
def test_one_key_in_two_wrappings_stands_twice(release: Release, first: str, second: str) -> None:
    wrapped = texts(Ed25519PrivateKey.generate())
    tables = enrolled(release, {"type": first, "public": wrapped[first]})
    keys_of(tables, 1).append(keys_of(tables, 1)[0] | {"type": second, "public": wrapped[second]})
    with pytest.raises(Refused, match=r"POL-KEY-TWICE.*ann and bob"):
        loaded(tables)


@refuses("POL-KEY-TWICE")
def test_an_openpgp_subkey_as_a_plain_key_stands_twice(release: Release, certificate: str) -> None:
    entry: Table = {"type": "openpgp", "public": certificate}
    ann = loaded(enrolled(release, entry)).builder_named["ann"]
    _, primary, subkey = ann.keys
    for key in (primary, subkey):
        plain: Table = {"type": "spki", "public": base64.b64encode(key.key.spki).decode()}
        with pytest.raises(Refused, match=r"POL-KEY-TWICE.*builder.key 3"):
            loaded(enrolled(release, entry, plain))
    with pytest.raises(Refused, match="POL-KEY-TWICE"):
        loaded(enrolled(release, entry, entry))


@refuses("POL-KEY-TWICE")
def test_one_sigstore_identity_under_two_roots_stands_twice(release: Release) -> None:
    other = SIGSTORE | {"trusted_root_sha256": "cd" * 32}
    with pytest.raises(Refused, match="POL-KEY-TWICE"):
        loaded(enrolled(release, dict(SIGSTORE), dict(other)))


@refuses("POL-PUBLIC-KEY", "POL-MISSING", "POL-UNKNOWN")
@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("POL-PUBLIC-KEY", {"type": "openpgp", "public": "x"}),
        ("POL-PUBLIC-KEY", {"type": "nix", "public": "cache-1:" + "A" * 88}),
        ("POL-PUBLIC-KEY", {"type": "signify", "public": "AAAA"}),
        ("POL-PUBLIC-KEY", SIGSTORE | {"issuer": "http://example.org"}),
        ("POL-PUBLIC-KEY", SIGSTORE | {"identity": "*"}),
        ("POL-MISSING", {"type": "sigstore", "identity": "a@example.org"}),
        ("POL-UNKNOWN", SIGSTORE | {"public": "x"}),
        ("POL-UNKNOWN", {"type": "ssh", "issuer": "x", "public": "x"}),
        ("POL-MISSING", {"type": "nix"}),
    ],
)
def test_a_key_that_cannot_be_read_has_its_place(release: Release, rule: str, key: Table) -> None:
    with pytest.raises(Refused) as caught:
        loaded(enrolled(release, dict(key)))
    told = [finding.text for finding in caught.value.findings if finding.rule == rule]
    assert any(text.startswith("[builder.key 2]") and "(line " in text for text in told)


@refuses("POL-VALUE")
@pytest.mark.parametrize("isolation", ["other:", "other: ", "other", "freebsd", "Docker"])
def test_an_isolation_is_one_of_the_list_or_says_what_else_it_is(
    release: Release, isolation: str
) -> None:
    tables = release.tables()
    rows(tables)[0]["isolation"] = "other:a cabin"
    assert loaded(tables).builders[0].isolation == "other:a cabin"
    rows(tables)[0]["isolation"] = isolation
    with pytest.raises(Refused, match="POL-VALUE"):
        loaded(tables)


def test_only_a_jail_has_metadata(release: Release) -> None:
    tables = release.tables()
    rows(tables)[1]["require_jail_metadata"] = True
    assert loaded(tables).builders[1].require_jail_metadata
    rows(tables)[0]["require_jail_metadata"] = True
    with pytest.raises(Refused, match=r"\[builder 1\].require_jail_metadata"):
        loaded(tables)


def test_version_and_ledger_have_the_documented_defaults(release: Release) -> None:
    policy = release.policy()
    assert (policy.version, policy.ledger) == (None, None)
    policy = release.policy(version={"source": ["statement"]})
    assert policy.version is not None
    assert (policy.version.scheme, policy.version.rule) == ("semver", "strictly-greater")
    assert (policy.version.deny, policy.version.same_digest_resign) == ((), "allow-logged")
    assert policy.ledger is not None
    assert policy.ledger.file == "ledger.jsonl"
    assert release.policy(version={"source": ["statement"], "rule": "any"}).ledger is None
    policy = release.policy(ledger={"file": "book/l.jsonl"})
    assert policy.ledger is not None
    assert policy.ledger.file == "book/l.jsonl"


@refuses("POL-VALUE", "POL-MISSING", "POL-TWICE")
@pytest.mark.parametrize(
    ("rule", "place", "version"),
    [
        ("POL-MISSING", "[version].source", {}),
        ("POL-VALUE", "[version].source", {"source": []}),
        ("POL-VALUE", "[version].source", {"source": ["git-tag"]}),
        ("POL-TWICE", "[version].source", {"source": ["statement", "statement"]}),
        ("POL-VALUE", "[version].scheme", {"source": ["statement"], "scheme": "calver"}),
        ("POL-VALUE", "[version].rule", {"source": ["statement"], "rule": "greater"}),
        ("POL-VALUE", "[version].deny", {"source": ["statement"], "deny": ["a b"]}),
        ("POL-VALUE", "[version].deny", {"source": ["statement"], "deny": ["\u0440c"]}),
        ("POL-VALUE", "[version].same", {"source": ["statement"], "same_digest_resign": "no"}),
        ("POL-VALUE", "[version].source", {"source": ["file-name"]}),
    ],
)
def test_a_fault_of_version_is_refused(
    release: Release, rule: str, place: str, version: Table
) -> None:
    with pytest.raises(Refused) as caught:
        release.policy(version=version)
    told = [finding.text for finding in caught.value.findings if finding.rule == rule]
    assert any(text.startswith(place) for text in told), caught.value.findings


@pytest.mark.parametrize("name", ["a_{version}.efi", "{version}/a.efi", "a{version}b{version}.efi"])
def test_a_place_for_a_version_is_one_that_is_read(release: Release, name: str) -> None:
    tables = release.tables()
    section(tables, "artifact")["names"] = [name]
    with pytest.raises(Refused, match="POL-VALUE"):
        loaded(tables)
    tables["version"] = {"source": ["file-name"]}
    if name == "a_{version}.efi":
        assert loaded(tables).artifact.names == (name,)
    else:
        with pytest.raises(Refused, match="POL-VALUE"):
            loaded(tables)


@pytest.mark.parametrize("file", ["", "/l.jsonl", "../l.jsonl", "a\x07"])
def test_a_ledgers_file_is_a_path_on_the_medium(release: Release, file: str) -> None:
    with pytest.raises(Refused, match="POL-VALUE"):
        release.policy(ledger={"file": file})
