"""What is judged in the benchmark: builders' attestations in four formats and three algorithms.

Decides a release with any number of attestations, distinct to the last, and notes for each the
bare signature checks it holds, so that reading can be compared with verifying alone. Checksums
with SSHSIG, minisign and DSSE are written by the project's own writers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openpgp_packets import armoured, certificate, detached
from signers import MADE, Signer

from ceremony.attest.dsse import IN_TOTO, pae, write_envelope
from ceremony.attest.minisign import write_minisign
from ceremony.attest.ssh_wire import mpint, string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.policy_people import ATTESTATION_NAMESPACE

COMMIT = "c0ffee" * 6 + "beef"

Bare = tuple[int, bytes, bytes]  # the builder's number, signature, message


def attest(
    signer: Signer, round_: int, sha256: str, name: str
) -> tuple[dict[str, bytes], list[Bare]]:
    """Return one attestation's files by name, and the bare checks it holds."""
    base = f"{signer.id}.{round_}"
    sums = f"{sha256}  {name}\n# git_commit {COMMIT}\n# round {round_}\n".encode()
    match signer.format:
        case "sshsig":
            message = signed_data(ATTESTATION_NAMESPACE, sums)
            raw = signer.sign(message)
            files = {f"{base}.SHA256SUMS": sums, f"{base}.SHA256SUMS.sig": _sshsig(signer, raw)}
            return files, [(signer.number, raw, message)]
        case "minisign":
            return _minisign(signer, base, f"{sha256}  {name}\n".encode(), round_)
        case "openpgp":
            armoured, raw, message = detached(signer, sums)
            files = {f"{base}.SHA256SUMS": sums, f"{base}.SHA256SUMS.asc": armoured}
            return files, [(signer.number, raw, message)]
        case _:
            payload = json.dumps(_statement(sha256, name, round_)).encode()
            raw = signer.sign(message := pae(IN_TOTO, payload))
            envelope = write_envelope(IN_TOTO, payload, ((signer.id, raw),))
            return {f"{base}.intoto.json": envelope}, [(signer.number, raw, message)]


def _sshsig(signer: Signer, raw: bytes) -> bytes:
    line = signer.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    blob = base64.b64decode(line.split(b" ")[1])
    kind = {
        "ed25519": b"ssh-ed25519",
        "ecdsa": b"ecdsa-sha2-nistp256",
        "rsa": b"rsa-sha2-256",
    }[signer.algorithm]
    if signer.algorithm == "ecdsa":
        r, s = decode_dss_signature(raw)
        raw = mpint(r) + mpint(s)
    return armor(blob, ATTESTATION_NAMESPACE, string(kind) + string(raw), "sha512")


def _minisign(
    signer: Signer, base: str, content: bytes, round_: int
) -> tuple[dict[str, bytes], list[Bare]]:
    key = cast("ed25519.Ed25519PrivateKey", signer.private)
    stamp = f"timestamp:{int(MADE.timestamp())}"
    comment = f"{stamp} github.com/a/b/commit/{COMMIT} round:{round_}"
    signature = write_minisign(key, key_id(signer), content, comment)
    lines = signature.split(b"\n")
    raw, outer = base64.b64decode(lines[1])[10:], base64.b64decode(lines[3])
    bare = [
        (signer.number, raw, hashlib.blake2b(content).digest()),
        (signer.number, outer, raw + comment.encode()),
    ]
    return {f"{base}.sha256": content, f"{base}.sha256.minisig": signature}, bare


def key_id(signer: Signer) -> bytes:
    """Return a minisign key's 8 byte id."""
    return b"bench" + struct.pack(">I", signer.number)[1:]


def _statement(sha256: str, name: str, round_: int) -> dict[str, object]:
    commit = {"uri": "git+https://example.org/a", "digest": {"gitCommit": COMMIT}}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.org/nix-build",
                "externalParameters": {"round": str(round_)},
                "resolvedDependencies": [commit],
            },
            "runDetails": {"metadata": {"finishedOn": f"{MADE:%Y-%m-%dT%H:%M:%SZ}"}},
        },
    }


def public(signer: Signer) -> tuple[str, str]:
    """Return a builder's key as the policy writes it: its type and its text."""
    match signer.format:
        case "sshsig":
            raw = signer.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            return "ssh", raw.decode()
        case "minisign":
            point = signer.spki()[-32:]
            return "minisign", base64.b64encode(b"Ed" + key_id(signer) + point).decode()
        case "openpgp":
            return "openpgp", armoured(certificate(signer), "PUBLIC KEY BLOCK")
        case _:
            pem = signer.private.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            return "spki", pem.decode()


def attestations(
    signers: tuple[Signer, ...], count: int, sha256: str, name: str
) -> Iterator[tuple[dict[str, bytes], list[Bare]]]:
    """Yield so many attestations, the builders in turn."""
    for number in range(count):
        round_, place = divmod(number, len(signers))
        yield attest(signers[place], round_, sha256, name)


def keep(path: Path, signers: tuple[Signer, ...], bare: list[Bare]) -> None:
    """Write the bare checks for the process that measures them."""
    keys = {
        signer.number: signer.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        for signer in signers
    }
    path.write_bytes(pickle.dumps((keys, bare)))
