"""Whether a signature's certificates reach one that was given, link by link.

Decides that the signer is a given certificate, or was issued by one, directly or through
certificates that the signature carries: every link is a signature that verifies, made by a
certificate that may issue so many others below it. It refuses to know dates and purposes, as
firmware does, and the image (entries.py). A certificate that is only carried is never
trusted; what limits a certificate in a way that is not understood here breaks the chain.
Source: RFC 5280, 6.1; OpenSSL's X509_V_FLAG_PARTIAL_CHAIN for givens that are no roots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat import asn1

from ceremony.errors import Refused
from ceremony.pe.certificate import (
    UNREADABLE,
    Certificate,
    load,
    read_certificate,
    subject_name,
)
from ceremony.pe.cms import read_signed_data
from ceremony.pe.entries import MOST_CERTIFICATES
from ceremony.pe.headers import refusal
from ceremony.pe.oid import ObjectIdentifier
from ceremony.pe.table import Entry
from ceremony.types import Finding

MOST_LINKS = 8
NO_LINK = (*UNREADABLE, InvalidSignature, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
# Critical extensions that limit nothing which is asked here, or are asked here. Debian's CA says in
# Netscape's old one what its certificates are for.
UNDERSTOOD = (
    *(x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage),
    x509.SubjectAlternativeName,
)
NETSCAPE_CERT_TYPE = ObjectIdentifier("2.16.840.1.113730.1.1")

Chain = tuple[Certificate, ...]
Extension = TypeVar("Extension", bound=x509.ExtensionType)


def chain_findings(entry: Entry, given: tuple[bytes, ...]) -> tuple[Chain, tuple[Finding, ...]]:
    """Return the chain from an entry's signer to one of the `given` certificates (DER).

    The chain is empty where there is none, and then a finding says why.
    """
    try:
        signer, carried = signing_certificates(entry.pkcs7)
        anchors = tuple(read_certificate(der) for der in given)
    except Refused as refused:
        return (), tuple(refusal(f.rule, f.text, entry.offset) for f in refused.findings)
    if signer is None:
        text = "the signer's certificate is not in the signature"
        return (), (refusal("SIG-SIGNER", text, entry.offset),)
    chain = chain_to(signer, carried, anchors)
    if chain:
        return chain, ()
    text = f"{signer.subject} was not issued by a given certificate, nor is it one"
    return (), (refusal("SIG-CHAIN", text, entry.offset),)


def signing_certificates(pkcs7: bytes) -> tuple[Certificate | None, tuple[Certificate, ...]]:
    """Return the signer's certificate, None if it is not there, and all that are carried.

    Raises Refused (SIG-DER, SIG-CMS, SIG-CERTIFICATE).
    """
    signed = read_signed_data(pkcs7)
    tlvs = (signed.certificates or [])[:MOST_CERTIFICATES]
    carried = tuple(read_certificate(asn1.encode_der(tlv)) for tlv in tlvs)
    signers = signed.signers.as_list()
    if not signers:
        return None, carried
    named = (asn1.encode_der(signers[0].signer.issuer), signers[0].signer.serial)
    signer = next((c for c in carried if (c.issuer, c.serial) == named), None)
    return signer, carried


def chain_to(signer: Certificate, carried: Chain, anchors: Chain) -> Chain:
    """Return the path from `signer` through `carried` to one of `anchors`, empty if none."""
    given = {anchor.der for anchor in anchors}
    if not _is_understood(signer):
        return ()
    paths: list[Chain] = [(signer,)]
    seen = {(signer.der, 0)}
    for path in paths:  # grows while it is walked, by each issuer once for each length below it
        if path[-1].der in given:
            return path
        if len(path) > MOST_LINKS:
            continue
        for above in (*anchors, *carried):
            below = sum(1 for c in path[1:] if not _is_self_issued(c))
            if (above.der, below) not in seen and _issued(above, path[-1], below):
                seen.add((above.der, below))
                paths.append((*path, above))
    return ()


def _issued(issuer: Certificate, certificate: Certificate, below: int) -> bool:
    try:
        above, under = load(issuer), load(certificate)
        under.verify_directly_issued_by(above)
        return _fits(above, under) and _may_issue(above, below) and _is_understood(issuer)
    except NO_LINK:
        return False


def _fits(above: x509.Certificate, under: x509.Certificate) -> bool:
    """RFC 5280, 4.2.1.1: where both name the issuer's key, they name the same."""
    wanted = next(_found(under, x509.AuthorityKeyIdentifier), None)
    named = next(_found(above, x509.SubjectKeyIdentifier), None)
    if wanted is None or named is None or wanted.key_identifier is None:
        return True
    return wanted.key_identifier == named.key_identifier


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    """RFC 5280, 6.1.4 (k) to (n); version 1 cannot say it, only a self-signed one may issue."""
    if certificate.version is x509.Version.v1:
        certificate.verify_directly_issued_by(certificate)
        return True
    limits = next(_found(certificate, x509.BasicConstraints), None)
    if limits is None or not limits.ca:
        return False
    if limits.path_length is not None and below > limits.path_length:
        return False
    usage = next(_found(certificate, x509.KeyUsage), None)
    return usage is None or usage.key_cert_sign


def _is_understood(certificate: Certificate) -> bool:
    """RFC 5280, 4.2: a critical extension that is not understood rejects the certificate."""
    try:
        extensions = load(certificate).extensions
    except NO_LINK:
        return False
    return all(
        isinstance(e.value, UNDERSTOOD)
        or e.oid == NETSCAPE_CERT_TYPE
        or not (e.critical or isinstance(e.value, x509.NameConstraints))
        for e in extensions
    )


def _is_self_issued(certificate: Certificate) -> bool:
    try:
        names = load(certificate).subject, load(certificate).issuer
    except UNREADABLE:  # an umlaut in a TeletexString, a postal address: OpenSSL reads these names
        return subject_name(certificate) == certificate.issuer
    return names[0] == names[1]


def _found(certificate: x509.Certificate, kind: type[Extension]) -> Iterator[Extension]:
    for extension in certificate.extensions:
        if isinstance(extension.value, kind):
            yield extension.value
