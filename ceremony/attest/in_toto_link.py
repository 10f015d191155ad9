"""in-toto links: {"signed": {"_type": "link", ...}, "signatures": [{"keyid", "sig"}]}.

The classic metablock is signed over the canonical JSON of `signed`, sig is lower-case hex.
Decides whether bytes are a link, which products it names and which pins its materials give:
flake_lock and git_commit. What a command printed (byproducts) and the command itself say
nothing here. A layout is refused by name: its inspections are commands, and nothing here
runs any. Refuses to know votes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ceremony.attest import strict_json
from ceremony.attest.digest_set import read_digests
from ceremony.attest.olpc_json import canonical
from ceremony.attest.record import (
    SELF_CLAIMS,
    Artifact,
    Claims,
    Malformed,
    Pins,
    Reading,
    Unverified,
)
from ceremony.attest.signers import Signatures, attested, signers, why_none
from ceremony.attest.strict_json import Json
from ceremony.errors import Refused, refuse
from ceremony.policy_model import Policy
from ceremony.show import escaped
from ceremony.types import MediaFile

RULE = "ATT-LINK"
LAYOUT_RULE = "ATT-LAYOUT"
IN_TOTO_LINK = "in-toto-link"
MOST_BYTES = 4 << 20
MOST_FILES = 1024
MOST_NAME = 4096
MOST_SIGNATURES = 16
MOST_SIGNATURE_BYTES = 4096
LOCK_FILE = "flake.lock"
COMMIT = "gitCommit"
_HEX = re.compile(r"(?:[0-9a-f]{2})+")

Link: TypeAlias = dict[str, Json]
ReadLink: TypeAlias = Callable[[Link], Claims]


@dataclass(frozen=True, slots=True)
class Metablock:
    """A classic metablock: what is signed, and (keyid hint, raw signature) pairs.

    `openpgp` counts the signatures left out because gpg made them over headers of its own.
    """

    signed: Link
    signatures: Signatures
    openpgp: int


def looks_like_link(path: str, data: bytes) -> bool:
    """Say whether the file is a JSON object with `signed` and `signatures`, or is so named."""
    if not data[:64].lstrip(b" \t\r\n").startswith(b"{") or b'"payloadType"' in data:
        return False
    return path.endswith((".link", ".layout")) or (b'"signed"' in data and b'"sig' in data)


def read_link(file: MediaFile, policy: Policy) -> tuple[Reading, ...]:
    """Read a classic link: one reading for each enrolled key that signed it."""
    return read_metablock_file(file, policy, IN_TOTO_LINK, link_claims)


def read_metablock_file(
    file: MediaFile, policy: Policy, kind: str, read: ReadLink
) -> tuple[Reading, ...]:
    """Check the signatures of a metablock, then let `read` make the claims of its link."""
    try:
        block = read_metablock(file.data)
    except Refused as error:
        return (_malformed(file, kind, "", error),)
    if block.signed.get("_type") == "layout":
        fault = layout_refused().findings[0]
        return (Unverified(file.path, kind, "", fault.rule, fault.text, None),)
    message = canonical(block.signed)
    found = signers(block.signatures, message, policy)
    if not found:
        return (_unverified(file, kind, block, policy, read),)
    try:
        claims = read(block.signed)
    except Refused as error:
        builders = sorted({policy.enrolled[key.fpr][0].id for key, _, _ in found})
        return tuple(_malformed(file, kind, builder, error) for builder in builders)
    return attested(file, kind, found, claims, policy, message)


def read_metablock(data: bytes) -> Metablock:
    """Read a metablock strictly; Refused (ATT-LINK, ATT-JSON) says what is wrong."""
    match strict_json.loads(data, MOST_BYTES):
        case {"signed": dict(signed), "signatures": list(entries), **others} if not others:
            pass
        case _:
            raise refuse(RULE, "it is not exactly an object `signed` and a list `signatures`")
    if not 0 < len(entries) <= MOST_SIGNATURES:
        raise refuse(RULE, f"a link has 1 to {MOST_SIGNATURES} signatures, not {len(entries)}")
    signatures: list[tuple[str, bytes]] = []
    openpgp = 0
    for entry in entries:
        match entry:
            case {"other_headers": _}:
                openpgp += 1
            case {"keyid": str(hint), "sig": str(text)}:
                signatures.append((hint, _raw(text)))
            case _:
                raise refuse(RULE, "a signature has no keyid or no sig")
    return Metablock(signed, tuple(signatures), openpgp)


def holds_link(payload: bytes) -> bool:
    """Say cheaply whether an envelope's in-toto payload may be a link or a layout."""
    return b'"link"' in payload or b'"layout"' in payload


