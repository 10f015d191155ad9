"""Builders enrolled with OpenPGP keys, made by the real gpg, in a policy made by the real one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from attest.gpg_home import Gpg, HandMade
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.release import COMMIT, IMAGE, NOW, Release, checksums, sha256
from quorum.toml_text import Table, toml

from ceremony.attest.openpgp import read_openpgp_pair
from ceremony.attest.openpgp_certificate import OpenPgpKey
from ceremony.attest.openpgp_key import read_openpgp_key
from ceremony.attest.record import Attestation, Malformed, Reading, Unverified
from ceremony.policy import Policy, load
from ceremony.types import MediaFile

CONTENT = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
KINDS = {
    "ed25519": "ed25519",
    "rsa3072": "rsa-3072",
    "nistp256": "ecdsa-p256-sha256",
    "nistp384": "ecdsa-p384-sha384",
    "nistp521": "ecdsa-p521-sha512",
}


@dataclass
class People:
    """One builder for each kind of key, one with a subkey, one with a hand-made key."""

    gpg: Gpg
    release: Release
    hand: HandMade = field(default_factory=lambda: HandMade(Ed25519PrivateKey.generate()))
    exported: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def made(cls, gpg: Gpg, release: Release) -> People:
        people = cls(gpg, release)
        for kind in KINDS:
            people.exported[kind] = gpg.export(gpg.key(f"{kind} <{kind}@x>", kind))
        subkeyed = gpg.key("subkeyed <subkeyed@x>", "ed25519")
        gpg("--quick-add-key", subkeyed, "ed25519", "sign", "never")
        people.exported["subkeyed"] = gpg.export(subkeyed)
        people.exported["hand"] = people.hand.key
        gpg.key("stranger <stranger@x>", "ed25519")
        return people

    def key(self, name: str) -> OpenPgpKey:
        return read_openpgp_key(self.exported[name])

    def builder(self, name: str) -> Table:
        key = {
            "type": "openpgp",
            "public": base64.b64encode(self.exported[name]).decode(),
            "from": NOW - timedelta(days=300),
            "to": NOW + timedelta(days=300),
        }
        return {
            "id": name,
            "organisation": f"{name} BV",
            "persons": [name],
            "isolation": "nix-sandbox",
            "formats": ["openpgp"],
            "key": [key],
        }

    @cached_property
    def policy(self) -> Policy:
        tables = self.release.tables("ann")
        tables["builder"] = [self.builder(name) for name in self.exported]
        return load(toml(tables))

    def sign(self, name: str, *options: str, data: bytes = CONTENT) -> bytes:
        return self.gpg.sign(f"{name}@x", data, *options)


def readings(
    people: People, signature: bytes, *contents: bytes, path: str = "SHA256SUMS"
) -> tuple[Reading, ...]:
    signed = tuple(MediaFile(path, content) for content in contents)
    return read_openpgp_pair(MediaFile(path + ".asc", signature), signed, people.policy)


def counted(people: People, signature: bytes, *contents: bytes) -> Attestation:
    (reading,) = readings(people, signature, *contents or (CONTENT,))
    assert isinstance(reading, Attestation), reading
    return reading


def barred(people: People, signature: bytes, *contents: bytes) -> Unverified | Malformed:
    (reading,) = readings(people, signature, *contents or (CONTENT,))
    assert not isinstance(reading, Attestation)
    return reading
