"""Archives are unpacked in a confined child; whatever it does costs its own archive alone."""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path

import pytest
from marks import accepts, refuses
from quorum.nar_bytes import Tree, archive

from ceremony.attest.nar_media import NarFacts, read_nar_file
from ceremony.errors import Refused
from ceremony.events import MediaRead
from ceremony.ingest import sandbox, unpacking
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.unpacking import Purse

IMAGE = bytes(range(256)) * 9000
TREE: Tree = {"anchor.efi": IMAGE, "notes": b"odd"}
NAR = archive(TREE)
PACKED = lzma.compress(NAR)
MOST = 8 << 20
START = (
    "import sys, os, time; sys.path.insert(0, sys.argv[1]); os.write(1, b'here'); "
    "os.read(0, 1 << 20); "
)
BAD_ENDS = {
    "crash": (START + "os.abort()", "ended before"),
    "leave": (START + "sys.exit(0)", "ended before"),
    "hang": (START + "time.sleep(600)", "in time"),
    "word": (START + "os.write(1, bytes(4) + b'well')", "no answer"),
    "much": (START + "os.write(1, bytes([255] * 8))", "more at once"),
    "no-start": ("raise SystemExit(3)", "did not start"),
}


def taken(tmp_path: Path, **files: bytes) -> MediaRead:
    for name, data in files.items():
        (tmp_path / name.replace("_", ".")).write_bytes(data)
    (tmp_path / "anchor.efi").write_bytes(b"image")
    return FolderMedia(tmp_path, tmp_path).read(("anchor.efi",), MOST, lambda _: None)[0]


def greedy(packed: bytes) -> bytes:
    """Let the block's header ask for a dictionary of 512 MiB (xz-file-format 3.1, 5.3.1)."""
    header = bytearray(packed[12 : 12 + 4 * (packed[12] + 1)])
    header[header.index(b"\x21\x01") + 2] = 34
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    return packed[:12] + bytes(header) + packed[12 + len(header) :]


FILES = {
    "plain": NAR,
    "packed": PACKED,
    "twice": PACKED + PACKED,
    "cut": PACKED[:-9],
    "bent": PACKED[:200] + b"bent" + PACKED[204:],
    "greedy": greedy(PACKED),
    "bomb": lzma.compress(NAR[:-8] + bytes(80 << 20)),
    "short": b"\xfd7zXZ\0",
    "none": b"",
}


@accepts("MED-SANDBOX", "ATT-NAR")
@refuses("ATT-NAR")
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_the_child_unpacks_as_this_process_would(data: bytes, tmp_path: Path) -> None:
    (facts,) = taken(tmp_path, a_nar_xz=data).archives
    most = MOST + (64 << 20)
    assert facts == read_nar_file("a.nar.xz", [data], most)


@refuses("MED-SANDBOX")
@pytest.mark.parametrize(("program", "why"), BAD_ENDS.values(), ids=BAD_ENDS)
def test_a_bad_end_of_the_unpacker_is_its_archives_fault(
    program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_START", program)
    if why == "in time":
        monkeypatch.setattr(unpacking, "PATIENCE", 2.0)
    found = taken(tmp_path, a_nar_xz=PACKED, b_nar=NAR)
    spoilt, sound = found.archives
    assert spoilt.fault is not None
    assert (spoilt.fault.rule, spoilt.nar) == ("MED-SANDBOX", None)
    assert why in spoilt.fault.text
    assert sound == read_nar_file("b.nar", [NAR], MOST)
    assert found.problems == ()
    assert [entry.path for entry in found.manifest] == ["a.nar.xz", "anchor.efi", "b.nar"]


def test_an_unpacker_that_lies_makes_no_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = archive({"anchor.efi": b"another image"})
    give = f"os.write(1, {len(other).to_bytes(4, 'big') + other + bytes(4) + b'done'!r})"
    monkeypatch.setattr(sandbox, "_START", START + give + "; time.sleep(9)")
    (facts,) = taken(tmp_path, a_nar_xz=PACKED).archives
    assert isinstance(facts, NarFacts)
    # Its hash is the one of what was given: no builder's signature is over that.
    assert facts.nar == read_nar_file("a.nar", [other], MOST).nar
    assert facts.nar != read_nar_file("a.nar", [NAR], MOST).nar


def test_the_archives_of_a_medium_share_one_purse(monkeypatch: pytest.MonkeyPatch) -> None:
    purse = Purse()
    unpacker = purse.unpacker()
    assert b"".join(unpacker.unpacked(PACKED)) == NAR
    unpacker.finish()
    unpacker.release()
    unpacker.release()
    assert 0 < unpacking.SECONDS_OF_ALL - purse.left < unpacking.SECONDS
    with pytest.raises(Refused, match="after the xz"):
        list(unpacker.unpacked(PACKED))
    purse.left = 0
    with pytest.raises(Refused, match="together"):
        purse.unpacker()
