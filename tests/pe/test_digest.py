from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pe.images import Broken, uki

from ceremony.pe.digest import Authenticode, CheckSum, authenticode
from ceremony.pe.layout import read_layout
from ceremony.types import DigestKind


def word_by_word(data: bytes, checksum_at: int) -> int:
    """Add 16-bit words with end-around carry, the way the CheckSum is described."""
    blanked = bytearray(data + bytes(len(data) % 2))
    blanked[checksum_at : checksum_at + 4] = bytes(4)
    total = 0
    for (word,) in struct.iter_unpack("<H", blanked):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(data)


@settings(deadline=None)
@given(
    data=st.binary(min_size=8, max_size=400),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    where=st.integers(0, 390),
)
def test_checksum_in_chunks_is_the_sum_word_by_word(
    data: bytes, cuts: list[int], where: int
) -> None:
    at = where % (len(data) - 4) // 2 * 2
    total = CheckSum(at)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        total.update(data[start:stop])
    assert total.value() == word_by_word(data, at)


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
def test_checksum_of_nothing_but_zeros_or_ones(fill: bytes) -> None:
    data = fill * 70000
    total = CheckSum(64)
    total.update(data)
    assert total.value() == word_by_word(data, 64)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 6000), max_size=8))
def test_authenticode_in_chunks_is_the_digest_in_one_piece(cuts: list[int]) -> None:
    image = uki() + b"odd"
    layout = read_layout(image, len(image)).layout
    assert layout is not None
    hasher = Authenticode(layout)
    edges = [0, *sorted(cuts), len(image)]
    for start, stop in itertools.pairwise(edges):
        hasher.update(image[start:stop])
    assert hasher.digest() == authenticode(image, layout)
    assert hasher.digest().kind is DigestKind.AUTHENTICODE_SHA256


def test_checksum_and_certificate_directory_are_the_only_holes() -> None:
    image = uki()
    layout = read_layout(image, len(image)).layout
    assert layout is not None
    digest = authenticode(image, layout)
    holes = {*range(layout.checksum_at, layout.checksum_at + 4)}
    holes |= {*range(layout.directory_at, layout.directory_at + 8)}
    unhashed = set()
    for at in range(layout.headers_end):
        broken = bytearray(image)
        broken[at] ^= 1
        if authenticode(bytes(broken), layout) == digest:
            unhashed.add(at)
    assert unhashed == holes


def test_a_digest_of_half_an_image_is_a_bug() -> None:
    image = uki()
    layout = read_layout(image, len(image)).layout
    assert layout is not None
    hasher = Authenticode(layout)
    hasher.update(image[:-1])
    with pytest.raises(TypeError):
        hasher.digest()


def test_the_layout_needs_no_more_than_the_headers() -> None:
    image = uki()
    head = image[: Broken(bytearray(image)).places["sections"] + 40 * 8]
    # The rest of the headers is zeros; with it missing nothing else is read.
    assert read_layout(head.ljust(1024, b"\0"), len(image)) == read_layout(image, len(image))
