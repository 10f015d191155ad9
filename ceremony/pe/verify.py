"""The own verifier: reads a signed file again, from its bytes alone, on a path of its own.

Decides whether a signed file carries, as its last entry, the exact sbsign-shaped signature
of a given certificate over its own contents. It hashes region by region as the
specification words it, not in one sweep as the signer does, and shares no state with it.
It refuses to know trust stores and dates.
Source: Microsoft, "Windows Authenticode Portable Executable Signature Format".
"""

from __future__ import annotations

import hashlib
import struct

from cryptography.hazmat import asn1

from ceremony.errors import Refused
from ceremony.pe.attach import attach
from ceremony.pe.certificate import Certificate, key_algorithm, read_certificate
from ceremony.pe.cms import (
    encode_signed_data,
    read_attributes,
    read_signed_data,
    signed_bytes,
)
from ceremony.pe.digest import CheckSum
from ceremony.pe.entries import entry_findings
from ceremony.pe.headers import Bytes
from ceremony.pe.layout import Layout, strict_layout
from ceremony.pe.spc import indirect_data
from ceremony.pe.table import Entry, read_entries
from ceremony.types import Digest, DigestKind, Finding, Severity, refusals


def verify(signed: Bytes, certificate: bytes) -> tuple[Finding, ...]:
    """Verify the last signature of a signed file against a DER certificate.

    No finding that refuses means that all of this holds: the layout is strict, every entry
    is a good signature of this image, the last one is the given certificate's and byte for
    byte the profile's, the CheckSum is right.
    """
    try:
        signer = read_certificate(certificate)
        layout = strict_layout(signed)
    except Refused as refused:
        return refused.findings
    entries, _ = read_entries(memoryview(signed)[layout.end :], layout.end)
    if not entries:
        return (_refusal("SIG-MISSING", "the file carries no signature"),)
    digest = _digest(signed, layout)
    found = tuple(f for entry in entries for f in entry_findings(entry, digest))
    if not refusals(found):
        found += _profile_findings(entries[-1], signer, digest)
    return found + _checksum_findings(signed, layout)


def embedded_equals(unsigned: Bytes, cms: bytes, signed: Bytes) -> tuple[Finding, ...]:
    """Attach `cms` to `unsigned` and compare with `signed`; no finding means byte-equal."""
    try:
        again = attach(unsigned, cms)
    except Refused as refused:
        return refused.findings
    view, at = memoryview(signed), 0
    for piece in again.pieces():
        if view[at : at + len(piece)] != piece:
            text = "image and signature put together differ from the signed file"
            return (_refusal("SIG-ATTACH", text, at),)
        at += len(piece)
    if at != len(view):
        text = f"the signed file has {len(view)} bytes, image and signature give {at}"
        return (_refusal("SIG-ATTACH", text, at),)
    return ()


def _refusal(rule: str, text: str, at: int | None = None) -> Finding:
    return Finding(rule, Severity.REFUSE, text, at)


def _digest(image: Bytes, layout: Layout) -> Digest:
    """Hash header parts, sections by file offset, then what follows; steps 3 to 14."""
    view = memoryview(image)
    checksum_at, directory_at = layout.checksum_at, layout.directory_at
    hasher = hashlib.sha256()
    hasher.update(view[:checksum_at])
    hasher.update(view[checksum_at + 4 : directory_at])
    hasher.update(view[directory_at + 8 : layout.headers_end])
    hashed = layout.headers_end
    for section in sorted(layout.sections, key=lambda s: s.offset):
        if section.size:
            hasher.update(view[section.offset : section.offset + section.size])
            hashed += section.size
    hasher.update(view[hashed : len(view) - layout.table_size])
    return Digest(DigestKind.AUTHENTICODE_SHA256, hasher.digest())


def _profile_findings(entry: Entry, signer: Certificate, digest: Digest) -> tuple[Finding, ...]:
    signed = read_signed_data(entry.pkcs7)
    carried = tuple(asn1.encode_der(tlv) for tlv in signed.certificates or ())
    if carried[:1] != (signer.der,):
        text = "the last signature was not made with the given certificate"
        return (_refusal("SIG-SIGNER", text, entry.offset),)
    info = signed.signers.as_list()[0]
    try:
        attributes = signed_bytes(info) or b""
        read_attributes(attributes)
        again = encode_signed_data(
            indirect_data(digest),
            attributes,
            info.signature,
            key_algorithm(signer),
            tuple(read_certificate(der) for der in carried),
        )
    except Refused as refused:
        return refused.findings
    if again != entry.pkcs7:
        text = "the last signature is not byte for byte in the form that sbsign writes"
        return (_refusal("SIG-PROFILE", text, entry.offset),)
    return ()


def _checksum_findings(signed: Bytes, layout: Layout) -> tuple[Finding, ...]:
    total = CheckSum(layout.checksum_at)
    total.update(signed)
    (written,) = struct.unpack_from("<I", signed, layout.checksum_at)
    if written == total.value():
        return ()
    text = f"CheckSum is {written:#010x}, the file's is {total.value():#010x}"
    return (_refusal("SIG-CHECKSUM", text, layout.checksum_at),)
