"""Whether the certificates that a signature carries lead away from the signer, and dbx.

Decides that every certificate of the policy's chain issued one below it, up from the
signer's (KEY-CERT-CHAIN), that none of them is outside its dates, and that the policy's dbx
revokes neither these certificates nor the image (KEY-CERT-REVOKED). It refuses to know db:
which root a machine trusts is that machine's business.
Source: RFC 5280, 6.1; EDK2 DxeImageVerificationLib, IsForbiddenByDbx.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ceremony.clock import day_text
from ceremony.errors import Refused
from ceremony.pe.certificate import Certificate, load, read_certificate
from ceremony.pe.revocation import Revocations, chain_revocations, read_revocations
from ceremony.pe.trust import chain_to
from ceremony.types import Digest, Finding, Severity


def judge_chain(
    certificate: bytes, chain: tuple[bytes, ...], dbx: bytes, now: datetime
) -> tuple[Finding, ...]:
    """Return every finding on `chain` (DER) above `certificate` (DER) and on both by `dbx`.

    `now` is aware, UTC; an empty `dbx` is not asked. Raises nothing: what cannot be read is a
    finding.
    """
    try:
        signer = read_certificate(certificate)
        carried = tuple(read_certificate(der) for der in chain)
    except Refused as refused:
        return tuple(_no("KEY-CERT-CHAIN", f.text) for f in refused.findings)
    return (
        *_links(signer, carried),
        *_dates(carried, now),
        *_revoked((signer, *carried), dbx),
    )


def judge_image(authenticode: Digest | None, dbx: bytes) -> tuple[Finding, ...]:
    """KEY-CERT-REVOKED: the policy's dbx does not forbid the very image that is to be signed."""
    if not dbx or authenticode is None or authenticode.value not in read_revocations(dbx).digests:
        return ()
    return (_no("KEY-CERT-REVOKED", f"the image {authenticode.hex[:16]}... is in dbx"),)


def _no(rule: str, text: str) -> Finding:
    return Finding(rule, Severity.REFUSE, text)


def _links(signer: Certificate, carried: tuple[Certificate, ...]) -> Iterator[Finding]:
    for certificate in carried:
        if not chain_to(signer, carried, (certificate,)):
            text = f"{certificate.subject} issued neither the signer nor one above it"
            yield _no("KEY-CERT-CHAIN", text)


def _dates(carried: tuple[Certificate, ...], now: datetime) -> Iterator[Finding]:
    """Firmware asks for no dates; a chain that has run out is told, not refused."""
    for certificate in carried:
        read = load(certificate)
        if not read.not_valid_before_utc <= now <= read.not_valid_after_utc:
            days = f"{day_text(read.not_valid_before_utc)} to {day_text(read.not_valid_after_utc)}"
            text = f"{certificate.subject} is valid from {days} only"
            yield Finding("KEY-CERT-CHAIN", Severity.WARN, text)


def _revoked(certificates: tuple[Certificate, ...], dbx: bytes) -> Iterator[Finding]:
    if not dbx:
        return
    try:
        revocations: Revocations = read_revocations(dbx)
    except Refused as refused:
        yield from (_no("KEY-CERT-REVOKED", f.text) for f in refused.findings)
        return
    for finding in chain_revocations(certificates, revocations, None):
        yield _no("KEY-CERT-REVOKED", finding.text)
