"""Nix archives: what the real Nix writes is read in chunks of any size; all else is refused."""

from __future__ import annotations

import hashlib
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.nar_bytes import Tree, archive, entry, node, word, words
from quorum.nix_cache import NixStore, needs_nix

from ceremony.attest import nar_media, xz
from ceremony.attest.nar import Nar, NarReader
from ceremony.attest.nar_media import (
    NarFacts,
    NarFileReader,
    looks_like_nar,
    read_nar_file,
)
from ceremony.codec import decode, encode
from ceremony.errors import Refused
from ceremony.policy_model import ArtifactRule
from ceremony.types import MediaFile

IMAGE = bytes(range(256)) * 9 + b"odd"
TREE: Tree = {"a": {"b.efi": IMAGE, "c": b""}, "link": "a/b.efi", "z": b"12345678"}
MOST = 1 << 20


def read(data: bytes, step: int = MOST, most: int = MOST) -> Nar:
    reader = NarReader(most)
    for at in range(0, len(data), step):
        reader.update(memoryview(data)[at : at + step])
    return reader.close()


@accepts("ATT-NAR")
@pytest.mark.parametrize("step", [1, 7, 8, 100, MOST])
def test_a_tree_is_read_in_chunks_of_any_size(step: int) -> None:
    data = archive(TREE)
    found = read(data, step)
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [(file.path, file.size) for file in found.files] == [
        ("a/b.efi", len(IMAGE)),
        ("a/c", 0),
        ("z", 8),
    ]
    assert found.files[0].sha256 == hashlib.sha256(IMAGE).hexdigest()
    assert found.files[1].sha256 == hashlib.sha256(b"").hexdigest()
    assert found.links == ("link",)


def test_one_file_or_link_is_an_archive_too() -> None:
    assert [file.path for file in read(archive(b"x")).files] == [""]
    assert read(archive("/etc/passwd")).links == ("",)
    assert read(archive({})).files == ()


def test_an_executable_file_is_a_file() -> None:
    node_of = words("(", "type", "regular", "executable", "", "contents", IMAGE, ")")
    (file,) = read(word("nix-archive-1") + node_of).files
    assert file.size == len(IMAGE)


@accepts("ATT-NAR", "ATT-NAR-PACKED")
def test_what_nix_writes_is_read_packed_or_not(tmp_path_factory: pytest.TempPathFactory) -> None:
    needs_nix()
    store = NixStore(tmp_path_factory.mktemp("nix"))
    files = {"anchor.efi": IMAGE, "b/empty": b"", "\u00e4": b"utf-8", "B": b"upper"}
    path = store.add_tree("uki", files, {"link": "anchor.efi"})
    for compression in ("none", "xz"):
        (packed,) = (f for f in store.copy(path, compression) if looks_like_nar(f.path))
        reader = NarFileReader(MOST)
        for at in range(0, len(packed.data), 5):
            reader.update(packed.data[at : at + 5])
        found = reader.close()
        assert {file.path: file.sha256 for file in found.files} == {
            name: hashlib.sha256(data).hexdigest() for name, data in files.items()
        }
        assert found.links == ("link",)


START = word("nix-archive-1")
FILE = node(b"x")
LONG_PADDING = (1).to_bytes(8, "little") + b"x" + b"\1" * 7


def deep(depth: int) -> Tree:
    tree: Tree = b"x"
    for _ in range(depth):
        tree = {"d": tree}
    return tree


def folder(*entries: bytes) -> bytes:
    return START + words("(", "type", "directory") + b"".join(entries) + word(")")


