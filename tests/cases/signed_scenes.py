"""One sound attestation of two files in every format, with the keys to make others like it.

Each names `anchor.efi` and `debug.efi`, a pin and, where the format has one, a time, so that
there is something to swap. Where the release has keys of the real tools, those sign.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from attest.gpg_home import CREATED, HandMade, area, packet
from attest.links import enrolling, metablock
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from quorum.casebook import envelope, provenance, signed_sums
from quorum.enrolling import builder, enrolled
from quorum.nar_bytes import archive
from quorum.release import COMMIT, IMAGE, OTHER, STAMP, Release, pair, sha256
from quorum.tool_keys import MinisignKey

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, gather, read
from ceremony.attest.nar_media import NarFacts, archives_among
from ceremony.attest.narinfo import read_narinfo, to_base32
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.openpgp_key import read_openpgp_key
from ceremony.attest.record import Attestation, Reading
from ceremony.attest.signify import parse_signify_key
from ceremony.ingest.told import telling, understood
from ceremony.policy import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.types import MediaFile

HERE, THERE = "anchor.efi", "debug.efi"
LOCK = "ab" * 32
PINS = f"# git_commit {COMMIT}\n# timestamp {STAMP}\n# isolation nix-sandbox\n"
# As GNU, BSD and `-r` write them.
LINES = {
    "gnu": "{0}  {1}\n",
    "binary": "{0} *{1}\n",
    "reversed": "{0} {1}\n",
    "tagged": "SHA256 ({1}) = {0}\n",
}
DIGESTS = {HERE: {"sha256": sha256(IMAGE)}, THERE: {"sha256": sha256(OTHER)}}


def sums(line: str = LINES["gnu"]) -> bytes:
    both = "".join(line.format(digests["sha256"], name) for name, digests in DIGESTS.items())
    return (PINS + both + line.format(LOCK, "flake.lock")).encode()


@dataclass(frozen=True)
class Scene:
    """One file that an enrolled key signed, and what reading it takes."""

    policy: Policy
    evidence: Evidence
    archives: tuple[NarFacts, ...] = ()
    key: Ed25519PrivateKey | None = None

    def sign(self, message: bytes) -> bytes:
        assert self.key is not None
        return self.key.sign(message)

    @property
    def aids(self) -> Aids:
        return Aids(archives=self.archives, names=self.policy.artifact.names)

    def read(self) -> Attestation:
        (reading,) = read(self.evidence, self.policy, self.aids)
        assert isinstance(reading, Attestation), reading
        return reading

    def told(self) -> list[list[Any]]:
        """Return what the child tells, to spoil."""
        readings = read(self.evidence, self.policy, self.aids)
        return list(json.loads(json.dumps(telling(readings, self.evidence, self.aids.names))))

    def believed(self, told: object) -> tuple[Reading, ...]:
        plain = json.loads(json.dumps(told))
        return understood(plain, self.evidence, self.policy, self.aids)


def _scene(policy: Policy, *files: MediaFile, key: Ed25519PrivateKey | None = None) -> Scene:
    (evidence,) = gather(files)
    return Scene(policy, evidence, (), key)


def sshsig(release: Release, content: bytes) -> Scene:
    return _scene(release.policy(), *signed_sums(release, content))


def minisign(release: Release, content: bytes) -> Scene:
    signature = minisign_signature(release, content)
    return _scene(release.policy(), *pair("b.sha256", content, signature, ".minisig"))


def minisign_signature(release: Release, content: bytes) -> bytes:
    key = release.keys["bob"]
    assert isinstance(key, MinisignKey)
    return key.sign(content, f"timestamp:{STAMP} base_image:alpine host:h1")


def signify(release: Release, content: bytes) -> Scene:
    key, number = Ed25519PrivateKey.generate(), b"12345678"
    public = parse_signify_key(_b64(b"Ed" + number + key.public_key().public_bytes_raw()))
    who = builder("sig", public.key, KeyWrapping.SIGNIFY, public.key_id, ("signify",))
    line = _b64(b"Ed" + number + key.sign(content))
    signature = f"untrusted comment: verify with sig.pub\n{line}\n".encode()
    return _scene(enrolled(release, who), *pair("SHA256SUMS", content, signature), key=key)


def openpgp(release: Release, content: bytes, hashed: bytes = area(CREATED)) -> Scene:
    hand = HandMade(Ed25519PrivateKey.generate())
    key = read_openpgp_key(hand.key)
    who = builder("gpg", key.keys[0], KeyWrapping.OPENPGP, key.key_ids[0], ("openpgp",))
    signature = packet(2, hand.sign(content, hashed=hashed))
    files = pair("SHA256SUMS", content, signature)
    return _scene(enrolled(release, who), *files, key=hand.private)


def dsse(release: Release, content: bytes) -> Scene:
    return _scene(release.policy(), envelope(release, content))


def stated(finished: str = "2026-11-20T12:00:00Z") -> bytes:
    """Return a Statement that has the second file's digest as a material too."""
    document = provenance(
        subject=[{"name": name, "digest": digests} for name, digests in DIGESTS.items()]
    )
    definition = document["predicate"]["buildDefinition"]
    definition["internalParameters"] = {"isolation": "docker"}
    definition["resolvedDependencies"] += [
        {"name": "old.efi", "digest": {"sha256": "cd" * 32}},
        {"name": "flake.lock", "digest": {"sha256": LOCK}},
    ]
    metadata = {"startedOn": "2026-11-21T12:00:00Z", "finishedOn": finished}
    document["predicate"]["runDetails"]["metadata"] = metadata
    return json.dumps(document).encode()


