"""A release with nine builders whose keys and signatures are made by the real tools."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from quorum.toml_text import Table, toml
from quorum.tool_keys import BareKey, Key, MinisignKey, SshKey

from ceremony.pe.unsigned import further_digests
from ceremony.policy import Policy, load
from ceremony.quorum import Verdict, judge
from ceremony.types import Digest, DigestKind, ImageFacts, Meaning, MediaFile

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STAMP = int((NOW - timedelta(days=2)).timestamp())
IMAGE = b"an unsigned unified kernel image"
OTHER = b"another unsigned unified kernel image"
MATERIALS = ("git_commit", "flake_lock")
COMMIT = "c0ffee" * 6 + "beef"
BASE = "sha256:" + "ba5e" * 16  # the image of the container builders, cat and eve
LOCK = b'{"nodes": {}, "root": "root", "version": 7}\n'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def facts(data: bytes = IMAGE) -> ImageFacts:
    digest = Digest(DigestKind.FILE_SHA256, hashlib.sha256(data).digest())
    meaning = Meaning((), "", "", "", (), "")
    return ImageFacts(len(data), digest, None, "x86_64", (), (), meaning, ())


@cache
def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + timedelta(days=300))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def checksums(digest: str, name: str, pins: Mapping[str, str]) -> bytes:
    lines = [f"{digest}  {name}", *(f"# {pin} {value}" for pin, value in pins.items())]
    return ("\n".join(lines) + "\n").encode()


def statement(  # noqa: PLR0913 - one member each
    digest: str,
    name: str,
    pins: Mapping[str, str],
    *,
    version: str = "v1",
    finished: datetime | None = None,
    internal: Mapping[str, str] | None = None,
) -> bytes:
    materials: list[object] = []
    if "git_commit" in pins:
        uri = "git+https://example.org/anchor"
        materials.append({"uri": uri, "digest": {"gitCommit": pins["git_commit"]}})
    if "flake_lock" in pins:
        materials.append({"name": "flake.lock", "digest": {"sha256": pins["flake_lock"]}})
    others = {pin: value for pin, value in pins.items() if pin not in MATERIALS}
    parameters = {"base_image": BASE, **others}
    stamp = finished.isoformat().replace("+00:00", "Z") if finished else None
    if version == "v1":
        predicate: object = {
            "buildDefinition": {
                "buildType": "https://example.org/nix-build",
                "externalParameters": parameters,
                "internalParameters": internal or {},
                "resolvedDependencies": materials,
            },
            "runDetails": {"builder": {"id": "x"}, "metadata": {"finishedOn": stamp}},
        }
    else:
        predicate = {
            "buildType": "https://example.org/nix-build",
            "invocation": {"environment": internal or {}, "parameters": parameters},
            "metadata": {"buildFinishedOn": stamp},
            "materials": materials,
        }
    return json.dumps(
        {
            "_type": f"https://in-toto.io/Statement/{'v1' if version == 'v1' else 'v0.1'}",
            "subject": [{"name": name, "digest": {"sha256": digest}}],
            "predicateType": f"https://slsa.dev/provenance/{version}",
            "predicate": predicate,
        }
    ).encode()


BUILDERS: tuple[tuple[str, str, str, str], ...] = (
    ("ann", "Annex", "nix-sandbox", "ssh"),
    ("bob", "Bob BV", "freebsd-jail", "minisign"),
    ("cat", "Catalogue", "docker", "spki"),
    ("dan", "Dantzig", "qemu-vm", "ssh"),
    ("eve", "Evening", "podman", "spki"),
    ("fay", "Fayence", "bare-metal", "ssh"),
)


# A key holder approves plans; no attestation is signed with this.
KIM = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJl4c6bNXP9GMR9NCIngCrGggW5caT8XiVlAqLVs5Oi kim"
MORE: tuple[tuple[str, str, str, str], ...] = (
    ("gus", "Gull", "guix-container", "spki"),
    ("hal", "Halyard", "lima-vm", "spki"),
    ("ivy", "Ivory", "tee-vm", "spki"),
)


@dataclass
class Release:
    """The builders, their keys, and everything that they ever signed, made once."""

    folder: Path
    keys: dict[str, Key] = field(default_factory=dict)
    owners: list[SshKey] = field(default_factory=list)
    made: dict[tuple[object, ...], tuple[MediaFile, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, folder: Path) -> Release:
        release = cls(folder)
        kinds = {"ann": ("ed25519", 0), "dan": ("rsa", 3072), "fay": ("ecdsa", 521)}
        for name, kind in kinds.items():
            release.keys[name] = SshKey.make(folder / name, *kind)
        release.keys["bob"] = MinisignKey.make(folder / "bob")
        release.keys["cat"] = BareKey(ec.generate_private_key(ec.SECP256R1()))
        release.keys["eve"] = BareKey(Ed25519PrivateKey.generate())
        for name, *_ in MORE:
            release.keys[name] = BareKey(Ed25519PrivateKey.generate())
        release.owners = [SshKey.make(folder / f"owner-{n}") for n in (1, 2, 3)]
        return release

    def tables(self, *builders: str, **changes: Table) -> Table:
        """Return the policy as nested tables; `changes` are merged into its tables."""
        names = builders or ("ann", "bob", "cat", "dan")
        policy: Table = {
            "schema": "uki-ceremony/policy/1",
            "policy_id": "demo",
            "sequence": 1,
            "valid_from": NOW - timedelta(days=20),
            "expires": NOW + timedelta(days=60),
            "owners": {"threshold": 2, "keys": [key.line for key in self.owners]},
            "artifact": {"names": ["anchor.efi"], "arch": "x86_64", "max_bytes": 1 << 29},
            "inputs": {"must_agree": ["git_commit"], "missing": "weak"},
            "quorum": {"threshold": 3},
            "dissent": {"override": {"operators": 2}},
            "signer": {"uri": "pkcs11:token=t;object=o", "certificate": certificate()},
            "roles": {
                "administrator": "carol",
                "internal_witness": "ines",
                "external_witness": "ed",
                "key_holders": ["kim"],
            },
            "person": [
                {"id": name, "name": name.title(), "keys": [owner.line]}
                for name, owner in zip(("carol", "ines", "ed"), self.owners, strict=True)
            ]
            + [{"id": "kim", "name": "Kim", "keys": [KIM]}],
            "builder": [self.builder(*row) for row in (*BUILDERS, *MORE) if row[0] in names],
        }
        for table, change in changes.items():
            there = policy.get(table)
            policy[table] = {**there, **change} if isinstance(there, dict) else change
        return policy

    def builder(self, name: str, organisation: str, isolation: str, wrapping: str) -> Table:
        key = {
            "type": wrapping,
            "public": self.keys[name].line,
            "from": NOW - timedelta(days=300),
            "to": NOW + timedelta(days=300),
        }
        return {
            "id": name,
            "organisation": organisation,
            "persons": [name],
            "isolation": isolation,
            "formats": ["sshsig", "minisign", "dsse"],
            "key": [key],
        }

    def policy(self, *builders: str, **changes: Table) -> Policy:
        return load(toml(self.tables(*builders, **changes)))

    def attest(
        self,
        name: str,
        image: bytes = IMAGE,
        pins: Mapping[str, str] | None = None,
        *,
        artifact: str = "anchor.efi",
        folder: str = "",
    ) -> tuple[MediaFile, ...]:
        """Return the files with which a builder attests an image, in the key's own format."""
        said = {"git_commit": COMMIT} if pins is None else dict(pins)
        at = (name, image, tuple(said.items()), artifact)
        if at not in self.made:
            self.made[at] = self._attest(name, sha256(image), said, artifact)
        where = folder or name
        return tuple(MediaFile(f"{where}/{file.path}", file.data) for file in self.made[at])

    def _attest(
        self, name: str, digest: str, pins: Mapping[str, str], artifact: str
    ) -> tuple[MediaFile, ...]:
        key = self.keys[name]
        if isinstance(key, BareKey):
            payload = statement(digest, artifact, pins, finished=NOW - timedelta(days=2))
            return (MediaFile("anchor.intoto.json", key.envelope(payload)),)
        if isinstance(key, MinisignKey):
            sums = checksums(digest, artifact, {})
            words = [f"timestamp:{STAMP}"]
            words += [
                f"github.com/acme/anchor/commit/{value}"
                if pin == "git_commit"
                else f"{pin}:{value}"
                for pin, value in pins.items()
            ]
            signature = key.sign(sums, " ".join(words))
            return (
                MediaFile("anchor.sha256", sums),
                MediaFile("anchor.sha256.minisig", signature),
            )
        sums = checksums(digest, artifact, pins)
        return MediaFile("SHA256SUMS", sums), MediaFile("SHA256SUMS.sig", key.sign(sums))

    def all(self, *names: str, image: bytes = IMAGE) -> tuple[MediaFile, ...]:
        return tuple(file for name in names for file in self.attest(name, image))


def pair(
    path: str, content: bytes, signature: bytes, ending: str = ".sig"
) -> tuple[MediaFile, ...]:
    return MediaFile(path, content), MediaFile(path + ending, signature)


def judged(
    policy: Policy, files: tuple[MediaFile, ...], image: bytes = IMAGE, now: datetime = NOW
) -> Verdict:
    further = partial(further_digests, image)
    return judge(policy, "anchor.efi", facts(image), files, now, further=further)


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()
