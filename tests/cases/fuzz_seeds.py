"""Sound evidence in every format that the numbered cases do not hold: what fuzzing begins with.

All of it is made in memory, so that no tool needs to be there; that the real tools make the
same is shown in tests/attest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from attest.gpg_home import CREATED, HandMade, area, packet, subpacket
from attest.links import enrolling, metablock
from attest.sigstore_made import IDENTITY, ISSUER, Instance
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.casebook import keys_of, loaded
from quorum.enrolling import builder, enrolled
from quorum.nar_bytes import archive
from quorum.release import COMMIT, IMAGE, Release, checksums, sha256, statement
from quorum.security_key import SecurityKey
from quorum.ssh_authority import Making, listed, options
from quorum.toml_text import Table

from ceremony.attest.aids import NONE, Aids
from ceremony.attest.dsse import IN_TOTO, pae
from ceremony.attest.nar_media import archives_among
from ceremony.attest.narinfo import read_narinfo, to_base32
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.openpgp_key import read_openpgp_key
from ceremony.attest.signify import parse_signify_key
from ceremony.attest.sigstore import Verifier, pinned_roots
from ceremony.attest.sigstore_bundle import looks_like_trusted_root
from ceremony.attest.sigstore_key import parse_sigstore_key
from ceremony.attest.ssh_wire import string
from ceremony.keys import ED25519_SPKI_WITH_NULL
from ceremony.policy import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.types import MediaFile

Files = tuple[MediaFile, ...]
MOST_NAR = 1 << 20
SUMS = checksums(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT})
NAMES = ("anchor.efi",)


@dataclass(frozen=True)
class Medium:
    """Files, the policy that they count under, and what reading needs besides."""

    policy: Policy
    files: Files
    aids: Callable[[Files], Aids] = lambda _: NONE


def media(release: Release, verifier: Verifier | None) -> Iterator[Medium]:
    """Yield a medium of each format."""
    yield from _certified(release)
    yield from _openpgp(release)
    yield from _signify(release)
    yield from _nix(release)
    yield from _links(release)
    yield from _sigstore(release, verifier)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _certified(release: Release) -> Iterator[Medium]:
    """PROTOCOL.certkeys: a plain certificate, and one whose every field holds something."""
    plain = Making()
    full = Making(
        plain.authority,
        SecurityKey.make("ecdsa"),
        principals=listed("fay", "dan"),
        after=1,
        critical=options(("verify-required", b"")),
        extensions=options(("permit-pty", b""), ("x@example.org", string(b"y"))),
        reserved=b"z",
    )
    tables = release.tables("ann", "bob", "cat")
    key: Table = {"type": "ssh-ca", "public": plain.line, "principals": ["dan"]}
    keys_of(tables, 0)[0].update(key)
    for by in (plain, full):
        files = (
            MediaFile("k/SHA256SUMS", SUMS),
            MediaFile("k/SHA256SUMS.sig", by.sign(SUMS, flags=5)),
        )
        yield Medium(loaded(tables), files)


def _openpgp(release: Release) -> Iterator[Medium]:
    """RFC 9580 5.2.3: one signature, binary and in armour, and two packets in one file."""
    hand = HandMade(Ed25519PrivateKey.generate())
    public = read_openpgp_key(hand.key)
    (key,), (number,) = public.keys, public.key_ids
    policy = enrolled(release, builder("pgp", key, KeyWrapping.OPENPGP, number, ("openpgp",)))
    named = subpacket(33, b"\x04" + hand.fingerprint)
    body = hand.sign(SUMS, hashed=area(CREATED, named), unhashed=area(subpacket(16, b"12345678")))
    plain, text = packet(2, body), packet(2, hand.sign(SUMS, kind=1))
    lines = base64.encodebytes(plain).decode()
    armour = f"-----BEGIN PGP SIGNATURE-----\n\n{lines}-----END PGP SIGNATURE-----\n".encode()
    for name, data in (("sig", plain), ("asc", armour), ("gpg", plain + text)):
        yield Medium(
            policy, (MediaFile("p/SHA256SUMS", SUMS), MediaFile(f"p/SHA256SUMS.{name}", data))
        )


def _signify(release: Release) -> Iterator[Medium]:
    """signify(1): Ed, 8 bytes of id, 64 of signature; -e puts the message behind."""
    key, number = Ed25519PrivateKey.generate(), b"12345678"
    public = parse_signify_key(_b64(b"Ed" + number + key.public_key().public_bytes_raw()))
    policy = enrolled(
        release, builder("sig", public.key, KeyWrapping.SIGNIFY, public.key_id, ("signify",))
    )
    line = _b64(b"Ed" + number + key.sign(SUMS))
    signature = f"untrusted comment: verify with sig.pub\n{line}\n".encode()
    yield Medium(
        policy, (MediaFile("s/SHA256SUMS", SUMS), MediaFile("s/SHA256SUMS.sig", signature))
    )
    yield Medium(policy, (MediaFile("s/SHA256SUMS.sig", signature + SUMS),))


def _nix(release: Release) -> Iterator[Medium]:
    key = Ed25519PrivateKey.generate()
    public = parse_nix_key(f"cache-1:{_b64(key.public_key().public_bytes_raw())}")
    policy = enrolled(
        release, builder("nix", public.key, KeyWrapping.NIX, public.key_id, ("narinfo",))
    )
    nar = archive({"anchor.efi": IMAGE, "lib": {"a": b"b", "l": "a"}})
    for url, packed, kind in (
        ("nar/x.nar", nar, "none"),
        ("nar/x.nar.xz", lzma.compress(nar), "xz"),
    ):
        lines = [
            "StorePath: /nix/store/00000000000000000000000000000000-uki",
            f"URL: {url}",
            f"Compression: {kind}",
            f"FileHash: sha256:{to_base32(hashlib.sha256(packed).digest())}",
            f"FileSize: {len(packed)}",
            f"NarHash: sha256:{to_base32(hashlib.sha256(nar).digest())}",
            f"NarSize: {len(nar)}",
            "References: ",
        ]
        plain = "".join(f"{line}\n" for line in lines)
        signed = key.sign(read_narinfo(plain.encode()).fingerprint)
        info = f"{plain}Sig: cache-1:{_b64(signed)}\n".encode()
        yield Medium(
            policy,
            (MediaFile(f"c/{'0' * 32}.narinfo", info), MediaFile(f"c/{url}", packed)),
            lambda files: Aids(archives=archives_among(files, MOST_NAR), names=NAMES),
        )


def _links(release: Release) -> Iterator[Medium]:
    key, worker = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    raw = key.public_key()
    pem = raw.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    null = _b64(ED25519_SPKI_WITH_NULL + raw.public_bytes_raw())
    published = f"-----BEGIN PUBLIC KEY-----\n{null}\n-----END PUBLIC KEY-----\n"
    digests = {"sha256": sha256(IMAGE), "sha512": hashlib.sha512(IMAGE).hexdigest()}
    link = {
        "_type": "link",
        "name": "build",
        "materials": {"flake.lock": {"sha256": "ab" * 32}},
        "products": {"anchor.efi": digests},
        "environment": {},
        "byproducts": {"return-value": 0, "stdout": "built \u00e4", "stderr": ""},
        "command": ["nix", "build"],
    }
    linked = enrolling(release, {"lin": (pem,)})
    yield Medium(linked, (MediaFile("l/build.0123abcd.link", metablock(link, key)),))
    payload = json.dumps(link).encode()
    envelope = {
        "payload": _b64(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": "", "sig": _b64(key.sign(pae(IN_TOTO, payload)))}],
    }
    yield Medium(linked, (MediaFile("l/build.link", json.dumps(envelope).encode()),))
    rebuilt: dict[str, object] = link | {
        "name": "rebuild anchor.efi",
        "environment": None,
        "byproducts": {},
    }
    yield Medium(
        enrolling(release, {"reb": (published,)}),
        (MediaFile("r/rebuild.link", metablock(rebuilt | {"command": []}, key, worker)),),
    )


def _sigstore(release: Release, verifier: Verifier | None) -> Iterator[Medium]:
    instance = Instance()
    root = MediaFile("g/trusted_root.json", instance.trusted_root())
    signer = parse_sigstore_key(IDENTITY, ISSUER, hashlib.sha256(root.data).hexdigest())
    policy = release.policy("ann", quorum={"threshold": 1})
    (ann,) = policy.builders
    pinned = replace(
        ann.keys[0], key=signer.keys[0], wrapping=KeyWrapping.SIGSTORE, key_id=signer.key_id
    )
    policy = replace(policy, builders=(replace(ann, formats=("sigstore",), keys=(pinned,)),))

    def aids(files: Files) -> Aids:
        roots = tuple(f for f in files if looks_like_trusted_root(f.path, f.data))
        return Aids(verifier=verifier, roots=pinned_roots(roots, policy))

    stated = instance.attest(statement(sha256(IMAGE), "anchor.efi", {"git_commit": COMMIT}))
    bundle = MediaFile("g/anchor.sigstore.json", json.dumps(stated).encode())
    yield Medium(policy, (root, bundle), aids)
    over = json.dumps(instance.sign_file(SUMS)).encode()
    files = (MediaFile("g/SHA256SUMS", SUMS), MediaFile("g/SHA256SUMS.sigstore.json", over))
    yield Medium(policy, (root, *files), aids)
