"""Whether an attestation that another process read rests on an enrolled key's signature.

Decides from the proof alone, without reading a format: the signature is the enrolled key's
over exactly these bytes, and every digest that the claims give the image or a part of it, and
every hash among its pins, stands in them literally. So whoever read a file wrongly, or was
taken over while reading it, cannot make a vote for an image or a part that no builder named.
Refuses to know files and how they are laid out; a Sigstore bundle has no proof that this file
could check.
"""

from __future__ import annotations

import re

from ceremony.attest.dsse import IN_TOTO, pae
from ceremony.attest.minisign import Minisignature, verify_minisign
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.narinfo import to_base32
from ceremony.attest.openpgp import hashed_content
from ceremony.attest.openpgp_file import BINARY, TEXT
from ceremony.attest.openpgp_signature import digest_of, weak_hash
from ceremony.attest.record import Attestation, Claims, Proof
from ceremony.attest.ssh_certificate import SshCertificate, proved_certificate
from ceremony.attest.sshsig import HASHES, SshSignature, verify_sshsig
from ceremony.errors import refuse
from ceremony.keys import Scheme
from ceremony.policy_people import BuilderKey, KeyWrapping

RULE = "MED-SANDBOX"
_HASH = re.compile(r"[0-9a-f]{40,128}")
_OPENPGP_HASHES = {
    Scheme.RSA_PKCS1_SHA256: ("sha256",),
    Scheme.RSA_PKCS1_SHA384: ("sha384",),
    Scheme.RSA_PKCS1_SHA512: ("sha512",),
}
_EVERY_HASH = ("sha256", "sha384", "sha512")


def check_proof(
    attestation: Attestation,
    proof: Proof,
    held: BuilderKey,
    names: tuple[str, ...],
    archives: tuple[NarFacts, ...],
) -> None:
    """Refuse (ATT-SIGNATURE, MED-SANDBOX) unless `held` signed what the attestation says.

    `names` are the artifact's and its parts', `archives` what was found of archives apart from
    this reading.
    """
    authority = held.wrapping is KeyWrapping.SSH_CA
    match attestation.format, proof.parts:
        case "sshsig", (algorithm, touch) if not authority:
            _check_ssh(attestation, proof, held, algorithm, touch)
        case "sshsig", (algorithm, touch, _signed, _by) if authority:
            _check_ssh(attestation, proof, held, algorithm, touch)
        case _ if authority:
            raise refuse(RULE, "an authority signs nothing but certificates")
        case "minisign", (algorithm, comment, outer):
            said = Minisignature(algorithm, "", proof.signature, comment.decode(), outer)
            verify_minisign(said, proof.content, held.key)
        case "openpgp", (signed, name):
            _check_openpgp(attestation, proof, held, signed, name.decode())
        case "dsse", (kind,) if kind == IN_TOTO.encode():
            message = pae(IN_TOTO, proof.content)
            held.key.verify(proof.signature, message, attestation.scheme)
        case (("signify" | "in-toto-link" | "rebuilderd" | "narinfo"), ()):
            held.key.verify(proof.signature, proof.content, attestation.scheme)
        case _:
            raise refuse(RULE, f"there is no such proof of {attestation.format}")
    if attestation.format == "narinfo":
        _check_archive(attestation.claims, proof, names, archives)
    else:
        _check_words(attestation.claims, proof, names)


def certificate_of(kind: str, proof: Proof, held: BuilderKey) -> SshCertificate | None:
    """Return the certificate that a proof rests on, after the check that `held` signed it.

    None where it rests on the enrolled key itself. Refused: ATT-CERTIFICATE, ATT-KEY.
    """
    match kind, proof.parts:
        case "sshsig", (_, _, signed, signature):
            return proved_certificate(signed, signature, held.key)
        case _:
            return None


def _check_ssh(
    attestation: Attestation, proof: Proof, held: BuilderKey, algorithm: bytes, touch: bytes
) -> None:
    if algorithm.decode() not in HASHES or len(touch) != 5:  # noqa: PLR2004 - a byte, a uint32
        raise refuse(RULE, "the proof of an SSHSIG is of an unknown form")
    said = SshSignature(
        public_key=attestation.certificate.public_key if attestation.certificate else held.key,
        namespace=held.namespace,
        hash_algorithm=algorithm.decode(),
        scheme=attestation.scheme,
        signature=proof.signature,
        flags=touch[0],
        counter=int.from_bytes(touch[1:], "big"),
        certificate=attestation.certificate,
    )
    verify_sshsig(said, proof.content, held.namespace)
    if said.touched is not attestation.touched:
        raise refuse(RULE, "the security key says something else of its touch")


def _check_openpgp(
    attestation: Attestation, proof: Proof, held: BuilderKey, signed: bytes, name: str
) -> None:
    """RFC 9580 5.2.4: the packet's second byte is the kind of signature, 0 binary or 1 text."""
    fitting = _OPENPGP_HASHES.get(attestation.scheme, _EVERY_HASH)
    kinds = (bytes([BINARY]), bytes([TEXT]))
    if name not in fitting or signed[1:2] not in kinds or weak_hash(held.key, name):
        raise refuse(RULE, "the proof of an OpenPGP signature is of an unknown form")
    digest = digest_of(signed, hashed_content(proof.content, name, signed[1]))
    held.key.verify_digest(proof.signature, digest, name)
    made = attestation.claims.time
    if made is None or int(made.timestamp()).to_bytes(4, "big") not in signed:
        raise refuse(RULE, "the time of signing is not the one that was signed")


def _check_words(claims: Claims, proof: Proof, names: tuple[str, ...]) -> None:
    digests = [hex_ for one in claims.artifacts if one.name in names for _, hex_ in one.digests]
    hashes = [value for _, value in claims.pins if _HASH.fullmatch(value)]
    signed = (proof.content, *proof.parts)
    for word in {*digests, *hashes}:
        if not any(word.encode() in part for part in signed):
            raise refuse(RULE, f"{word[:16]} does not stand in what was signed")


def _check_archive(
    claims: Claims, proof: Proof, names: tuple[str, ...], archives: tuple[NarFacts, ...]
) -> None:
    """Nix signs the archive's hash; what that archive holds was found apart from this reading."""
    held = {
        file.sha256
        for facts in archives
        if facts.nar and to_base32(bytes.fromhex(facts.nar.sha256)).encode() in proof.content
        for file in facts.nar.files
    }
    named = {hex_ for one in claims.artifacts if one.name in names for _, hex_ in one.digests}
    if not named <= held:
        raise refuse(RULE, "no archive with the hash that was signed holds this file")
