"""An image that comes part by part is the image: wherever a part ends, every fact is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from pe.images import MOMENT, Part, Signer, kernel, pe_image, uki, uki_parts

from ceremony import content
from ceremony.content import Content, Excerpt, InMemory, content_of, octets_of, pieces_of
from ceremony.ingest.sealed_copy import copy_file
from ceremony.pe import kernel as kernels
from ceremony.pe.headers import HEAD_BYTES, Bytes
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.pe.sweep import sweep
from ceremony.pe.unsigned import further_digests
from ceremony.pe.verify import embedded_equals, verify

BANNER = b"Linux version 6.1.0-banner (somebody) "
WHOLE = 1 << 30


class Grudging:
    """A content that gives no part longer than the parser may ask for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.longest = 0

    def __len__(self) -> int:
        return len(self._data)

    def part(self, start: int, stop: int) -> Bytes:
        assert start >= 0
        found = self._data[start:stop]
        self.longest = max(self.longest, len(found))
        return found


def images(signed: bytes) -> dict[str, bytes]:
    return {
        "uki": uki(),
        "aarch64": uki("aarch64"),
        "signed": signed,
        "overlay of an odd length": uki() + b"overlay",
        "large": uki(initrd=b"\x1f\x8b" + bytes(range(256)) * 2048),
        "no image": b"MZ" * 999,
        "nothing": b"",
    }


NAMES = sorted(images(b""))


@pytest.mark.parametrize("piece", [997, 4096, 65536])
@pytest.mark.parametrize("name", NAMES)
def test_facts_and_digests_do_not_depend_on_where_a_piece_ends(
    name: str, piece: int, signed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images(signed)[name]
    monkeypatch.setattr(content, "PIECE", WHOLE)
    facts = inspect(image, OPEN_GATES)
    further = further_digests(image, ("sha384", "sha512"))
    monkeypatch.setattr(content, "PIECE", piece)
    grudging = Grudging(image)
    assert inspect(grudging, OPEN_GATES) == facts
    assert further_digests(grudging, ("sha384", "sha512")) == further
    assert grudging.longest <= max(piece, HEAD_BYTES)


@pytest.mark.parametrize("piece", [1021, 65536])
@pytest.mark.parametrize("name", ["uki", "signed", "overlay of an odd length", "large"])
def test_the_signed_file_does_not_depend_on_where_a_piece_ends(
    name: str, piece: int, alice: Signer, signed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images(signed)[name]
    monkeypatch.setattr(content, "PIECE", WHOLE)
    planned = plan(image, alice.certificate, (), MOMENT)
    value = alice.sign(planned.attributes)
    made = assemble(image, planned, value)
    file = b"".join(made.pieces())
    monkeypatch.setattr(content, "PIECE", piece)
    grudging = Grudging(image)
    assert plan(grudging, alice.certificate, (), MOMENT) == planned
    again = assemble(grudging, planned, value, sweep(image).authenticode)
    assert again == made
    assert b"".join(again.pieces()) == file
    assert verify(Grudging(file), alice.certificate) == ()
    assert embedded_equals(grudging, made.cms, Grudging(file)) == ()
    assert grudging.longest <= max(piece, HEAD_BYTES)


@pytest.mark.parametrize("at", range(-len(BANNER), len(BANNER) + 1, 7))
def test_a_banner_is_found_wherever_a_piece_ends(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "PIECE", 4096)
    linux = bytes(2 * 4096 + at) + BANNER + bytes(99) + BANNER.replace(b"banner", b"second")
    assert kernels.kernel_release(InMemory(linux)) == "6.1.0-banner"


def test_a_banner_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "PIECE", 4096)
    monkeypatch.setattr(kernels, "MOST_SEARCH", 3 * 4096 + 20)
    found = b"Linux version 6 "
    for at in (3 * 4096 + 20 - len(found), 3 * 4096 + 20 - len(found) + 1):
        linux = InMemory(bytes(at) + found)
        assert kernels.kernel_release(linux) == ("6" if at == 3 * 4096 + 4 else "")


def test_a_kernel_s_own_release_is_read_in_a_sealed_copy(tmp_path: Path) -> None:
    parts = uki_parts()
    assert any(part.name == ".linux" for part in parts)
    image = pe_image(tuple(Part(p.name, kernel()) if p.name == ".linux" else p for p in parts))
    path = tmp_path / "anchor.efi"
    path.write_bytes(image)
    assert inspect(copy_file(path, WHOLE), OPEN_GATES) == inspect(image, OPEN_GATES)


def test_an_excerpt_ends_where_it_ends() -> None:
    whole: Content = content_of(bytes(range(100)))
    excerpt = Excerpt(whole, 10, 20)
    assert len(excerpt) == 10
    assert octets_of(excerpt) == bytes(range(10, 20))
    assert bytes(excerpt.part(8, 99)) == bytes((18, 19))
    assert bytes(excerpt.part(10, 11)) == bytes(excerpt.part(50, 60)) == b""
    assert octets_of(Excerpt(excerpt, 2, 5)) == bytes((12, 13, 14))
    assert [bytes(p) for p in pieces_of(excerpt, 3, 3)] == []
