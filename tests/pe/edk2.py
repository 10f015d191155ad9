"""Our model of what EDK2 firmware does with an image under Secure Boot: it boots or is denied.

Written from the description of SecurityPkg's DxeImageVerificationLib, for UEFI applications;
what its loader asks stands in edk2_loader.py. It shares nothing with `ceremony`. Order, gaps
and overlaps of sections, CheckSum and where the certificate table stands are not looked at,
as firmware does not look at them.
Work is bounded: entries go forward, their number and the bytes hashed have caps.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from pe.edk2_authenticode import (
    HASHES,
    UNREADABLE,
    MalformedError,
    Pkcs7,
    authenticode_verify,
    certificate,
    read_pkcs7,
    signing_chain,
)
from pe.edk2_loader import SECURITY, DeniedError, Headers, load_header, load_sections, need
from pe.edk2_mapped import follow

WIN_CERTIFICATE = 8
PKCS_SIGNED_DATA, EFI_GUID = 0x0002, 0x0EF1
PKCS7_GUID = bytes.fromhex("9dd2af4adf68ee498aa9347d375665a7")
ALGORITHM_AT, TWO_BYTE_ENCODE = 32, 0x82
MOST_ENTRIES = 4096
MOST_REHASHED = 8  # times the file's size


@dataclass(frozen=True)
class Database:
    """db or dbx: certificates (DER), image digests, and SHA-256 over TBSCertificates."""

    certificates: tuple[bytes, ...] = ()
    digests: frozenset[bytes] = frozenset()
    tbs_sha256: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Boots:
    """The image starts: why."""

    why: str


@dataclass(frozen=True)
class Denied:
    """The image does not start: why."""

    why: str


def firmware_verdict(image: bytes, db: Database, dbx: Database) -> Boots | Denied:
    """Say whether firmware with these databases starts `image`."""
    try:
        headers = load_header(image)
        load_sections(image, headers)
        follow(image, headers)
        return Boots(_verification(image, headers, db, dbx))
    except DeniedError as denied:
        return Denied(str(denied))


def _hash_image(image: bytes, headers: Headers, name: str) -> bytes | None:
    """HashPeImage: None where the sizes do not add up."""
    hasher = hashlib.new(name)
    checksum_at = headers.optional_at + 64
    hasher.update(image[:checksum_at])
    if headers.directories > SECURITY:
        hasher.update(image[checksum_at + 4 : headers.directory_at])
        hasher.update(image[headers.directory_at + 8 : headers.headers_size])
    else:
        hasher.update(image[checksum_at + 4 : headers.headers_size])
    hashed = headers.headers_size
    for row in sorted(headers.sections, key=lambda s: s.offset):
        hashed += row.size
        need(hashed <= MOST_REHASHED * len(image), "the model hashes no more")
        hasher.update(image[row.offset : row.offset + row.size] if row.size else b"")
    if len(image) > hashed:
        _, table_size = headers.directory(image, SECURITY)
        if len(image) < table_size + hashed:
            return None
        hasher.update(image[hashed : len(image) - table_size])
    return hasher.digest()


def _verification(image: bytes, headers: Headers, db: Database, dbx: Database) -> str:
    at, table_size = headers.directory(image, SECURITY)
    if table_size == 0:
        digest = _hash_image(image, headers, "sha256")
        need(digest not in dbx.digests, "digest in dbx")
        need(digest in db.digests, "unsigned, digest not in db")
        return "digest in db"
    digests: dict[str, bytes | None] = {}
    end, verified, seen = at + table_size, "", 0
    while at < end and end - at > WIN_CERTIFICATE:
        seen += 1
        need(seen <= MOST_ENTRIES, "the model reads no more entries")
        length, _, kind = struct.unpack_from("<IHH", image, at)
        padded = length + -length % 8
        least = WIN_CERTIFICATE + (16 if kind == EFI_GUID else 0)
        if padded > end - at or length < least + (kind in (PKCS_SIGNED_DATA, EFI_GUID)):
            break
        blob = _signature(image[at : at + length], kind)
        at += padded
        digest = None if blob is None else _digest_for(blob, image, headers, digests)
        if blob is None or digest is None:
            continue
        pkcs7 = _pkcs7(blob)
        need(not _forbidden(pkcs7, digest, dbx), "signer in dbx")
        if not verified and pkcs7 is not None and _signed_by(pkcs7, digest, db):
            verified = "signer in db"
        need(digest not in dbx.digests, "digest in dbx")
        if not verified and digest in db.digests:
            verified = "digest in db"
    need(at == end, "the certificate table is corrupted")
    need(bool(verified), "no signature by one in db")
    return verified


def _signature(entry: bytes, kind: int) -> bytes | None:
    if kind == PKCS_SIGNED_DATA:
        return entry[WIN_CERTIFICATE:]
    if kind == EFI_GUID and entry[8:24] == PKCS7_GUID:
        return entry[24:]
    return None


def _digest_for(
    blob: bytes, image: bytes, headers: Headers, digests: dict[str, bytes | None]
) -> bytes | None:
    """HashPeImageByType: the algorithm is read at a fixed place behind two-byte lengths."""
    if len(blob) < ALGORITHM_AT or blob[1] & TWO_BYTE_ENCODE != TWO_BYTE_ENCODE:
        return None
    for identifier, (name, _) in HASHES.items():
        if blob[ALGORITHM_AT : ALGORITHM_AT + len(identifier)] == identifier:
            if name not in digests:
                digests[name] = _hash_image(image, headers, name)
            return digests[name]
    return None


def _pkcs7(blob: bytes) -> Pkcs7 | None:
    try:
        return read_pkcs7(blob)
    except MalformedError:
        return None


@lru_cache(maxsize=16)
def _trusted(database: Database) -> list[x509.Certificate]:
    try:
        return [certificate(der) for der in database.certificates]
    except UNREADABLE as fault:
        raise TypeError("a database holds a certificate that cannot be read") from fault


def _signed_by(pkcs7: Pkcs7, digest: bytes, database: Database) -> bool:
    try:
        return any(authenticode_verify(pkcs7, c, digest) for c in _trusted(database))
    except MalformedError:
        return False


def _forbidden(pkcs7: Pkcs7 | None, digest: bytes, dbx: Database) -> bool:
    if pkcs7 is None:
        return False
    hashed = {hashlib.sha256(c.tbs_certificate_bytes).digest() for c in signing_chain(pkcs7)}
    return _signed_by(pkcs7, digest, dbx) or bool(hashed & dbx.tbs_sha256)
