"""Proofs: RFC 6962's published vectors, its definition, and text that is read strictly."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused, refuse
from ceremony.ingest.reading import read_folder
from transcripts import merkle, proofs
from transcripts.checkpoint import Head, read_checkpoint
from transcripts.merkle import Tree
from tui.commands.dispatch import dispatch

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
HAPPY = GOLDEN / "happy" / "bundle"
TRANSCRIPT = (HAPPY / "transcript.jsonl").read_bytes()
LINES = tuple(TRANSCRIPT.split(b"\n")[:-1])
HEAD = read_checkpoint((HAPPY / "checkpoint.txt").read_bytes())

# certificate-transparency's reference vectors: the eight leaves of RFC 6962's examples, audit
# paths by (leaf, size) and consistency proofs by (old size, new size).
LEAVES = tuple(
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                 "606162636465666768696a6b6c6d6e6f")
)  # fmt: skip
L0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
L1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
PATHS = {
    (0, 1): [],
    (0, 8): [L1, N23, N47],
    (5, 8): [L4, L7, N03],
    (2, 3): [N01],
    (1, 5): [L0, N23, L4],
}
EXTENSIONS = {
    (1, 1): [],
    (1, 8): [L1, N23, N47],
    (6, 8): [N45, L7, N03],
    (2, 5): [N23, L4],
}


def root_of(size: int) -> bytes:
    return Tree(LEAVES[:size]).root()


@pytest.mark.parametrize("key", sorted(PATHS))
def test_the_published_audit_paths(key: tuple[int, int]) -> None:
    index, size = key
    hashes = tuple(map(merkle.leaf, LEAVES[:size]))
    path = merkle.inclusion(hashes, index)
    assert [node.hex() for node in path] == PATHS[key]
    assert merkle.included(hashes[index], index, size, path, root_of(size))


@pytest.mark.parametrize("key", sorted(EXTENSIONS))
def test_the_published_consistency_proofs(key: tuple[int, int]) -> None:
    old, new = key
    path = merkle.consistency(tuple(map(merkle.leaf, LEAVES[:new])), old)
    assert [node.hex() for node in path] == EXTENSIONS[key]
    assert merkle.consistent((old, root_of(old)), (new, root_of(new)), path)


def mth(lines: list[bytes]) -> bytes:
    """RFC 6962, 2.1."""
    if len(lines) == 1:
        return hashlib.sha256(b"\x00" + lines[0]).digest()
    k = split(len(lines))
    return hashlib.sha256(b"\x01" + mth(lines[:k]) + mth(lines[k:])).digest()


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path_of(m: int, lines: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(lines) == 1:
        return []
    k = split(len(lines))
    if m < k:
        return [*path_of(m, lines[:k]), mth(lines[k:])]
    return [*path_of(m - k, lines[k:]), mth(lines[:k])]


def subproof(m: int, lines: list[bytes], b: bool) -> list[bytes]:  # noqa: FBT001 - the RFC's
    """RFC 6962, 2.1.2."""
    if m == len(lines):
        return [] if b else [mth(lines)]
    k = split(len(lines))
    if m <= k:
        return [*subproof(m, lines[:k], b), mth(lines[k:])]
    return [*subproof(m - k, lines[k:], False), mth(lines[:k])]  # noqa: FBT003 - the RFC's


TREES = st.lists(st.binary(max_size=3), min_size=1, max_size=40)


@given(TREES, st.data())
def test_proofs_are_the_definition_and_lead_to_the_root(
    lines: list[bytes], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(lines) - 1))
    hashes = tuple(map(merkle.leaf, lines))
    root, size = mth(lines), len(lines)
    path = merkle.inclusion(hashes, place)
    assert list(path) == path_of(place, lines)
    assert merkle.included(hashes[place], place, size, path, root)
    before = (place + 1, mth(lines[: place + 1]))
    proof = merkle.consistency(hashes, place + 1)
    assert list(proof) == subproof(place + 1, lines, True)  # noqa: FBT003 - the RFC's
    assert merkle.consistent(before, (size, root), proof)


@given(TREES, st.data())
def test_a_proof_of_anything_else_does_not_hold(lines: list[bytes], data: st.DataObject) -> None:
    lines = [bytes([at]) + line for at, line in enumerate(lines)]
    size, root = len(lines), mth(lines)
    hashes = tuple(map(merkle.leaf, lines))
    place, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path = list(merkle.inclusion(hashes, place))
    if place != other:
        assert not merkle.included(hashes[other], place, size, path, root)
        assert not merkle.included(hashes[place], other, size, path, root)
        early = (other + 1, mth(lines[: other + 1]))
        proof = merkle.consistency(hashes, place + 1)
        assert not merkle.consistent((place + 1, early[1]), (size, root), proof)
    assert not merkle.included(hashes[place], place, size, [*path, root], root)
    assert not merkle.included(hashes[place], size, size, path, root)
    for proof in (merkle.consistency(hashes, place + 1), tuple(path)):
        for at in range(len(proof)):
            wrong = [*proof[:at], hashlib.sha256(proof[at]).digest(), *proof[at + 1 :]]
            before = (place + 1, mth(lines[: place + 1]))
            assert not merkle.consistent(before, (size, root), wrong)
            assert not merkle.included(hashes[place], place, size, wrong, root)


@accepts("TRN-PROOF")
def test_every_line_of_a_transcript_is_proved_and_no_other() -> None:
    for place, line in enumerate(LINES):
        text = proofs.prove_line(LINES, place, HEAD).text
        proof = proofs.read_proof(text)
        assert text.startswith(b"c2sp.org/tlog-proof@v1\nindex %d\n" % place)
        proofs.check_line(proof, line)
        with pytest.raises(Refused, match="TRN-PROOF"):
            proofs.check_line(proof, LINES[place - 1])


@accepts("TRN-PROOF")
def test_every_earlier_head_is_met() -> None:
    for count in range(1, len(LINES) + 1):
        root = Tree(LINES[:count]).root()
        early = proofs.Earlier(count, root, "")
        text = proofs.prove_extension(LINES, early, HEAD).text
        assert text.startswith(b"old %d\n" % count)
        proofs.check_extension(proofs.read_proof(text), early)
        spoken = Head("", count, root).spoken
        for spelled in (root.hex(), base64.b64encode(root).decode(), spoken, spoken.upper()):
            given = proofs.read_earlier(f"{count}:{spelled}")
            assert proofs.prove_extension(LINES, given, HEAD).text == text


@refuses("TRN-PROOF")
@pytest.mark.parametrize(
    "text",
    ["", "7", ":", "7:", "07:" + "0" * 64, "x:" + "0" * 64, "7:" + "A" * 43, "7:one two",
     "-1:" + "0" * 64, "7:" + "0" * 63, "7:é", "99999999:" + "0" * 64],
)  # fmt: skip
def test_a_head_that_cannot_be_one(text: str) -> None:
    with pytest.raises(Refused, match="TRN-PROOF"):
        proofs.read_earlier(text)


@refuses("TRN-PROOF")
def test_heads_that_were_never_there() -> None:
    for text in ("0:" + "0" * 64, f"{len(LINES) + 1}:" + "0" * 64, "3:" + "0" * 64):
        with pytest.raises(Refused, match="TRN-PROOF"):
            proofs.prove_extension(LINES, proofs.read_earlier(text), HEAD)
    for index in (-1, len(LINES)):
        with pytest.raises(Refused, match="TRN-PROOF"):
            proofs.prove_line(LINES, index, HEAD)
    words = proofs.read_earlier(f"{HEAD.count}:{HEAD.spoken}")
    proof = proofs.prove_extension(LINES, words, HEAD)
    with pytest.raises(Refused, match="six bytes"):
        proofs.check_extension(proof, words)


@refuses("TRN-PROOF")
def test_one_kind_of_proof_is_not_the_other() -> None:
    line = proofs.prove_line(LINES, 3, HEAD)
    head = proofs.Earlier(3, Tree(LINES[:3]).root(), "")
    with pytest.raises(Refused, match="TRN-PROOF"):
        proofs.check_extension(line, head)
    with pytest.raises(Refused, match="TRN-PROOF"):
        proofs.check_line(proofs.prove_extension(LINES, head, HEAD), LINES[3])


@refuses("TRN-PROOF", "TRN-CHECKPOINT")
def test_any_byte_changed_in_a_proof_is_refused() -> None:
    early = proofs.Earlier(5, Tree(LINES[:5]).root(), "")
    for proof in (proofs.prove_line(LINES, 5, HEAD), proofs.prove_extension(LINES, early, HEAD)):
        for place in range(len(proof.text)):
            for flip in (1, 32, 128):
                changed = bytearray(proof.text)
                changed[place] ^= flip
                with pytest.raises(Refused):
                    checked(bytes(changed), early)
        for cut in range(len(proof.text)):
            with pytest.raises(Refused):
                checked(proof.text[:cut], early)


def checked(text: bytes, early: proofs.Earlier) -> None:
    proof = proofs.read_proof(text)
    if proof.head != HEAD:
        raise refuse("TRN-PROOF", "another checkpoint, as the command says")
    if proof.kind == proofs.INDEX:
        proofs.check_line(proof, LINES[5])
    else:
        proofs.check_extension(proof, early)


def test_a_proof_made_and_checked_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof, line = tmp_path / "7.tlog-proof", tmp_path / "line"
    line.write_bytes(LINES[6] + b"\n")
    asked = ["replay", str(HAPPY), "--prove", "7", "--output", str(proof)]
    assert dispatch(asked) == 0
    assert dispatch(asked) == 1  # nothing is overwritten
    checkpoint = ["--checkpoint", str(HAPPY / "checkpoint.txt")]
    assert dispatch(["proof", str(proof), *checkpoint, "--line", str(line)]) == 0
    assert "event 7 of" in capsys.readouterr().out
    line.write_bytes(LINES[7])
    assert dispatch(["proof", str(proof), *checkpoint, "--line", str(line)]) == 1
    other = ["--checkpoint", str(GOLDEN / "misheard" / "bundle" / "checkpoint.txt")]
    assert dispatch(["proof", str(proof), *other, "--line", str(line)]) == 1
    early = f"9:{Tree(LINES[:9]).root().hex()}"
    extension = tmp_path / "extension"
    assert dispatch(
        ["replay", str(HAPPY), "--consistent-with", early, "--output", str(extension)]
    ) == 0  # fmt: skip
    assert dispatch(["proof", str(extension), *checkpoint, "--earlier", early]) == 0
    assert dispatch(["replay", str(HAPPY), "--consistent-with", f"9:{'0' * 64}"]) == 1
    within = str(HAPPY / "proof")
    assert dispatch(["replay", str(HAPPY), "--prove", "1", "--output", within]) == 1
    assert "proof" not in read_folder(HAPPY)


def test_no_proof_is_made_of_a_forged_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in read_folder(HAPPY).items():
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_bytes(data)
    (tmp_path / "b" / "transcript.jsonl").write_bytes(TRANSCRIPT[: TRANSCRIPT.rindex(b"{")])
    assert dispatch(["replay", str(tmp_path / "b"), "--prove", "1"]) == 1
    assert "tlog-proof" not in capsys.readouterr().out
