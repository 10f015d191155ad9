"""What votes about an image are compared with: a signed one as it was before it was signed.

Decides which files may have become this one by signing: the certificate table is gone, its
directory is zero, the CheckSum is as it stands, zero or right, and the zeros that a signer
put behind the image to align its table stand or not. All of them have one Authenticode
digest, so a vote for one is a vote for what is signed here. Builders attest only that.
Refuses to know votes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from ceremony.content import Content, Excerpt, InMemory, Stored, content_of, pieces_of
from ceremony.digesting import further_digest
from ceremony.pe.digest import CheckSum, file_sha256
from ceremony.pe.headers import HEAD_BYTES
from ceremony.pe.layout import Layout, read_layout
from ceremony.pe.table import ALIGNMENT
from ceremony.turns import Runner, in_turn
from ceremony.types import Digest, DigestPairs

DIRECTORY_BYTES = 8


def unsigned_forms(image: Content, layout: Layout, run: Runner = in_turn) -> tuple[Digest, ...]:
    """Return the SHA-256 of each file that this one may have been; none if unsigned.

    The first is as sbsign's own removal leaves it but for the CheckSum, which stays.
    """
    forms = tuple(_forms(image, layout))
    found: dict[int, Digest] = {}

    def hashed(place: int) -> None:
        found[place] = file_sha256(*forms[place])

    run([partial(hashed, place) for place in range(len(forms))])
    return tuple(found[place] for place in range(len(forms)))


def further_digests(
    image: Stored, algorithms: tuple[str, ...], run: Runner = in_turn
) -> tuple[DigestPairs, ...]:
    """Return these digests of an unsigned image, or of each form in `unsigned_forms`' order."""
    content = content_of(image)
    layout = read_layout(content.part(0, HEAD_BYTES), len(content)).layout
    forms = (layout and tuple(_forms(content, layout))) or ((content,),)
    found: dict[tuple[int, str], tuple[str, str]] = {}

    def hashed(place: int, algorithm: str) -> None:
        found[place, algorithm] = further_digest(algorithm, *forms[place])

    each = [(place, name) for place in range(len(forms)) for name in algorithms]
    run([partial(hashed, place, name) for place, name in each])
    return tuple(tuple(found[place, name] for name in algorithms) for place in range(len(forms)))


def _forms(image: Content, layout: Layout) -> Iterator[tuple[Content, ...]]:
    """Yield the parts of each file that a signed one may have been."""
    if not layout.table_size:
        return
    head = bytearray(image.part(0, layout.headers_end))
    head[layout.directory_at : layout.directory_at + DIRECTORY_BYTES] = bytes(DIRECTORY_BYTES)
    total = CheckSum(layout.checksum_at)
    total.update(bytes(head))
    for piece in pieces_of(image, len(head), layout.end):
        total.update(piece)
    there = struct.unpack_from("<I", head, layout.checksum_at)[0]
    for size in _sizes(image, layout):
        # The sum of the words does not change by zeros at the end; the size is added to it.
        right = (total.value() - (layout.end - size)) & 0xFFFFFFFF
        for value in dict.fromkeys((there, 0, right)):
            struct.pack_into("<I", head, layout.checksum_at, value)
            yield InMemory(bytes(head)), Excerpt(image, len(head), size)


def _sizes(image: Content, layout: Layout) -> Iterator[int]:
    """Yield where the image may have ended: a signer aligns the table by up to 7 zeros."""
    yield layout.end
    for size in range(layout.end - 1, layout.end - ALIGNMENT, -1):
        if size < layout.sections_end or image.part(size, size + 1) != b"\0":
            return
        yield size
