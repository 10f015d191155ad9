"""Making attestations on a builder's machine: SHA256SUMS + SSHSIG, minisign, or DSSE.

The key file says which: an OpenSSH key (private, or public where an agent holds the other
half), a minisign secret key, a PEM private key. The real `ssh-keygen` and `minisign` sign
where they are installed, so that keys behind an agent, a passphrase or a FIDO token work as
their owners know them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ceremony.attest.dsse import IN_TOTO, pae, write_envelope
from ceremony.attest.record import SELF_CLAIMS
from ceremony.attest.statement import SLSA_V1
from ceremony.errors import Refused, Trouble, refuse
from tui import private_keys, ssh_keys
from tui.building.passphrase import is_locked, passphrase
from tui.building.writing import write_new

__all__ = ["Claim", "attest", "dsse", "file_names", "minisign", "sha256_hex", "sums", "write_new"]

ATTESTATION_NAMESPACE = "uki-attestation"
BUILD_TYPE = "urn:uki-ceremony:build"
SECONDS = 120  # a person may have to touch a token or type a passphrase
LINE_PINS = {"flake_lock": "flake.lock"}  # pins that are a file's SHA-256 stand as a sums line
SSH_PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----"

_SSH_LINE = re.compile(rb"(?:ssh-|ecdsa-sha2-|sk-(?:ssh|ecdsa)-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a builder says: this file, of this SHA-256 (hex), came of these inputs, then.

    `pins` are (name, value), inputs and what else is recorded; `source` is the repository of
    the git_commit pin, such as "github.com/org/repo".
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
    """Return the attestation's files by name; KEY-PRIVATE for a key of no known kind."""
    head = private_keys.head_of(key)
    match _kind(head):
        case "sshsig":
            return sums(claim, key)
        case "minisign":
            return minisign(claim, key)
        case "dsse":
            locked = b"ENCRYPTED" in head
            return dsse(claim, head, passphrase(key) if locked else None)
        case _:
            raise _unknown(key)


def file_names(builder: str, key: Path) -> tuple[str, ...]:
    """Return the names of the files that `attest` would give; KEY-PRIVATE where it could not."""
    head = private_keys.head_of(key)
    kind = _kind(head)
    if not kind:
        raise _unknown(key)
    if kind == "minisign":
        _minisign()
    elif kind == "dsse" and b"ENCRYPTED" not in head:
        private_keys.load(head, None)
    names = {
        "sshsig": (f"{builder}.SHA256SUMS", f"{builder}.SHA256SUMS.sig"),
        "minisign": (f"{builder}.sha256", f"{builder}.sha256.minisig"),
        "dsse": (f"{builder}.intoto.json",),
    }
    return names[kind]


def _kind(head: bytes) -> str:
    if head.startswith(SSH_PRIVATE) or _SSH_LINE.match(head):
        return "sshsig"
    if head.startswith(b"untrusted comment:"):
        return "minisign"
    return "dsse" if head.startswith(b"-----BEGIN ") else ""


def sums(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return <builder>.SHA256SUMS and its SSHSIG by the OpenSSH private key file `key`."""
    lines = [f"# timestamp {int(claim.made.timestamp())}"]
    lines += [f"# {name} {value}" for name, value in claim.pins if name not in LINE_PINS]
    text = "".join(f"{line}\n" for line in (*lines, *_checksums(claim))).encode()
    name = f"{claim.builder}.SHA256SUMS"
    try:
        signature = ssh_keys.sign(key, ATTESTATION_NAMESPACE, text)
    except Trouble as error:
        if is_locked(private_keys.head_of(key)):
            hint = "the key is locked; without a terminal load it first: ssh-add KEY"
            raise Trouble("KEY-PRIVATE", f"{error.text} ({hint})") from None
        raise
    return {name: text, f"{name}.sig": signature}


def _checksums(claim: Claim) -> list[str]:
    lines = [f"{claim.sha256}  {claim.name}"]
    return lines + [
        f"{value}  {LINE_PINS[name]}" for name, value in claim.pins if name in LINE_PINS
    ]


def minisign(claim: Claim, key: Path) -> dict[str, bytes]:
    """Return <builder>.sha256 and its signature; the trusted comment carries the pins."""
    program = _minisign()
    text, comment = minisign_texts(claim)
    name = f"{claim.builder}.sha256"
    with tempfile.TemporaryDirectory(prefix="uki-ceremony-") as folder:
        message, signature = Path(folder) / name, Path(folder) / "signature"
        message.write_bytes(text)
        command = [program, "-S", "-s", str(key), "-m", str(message), "-x", str(signature)]
        _run([*command, "-t", comment])
        return {name: text, f"{name}.minisig": signature.read_bytes()}


def _minisign() -> str:
    program = shutil.which("minisign")
    if program is None:
        raise Trouble("KEY-PRIVATE", "minisign is not installed; it alone reads its secret keys")
    return program


def _unknown(key: Path) -> Refused:
    return refuse("KEY-PRIVATE", f"{key} is no OpenSSH, minisign or PEM private key")


def minisign_texts(claim: Claim) -> tuple[bytes, str]:
    """Return the .sha256 file and the trusted comment, which carries time and pins."""
    pins = [
        f"{claim.source}/commit/{value}"
        if name == "git_commit" and claim.source.startswith("github.com/")
        else f"{name}:{value}"
        for name, value in claim.pins
    ]
    comment = " ".join([f"timestamp:{int(claim.made.timestamp())}", *pins])
    return "".join(f"{line}\n" for line in _checksums(claim)).encode(), comment


def dsse(claim: Claim, pem: bytes, password: bytes | None = None) -> dict[str, bytes]:
    """Return <builder>.intoto.json: a DSSE envelope over an in-toto Statement, SLSA v1."""
    private = private_keys.load(pem, password)
    hint = private_keys.public(private).fpr
    payload = json.dumps(statement(claim), sort_keys=True).encode()
    signature = private_keys.sign(private, pae(IN_TOTO, payload))
    return {f"{claim.builder}.intoto.json": write_envelope(IN_TOTO, payload, ((hint, signature),))}


def statement(claim: Claim) -> dict[str, object]:
    """Return the in-toto Statement v1 with SLSA provenance v1."""
    pins = dict(claim.pins)
    build_type = pins.pop("build_type", BUILD_TYPE)
    own = {name: pins.pop(name) for name in SELF_CLAIMS if name in pins}
    dependencies: list[dict[str, object]] = []
    if (commit := pins.pop("git_commit", "")) != "":
        uri = f"git+https://{claim.source or 'unnamed'}"
        dependencies.append({"uri": uri, "digest": {"gitCommit": commit}})
    for name, file in LINE_PINS.items():
        if name in pins:
            dependencies.append({"name": file, "digest": {"sha256": pins.pop(name)}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": claim.name, "digest": {"sha256": claim.sha256}}],
        "predicateType": SLSA_V1,
        "predicate": {
            "buildDefinition": {
                "buildType": build_type,
                "externalParameters": {"target": claim.name} | pins,
                "internalParameters": own,
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": f"urn:uki-ceremony:builder:{claim.builder}"},
                "metadata": {"finishedOn": f"{claim.made:%Y-%m-%dT%H:%M:%SZ}"},
            },
        },
    }


def _run(command: list[str]) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found, and our own paths
            command,
            stdout=sys.stderr,  # its prompts and words; standard output is for our report
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble("KEY-PRIVATE", f"{name} did not answer in {SECONDS} s") from None
    if done.returncode:
        text = f"{name} signed nothing; a locked key needs a terminal for its password"
        raise Trouble("KEY-PRIVATE", text)
