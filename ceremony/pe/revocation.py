"""What a dbx file revokes, and whether an image, a signature or a signer is among it.

Decides both, as firmware does: one revoked digest or signer refuses the whole image, beside
however many good signatures. Where a key in dbx issued a certificate, names are not asked:
more is refused than in EDK2, never less. It refuses to know where the file is from: the
signature of a signed update is skipped, and said to be.
Layouts: UEFI 2.10, 32.4.1 (EFI_SIGNATURE_LIST), 8.2.2 (EFI_VARIABLE_AUTHENTICATION_2).
Behaviour: EDK2 SecurityPkg DxeImageVerificationLib, IsForbiddenByDbx.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat import asn1

from ceremony.errors import Refused, refuse
from ceremony.pe.certificate import UNREADABLE, Certificate, load, read_certificate
from ceremony.pe.cms import SignedData, read_signed_data
from ceremony.pe.der import element_size
from ceremony.pe.entries import MOST_CERTIFICATES
from ceremony.pe.issuing import key_issued
from ceremony.pe.spc import content_octets
from ceremony.pe.table import Entry
from ceremony.show import counted
from ceremony.types import Digest, Finding, Severity

MOST_DBX_BYTES = 1 << 20  # firmware keeps it in 32 to 64 KiB
MOST_SIGNATURES, MOST_REVOKED_CERTIFICATES = 16384, 256

# typedef struct { EFI_GUID SignatureType; UINT32 SignatureListSize, SignatureHeaderSize,
#     SignatureSize; } EFI_SIGNATURE_LIST, the header and the signatures behind it;
# typedef struct { EFI_GUID SignatureOwner; UINT8 SignatureData[]; } EFI_SIGNATURE_DATA
LIST_HEADER, OWNER = struct.Struct("<16sIII"), 16
# typedef struct { EFI_TIME TimeStamp; WIN_CERTIFICATE_UEFI_GUID AuthInfo; }
#     EFI_VARIABLE_AUTHENTICATION_2
UPDATE_HEADER, TIME_BYTES = struct.Struct("<16xIHH16s"), 16
REVISION_2, EFI_GUID_CERTIFICATE = 0x0200, 0x0EF1
ATTRIBUTES_BYTES, MOST_ATTRIBUTES = 4, 0x7F  # UEFI 8.2.1: seven are defined

X509, SHA256 = "EFI_CERT_X509_GUID", "EFI_CERT_SHA256_GUID"
TBS_HASHES = {
    "EFI_CERT_X509_SHA256_GUID": "sha256",
    "EFI_CERT_X509_SHA384_GUID": "sha384",
    "EFI_CERT_X509_SHA512_GUID": "sha512",
}
TYPES = {
    "a5c059a1-94e4-4aa7-87b5-ab155c2bf072": X509,
    "c1c41626-504c-4092-aca9-41f936934328": SHA256,
    "3bd2a492-96c0-4079-b420-fcf98ef103ed": "EFI_CERT_X509_SHA256_GUID",
    "7076876e-80c2-4ee6-aad2-28b349a6865b": "EFI_CERT_X509_SHA384_GUID",
    "446dbf63-2502-4cda-bcfa-2465d2b0fe9d": "EFI_CERT_X509_SHA512_GUID",
}
SIZES = {SHA256: OWNER + 32} | {
    name: OWNER + hashlib.new(kind).digest_size + TIME_BYTES for name, kind in TBS_HASHES.items()
}
CERT_TYPE_PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7").bytes_le


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """A certificate revoked by the hash of its to-be-signed part, and from when on."""

    algorithm: str
    value: bytes
    since: str


@dataclass(frozen=True, slots=True)
class Revocations:
    """What one dbx file revokes; `findings` tell what it holds that is not judged here."""

    certificates: tuple[Certificate, ...]
    digests: frozenset[bytes]
    certificate_hashes: tuple[CertificateHash, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class SignatureList:
    """One EFI_SIGNATURE_LIST: its type's name or GUID, and its signatures with offsets."""

    kind: str
    offset: int
    signatures: tuple[tuple[int, bytes], ...]


