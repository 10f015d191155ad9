"""The child that reads attestations: it confines itself, reads one request, answers, ends.

Decides nothing of its own: `read` is the rules' own, fed with the bytes of the request. A
request is one JSON line and then the bytes of the policy and of every file. What goes wrong
here ends the process; what that means is sandbox.py's.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format, read
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.sigstore import Verifier
from ceremony.codec import Json, decode, encode
from ceremony.errors import Refused
from ceremony.ingest.confine import Bounds, confine
from ceremony.ingest.sigstore import sigstore_verifier
from ceremony.ingest.told import telling
from ceremony.keys import Scheme, parse_spki_der
from ceremony.policy import load
from ceremony.types import MediaFile

MEMORY = 1 << 30  # bytes of address space; 20,000 attestations need about a quarter
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the task with its own members, the policy's bytes, the files."""

    asked: dict[str, Json]
    policy: bytes
    files: tuple[MediaFile, ...]


def written(request: Request) -> bytes:
    """Return a request as bytes, for the parent."""
    head = request.asked | {
        "policy": len(request.policy),
        "files": [[file.path, len(file.data)] for file in request.files],
    }
    line = json.dumps(head).encode("ascii") + b"\n"
    return b"".join((line, request.policy, *(file.data for file in request.files)))


def main() -> None:
    """Serve the one request on standard input."""
    gc.disable()  # one bounded request, then the process ends: nothing is worth collecting
    _warm_up()
    verifier = sigstore_verifier() if sys.argv[3] == "bundles" else None
    _say("ready", list(confine(Bounds(MEMORY, int(sys.argv[2])))))
    request = _read()
    try:
        match request.asked["task"]:
            case "read":
                answer: Json = {"read": _read_each(request, verifier)}
            case _:
                raise SystemExit(2)
    except Refused as error:
        answer = {"refused": encode(error.findings)}
    _say("answer", answer)


def _warm_up() -> None:
    """Load what cryptography loads when it is first used: afterwards no file can be opened."""
    point = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    numbers = rsa.RSAPublicNumbers(65537, (1 << 2047) + 1)
    for loaded in (point, numbers.public_key(), Ed25519PrivateKey.from_private_bytes(bytes(32))):
        public = loaded.public_key() if isinstance(loaded, Ed25519PrivateKey) else loaded
        key = parse_spki_der(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        for scheme in Scheme:
            with suppress(Refused):
                key.verify(bytes(64), b"", scheme)
    with suppress(InvalidSignature):
        digest = utils.Prehashed(hashes.SHA256())
        point.verify(bytes(64), bytes(32), ec.ECDSA(digest))


def _read_each(request: Request, verifier: Verifier | None) -> int:
    """Read the evidence in batches, saying its first number before and what was found after."""
    policy = load(request.policy)
    aids = _aids(request, verifier)
    found = _evidence(request)
    first = 0
    for end in cast("list[int]", request.asked["batches"]):
        _say("at", first)
        some = found[first:end]
        _say("told", [telling(read(one, policy, aids), one, aids.names) for one in some])
        first = end
    return len(found)


def _evidence(request: Request) -> tuple[Evidence, ...]:
    """Return what the parent gathered: for each piece its file, format and candidates."""
    asked = cast("list[tuple[int, str, list[int]]]", request.asked["evidence"])
    files = request.files
    return tuple(
        Evidence(files[at], Format(kind), tuple(files[number] for number in signed))
        for at, kind, signed in asked
    )


def _aids(request: Request, verifier: Verifier | None) -> Aids:
    archives = cast("list[Json]", request.asked["archives"])
    roots = cast("list[int]", request.asked["roots"])
    names = cast("list[str]", request.asked["names"])
    return Aids(
        archives=tuple(decode(NarFacts, one) for one in archives),
        verifier=verifier,
        roots=tuple(request.files[at] for at in roots),
        names=tuple(names),
    )


def _read() -> Request:
    data = bytearray()
    while chunk := os.read(0, CHUNK):
        data += chunk
    start = data.index(b"\n") + 1
    asked = json.loads(data[:start])
    view = memoryview(data)
    at = start + asked["policy"]
    policy = bytes(view[start:at])
    files = []
    for path, size in asked["files"]:
        files.append(MediaFile(path, bytes(view[at : at + size])))
        at += size
    return Request(asked, policy, tuple(files))


def _say(what: str, value: Json) -> None:
    rest = memoryview(json.dumps({what: value}).encode("ascii") + b"\n")
    while rest:
        rest = rest[os.write(1, rest) :]
