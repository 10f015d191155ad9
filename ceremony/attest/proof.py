"""Whether an attestation that another process read rests on an enrolled key's signature.

Decides from the proof alone, without reading a file: the signature is the enrolled key's over
exactly these bytes. What they say is read from them afterwards, here (signed_claims.py), so
that whoever read a file wrongly, or was taken over while reading it, cannot put a word into a
vote. Refuses to know files and how they are laid out; a Sigstore bundle has no proof that
this file could check.
"""

from __future__ import annotations

from ceremony.attest.dsse import IN_TOTO, pae
from ceremony.attest.minisign import Minisignature, verify_minisign
from ceremony.attest.openpgp import hashed_content
from ceremony.attest.openpgp_file import BINARY, TEXT
from ceremony.attest.openpgp_signature import HASHES as OPENPGP_HASHES
from ceremony.attest.openpgp_signature import digest_of, scheme_of, weak_hash
from ceremony.attest.record import Proof
from ceremony.attest.ssh_certificate import SshCertificate, proved_certificate
from ceremony.attest.sshsig import HASHES, SshSignature, verify_sshsig
from ceremony.errors import refuse
from ceremony.keys import Scheme
from ceremony.policy_people import BuilderKey, KeyWrapping

RULE = "MED-SANDBOX"


def check_proof(
    kind: str, scheme: Scheme, proof: Proof, held: BuilderKey, certificate: SshCertificate | None
) -> bool:
    """Refuse (ATT-SIGNATURE, MED-SANDBOX) unless `held` signed the proof's bytes by `scheme`.

    Return whether the signers' security keys were touched; other keys know no touch.
    """
    authority = held.wrapping is KeyWrapping.SSH_CA
    touched = True
    match kind, proof.parts:
        case _ if not held.signs:
            raise refuse(RULE, "a key that only certifies signs nothing else")
        case "sshsig", (algorithm, touch) if not authority:
            touched = _check_ssh(_ssh(scheme, proof, held, algorithm, touch), proof, held)
        case "sshsig", (algorithm, touch, _signed, _by) if authority:
            said = _ssh(scheme, proof, held, algorithm, touch, certificate)
            touched = _check_ssh(said, proof, held)
        case _ if authority:
            raise refuse(RULE, "an authority signs nothing but certificates")
        case "minisign", (algorithm, comment, outer):
            _expect(scheme, Scheme.ED25519)
            signed = Minisignature(algorithm, "", proof.signature, comment.decode(), outer)
            verify_minisign(signed, proof.content, held.key)
        case "openpgp", (signed,):
            _check_openpgp(scheme, proof, held, signed)
        case "dsse", (payload_type,) if payload_type == IN_TOTO.encode():
            held.key.verify(proof.signature, pae(IN_TOTO, proof.content), scheme)
        case (("in-toto-link" | "rebuilderd"), ()):
            held.key.verify(proof.signature, proof.content, scheme)
        case (("signify" | "narinfo"), ()):
            _expect(scheme, Scheme.ED25519)
            held.key.verify(proof.signature, proof.content, scheme)
        case _:
            raise refuse(RULE, f"there is no such proof of {kind}")
    return touched


def certificate_of(kind: str, proof: Proof, held: BuilderKey) -> SshCertificate | None:
    """Return the certificate that a proof rests on, after the check that `held` signed it.

    None where it rests on the enrolled key itself. Refused: ATT-CERTIFICATE, ATT-KEY.
    """
    match kind, proof.parts:
        case "sshsig", (_, _, signed, signature):
            return proved_certificate(signed, signature, held.key)
        case _:
            return None


def _expect(scheme: Scheme, wanted: Scheme) -> None:
    if scheme is not wanted:
        raise refuse(RULE, f"it is said to be signed by {scheme}, the signature is {wanted}")


def _ssh(  # noqa: PLR0913, PLR0917 - the fields of a signature
    scheme: Scheme,
    proof: Proof,
    held: BuilderKey,
    algorithm: bytes,
    touch: bytes,
    certificate: SshCertificate | None = None,
) -> SshSignature:
    if algorithm.decode() not in HASHES or len(touch) != 5:  # noqa: PLR2004 - a byte, a uint32
        raise refuse(RULE, "the proof of an SSHSIG is of an unknown form")
    return SshSignature(
        public_key=certificate.public_key if certificate else held.key,
        namespace=held.namespace,
        hash_algorithm=algorithm.decode(),
        scheme=scheme,
        signature=proof.signature,
        flags=touch[0],
        counter=int.from_bytes(touch[1:], "big"),
        certificate=certificate,
    )


def _check_ssh(said: SshSignature, proof: Proof, held: BuilderKey) -> bool:
    verify_sshsig(said, proof.content, held.namespace)
    return said.touched


def _check_openpgp(scheme: Scheme, proof: Proof, held: BuilderKey, signed: bytes) -> None:
    """RFC 9580 5.2.3: version, type, public-key algorithm, hash algorithm, a byte each."""
    name = OPENPGP_HASHES.get(signed[3]) if len(signed) > 3 else None  # noqa: PLR2004 - as above
    if name is None or signed[1] not in (BINARY, TEXT) or weak_hash(held.key, name):
        raise refuse(RULE, "the proof of an OpenPGP signature is of an unknown form")
    _expect(scheme, scheme_of(held.key, name))
    digest = digest_of(signed, hashed_content(proof.content, name, signed[1]))
    held.key.verify_digest(proof.signature, digest, name)
