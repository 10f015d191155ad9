"""A whole release on disk for the benchmark: a policy with its owner's signature, and the media.

Decides what the policy asks: every builder is a person and an organisation of its own. It
refuses to know what judging costs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from attestations import attestations, keep, public
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openpgp_packets import certificate as certificate_of
from signers import MADE, Signer, make_signers

from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.policy_model import POLICY_NAMESPACE

NAME = "anchor.efi"
PERSONS = ("carol", "ines", "ed", "kim")


def make_release(folder: Path, builders: int, count: int, sha256: str, certificate: str) -> Path:
    """Write policy.toml, its signature, media/ and bare.bin; return the folder."""
    media = folder / "media"
    media.mkdir(parents=True)
    signers = make_signers(builders)
    write_policy(folder, signers, certificate)
    bare = []
    for files, checks in attestations(signers, count, sha256, NAME):
        bare += checks
        for name, data in files.items():
            (media / name).write_bytes(data)
    keep(folder / "bare.bin", signers, bare)
    _keys_for_peers(folder, signers)
    return folder


def _keys_for_peers(folder: Path, signers: tuple[Signer, ...]) -> None:
    lines = [f"{s.id} {public(s)[1]}\n" for s in signers if s.format == "sshsig"]
    (folder / "ssh.keys").write_text("".join(lines), "ascii")
    certificates = [certificate_of(s) for s in signers if s.format == "openpgp"]
    (folder / "openpgp.keys").write_bytes(b"".join(certificates))


def write_policy(folder: Path, signers: tuple[Signer, ...], certificate: str) -> None:
    """Write a policy that all owners, one of them, signed."""
    owner, holder = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = {"ines": _line(owner), "kim": _line(holder)}
    text = "\n".join(_policy(signers, certificate, keys)).encode() + b"\n"
    (folder / "policy.toml").write_bytes(text)
    raw = owner.sign(signed_data(POLICY_NAMESPACE, text))
    blob = string(b"ssh-ed25519") + string(owner.public_key().public_bytes_raw())
    signature = armor(blob, POLICY_NAMESPACE, string(b"ssh-ed25519") + string(raw), "sha512")
    (folder / "policy.toml.owner.sshsig").write_bytes(signature)


def _line(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _policy(
    signers: tuple[Signer, ...], certificate: str, keys: Mapping[str, str]
) -> Iterator[str]:
    start, end = MADE - timedelta(days=40), MADE + timedelta(days=40)
    yield 'schema = "uki-ceremony/policy/1"'
    yield 'policy_id = "bench"'
    yield "sequence = 1"
    yield f"valid_from = {start:%Y-%m-%dT%H:%M:%SZ}"
    yield f"expires = {end:%Y-%m-%dT%H:%M:%SZ}"
    yield f"[owners]\nthreshold = 1\nkeys = [{json.dumps(keys['ines'])}]"
    yield f'[artifact]\nnames = ["{NAME}"]\narch = "x86_64"\nmax_bytes = {1 << 30}'
    yield '[inputs]\nmust_agree = ["git_commit"]\nmissing = "weak"'
    yield f"[quorum]\nthreshold = {len(signers)}"
    yield f'[signer]\nuri = "pkcs11:token=t;object=o"\ncertificate = {json.dumps(certificate)}'
    yield '[roles]\nadministrator = "carol"\ninternal_witness = "ines"'
    yield 'external_witness = "ed"\nkey_holders = ["kim"]'
    for person in PERSONS:
        yield f'[[person]]\nid = "{person}"\nname = "{person}"'
        if person in keys:
            yield f"keys = [{json.dumps(keys[person])}]"
    for signer in signers:
        kind, text = public(signer)
        yield f'[[builder]]\nid = "{signer.id}"\norganisation = "o{signer.number}"'
        yield f'persons = ["p{signer.number}"]\nisolation = "nix-sandbox"'
        yield f'[[builder.key]]\ntype = "{kind}"\npublic = {json.dumps(text)}'
        yield f"from = {start:%Y-%m-%dT%H:%M:%SZ}\nto = {end:%Y-%m-%dT%H:%M:%SZ}"


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