@refuses("ATT-NAR")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends too early"),
        (archive(TREE)[:-1], "ends too early"),
        (archive(TREE)[:-8], "ends too early"),
        (archive(TREE) + b"\0", "bytes after"),
        (archive(TREE) + archive(TREE), "bytes after"),
        (word("nix-archive-2") + FILE, "nix-archive-2"),
        ((1 << 63).to_bytes(8, "little"), "at most 16"),
        (START + words("(", "kind", "regular"), '"kind" where "type"'),
        (START + words("(", "type", "device"), "device"),
        (START + words("(", "type", "regular", "content"), "where contents belong"),
        (START + words("(", "type", "regular", "executable", "yes"), '"yes"'),
        (START + words("(", "type", "regular", "contents") + LONG_PADDING + word(")"), "not zero"),
        (START + words("(", "type") + LONG_PADDING, "not zero"),
        (START + words("(", "type", "regular", "contents") + b"\xff" * 8, "a file of more"),
        (START + words("(", "type", "symlink", "target", "t" * 4096), "at most 4,095"),
        (folder(entry("b", FILE), entry("a", FILE)), "out of order"),
        (folder(entry("a", FILE), entry("a", FILE)), "out of order"),
        (folder(entry("", FILE)), "out of order"),
        (folder(entry(".", FILE)), "impossible name"),
        (folder(entry("..", FILE)), "impossible name"),
        (folder(entry("a/b", FILE)), "impossible name"),
        (folder(entry("a\0b", FILE)), "impossible name"),
        (folder(entry("n" * 256, FILE)), "at most 255"),
        (folder(entry(b"\xe9.efi", FILE)), "not UTF-8"),
        (folder(word("file")), "where an entry belongs"),
        (archive(deep(33)), "deeper than 32"),
        (folder(*(entry(f"{n:05}", FILE) for n in range(4097))), "more than 4,096 entries"),
    ],
)
def test_what_is_no_archive_of_one_tree_is_refused(data: bytes, why: str) -> None:
    for step in (MOST, 11):
        with pytest.raises(Refused, match="ATT-NAR: ") as caught:
            read(data, step)
        assert why in str(caught.value)


@refuses("ATT-NAR")
def test_all_paths_together_have_a_cap() -> None:
    wide: Tree = {f"{n:04}" + "n" * 240: b"" for n in range(1100)}
    with pytest.raises(Refused, match="262,144 characters together"):
        read(archive(wide))


def test_facts_go_through_a_transcript_and_back() -> None:
    for data in (archive(TREE), b"nonsense"):
        facts = read_nar_file("x.nar", [data], MOST)
        assert decode(NarFacts, encode(facts)) == facts


def test_small_archives_are_found_among_small_files() -> None:
    files = (MediaFile("a", archive(TREE)), *(MediaFile(f"{n}.nar", XZ) for n in range(70)))
    found = nar_media.archives_among(files, MOST)
    assert len(found) == nar_media.MOST_ARCHIVES
    assert found[1].path == "1.nar"
    assert found[1].nar == read(archive(TREE))


def test_paths_have_a_cap() -> None:
    tree: Tree = b"x"
    for _ in range(20):
        tree = {"d" * 250: tree}
    with pytest.raises(Refused, match="a path of more"):
        read(archive(tree))


@refuses("ATT-NAR")
def test_the_cap_on_the_whole_archive_is_kept() -> None:
    data = archive(TREE)
    assert read(data, most=len(data)).size == len(data)
    with pytest.raises(Refused, match="more than"):
        read(data, most=len(data) - 1)


XZ = lzma.compress(archive(TREE))


@refuses("ATT-NAR", "ATT-NAR-PACKED")
@pytest.mark.parametrize(
    ("data", "rule", "why"),
    [
        (b"", "ATT-NAR", "neither"),
        (b"\xfd7z", "ATT-NAR", "neither"),
        (b"nonsense that is longer than a head", "ATT-NAR", "neither"),
        (XZ[:-1], "ATT-NAR", "ends too early"),
        (XZ[:10], "ATT-NAR", "ends too early"),
        (XZ + b"\0", "ATT-NAR", "bytes after"),
        (XZ + XZ, "ATT-NAR", "bytes after"),
        (XZ[:40] + bytes([XZ[40] ^ 1]) + XZ[41:], "ATT-NAR", ""),
        (b"\xfd7zXZ\0" + b"\xff" * 30, "ATT-NAR", "damaged"),
        (lzma.compress(b"x" * 100), "ATT-NAR", "at most 16"),
        (b"BZh91AY&SY" + bytes(30), "ATT-NAR-PACKED", "bzip2"),
        (b"\x28\xb5\x2f\xfd" + bytes(30), "ATT-NAR-PACKED", "zstd"),
        (zlib.compress(b"x", wbits=31) + bytes(30), "ATT-NAR-PACKED", "gzip"),
        (lzma.compress(b"x", lzma.FORMAT_ALONE) + bytes(30), "ATT-NAR-PACKED", "lzma"),
    ],
)
def test_files_that_hold_no_archive_are_facts_with_a_fault(
    data: bytes, rule: str, why: str
) -> None:
    for step in (MOST, 3, 1):
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        facts = read_nar_file("x.nar", chunks, MOST)
        assert facts.nar is None
        assert facts.fault is not None
        assert facts.fault.rule == rule
        assert why in facts.fault.text


