"""What the signature in one WIN_CERTIFICATE entry says, and whether it is in order.

Decides whether an entry is a well-formed signature over this very image by a certificate
that it carries. It refuses to know whether that certificate is trusted: dbx and db are
judged by policy.
EDK2's reading: SecurityPkg DxeImageVerificationLib, CryptoPkg AuthenticodeVerify.
"""

from __future__ import annotations

from cryptography.hazmat import asn1

from ceremony.errors import Refused
from ceremony.pe.certificate import Certificate, read_certificate, sha256, verifies
from ceremony.pe.cms import (
    CONTENT_TYPE,
    EC_PUBLIC_KEY,
    ECDSA_WITH_SHA256,
    MESSAGE_DIGEST,
    RSA_ENCRYPTION,
    SHA256_WITH_RSA,
    SignedData,
    attribute_value,
    read_signed_data,
    signed_bytes,
)
from ceremony.pe.headers import refusal
from ceremony.pe.spc import SHA256, SPC_INDIRECT_DATA, content_octets, read_indirect_data
from ceremony.pe.table import ENTRY_HEADER, Entry
from ceremony.types import Digest, EmbeddedSignature, Finding, Severity

EDK2_ALGORITHM_AT, TWO_LENGTH_BYTES = 32, 0x82
SHA256_OID = asn1.encode_der(SHA256)
MOST_CERTIFICATES = 16
# systemd-sbsign names the kind of key for ECDSA, as everybody does for RSA: the SignerInfo's
# digest algorithm says what was hashed, and nothing else is asked of OpenSSL either.
SIGNATURE_ALGORITHMS = (RSA_ENCRYPTION, SHA256_WITH_RSA, EC_PUBLIC_KEY, ECDSA_WITH_SHA256)


def read_entry(entry: Entry, image: Digest) -> tuple[EmbeddedSignature, tuple[Finding, ...]]:
    """Read one entry of an image with the Authenticode digest `image`; never raises."""
    certificate, digest, found = _judge(entry, image)
    subject = "" if certificate is None else certificate.subject
    return EmbeddedSignature(entry.offset, entry.size, subject, digest), found


def entry_findings(entry: Entry, image: Digest) -> tuple[Finding, ...]:
    """Judge one entry of an image with the Authenticode digest `image`; never raises."""
    return _judge(entry, image)[2]


def _judge(
    entry: Entry, image: Digest
) -> tuple[Certificate | None, Digest | None, tuple[Finding, ...]]:
    at = entry.offset + ENTRY_HEADER
    try:
        signed = read_signed_data(entry.pkcs7)
        content = asn1.encode_der(signed.content.content)
        digest = read_indirect_data(content)
    except Refused as refused:
        found = tuple(refusal(f.rule, f.text, at + (f.offset or 0)) for f in refused.findings)
        return None, None, found
    found = _outer_findings(entry.pkcs7, at) + _digest_findings(digest, image, at)
    certificate, faults = _signer(signed, at)
    found += faults
    if certificate is not None and not faults:
        found += _value_findings(signed, content, certificate, at)
    return certificate, digest, found


def _outer_findings(pkcs7: bytes, at: int) -> tuple[Finding, ...]:
    # EDK2 skips a PKCS#7 whose second byte is not 0x82, and reads the digest algorithm's
    # object identifier at this fixed place.
    identifier = pkcs7[EDK2_ALGORITHM_AT : EDK2_ALGORITHM_AT + len(SHA256_OID) - 2]
    if pkcs7[1] == TWO_LENGTH_BYTES and identifier == SHA256_OID[2:]:
        return ()
    text = "firmware would not find SHA-256 where it reads the digest algorithm"
    return (Finding("SIG-OUTER", Severity.WARN, text, at),)


def _digest_findings(digest: Digest | None, image: Digest, at: int) -> tuple[Finding, ...]:
    if digest is None:
        return (refusal("SIG-ALGORITHM", "the image digest that was signed is no SHA-256", at),)
    if digest != image:
        text = f"the signature is over {digest.hex[:16]}..., the image is {image.hex[:16]}..."
        return (refusal("SIG-DIGEST", text, at),)
    return ()


def _signer(signed: SignedData, at: int) -> tuple[Certificate | None, tuple[Finding, ...]]:
    signers = signed.signers.as_list()
    if len(signers) != 1:
        text = f"{len(signers)} SignerInfos in one signature, not 1"
        return None, (refusal("SIG-SIGNERS", text, at),)
    wanted = signers[0].signer
    issuer = asn1.encode_der(wanted.issuer)
    carried = signed.certificates or []
    if len(carried) > MOST_CERTIFICATES:
        text = f"{len(carried)} certificates in one signature, more than {MOST_CERTIFICATES}"
        return None, (refusal("SIG-CERTIFICATE", text, at),)
    found: list[Finding] = []
    for tlv in carried:
        try:
            certificate = read_certificate(asn1.encode_der(tlv))
        except Refused as refused:
            found += (refusal(f.rule, f.text, at) for f in refused.findings)
            continue
        if (certificate.issuer, certificate.serial) == (issuer, wanted.serial):
            return certificate, tuple(found)
    text = "the signer's certificate is not in the signature"
    return None, (*found, refusal("SIG-SIGNER", text, at))


def _value_findings(
    signed: SignedData, content: bytes, certificate: Certificate, at: int
) -> tuple[Finding, ...]:
    (signer,) = signed.signers.as_list()
    digests = [a.algorithm for a in signed.digest_algorithms.as_list()]
    if [*digests, signer.digest_algorithm.algorithm] != [SHA256, SHA256] or (
        signer.signature_algorithm.algorithm not in SIGNATURE_ALGORITHMS
    ):
        return (refusal("SIG-ALGORITHM", "the signature does not use SHA-256 throughout", at),)
    found: list[Finding] = []
    message_digest = asn1.encode_der(sha256(content_octets(content)))
    content_type = asn1.encode_der(SPC_INDIRECT_DATA)
    attributes = signed_bytes(signer)
    if (
        attributes is None
        or attribute_value(signer, MESSAGE_DIGEST) != message_digest
        or attribute_value(signer, CONTENT_TYPE) != content_type
    ):
        text = "the signed attributes are not about the content that they stand beside"
        found.append(refusal("SIG-ATTRIBUTES", text, at))
    try:
        good = verifies(certificate, signer.signature, attributes or b"")
    except Refused as refused:
        return (*found, *(refusal(f.rule, f.text, at) for f in refused.findings))
    if not good:
        text = "the signature does not verify with the certificate that it carries"
        found.append(refusal("SIG-VALUE", text, at))
    return tuple(found)