def link(name: str = "build") -> dict[str, object]:
    return {
        "_type": "link",
        "name": name,
        "materials": {
            "flake.lock": {"sha256": LOCK},
            "old.efi": {"sha256": "cd" * 32},
            "anchor.buildinfo": {"sha256": "ef" * 32},
        },
        "products": DIGESTS,
        "environment": {"isolation": "bare-metal"},
        "byproducts": {"stdout": 'built \u00e4 in one\nline \\ "two" ' + "\u0001"},
        "command": ["nix", "build"],
    }


def metablocked(release: Release, signed: dict[str, object]) -> Scene:
    key = Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    policy = enrolling(release, {"lin": (pem.decode(),)})
    return _scene(policy, MediaFile("l/build.0123abcd.link", metablock(signed, key)), key=key)


def narinfo(release: Release, further: str = "") -> Scene:
    key = Ed25519PrivateKey.generate()
    public = parse_nix_key(f"cache-1:{_b64(key.public_key().public_bytes_raw())}")
    who = builder("nix", public.key, KeyWrapping.NIX, public.key_id, ("narinfo",))
    nar = archive({HERE: IMAGE, THERE: OTHER})
    lines = [
        f"StorePath: /nix/store/{'0' * 32}-uki",
        "URL: nar/x.nar",
        "Compression: none",
        f"NarHash: sha256:{to_base32(hashlib.sha256(nar).digest())}",
        f"NarSize: {len(nar)}",
        f"References: {'1' * 32}-glibc {'0' * 32}-uki",
    ]
    plain = "".join(f"{line}\n" for line in lines) + further
    signed = key.sign(read_narinfo(plain.encode()).fingerprint)
    info = MediaFile(f"c/{'0' * 32}.narinfo", f"{plain}Sig: cache-1:{_b64(signed)}\n".encode())
    packed = MediaFile("c/nar/x.nar", nar)
    (evidence,) = gather((info,))
    return Scene(enrolled(release, who), evidence, archives_among((info, packed), 1 << 20), key)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SCENES: dict[str, Callable[[Release], Scene]] = {
    **{f"sshsig-{name}": partial(sshsig, content=sums(line)) for name, line in LINES.items()},
    "minisign": lambda release: minisign(release, sums().replace(b"# isolation", b"# os")),
    "signify": lambda release: signify(release, sums()),
    "openpgp": lambda release: openpgp(release, sums()),
    "dsse": lambda release: dsse(release, stated()),
    "dsse-link": lambda release: dsse(release, json.dumps(link()).encode()),
    "in-toto-link": lambda release: metablocked(release, link()),
    "rebuilderd": lambda release: metablocked(release, link(f"rebuild {HERE}")),
    "narinfo": narinfo,
}
