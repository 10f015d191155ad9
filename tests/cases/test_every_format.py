"""One release with a builder for each format and kind of key, judged by the `check` command.

The real tools sign (ssh-keygen, minisign, signify, gpg, in-toto-run, nix), a file each, as their
users would; security keys, rebuilderd and Sigstore are made as their documents say. What lies on
the medium goes the whole way: folder, confined child, proof, verdict.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attest.gpg_home import Gpg
from attest.links import LinkKey, metablock, tool
from attest.sigstore_made import IDENTITY, ISSUER, Instance
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.nix_cache import NixStore, needs_nix
from quorum.release import COMMIT, Release, checksums, sha256, statement
from quorum.security_key import SecurityKey
from quorum.signify_key import SignifyKey
from quorum.ssh_authority import SshAuthority, sign_certified
from quorum.toml_text import Table, toml
from quorum.tool_keys import NAMESPACE, BareKey, MinisignKey, SshKey
from rehearsing import tiny_uki

from ceremony.ingest.sigstore import sigstore_verifier
from ceremony.keys import ED25519_SPKI_WITH_NULL
from ceremony.policy_model import POLICY_NAMESPACE
from tui.commands.dispatch import dispatch

IMAGE = tiny_uki()
DIGEST = sha256(IMAGE)
PINS = {"git_commit": COMMIT}
SUMS = checksums(DIGEST, "anchor.efi", PINS)
OWN_PIN = f"# git_commit {COMMIT}\n".encode()
BSD = f"SHA256 (anchor.efi) = {DIGEST}\n".encode() + OWN_PIN
REVERSED = f"{DIGEST} anchor.efi\n".encode() + OWN_PIN  # FreeBSD's sha256 -r
ALGORITHMS = [
    *("ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "ecdsa-p521-sha512"),
    *("rsa>=2048-sha256", "sk-ssh-ed25519", "sk-ecdsa-p256", "sigstore"),
]
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Booth:
    """Where builders enrol and leave their files."""

    folder: Path
    builders: list[Table] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    signed: dict[str, str] = field(default_factory=dict)

    def enrol(self, name: str, kind: str, public: str, formats: str, **more: object) -> None:
        key: Table = {"type": kind, "public": public} if public else {"type": kind}
        window = {"from": NOW - timedelta(days=3000), "to": NOW + timedelta(days=3000)}
        self.builders.append(
            {
                "id": name,
                "organisation": name,
                "persons": [name],
                "isolation": "bare-metal",
                "formats": [formats],
                "key": [key | window | more],
            }
        )

    def leave(self, name: str, content: bytes, ending: str, signature: bytes) -> None:
        self.files[f"{name}/SHA256SUMS"] = content
        self.alone(name, f"SHA256SUMS{ending}", signature)

    def alone(self, name: str, path: str, signature: bytes) -> None:
        self.files[f"{name}/{path}"] = signature
        self.signed[name] = f"{name}/{path}"


def ssh(booth: Booth) -> None:
    kinds: tuple[tuple[str, int, str, bytes], ...] = (
        ("ed25519", 0, "sha512", SUMS),
        ("ecdsa", 256, "sha512", BSD),
        ("ecdsa", 384, "sha256", REVERSED),
        ("ecdsa", 521, "sha512", SUMS),
        ("rsa", 2048, "sha512", SUMS),
        ("rsa", 3072, "sha256", SUMS),
    )
    for kind, bits, hashed, content in kinds:
        name = f"ssh-{kind}-{bits}"
        key = SshKey.make(booth.folder / name, kind, bits)
        words = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-O", f"hashalg={hashed}"]
        made = subprocess.run(
            [*words, "-f", key.path], input=content, capture_output=True, check=True
        )
        booth.enrol(name, "ssh", key.line, "sshsig")
        booth.leave(name, content, ".sig", made.stdout)
    for kind in ("ed25519", "ecdsa"):
        token = SecurityKey.make(kind)
        booth.enrol(f"sk-{kind}", "ssh", token.line, "sshsig")
        booth.leave(f"sk-{kind}", SUMS, ".sig", token.sign(SUMS))
    authority, user = SshAuthority.make(booth.folder / "ca"), SshKey.make(booth.folder / "host")
    authority.certify(booth.folder / "host.pub", "dan", valid="always:forever")
    booth.enrol("ssh-ca", "ssh-ca", authority.line, "sshsig", principals=["dan"])
    booth.leave("ssh-ca", SUMS, ".sig", sign_certified(user, SUMS))


def minisign(booth: Booth) -> None:
    for name, *options in (("minisign",), ("minisign-legacy", "-l")):
        key = MinisignKey.make(booth.folder / name)
        comment = f"github.com/acme/anchor/commit/{COMMIT}"
        plain = checksums(DIGEST, "anchor.efi", {})
        booth.enrol(name, "minisign", key.line, "minisign")
        booth.leave(name, plain, ".minisig", key.sign(plain, comment, *options))


def signify(booth: Booth) -> None:
    for name, *options in (("signify",), ("signify-embedded", "-e")):
        key = SignifyKey.make(booth.folder / name)
        booth.enrol(name, "signify", key.text, "signify")
        if options:
            booth.alone(name, "SHA256.sig", key.sign(BSD, *options))
        else:
            booth.leave(name, BSD, ".sig", key.sign(BSD))


def openpgp(booth: Booth) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("gpg (Debian: gnupg) is not installed")
    kinds = ("ed25519", "rsa3072", "nistp256", "nistp384", "nistp521", "subkey")
    with Gpg.made() as gpg:
        for number, kind in enumerate(kinds):
            name, made = f"gpg-{kind}", kind.replace("subkey", "rsa2048")
            gpg.key(f"{name} <{name}@x>", made)
            signer = f"{name}@x"
            if kind == "subkey":
                gpg("--quick-add-key", gpg.fingerprints(name)[0], "ed25519", "sign", "never")
                signer = gpg.fingerprints(name)[1] + "!"
            options = ["--no-armor"] if number % 2 else []
            options += ["--textmode"] if number == 4 else []
            public = gpg("--armor", "--export", name).decode()
            booth.enrol(name, "openpgp", public, "openpgp")
            signature = gpg.sign(signer, SUMS, *options, at=NOW - timedelta(hours=1))
            booth.leave(name, SUMS, ".sig" if number % 2 else ".asc", signature)


def dsse(booth: Booth) -> None:
    for version in ("v1", "v0.2"):
        key = BareKey(Ed25519PrivateKey.generate())
        payload = statement(
            DIGEST, "anchor.efi", PINS, version=version, finished=NOW - timedelta(hours=1)
        )
        data = key.envelope(payload)
        if version == "v1":  # DSSE: "Either standard or URL-safe encoding is allowed."
            data = data.replace(b"+", b"-").replace(b"/", b"_")
            data = data.replace(b"application_vnd.in-toto-json", b"application/vnd.in-toto+json")
        booth.enrol(f"slsa-{version}", "spki", key.line, "dsse")
        booth.alone(f"slsa-{version}", "anchor.intoto.json", data)


def links(booth: Booth) -> None:
    for name, kind, *options in (
        ("link-ed25519", "ed25519"),
        ("link-ecdsa", "ecdsa-p384"),
        ("link-rsa", "rsa-3072"),
        ("link-in-dsse", "ecdsa-p256", "--use-dsse"),
    ):
        folder = booth.folder / name
        folder.mkdir()
        key = LinkKey.make(folder, kind)
        (folder / "anchor.efi").write_bytes(IMAGE)
        words = [tool("in-toto-run"), "-q", "-n", "build", "-p", "anchor.efi", *options]
        subprocess.run(
            [*words, "--signing-key", key.pem, "--", "true"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        (made,) = folder.glob("build.*.link")
        booth.enrol(name, "spki", key.public_pem, "dsse" if options else "in-toto-link")
        booth.alone(name, made.name, made.read_bytes())


def rebuilderd(booth: Booth) -> None:
    instance, worker = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    link: dict[str, object] = {
        "_type": "link",
        "name": "rebuild anchor.efi",
        "command": [],
        "materials": {"anchor.buildinfo": {"sha256": "ab" * 32}},
        "products": {"anchor.efi": {"sha256": DIGEST, "sha512": hashlib.sha512(IMAGE).hexdigest()}},
        "byproducts": {},
        "environment": None,
    }
    null = ED25519_SPKI_WITH_NULL + instance.public_key().public_bytes_raw()
    pem = base64.encodebytes(null).decode()
    public = f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n"
    booth.enrol("rebuilderd", "spki", public, "rebuilderd")
    booth.alone("rebuilderd", "rebuild.link", metablock(link, worker, instance))


def nix(booth: Booth) -> None:
    needs_nix()
    for name, compression in (("nix", "none"), ("nix-xz", "xz")):
        (booth.folder / name).mkdir()
        store = NixStore(booth.folder / name)
        booth.enrol(name, "nix", store.key(f"{name}-1"), "narinfo")
        path = store.build("anchor.efi", IMAGE)
        store.sign(path, f"{name}-1")
        for file in store.copy(path, compression):
            booth.files[f"{name}/{file.path}"] = file.data
            if file.path.endswith(".narinfo"):
                booth.signed[name] = f"{name}/{file.path}"


def sigstore(booth: Booth) -> None:
    if sigstore_verifier() is None:
        pytest.skip("the extra `sigstore` (PyPI: sigstore) is not installed")
    instance = Instance()
    root = instance.trusted_root()
    booth.files["sigstore/trusted_root.json"] = root
    bundle = instance.attest(statement(DIGEST, "anchor.efi", PINS))
    booth.alone("sigstore", "anchor.sigstore.json", json.dumps(bundle).encode())
    pinned = {"identity": IDENTITY, "issuer": ISSUER, "trusted_root_sha256": sha256(root)}
    booth.enrol("sigstore", "sigstore", "", "sigstore", **pinned)


FAMILIES: tuple[Callable[[Booth], None], ...] = (
    *(ssh, minisign, signify, openpgp, dsse, links, rebuilderd, nix, sigstore),
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(params=FAMILIES, ids=[family.__name__ for family in FAMILIES], scope="module")
def booth(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Booth:
    made = Booth(tmp_path_factory.mktemp("builders"))
    family: Callable[[Booth], None] = request.param
    family(made)
    return made


def checked(
    release: Release, booth: Booth, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[str, dict[str, tuple[str, str]]]:
    """Lay everything out and return the verdict, and by builder what became of its file."""
    tables = release.tables("ann")
    tables["builder"] = booth.builders
    tables["valid_from"] = NOW - timedelta(days=3000)
    tables["expires"] = NOW + timedelta(days=3000)
    tables["inputs"] = {"must_agree": ["git_commit"], "missing": "weak"}
    tables["quorum"] = {"threshold": len(booth.builders), "weak_votes_max": len(booth.builders)}
    tables["algorithms"] = {"sign": ALGORITHMS}
    tables["time"] = {"max_age": "3000d"}
    policy = folder / "policy.toml"
    policy.write_bytes(in_lines(toml(tables)))
    for number, owner in enumerate(release.owners):
        signature = owner.sign(policy.read_bytes(), POLICY_NAMESPACE)
        policy.with_name(f"policy.toml.{number}.sshsig").write_bytes(signature)
    media = folder / "media"
    for path, data in {"anchor.efi": IMAGE, **booth.files}.items():
        (media / path).parent.mkdir(parents=True, exist_ok=True)
        (media / path).write_bytes(data)
    words = ("--policy", str(policy), "--attestations", str(media), "--json")
    capsys.readouterr()
    dispatch(["check", str(media / "anchor.efi"), *words])
    found = json.loads(capsys.readouterr().out)
    by_file = {one["file"]: (one["disposition"], one["rule"]) for one in found["attestations"]}
    return found["verdict"], {name: by_file[path] for name, path in booth.signed.items()}


def in_lines(policy: bytes) -> bytes:
    """Write long keys over several lines, as people do: one line has a longest length."""
    return re.sub(
        rb'public = "([^"]*)"',
        lambda found: b'public = """\n' + found[1].replace(b"\\n", b"\n") + b'"""',
        policy,
    )


# Nobody says which commit such a file was built from: a weak vote.
PINLESS = {"link-ed25519", "link-ecdsa", "link-rsa", "link-in-dsse", "rebuilderd", "nix", "nix-xz"}


def test_every_format_and_kind_of_key_is_a_vote_in_a_whole_check(
    release: Release, booth: Booth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict, told = checked(release, booth, tmp_path, capsys)
    assert len(told) == len(booth.builders)
    assert told == {
        name: ("weak", "QRM-PINS") if name in PINLESS else ("counted", "") for name in told
    }
    assert verdict == "ACCEPT"


def test_one_letter_of_a_signature_or_of_what_it_signs_and_nobody_votes(
    release: Release, booth: Booth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = Booth(booth.folder, booth.builders, dict(booth.files), booth.signed)
    for number, (name, path) in enumerate(booth.signed.items()):
        content = f"{name}/SHA256SUMS"
        if number % 2 and content in booth.files:
            changed = booth.files[content].replace(COMMIT.encode(), COMMIT[::-1].encode())
            spoiled.files[content] = changed.replace(b"anchor.efi", b"Anchor.efi")
        else:
            spoiled.files[path] = misspelt(booth.files[path])
    verdict, told = checked(release, spoiled, tmp_path, capsys)
    assert verdict == "REFUSE"
    assert {standing for standing, _ in told.values()} <= {"not-counted", "malformed"}


def misspelt(data: bytes) -> bytes:
    """Return the data with one letter of its last long base64 changed, or one bit near its end."""
    if not data.isascii():
        return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
    *_, last = re.finditer(rb"[A-Za-z0-9+/_-]{40,}", data)
    at = last.end() - 20
    letter = b"B" if data[at : at + 1] == b"A" else b"A"
    return data[:at] + letter + data[at + 1 :]