def read_link_payload(payload: bytes) -> Claims | None:
    """Read the payload of a DSSE envelope by its `_type`; None where it is no link.

    in-toto-run --use-dsse puts a link, not a Statement, under the Statement's payloadType.
    """
    document = strict_json.loads(payload, MOST_BYTES)
    kind = document.get("_type") if isinstance(document, dict) else None
    if kind == "layout":
        raise layout_refused()
    return link_claims(document) if isinstance(document, dict) and kind == "link" else None


def layout_refused() -> Refused:
    """Return the refusal of an in-toto layout (ATT-LAYOUT)."""
    text = "an in-toto layout: a rule book with commands, which are never run here"
    return refuse(LAYOUT_RULE, text)


def link_claims(link: Link) -> Claims:
    """Return what a link says; Refused (ATT-LINK, ATT-PIN) says why not."""
    kind = link.get("_type")
    if kind != "link":
        raise refuse(RULE, f"its _type is {escaped(str(kind))}, not link")
    products = files_of(link, "products")
    if not products:
        raise refuse(RULE, "it names no product; make it with in-toto-run --products FILE")
    artifacts = tuple(
        Artifact(name, read_digests(digests, RULE)) for name, digests in sorted(products.items())
    )
    pins = Pins()
    add_material_pins(pins, files_of(link, "materials"))
    environment = link.get("environment")
    if isinstance(environment, dict):
        for name, value in environment.items():
            if name in SELF_CLAIMS and isinstance(value, str):
                pins.add(name, value)
    return pins.claims(artifacts)


def files_of(link: Link, member: str) -> dict[str, dict[str, Json]]:
    """Return `materials` or `products`: file name to digests, capped in number."""
    files = link.get(member)
    if not isinstance(files, dict):
        raise refuse(RULE, f"{member} is missing or no object")
    if len(files) > MOST_FILES:
        raise refuse(RULE, f"{len(files)} {member}, the cap is {MOST_FILES}")
    found: dict[str, dict[str, Json]] = {}
    for name, digests in files.items():
        if not isinstance(digests, dict) or not 0 < len(name) <= MOST_NAME:
            raise refuse(RULE, f"one of the {member} has no name or no digests")
        found[name] = digests
    return found


def add_material_pins(pins: Pins, materials: dict[str, dict[str, Json]]) -> None:
    """Add flake_lock and git_commit. Two different ones leave no single one to pin.

    A flake.lock at the top goes before those in folders.
    """
    locks: set[str] = set()
    commits: set[str] = set()
    for name, digests in materials.items():
        sha256, commit = digests.get("sha256"), digests.get(COMMIT)
        if name.rpartition("/")[2] == LOCK_FILE and isinstance(sha256, str):
            locks.add(sha256)
        if commit is None and name.startswith(("git+", "git:")):
            commit = digests.get("sha1")
        if isinstance(commit, str):
            commits.add(commit)
    top = materials.get(LOCK_FILE, {}).get("sha256")
    for pin, values in (
        ("flake_lock", {top} if isinstance(top, str) else locks),
        ("git_commit", commits),
    ):
        if len(values) == 1:
            pins.add(pin, *values)


def _raw(text: str) -> bytes:
    if len(text) > 2 * MOST_SIGNATURE_BYTES or not _HEX.fullmatch(text):
        raise refuse(RULE, f"a sig is lower-case hex of 1 to {MOST_SIGNATURE_BYTES} bytes")
    return bytes.fromhex(text)


def _unverified(
    file: MediaFile, kind: str, block: Metablock, policy: Policy, read: ReadLink
) -> Reading:
    try:
        says = read(block.signed)
    except Refused:
        says = None
    builder, rule, text = why_none(block.signatures, policy)
    if block.openpgp:
        text += "; those that gpg made are not read: sign with in-toto-run --signing-key"
    return Unverified(file.path, kind, builder, rule, text, says)


def _malformed(file: MediaFile, kind: str, builder: str, error: Refused) -> Reading:
    fault = error.findings[0]
    return Malformed(file.path, kind, builder, fault.rule, fault.text)
