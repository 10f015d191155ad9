"""Whether a signature's certificates reach one that was given, link by link.

Decides that the signer is a given certificate, or was issued by one, directly or through
certificates that the signature carries: every link is a signature that verifies, made by a
certificate that may issue others. It refuses to know dates and purposes, as firmware does,
and the image (entries.py). A certificate that is only carried is never trusted.
Source: RFC 5280, 6.1; OpenSSL's X509_V_FLAG_PARTIAL_CHAIN for givens that are no roots.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat import asn1

from ceremony.errors import Refused
from ceremony.pe.certificate import UNREADABLE, Certificate, load, read_certificate
from ceremony.pe.cms import read_signed_data
from ceremony.pe.entries import MOST_CERTIFICATES
from ceremony.pe.headers import refusal
from ceremony.pe.table import Entry
from ceremony.types import Finding

MOST_LINKS = 8
NO_LINK = (*UNREADABLE, InvalidSignature, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def chain_findings(entry: Entry, given: tuple[bytes, ...]) -> tuple[Finding, ...]:
    """Judge whether an entry that is in order reaches one of the `given` certificates (DER)."""
    try:
        signer, carried = signing_certificates(entry.pkcs7)
        anchors = tuple(read_certificate(der) for der in given)
    except Refused as refused:
        return tuple(refusal(f.rule, f.text, entry.offset) for f in refused.findings)
    if signer is None:
        text = "the signer's certificate is not in the signature"
        return (refusal("SIG-SIGNER", text, entry.offset),)
    if _reaches(signer, carried, anchors):
        return ()
    text = f"{signer.subject} was not issued by a given certificate, nor is it one"
    return (refusal("SIG-CHAIN", text, entry.offset),)


def signing_certificates(pkcs7: bytes) -> tuple[Certificate | None, tuple[Certificate, ...]]:
    """Return the signer's certificate, None if it is not there, and all that are carried.

    Raises Refused (SIG-DER, SIG-CMS, SIG-CERTIFICATE).
    """
    signed = read_signed_data(pkcs7)
    tlvs = (signed.certificates or [])[:MOST_CERTIFICATES]
    carried = tuple(read_certificate(asn1.encode_der(tlv)) for tlv in tlvs)
    (wanted, *_) = signed.signers.as_list()
    named = (asn1.encode_der(wanted.signer.issuer), wanted.signer.serial)
    signer = next((c for c in carried if (c.issuer, c.serial) == named), None)
    return signer, carried


def _reaches(
    signer: Certificate, carried: tuple[Certificate, ...], anchors: tuple[Certificate, ...]
) -> bool:
    given = {anchor.der for anchor in anchors}
    reached = [(signer, 0)]
    seen = {signer.der}
    for certificate, links in reached:  # grows while it is walked, by each carried one once
        if certificate.der in given:
            return True
        if links == MOST_LINKS:
            continue
        if any(_issued(anchor, certificate) for anchor in anchors):
            return True
        for above in carried:
            if above.der not in seen and _issued(above, certificate):
                seen.add(above.der)
                reached.append((above, links + 1))
    return False


def _issued(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        above = load(issuer)
        load(certificate).verify_directly_issued_by(above)
        return _may_issue(above)
    except NO_LINK:
        return False


def _may_issue(certificate: x509.Certificate) -> bool:
    """RFC 5280, 6.1.4 (k) and (n); a version 1 certificate cannot say it, a self-signed one may."""
    if certificate.version is x509.Version.v1:
        return certificate.issuer == certificate.subject
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True