def read_revocations(data: bytes) -> Revocations:
    """Read a dbx: raw, behind the 4 attribute bytes of efivarfs, or as a signed update.

    Raises Refused (SIG-DBX, with the file offset) on anything malformed or empty.
    """
    if len(data) > MOST_DBX_BYTES:
        raise refuse("SIG-DBX", f"a dbx of more than {counted(MOST_DBX_BYTES)}")
    at, findings = _payload(data)
    if at >= len(data):
        raise refuse("SIG-DBX", "the dbx holds no signature list", at)
    certificates: list[Certificate] = []
    digests: set[bytes] = set()
    hashes: list[CertificateHash] = []
    for each in _lists(data, at):
        if each.kind == X509:
            certificates += (_certificate(offset, der) for offset, der in each.signatures)
        elif each.kind == SHA256:
            digests.update(digest for _, digest in each.signatures)
        elif each.kind in TBS_HASHES:
            hashes += (_hash(TBS_HASHES[each.kind], told) for _, told in each.signatures)
        else:
            text = f"{len(each.signatures)} entries of type {each.kind} are not judged"
            findings.append(Finding("SIG-DBX", Severity.WARN, text, each.offset))
        if len(certificates) > MOST_REVOKED_CERTIFICATES:
            most = counted(MOST_REVOKED_CERTIFICATES, "certificates")
            raise refuse("SIG-DBX", f"more than {most} in one dbx", each.offset)
    return Revocations(tuple(certificates), frozenset(digests), tuple(hashes), tuple(findings))


def revocation_findings(
    image: Digest, entries: tuple[Entry, ...], revocations: Revocations
) -> tuple[Finding, ...]:
    """Hold an image's Authenticode digest and every signature in it against a dbx."""
    found: list[Finding] = []
    if image.value in revocations.digests:
        found.append(_revoked(f"the image {image.hex[:16]}... is in dbx", None))
    for entry in entries:
        found += signature_revocations(entry.pkcs7, entry.offset, revocations)
    return tuple(found)


def signature_revocations(
    pkcs7: bytes, at: int | None, revocations: Revocations
) -> tuple[Finding, ...]:
    """Hold one signature, found at `at`, against a dbx; one that hides its signer is refused."""
    try:
        signed = read_signed_data(pkcs7)
        carried = _carried(signed)
    except Refused as refused:
        text = f"dbx cannot be asked about a signature: {refused.findings[0].text}"
        return (_revoked(text, at),)
    found: list[Finding] = []
    if not signed.signers.as_list():
        # EDK2 forbids what Pkcs7GetSigners finds nobody in.
        text = "dbx cannot be asked about a signature without a signer"
        found.append(_revoked(text, at))
    for info in signed.signers.as_list():
        wanted = (asn1.encode_der(info.signer.issuer), info.signer.serial)
        signers = [c for c in carried if (c.issuer, c.serial) == wanted]
        if not signers:
            text = "dbx cannot be asked about a signature that does not carry its signer"
            found.append(_revoked(text, at))
        for signer in signers:
            found += signer_revocations(signer, carried, revocations, at)
    return tuple(found)


def signer_revocations(
    signer: Certificate,
    carried: tuple[Certificate, ...],
    revocations: Revocations,
    at: int | None = None,
) -> tuple[Finding, ...]:
    """Hold a signer and its chain among the `carried` certificates against a dbx."""
    found: list[Finding] = []
    for certificate in _chain(signer, carried):
        fact = _revoked_by(certificate, revocations)
        if fact is not None:
            found.append(_revoked(f"the certificate {certificate.subject} {fact}", at))
    return tuple(found)


def chain_revocations(
    chain: tuple[Certificate, ...], revocations: Revocations, at: int | None
) -> tuple[Finding, ...]:
    """Hold every certificate of a chain up to a trusted one against a dbx.

    EDK2 asks dbx about the certificate of db that verified, too: IsAllowedByDb.
    """
    facts = ((certificate, _revoked_by(certificate, revocations)) for certificate in chain)
    return tuple(
        _revoked(f"the certificate {certificate.subject} {fact}", at)
        for certificate, fact in facts
        if fact is not None
    )


def _revoked(text: str, at: int | None) -> Finding:
    return Finding("SIG-REVOKED", Severity.REFUSE, text, at)


