"""A narinfo that an enrolled key signed, together with the archive that it describes.

Decides which enrolled keys signed, whether the archive on the media is the one they signed,
and which files it holds. A content-addressed path proves its content and not who built it,
so that without an enrolled signature it is nobody's word. Refuses to know votes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain

from ceremony.artifact_names import fits
from ceremony.attest.nar import Nar
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.narinfo import NarInfo, read_fingerprint, read_narinfo, verify_narinfo
from ceremony.attest.record import (
    Artifact,
    Attestation,
    Claims,
    Malformed,
    Pins,
    Proof,
    Reading,
    Unverified,
)
from ceremony.attest.store_path import is_named_by_content
from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.policy_model import Policy
from ceremony.policy_people import KeyWrapping
from ceremony.show import escaped
from ceremony.types import MediaFile

NARINFO = "narinfo"
STORE_PATH = "store_path"
RESULT = "result"
# What one file can cost, as for an envelope (enveloped.py).
MOST_TRIALS = 64


def read_nix(
    file: MediaFile,
    archives: tuple[NarFacts, ...],
    policy: Policy,
    names: tuple[str, ...] = (),
) -> tuple[Reading, ...]:
    """Read a narinfo and the archive it names: one reading for each enrolled key that signed."""
    try:
        info = read_narinfo(file.data)
    except Refused as error:
        return (_malformed(file, "", error),)
    signers = _signers(info, policy)
    if not signers:
        return (_unsigned(file, info, policy),)
    builders = sorted({policy.enrolled[key.fpr][0].id for key, _ in signers})
    try:
        nar = _archive(file.path, info, archives)
    except Refused as error:
        fault = error.findings[0]
        # The archive that lies here is not what was signed, which is no word of the builder's.
        return tuple(
            Unverified(file.path, NARINFO, builder, fault.rule, fault.text, None)
            for builder in builders
        )
    try:
        claims = _claims(info, nar, names or policy.artifact.names)
    except Refused as error:
        return tuple(_malformed(file, builder, error) for builder in builders)
    return tuple(
        _attestation(file, key, claims, policy, Proof(info.fingerprint, signature))
        for key, signature in signers
    )


def fingerprint_claims(
    signed: bytes, archives: tuple[NarFacts, ...], names: tuple[str, ...], *, by_content: bool
) -> Claims:
    """Return what a signed fingerprint says with the archive whose hash it has.

    `by_content` is what the narinfo itself says, unsigned; it takes a pin away. Refused:
    ATT-NARINFO, ATT-NAR-MISSING, ATT-NAR.
    """
    info = read_fingerprint(signed, content_addressed=by_content)
    return _claims(info, _archive("", info, archives), names)


def _attestation(
    file: MediaFile, key: PublicKey, claims: Claims, policy: Policy, proof: Proof
) -> Attestation:
    return Attestation(
        file=file.path,
        format=NARINFO,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=policy.enrolled[key.fpr][0].id,
        key=key,
        scheme=Scheme.ED25519,
        touched=True,
        claims=claims,
        proof=proof,
    )


def _signers(info: NarInfo, policy: Policy) -> tuple[tuple[PublicKey, bytes], ...]:
    found: dict[str, tuple[PublicKey, bytes]] = {}
    trials = MOST_TRIALS
    for name, signature in info.signatures:
        for key in _trials(name, policy):
            if trials == 0:
                break
            trials -= 1
            try:
                verify_narinfo(info, signature, key)
            except Refused:
                continue
            found.setdefault(key.fpr, (key, signature))
            break
    return tuple(found[fpr] for fpr in sorted(found))


def _trials(name: str, policy: Policy) -> Iterator[PublicKey]:
    """Yield the keys of that name first: the name is a hint, as a keyid is."""
    named = (held.key for _, held in policy.by_key_id(KeyWrapping.NIX, name))
    others = (held.key for _, held in policy.enrolled.values() if held.wrapping is KeyWrapping.NIX)
    for key in dict.fromkeys(chain(named, others, policy.bare_keys)):
        if key.algorithm == "ed25519":
            yield key


def _unsigned(file: MediaFile, info: NarInfo, policy: Policy) -> Reading:
    for name, _ in info.signatures:
        for builder, _key in policy.by_key_id(KeyWrapping.NIX, name):
            text = f"the signature does not fit the key {escaped(name)}"
            return Unverified(file.path, NARINFO, builder.id, "ATT-SIGNATURE", text, None)
    text = "no enrolled key signed it"
    if info.content_addressed:
        text += "; that its path is content-addressed does not say who built it"
    return Unverified(file.path, NARINFO, "", "ATT-NIX-SIGNED", text, None)


def _archive(path: str, info: NarInfo, archives: tuple[NarFacts, ...]) -> Nar:
    """Return the archive with the signed hash and size; Refused (ATT-NAR...) says why not."""
    for facts in archives:
        nar = facts.nar
        if nar and nar.sha256 == info.nar_sha256 and nar.size == info.nar_size:
            return nar
    where = path.rpartition("/")
    named = where[0] + where[1] + info.url
    for facts in archives:
        if facts.path != named:
            continue
        if facts.fault is not None:
            raise refuse(facts.fault.rule, f"{escaped(named)}: {facts.fault.text}")
        raise refuse("ATT-NAR", f"{escaped(named)} is not the archive that was signed")
    raise refuse("ATT-NAR-MISSING", f"its archive {escaped(named)} is not here")


def _claims(info: NarInfo, nar: Nar, wanted: tuple[str, ...]) -> Claims:
    for link in nar.links:
        if any(fits(wanted, name) for name in _names(link, info)):
            raise refuse("ATT-NAR", f"{escaped(link or info.name)} is a link, not the file itself")
    artifacts = [
        Artifact(name, (("sha256", file.sha256),))
        for file in nar.files
        for name in _names(file.path, info)
    ]
    pins = Pins()
    if not is_named_by_content(info, nar):
        # Any other path is named by a hash of all that went into the build.
        pins.add(STORE_PATH, info.store_path)
    return pins.claims(tuple(sorted(artifacts, key=lambda artifact: artifact.name)))


def _names(path: str, info: NarInfo) -> tuple[str, str]:
    """Return how people call a file: `nix build` leaves a link `result` to the store path."""
    return (f"{RESULT}/{path}", path) if path else (RESULT, info.name)


def _malformed(file: MediaFile, builder: str, error: Refused) -> Malformed:
    fault = error.findings[0]
    return Malformed(file.path, NARINFO, builder, fault.rule, fault.text)
