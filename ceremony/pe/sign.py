"""Plan a signature and assemble the signed file: pure functions around one act of the token.

Decides which 232 bytes are signed for an image, a certificate and a time that people
confirmed, and that the value which came back belongs to exactly these. It refuses to know
keys, tokens and clocks. RSA is what firmware boots; `plan_ecdsa` stands apart for those
who know that theirs takes ECDSA.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ceremony.content import Stored
from ceremony.errors import Refused, refuse
from ceremony.pe.attach import Signed, attach
from ceremony.pe.certificate import (
    Algorithm,
    key_algorithm,
    read_certificate,
    read_signer,
    sha256,
    verifies,
)
from ceremony.pe.cms import (
    SignedAttributes,
    check_signing_time,
    encode_attributes,
    encode_signed_data,
    read_attributes,
)
from ceremony.pe.entries import entry_findings
from ceremony.pe.profile import Profile
from ceremony.pe.spc import content_octets, digest_info, indirect_data
from ceremony.pe.sweep import SweptImage, sweep
from ceremony.types import Digest, Finding, Severity, refusals

MOST_CHAIN = 8


@dataclass(frozen=True, slots=True)
class SigningPlan:
    """All that decides the signed file but the image's bytes and the signature value.

    `attributes` is the DER SET OF Attribute whose bytes are signed, `indirect_data` the
    DER SpcIndirectDataContent; `certificate` and `chain` are DER.
    """

    authenticode: Digest
    algorithm: Algorithm
    attributes: bytes
    indirect_data: bytes
    signing_time: datetime
    certificate: bytes
    chain: tuple[bytes, ...]

    @property
    def to_be_signed_sha256(self) -> bytes:
        """Return the 32 bytes of SHA-256 over `attributes`, what ECDSA signs."""
        return sha256(self.attributes)

    def digest_info(self) -> bytes:
        """Return the DER DigestInfo that CKM_RSA_PKCS pads and signs (RFC 8017, 9.2)."""
        return digest_info(self.to_be_signed_sha256)


def plan(
    image: Stored, certificate: bytes, chain: tuple[bytes, ...], signing_time: datetime
) -> SigningPlan:
    """Plan an RSA signature of `image`, which is unsigned or rightly signed already.

    Raises Refused with every PE- and SIG- rule that is broken.
    """
    return plan_swept(sweep(image), certificate, chain, signing_time)


def plan_ecdsa(
    image: Stored, certificate: bytes, chain: tuple[bytes, ...], signing_time: datetime
) -> SigningPlan:
    """Plan an ECDSA signature (P-256 or P-384), which firmware may refuse to boot."""
    return plan_swept(sweep(image), certificate, chain, signing_time, Algorithm.ECDSA)


def plan_swept(
    image: SweptImage,
    certificate: bytes,
    chain: tuple[bytes, ...],
    signing_time: datetime,
    algorithm: Algorithm = Algorithm.RSA,
) -> SigningPlan:
    """Plan a signature of an image of any size that was read once.

    Raises Refused with every SIG- rule that is broken.
    """
    check_entries(image)
    return plan_for(image.authenticode, certificate, chain, signing_time, algorithm)


def check_entries(image: SweptImage) -> None:
    """Raise Refused (SIG-...) unless every signature an image carries is a good one of it."""
    found = (f for entry in image.entries for f in entry_findings(entry, image.authenticode))
    if faults := refusals(tuple(found)):
        raise Refused(*faults)


def plan_for(
    digest: Digest,
    certificate: bytes,
    chain: tuple[bytes, ...],
    signing_time: datetime,
    algorithm: Algorithm = Algorithm.RSA,
) -> SigningPlan:
    """Plan a signature over an Authenticode digest that a strict reader computed.

    Raises Refused (SIG-CERTIFICATE, SIG-KEY, SIG-TIME).
    """
    check_signing_time(signing_time)
    signer = read_signer(certificate)
    if key_algorithm(signer) is not algorithm:
        raise refuse("SIG-KEY", f"the certificate's key does not make {algorithm} signatures")
    if len(chain) > MOST_CHAIN:
        raise refuse("SIG-CERTIFICATE", f"{len(chain)} added certificates, more than {MOST_CHAIN}")
    for added in chain:
        read_certificate(added)
    content = indirect_data(digest)
    said = SignedAttributes(signing_time, sha256(content_octets(content)))
    return SigningPlan(
        authenticode=digest,
        algorithm=algorithm,
        attributes=encode_attributes(said),
        indirect_data=content,
        signing_time=signing_time,
        certificate=certificate,
        chain=chain,
    )


def in_profile(planned: SigningPlan, profile: Profile) -> SigningPlan:
    """Return a plan whose signed attributes are in another writer's form, all else equal."""
    said = replace(read_attributes(planned.attributes), profile=profile)
    return replace(planned, attributes=encode_attributes(said))


def check_signature(signing_plan: SigningPlan, signature: bytes) -> tuple[Finding, ...]:
    """Verify a raw signature with the certificate's key; no finding means that it is good."""
    signer = read_certificate(signing_plan.certificate)
    if verifies(signer, signature, signing_plan.attributes):
        return ()
    text = "the signature does not verify with the certificate's key over this plan"
    return (Finding("SIG-VALUE", Severity.REFUSE, text),)


def encode(signing_plan: SigningPlan, signature: bytes) -> bytes:
    """Return the DER PKCS#7 of a plan and the raw signature over it; Refused (SIG-VALUE)."""
    if faults := check_signature(signing_plan, signature):
        raise Refused(*faults)
    certificates = (signing_plan.certificate, *signing_plan.chain)
    return encode_signed_data(
        signing_plan.indirect_data,
        signing_plan.attributes,
        signature,
        signing_plan.algorithm,
        tuple(read_certificate(der) for der in certificates),
    )


def assemble(
    image: Stored, signing_plan: SigningPlan, signature: bytes, known: Digest | None = None
) -> Signed:
    """Put plan, signature and image together; the result is what sbsign writes.

    `known` is the Authenticode digest of these very bytes, where they were hashed before.
    Raises Refused (SIG-VALUE, SIG-DIGEST, PE-...) where the three do not belong together.
    """
    return attach(image, encode(signing_plan, signature), known)


def read_plan_attributes(attributes: bytes) -> SignedAttributes:
    """Return time and profile of attributes to be signed; raises Refused (SIG-ATTRIBUTES)."""
    return read_attributes(attributes, tuple(Profile))