def _payload(data: bytes) -> tuple[int, list[Finding]]:
    """Return where the first list starts, and what is to be said about what stands before."""
    # A list starts with a GUID, an update with a year; neither looks like attributes.
    attributes = int.from_bytes(data[:ATTRIBUTES_BYTES], "little")
    at = ATTRIBUTES_BYTES if 0 < attributes <= MOST_ATTRIBUTES else 0
    if len(data) - at < UPDATE_HEADER.size:
        return at, []
    length, revision, kind, form = UPDATE_HEADER.unpack_from(data, at)
    if (revision, kind, form) != (REVISION_2, EFI_GUID_CERTIFICATE, CERT_TYPE_PKCS7):
        return at, []
    at += TIME_BYTES
    if not UPDATE_HEADER.size - TIME_BYTES < length <= len(data) - at:
        raise refuse("SIG-DBX", f"the signature of the dbx update has length {length}", at)
    text = f"a signed dbx update: its own signature of {length} bytes is not checked"
    return at + length, [Finding("SIG-DBX", Severity.INFO, text, at)]


def _lists(data: bytes, at: int) -> Iterator[SignatureList]:
    signatures = 0
    while at < len(data):  # every list holds a signature at least
        if len(data) - at < LIST_HEADER.size:
            raise refuse("SIG-DBX", "a signature list is cut off", at)
        form, size, header, each = LIST_HEADER.unpack_from(data, at)
        guid = str(uuid.UUID(bytes_le=form))
        kind = TYPES.get(guid, guid)
        first, end = at + LIST_HEADER.size + header, at + size
        if size < LIST_HEADER.size or end > len(data):
            raise refuse("SIG-DBX", f"SignatureListSize is {size}", at + 16)
        if first > end or (header and kind in TYPES.values()):
            raise refuse("SIG-DBX", f"SignatureHeaderSize is {header}", at + 20)
        if each <= OWNER or each != SIZES.get(kind, each):
            raise refuse("SIG-DBX", f"SignatureSize is {each} for {kind}", at + 24)
        if first == end or (end - first) % each:
            text = f"{end - first} bytes of signatures are not a number of {each} each"
            raise refuse("SIG-DBX", text, first)
        signatures += (end - first) // each
        if signatures > MOST_SIGNATURES:
            raise refuse("SIG-DBX", f"more than {MOST_SIGNATURES} signatures in one dbx", at)
        places = range(first + OWNER, end, each)
        told = tuple((place, data[place : place + each - OWNER]) for place in places)
        yield SignatureList(kind, at, told)
        at = end


def _certificate(at: int, der: bytes) -> Certificate:
    try:
        certificate = read_certificate(der)
        load(certificate).public_key()
    except (Refused, *UNREADABLE) as fault:
        # What cannot be read cannot be found again in a signature.
        raise refuse("SIG-DBX", "a certificate in dbx cannot be read", at) from fault
    return certificate


def _hash(algorithm: str, told: bytes) -> CertificateHash:
    # EFI_TIME: a time of zero is "always" (EDK2 PassTimestampCheck).
    year, *rest = struct.unpack_from("<HBBBBB", told, len(told) - TIME_BYTES)
    time = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(year, *rest)
    since = f"from {time} on" if year or any(rest) else "always"
    return CertificateHash(algorithm, told[:-TIME_BYTES], since)


def _carried(signed: SignedData) -> tuple[Certificate, ...]:
    carried = signed.certificates or []
    if len(carried) > MOST_CERTIFICATES:
        raise refuse("SIG-CERTIFICATE", f"{len(carried)} certificates in one signature")
    return tuple(read_certificate(asn1.encode_der(tlv)) for tlv in carried)


def _chain(signer: Certificate, carried: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """Return the signer and every carried certificate whose key issued one of the chain."""
    chain = [signer]
    for certificate in chain:  # grows while it is walked, by each of `carried` at most once
        chain += (c for c in carried if c not in chain and key_issued(c, certificate))
    return tuple(chain)


def _revoked_by(certificate: Certificate, revocations: Revocations) -> str | None:
    if any(certificate.der == revoked.der for revoked in revocations.certificates):
        return "is in dbx"
    content = content_octets(certificate.der)
    tbs = content[: element_size(content)]
    values = {kind: hashlib.new(kind, tbs).digest() for kind in TBS_HASHES.values()}
    for revoked in revocations.certificate_hashes:
        if values[revoked.algorithm] == revoked.value:
            # Without a time stamp and dbt, which no image of ours has, time does not help.
            return f"is in dbx by its {revoked.algorithm}, revoked {revoked.since}"
    for issuer in revocations.certificates:
        if key_issued(issuer, certificate):
            return f"was issued by {issuer.subject}, which is in dbx"
    return None
