"""Valid images of every shape, drawn by hypothesis: what the strict parser has to accept.

A `Shape` says all that differs; `write` makes the bytes. Files are headers, contiguous
sections and perhaps an overlay, as linkers, objcopy and ukify leave them: odd sizes, no
padding, empty sections, headers larger than they need to be.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hypothesis import strategies as st
from pe.images import CODE, DATA, MACHINES, RETURN, up

NAMES = (".text", ".data", ".sdmagic", ".osrel", ".cmdline", ".initrd", ".linux", ".reloc", "x")
WRITE = 0x80000000
FEWEST = 5


@dataclass(frozen=True)
class Block:
    """One section: bytes in the file, further bytes that are only mapped, its rights."""

    name: str
    size: int
    unfilled: int = 0
    rights: int = DATA


@dataclass(frozen=True)
class Shape:
    """All that differs between valid images.

    `slack` are header bytes behind the section table, `debug` entries of the debug directory
    that stand in the code, which has room for one.
    """

    machine: str = "x86_64"
    lfanew: int = 0x80
    file_alignment: int = 512
    section_alignment: int = 4096
    directories: int = 16
    slack: int = 0
    slack_fill: int = 0
    code: int = 512
    blocks: tuple[Block, ...] = ()
    overlay: int = 0
    debug: int = 0
    signers: tuple[str, ...] = field(default=())

    @property
    def plus(self) -> bool:
        return self.machine in ("x86_64", "aarch64")

    def write(self) -> bytes:
        """Return the image's bytes, unsigned."""
        # Of 5 directories EDK2 takes the second half of the first name for the size of another.
        code = ".txt" if self.directories == FEWEST else ".text"
        blocks = (Block(code, self.code, rights=CODE), *self.blocks)
        fixed = 112 if self.plus else 96
        table = self.lfanew + 24 + fixed + 8 * self.directories
        headers = table + 40 * len(blocks) + self.slack
        entry = address = up(headers, self.section_alignment)
        rows, body, at = b"", b"", headers
        for number, block in enumerate(blocks):
            mapped = block.size + block.unfilled
            offset = at if block.size else 0
            name = block.name.encode()
            sizes = (mapped, address, block.size, offset)
            rows += struct.pack("<8sIIII12xI", name, *sizes, block.rights)
            body += bytes([0x41 + number]) * block.size
            at += block.size
            address = up(address + max(mapped, 1), self.section_alignment)
        body = RETURN[self.machine] + body[len(RETURN[self.machine]) :]
        coff = (MACHINES[self.machine], len(blocks), 0, 0, 0, fixed + 8 * self.directories, 0x0206)
        dos = (b"MZ" + bytes(0x3A) + struct.pack("<I", self.lfanew)).ljust(self.lfanew, b"D")
        head = (
            dos + struct.pack("<4sHHIIIHH", b"PE", *coff) + self._optional(headers, address, entry)
        )
        filled = (head + rows).ljust(headers, bytes([self.slack_fill]))
        return filled + body + b"o" * self.overlay

    def _optional(self, headers: int, image_size: int, entry: int) -> bytes:
        magic = 0x20B if self.plus else 0x10B
        optional = struct.pack("<HBB5I", magic, 2, 40, 0, 0, 0, entry, entry)
        optional += struct.pack("<Q", 0) if self.plus else struct.pack("<II", 0, 0)
        optional += struct.pack("<II", self.section_alignment, self.file_alignment)
        optional += struct.pack("<6HI", *[0] * 6, 0)
        optional += struct.pack("<IIIHH", image_size, headers, 0, 10, 0x100)
        optional += struct.pack("<4Q" if self.plus else "<4I", *[0] * 4)
        directories = bytearray(8 * self.directories)
        if self.debug and self.directories > 6:
            struct.pack_into("<II", directories, 48, entry, 28 * self.debug)
        return optional + struct.pack("<II", 0, self.directories) + directories


def powers(first: int, last: int) -> st.SearchStrategy[int]:
    return st.sampled_from([1 << n for n in range(first, last + 1)])


sizes = st.one_of(st.sampled_from((0, 1, 7, 8, 511, 512, 513, 1024)), st.integers(0, 1500))
blocks = st.builds(
    Block,
    name=st.sampled_from(NAMES),
    size=sizes,
    unfilled=st.sampled_from((0, 0, 0, 1, 4096, 70000)),
    rights=st.sampled_from((DATA, DATA, CODE, DATA | WRITE, CODE | WRITE)),
)
shapes = st.builds(
    Shape,
    machine=st.sampled_from(tuple(MACHINES)),
    lfanew=st.one_of(
        st.sampled_from((0x40, 0x80, 0x82, 0xF8)),
        st.integers(0x20, 0x180).map(lambda half: 2 * half),
    ),
    file_alignment=powers(9, 12),
    section_alignment=powers(5, 16),
    directories=st.integers(5, 16),
    slack=st.one_of(st.just(0), st.integers(0, 4096)),
    slack_fill=st.sampled_from((0, 0, 0xFF)),
    code=st.one_of(st.just(512), st.integers(40, 3000)),
    blocks=st.lists(blocks, max_size=11).map(tuple),
    debug=st.sampled_from((0, 0, 1)),
    overlay=st.one_of(st.just(0), st.integers(0, 40), st.just(4096)),
    signers=st.lists(st.sampled_from(("alice", "bob")), max_size=2).map(tuple),
)