@refuses("ATT-NAR")
def test_a_bomb_stops_at_the_cap_and_is_never_held_whole() -> None:
    bomb = lzma.compress(archive(bytes(1 << 26)))
    assert len(bomb) < 1 << 16
    facts = read_nar_file("x.nar.xz", [bomb], MOST)
    assert facts.fault is not None
    assert "more than" in facts.fault.text
    # An archive that does not say how large it is stops as well.
    endless = START + words("(", "type", "regular", "contents") + MOST.to_bytes(8, "little")
    facts = read_nar_file("x.nar.xz", [lzma.compress(endless + bytes(1 << 26))], MOST)
    assert facts.fault is not None
    assert "more than" in facts.fault.text


@refuses("ATT-NAR")
def test_memory_for_unpacking_has_a_cap() -> None:
    small = lzma.compress(archive(TREE), preset=9)
    assert read_nar_file("x", [small], MOST).nar is not None
    # xz-file-format 3.1 and 5.3.1: the block's header says how large a dictionary it needs.
    header = bytearray(small[12 : 12 + 4 * (small[12] + 1)])
    header[header.index(b"\x21\x01") + 2] = 34  # 512 MiB
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    greedy = small[:12] + bytes(header) + small[12 + len(header) :]
    facts = read_nar_file("x", [greedy], MOST)
    assert facts.fault is not None
    assert f"takes more than {xz.MOST_MEMORY:,}" in facts.fault.text


def test_names_of_archives() -> None:
    assert all(map(looks_like_nar, ("nar/0abc.nar", "x.nar.xz", "x.nar.zst")))
    assert not any(map(looks_like_nar, ("x.narinfo", "nar/x", "x.nar/y")))


def test_an_archive_may_be_a_little_larger_than_the_image() -> None:
    rule = ArtifactRule(("anchor.efi",), "x86_64", 1 << 29)
    assert nar_media.most_unpacked(rule) == (1 << 29) + nar_media.SLACK


TREES: st.SearchStrategy[Tree] = st.recursive(
    st.binary(max_size=40) | st.text("ab/", min_size=1, max_size=5),
    lambda inside: st.dictionaries(st.text("abc", min_size=1, max_size=3), inside, max_size=4).map(
        lambda entries: dict(sorted(entries.items()))
    ),
    max_leaves=6,
)


@given(TREES, st.integers(1, 40))
def test_every_tree_is_read(tree: Tree, step: int) -> None:
    assert read(archive(tree), step).size == len(archive(tree))


@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 40), st.booleans())
def test_any_bytes_parse_or_are_refused(noise: bytes, at: int, cut: int, packed: bool) -> None:  # noqa: FBT001 - Hypothesis fills it in
    data = XZ if packed else archive(TREE)
    facts = read_nar_file("x", [data[:at] + noise + data[at + cut :]], MOST)
    assert (facts.nar is None) != (facts.fault is None)


@pytest.mark.parametrize("at", range(len(archive({"a": b"x"}))))
def test_every_byte_of_an_archive_counts(at: int) -> None:
    data = bytearray(archive({"a": b"x"}))
    whole = read(bytes(data))
    data[at] ^= 1
    try:
        assert read(bytes(data)).sha256 != whole.sha256
    except Refused:
        return
