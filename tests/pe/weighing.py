"""Run as a program: how much memory do hostile inputs take, above an interpreter without them.

`bare` imports what `hostile` imports and does nothing. Both print the peak of their own
memory in KiB (VmHWM: ru_maxrss would remember the process that started them); `hostile` also
prints how many inputs were refused and signed, and the seconds of the slowest.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pe.images import MOMENT, Part, Signer, all_vectors, pe_image, signer, uki, uki_parts
from pe.shapes import Block, Shape

from ceremony.errors import Refused
from ceremony.pe.headers import HEAD_BYTES
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.pe.sweep import Sweep
from ceremony.pe.table import MOST_ENTRY_BYTES, MOST_TABLE_BYTES
from ceremony.pe.verify import verify

MIB = 1 << 20
LARGE = 4 * MIB
STREAMED = 512 * MIB


def sign(image: bytes, by: Signer) -> bytes:
    planned = plan(image, by.certificate, (), MOMENT)
    return b"".join(assemble(image, planned, by.sign(planned.attributes)).pieces())


def with_table(table: bytes) -> bytes:
    image = bytearray(uki() + table)
    struct.pack_into("<II", image, 0x128, len(image) - len(table), len(table))
    return bytes(image)


def entries(blob: bytes) -> bytes:
    """Return a table full of entries with this content, each of it at most as long as can be."""
    blob = blob[: MOST_ENTRY_BYTES - 8]
    entry = struct.pack("<IHH", 8 + len(blob), 0x200, 2) + blob + bytes(-len(blob) % 8)
    return (entry * 16)[:MOST_TABLE_BYTES]


def der(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x83)) + len(content).to_bytes(3, "big") + content


def long_der(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content


def nested(size: int) -> bytes:
    blob = b""
    while len(blob) < size:
        blob = long_der(0x30, blob)
    return blob


def signed_data(certificates: bytes, signers: bytes) -> bytes:
    """Write a SignedData with anything for its certificates and signers."""
    content = bytes.fromhex("300e060a2b060104018237020104a000")
    algorithms = bytes.fromhex("310f300d06096086480165030402010500")
    parts = b"\x02\x01\x01" + algorithms + content
    parts += long_der(0xA0, certificates) + long_der(0x31, signers)
    whole = bytes.fromhex("06092a864886f70d010702") + long_der(0xA0, long_der(0x30, parts))
    return long_der(0x30, whole)


def rows(count: int, name: bytes, size: int, where: int) -> bytes:
    row = struct.pack("<8sIIII12xI", name, 1, 0x1000, size, where, 0x60000020)
    return row * count


def hostile(by: Signer) -> Iterator[bytes]:
    """Yield the inputs: tables with huge counts, ranges that overlap, DER that explodes."""
    signed = sign(uki(), by)
    bases = {"uki": uki(), "signed": signed, "aarch64": uki("aarch64")}
    for vector in all_vectors():
        if vector.base in bases:
            yield vector.apply(bases[vector.base])
    yield Shape(blocks=tuple(Block("e", 0) for _ in range(95))).write()
    yield Shape(blocks=tuple(Block(".linux", 1) for _ in range(95)), overlay=LARGE).write()
    for count, name, size, where in (
        (65535, b".text", 0, 0),
        (65535, b".text", LARGE, 0),
        (96, b".text", LARGE, 4096),
        (96, b".linux", LARGE, 4096),
        (96, b".text", 0xFFFFFFFF, 0xFFFFFFFF),
    ):
        image = bytearray(uki()[:0x188] + rows(count, name, size, where))
        image += bytes(max(LARGE + 4096 - len(image), 0))
        struct.pack_into("<H", image, 0x86, count)
        struct.pack_into("<I", image, 0x98 + 60, 4096)
        struct.pack_into("<I", image, 0x98 + 56, 0xFFFFFFFF)
        yield bytes(image)
    for blob in (
        b"\x30\x00",
        b"\x30\x80" * (MOST_ENTRY_BYTES // 2),
        nested(MOST_ENTRY_BYTES - 600),
        long_der(0x30, b"\x05\x00" * 32000),
        long_der(0x30, b"\x02\x01\x01" * 21000),
        der(0x30, bytes(MOST_ENTRY_BYTES)),
        signed_data(b"\x30\x00" * 32000, b""),
        signed_data(b"", b"\x30\x00" * 32000),
        signed_data(by.certificate * 60, b"\x30\x00"),
        b"\x30\x84\xff\xff\xff\xff" + bytes(9999),
    ):
        yield with_table(entries(blob))
    yield with_table(bytes(MOST_TABLE_BYTES))
    yield with_table(bytes(LARGE))
    yield with_table(struct.pack("<IHHQ", 9, 0x200, 2, 0x30) * (MOST_TABLE_BYTES // 16))
    yield with_table(struct.pack("<IHH", 8, 0x200, 2) * (LARGE // 8))
    for fill in (b"Linux version ", b"\x1f\x8b", b"A=1\n", b"sbat,1,a,b,c,d\n", b"#", b"'", b"\\"):
        for role in (".linux", ".osrel", ".sbat", ".cmdline", ".initrd", ".sdmagic"):
            content = fill * ((LARGE if role == ".linux" else 65536) // len(fill))
            others = tuple(part for part in uki_parts() if part.name != role)
            yield pe_image((*others, Part(role, content)))
    for end in (0, LARGE, 1):
        yield bytes(end)
        yield b"MZ" * (end // 2)


def stream(by: Signer) -> None:
    """Read an image of half a GiB, a chunk at a time."""
    head = bytearray(uki()[:1024])
    row = 0x188 + 40 * 7
    size = STREAMED - 5120
    struct.pack_into("<I", head, row + 16, size)
    struct.pack_into("<I", head, 0x98 + 56, 0x7FFFF000)
    reader = Sweep(bytes(head).ljust(HEAD_BYTES, b"\0"), STREAMED)
    chunk = bytes(MIB)
    for number in range(STREAMED // MIB):
        for sink in reader.sinks:
            sink.update(chunk if number else bytes(head).ljust(MIB, b"\0"))
    reader.close()


def peak() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM in /proc/self/status")


def main() -> None:
    by = signer("weigher")
    refused, signed, slowest = 0, 0, 0.0
    if sys.argv[1] == "hostile":
        for image in hostile(by):
            start = time.process_time()
            inspect(image, OPEN_GATES)
            try:
                verify(sign(image, by), by.certificate)
                signed += 1
            except Refused:
                refused += 1
            slowest = max(slowest, time.process_time() - start)
        stream(by)
    print(peak(), refused, signed, f"{slowest:.3f}")  # noqa: T201 - what it is run for


if __name__ == "__main__":
    main()
