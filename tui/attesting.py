"""Making attestations on a builder's machine: SHA256SUMS + SSHSIG, minisign, or DSSE.

The key file says which: an OpenSSH private key, a minisign secret key, a PEM private key.
The real `ssh-keygen` and `minisign` sign where they are installed, so that keys behind an
agent, a passphrase or a FIDO token work as their owners know them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ceremony.attest.dsse import IN_TOTO, pae
from ceremony.errors import MediaTrouble, Trouble, refuse
from ceremony.show import escaped
from tui import ssh_keys

MOST_KEY = 2**20
ATTESTATION_NAMESPACE = "uki-attestation"
SECONDS = 120  # a person may have to touch a token or type a passphrase
LINE_PINS = {"flake_lock": "flake.lock"}  # pins that are a file's SHA-256 stand as a sums line


@dataclass(frozen=True, slots=True)
class Claim:
    """What a builder says: this file, of this SHA-256 (hex), came of these inputs, then.

    `source` is the repository of the git_commit pin, such as "github.com/org/repo".
    """

    builder: str
    name: str
    sha256: str
    pins: tuple[tuple[str, str], ...]
    made: datetime
    source: str = ""


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def attest(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return the attestation's files by name; ATT-KEY for a key of no known kind."""
    try:
        with key.open("rb") as file:
            head = file.read(MOST_KEY)
    except OSError as error:
        raise MediaTrouble("ATT-KEY", f"{key}: {error.strerror}") from None
    if head.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
        return sums(claim, key)
    if head.startswith(b"untrusted comment:"):
        return minisign(claim, key)
    if head.startswith(b"-----BEGIN "):
        return dsse(claim, head)
    raise refuse("ATT-KEY", f"{key} is no OpenSSH, minisign or PEM private key")


def sums(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return <builder>.SHA256SUMS and its SSHSIG by the OpenSSH private key file `key`."""
    lines = [f"# {name} {value}" for name, value in claim.pins if name not in LINE_PINS]
    lines.append(f"{claim.sha256}  {claim.name}")
    lines += [f"{value}  {LINE_PINS[name]}" for name, value in claim.pins if name in LINE_PINS]
    text = "".join(f"{line}\n" for line in lines).encode()
    name = f"{claim.builder}.SHA256SUMS"
    return {name: text, f"{name}.sig": ssh_keys.sign(key, ATTESTATION_NAMESPACE, text)}


def minisign(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return <builder>.sha256 and its signature; the trusted comment carries the pins."""
    program = shutil.which("minisign")
    if program is None:
        raise Trouble("ATT-KEY", "minisign is not installed; it alone reads its secret keys")
    text, comment = minisign_texts(claim)
    name = f"{claim.builder}.sha256"
    with tempfile.TemporaryDirectory(prefix="uki-ceremony-") as folder:
        message, signature = Path(folder) / name, Path(folder) / "signature"
        message.write_bytes(text)
        command = [program, "-S", "-s", str(key), "-m", str(message), "-x", str(signature)]
        _run([*command, "-t", comment])
        return {name: text, f"{name}.minisig": signature.read_bytes()}


def minisign_texts(claim: Claim) -> tuple[bytes, str]:
    """Return the .sha256 file and the trusted comment, which carries time and pins."""
    pins = [
        f"{claim.source}/commit/{value}"
        if name == "git_commit" and claim.source.startswith("github.com/")
        else f"{name}:{value}"
        for name, value in claim.pins
    ]
    comment = " ".join([f"timestamp:{int(claim.made.timestamp())}", *pins])
    return f"{claim.sha256}  {claim.name}\n".encode(), comment


def dsse(claim: Claim, pem: bytes) -> dict[str, bytes]:
    """Return <builder>.intoto.json: a DSSE envelope over an in-toto Statement, SLSA v1."""
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise refuse("ATT-KEY", f"the PEM key does not load: {escaped(str(error))}") from None
    payload = json.dumps(statement(claim), sort_keys=True).encode()
    signed = pae(IN_TOTO, payload)
    match private:
        case ec.EllipticCurvePrivateKey():
            signature = private.sign(signed, ec.ECDSA(hashes.SHA256()))
        case ed25519.Ed25519PrivateKey():
            signature = private.sign(signed)
        case _:
            raise refuse("ATT-KEY", "a PEM key that signs DSSE is ECDSA or Ed25519")
    envelope = {
        "payload": _base64(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": "", "sig": _base64(signature)}],
    }
    return {f"{claim.builder}.intoto.json": json.dumps(envelope).encode() + b"\n"}


def statement(claim: Claim) -> dict[str, object]:
    """Return the in-toto Statement v1 with SLSA provenance v1."""
    dependencies: list[dict[str, object]] = []
    for name, value in claim.pins:
        if name == "git_commit":
            dependencies.append(
                {"uri": f"git+https://{claim.source or 'unnamed'}", "digest": {"gitCommit": value}}
            )
        elif name in LINE_PINS:
            dependencies.append({"name": LINE_PINS[name], "digest": {"sha256": value}})
        else:
            raise refuse("ATT-PIN", f"SLSA provenance has no place for the pin {name}")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": claim.name, "digest": {"sha256": claim.sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:uki-ceremony:build",
                "externalParameters": {"target": claim.name},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": f"urn:uki-ceremony:builder:{claim.builder}"},
                "metadata": {"finishedOn": f"{claim.made:%Y-%m-%dT%H:%M:%SZ}"},
            },
        },
    }


def write_new(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write files that do not exist yet, all or none; MED-OUTPUT where one does."""
    paths = [folder / name for name in files]
    for path in paths:
        if path.exists():
            raise refuse("MED-OUTPUT", f"{path} exists already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in zip(paths, files.values(), strict=True):
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise MediaTrouble("MED-WRITE", f"{folder}: {error.strerror}") from None
    return paths


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found, and our own paths
            command,
            stdout=sys.stderr,  # its prompts and words; standard output is for our report
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble("ATT-KEY", f"{Path(command[0]).name} did not answer") from None
    if done.returncode:
        raise Trouble("ATT-KEY", f"{Path(command[0]).name} signed nothing")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
