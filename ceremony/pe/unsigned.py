"""The digests that a signed image had before it was signed, for builders attest only that.

Decides which files may have become this one by signing: the certificate table is gone, its
directory is zero, the CheckSum is as it stands, zero or right, and the zeros that a signer
put behind the image to align its table stand or not. All of them have one Authenticode
digest, so a vote for one is a vote for what is signed here. Refuses to know votes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from ceremony.digesting import FurtherDigest
from ceremony.pe.digest import CHUNK, CheckSum
from ceremony.pe.headers import Bytes
from ceremony.pe.layout import Layout
from ceremony.pe.table import ALIGNMENT
from ceremony.types import DigestPairs

DIRECTORY_BYTES = 8


def unsigned_forms(view: memoryview, layout: Layout) -> tuple[DigestPairs, ...]:
    """Return (algorithm, hex) of each file that this one may have been; none if unsigned.

    The first is as sbsign's own removal leaves it but for the CheckSum, which stays.
    """
    if not layout.table_size:
        return ()
    head = bytearray(view[: layout.headers_end])
    head[layout.directory_at : layout.directory_at + DIRECTORY_BYTES] = bytes(DIRECTORY_BYTES)
    total = CheckSum(layout.checksum_at)
    total.update(bytes(head))
    for chunk in _body(view, layout.headers_end, layout.end):
        total.update(chunk)
    there = struct.unpack_from("<I", head, layout.checksum_at)[0]
    forms: dict[DigestPairs, None] = {}
    for size in _sizes(view, layout):
        # The sum of the words does not change by zeros at the end; the size is added to it.
        right = (total.value() - (layout.end - size)) & 0xFFFFFFFF
        for value in dict.fromkeys((there, 0, right)):
            struct.pack_into("<I", head, layout.checksum_at, value)
            forms[_digests(bytes(head), _body(view, layout.headers_end, size))] = None
    return tuple(forms)


def _sizes(view: memoryview, layout: Layout) -> Iterator[int]:
    """Yield where the image may have ended: a signer aligns the table by up to 7 zeros."""
    yield layout.end
    for size in range(layout.end - 1, layout.end - ALIGNMENT, -1):
        if size < layout.sections_end or view[size]:
            return
        yield size


def _body(view: memoryview, start: int, end: int) -> Iterator[memoryview]:
    return (view[at : min(at + CHUNK, end)] for at in range(start, end, CHUNK))


def _digests(head: Bytes, body: Iterator[memoryview]) -> DigestPairs:
    plain = hashlib.sha256(head)
    further = (FurtherDigest("sha384"), FurtherDigest("sha512"))
    for sink in further:
        sink.update(head)
    for chunk in body:
        plain.update(chunk)
        for sink in further:
            sink.update(chunk)
    return (("sha256", plain.hexdigest()), *(sink.pair() for sink in further))
