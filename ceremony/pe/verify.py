"""The own verifier: reads a signed file again, from its bytes alone, on a path of its own.

Decides whether a signed file carries, as its last entry, the exact sbsign-shaped signature
of a given certificate over its own contents. It hashes region by region as the
specification words it, not around holes as the signer does, and shares no state with it.
It refuses to know trust stores (trust.py) and dates.
Source: Microsoft, "Windows Authenticode Portable Executable Signature Format".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import partial

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
from ceremony.pe.headers import HEAD_BYTES, Bytes
from ceremony.pe.layout import Layout
from ceremony.pe.profile import Profile
from ceremony.pe.spc import indirect_data
from ceremony.pe.sweep import Sink, TableBytes, sound_layout
from ceremony.pe.table import Entry
from ceremony.turns import Runner, in_turn
from ceremony.types import Digest, DigestKind, Finding, Severity, refusals


class Regions:
    """The Authenticode SHA-256 as the specification words it, as a sink.

    Header parts, then sections by file offset, then what follows; steps 3 to 14. Nothing is
    padded: a file that is signed ends its image at a multiple of 8.
    """

    def __init__(self, layout: Layout) -> None:
        self._hash = hashlib.sha256()
        self._at = 0
        sections = sorted((s.offset, s.end) for s in layout.sections if s.size)
        hashed = layout.headers_end + sum(stop - start for start, stop in sections)
        self._regions = [
            (0, layout.checksum_at),
            (layout.checksum_at + 4, layout.directory_at),
            (layout.directory_at + 8, layout.headers_end),
            *sections,
            (hashed, layout.size - layout.table_size),
        ]

    def update(self, chunk: Bytes) -> None:
        """Hash what of the next bytes lies in a region."""
        view = memoryview(chunk)
        at, stop = self._at, self._at + len(view)
        self._at = stop
        while self._regions:
            start, end = self._regions[0]
            if start >= stop:
                return
            self._hash.update(view[max(start - at, 0) : max(end - at, 0)])
            if end > stop:
                return
            self._regions.pop(0)

    def digest(self) -> Digest:
        """Return the digest of what was fed."""
        return Digest(DigestKind.AUTHENTICODE_SHA256, self._hash.digest())


class Verification:
    """One sequential read of a signed file, from its head on; then everything is judged."""

    def __init__(self, head: Bytes, size: int) -> None:
        """Read the layout from the first min(size, 64 KiB) bytes; raises Refused (PE-...)."""
        self.layout, _ = sound_layout(head, size)
        self._regions = Regions(self.layout)
        self._sum = CheckSum(self.layout.checksum_at)
        self._table = TableBytes(self.layout)

    @property
    def sinks(self) -> tuple[Sink, Sink, Sink]:
        """What the file's bytes, head included, are fed to; the first one is the costly one."""
        return self._regions, self._sum, self._table

    @property
    def checksum(self) -> int:
        """Return the CheckSum of what was fed."""
        return self._sum.value()

    @property
    def authenticode(self) -> Digest:
        """Return the Authenticode SHA-256 of what was fed."""
        return self._regions.digest()

    def findings(
        self, certificate: bytes, written: int, profile: Profile = Profile.SBSIGN
    ) -> tuple[Finding, ...]:
        """Judge the whole file; `written` is what its CheckSum field says.

        No finding that refuses means that all of this holds: the layout is strict, every
        entry is a good signature of this image, the last one is that of the given
        certificate (DER) and byte for byte the profile's, the CheckSum is right.
        """
        try:
            signer = read_certificate(certificate)
        except Refused as refused:
            return refused.findings
        entries, _ = self._table.entries()
        if not self.layout.table_size:
            return (_refusal("SIG-MISSING", "the file carries no signature"),)
        found = self.integrity(written)
        if not refusals(found):
            found += _profile_findings(entries[-1], signer, self.authenticode, profile)
        return found

    def integrity(self, written: int) -> tuple[Finding, ...]:
        """Judge what needs no certificate: every entry there may be, and the CheckSum."""
        entries, found = self._table.entries()
        if refusals(found):
            return found
        digest = self.authenticode
        found = tuple(f for entry in entries for f in entry_findings(entry, digest))
        return found + self._checksum_findings(written)

    def copied(self, image: Digest, written: int) -> tuple[Finding, ...]:
        """Judge only that the file holds this very image, a readable table, a right CheckSum."""
        _, found = self._table.entries()
        if not refusals(found) and self.authenticode != image:
            found = (_refusal("SIG-DIGEST", "the file that was written is not the image"),)
        return found + self._checksum_findings(written)

    def _checksum_findings(self, written: int) -> tuple[Finding, ...]:
        if written == self.checksum:
            return ()
        text = f"CheckSum is {written:#010x}, the file's is {self.checksum:#010x}"
        return (_refusal("SIG-CHECKSUM", text, self.layout.checksum_at),)


def verify(signed: Bytes, certificate: bytes) -> tuple[Finding, ...]:
    """Verify the last signature of a signed file in memory; see `Verification.findings`."""
    return verify_pieces(lambda: iter((signed,)), len(signed), certificate)


def verify_pieces(
    pieces: Callable[[], Iterator[Bytes]], size: int, certificate: bytes, run: Runner = in_turn
) -> tuple[Finding, ...]:
    """Verify a signed file of `size` bytes that comes in pieces, the same each time."""
    head = b""
    for piece in pieces():
        head += bytes(piece[: HEAD_BYTES - len(head)])
        if len(head) == HEAD_BYTES:
            break
    try:
        verification = Verification(head, size)
    except Refused as refused:
        return refused.findings

    def fed(sink: Sink) -> None:
        for piece in pieces():
            sink.update(piece)

    run([partial(fed, sink) for sink in verification.sinks])
    (written,) = struct.unpack_from("<I", head, verification.layout.checksum_at)
    return verification.findings(certificate, written)


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


def _profile_findings(
    entry: Entry, signer: Certificate, digest: Digest, profile: Profile
) -> tuple[Finding, ...]:
    signed = read_signed_data(entry.pkcs7)
    carried = tuple(asn1.encode_der(tlv) for tlv in signed.certificates or ())
    if carried[:1] != (signer.der,):
        text = "the last signature was not made with the given certificate"
        return (_refusal("SIG-SIGNER", text, entry.offset),)
    info = signed.signers.as_list()[0]
    try:
        attributes = signed_bytes(info) or b""
        read_attributes(attributes, (profile,))
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
