"""Our model of what EDK2 follows in a mapped image: debug data, resources, relocations.

Written from MdePkg's BasePeCoffLib and held against OVMF. Bytes are taken from memory as the
loader leaves it: rows are copied in the table's order, each over those before it, and zeros
fill what is mapped without bytes. What then depends on chance is denied: mapped headers that are
not those of the file, and reading what no section has written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pe.edk2_loader import (
    CODEVIEW,
    DEBUG,
    DEBUG_ENTRY,
    RELOCATIONS,
    RESOURCES,
    U32,
    Headers,
    need,
)

MOST_FOLLOWED = 1 << 22
LEAST_RECORD = {b"NB10": 16, b"RSDS": 24, b"MTOC": 20}
RELOCATION_TYPES = (0, 1, 2, 3, 10)
MOV32T, ARM = 7, 0x01C2
HIGH, LOW = 0x80000000, 0x7FFFFFFF
HII = "HII".encode("utf-16-le")


@dataclass(frozen=True)
class Memory:
    """The mapped image; `size` may be more than SizeOfImage, for debug data that is not mapped."""

    image: bytes
    headers: Headers
    size: int

    def read(self, address: int, size: int) -> bytes:
        """Return bytes as the loader leaves them; it must have written all of them."""
        need(size <= MOST_FOLLOWED, "the model follows no more")
        found, written = bytearray(size), bytearray(size)

        def put(first: int, data: bytes) -> None:
            start, stop = max(first - address, 0), min(first - address + len(data), size)
            if start < stop:
                skipped = start - (first - address)
                found[start:stop] = data[skipped : skipped + stop - start]
                written[start:stop] = b"\1" * (stop - start)

        put(0, self.image[: self.headers.headers_size])
        for row in self.headers.sections:
            copied = min(row.virtual_size, row.size) if row.virtual_size else row.size
            first, last = max(row.address, address), min(row.address + copied, address + size)
            start = row.offset + first - row.address
            put(first, self.image[start : start + max(last - first, 0)])
            first = max(row.address + copied, address)
            last = min(row.address + row.virtual_size, address + size)
            put(first, bytes(max(last - first, 0)))
        need(all(written), "read is what no section has written")
        return bytes(found)

    def unpack(self, form: str, address: int) -> tuple[int, ...]:
        return struct.unpack(form, self.read(address, struct.calcsize(form)))


def follow(image: bytes, headers: Headers) -> None:
    """Deny what PeCoffLoaderLoadImage and PeCoffLoaderRelocateImage do not come through."""
    memory = Memory(image, headers, headers.image_size)
    lfanew = headers.optional_at - 24
    size = headers.table_end - lfanew
    need(memory.read(lfanew, size) == image[lfanew : lfanew + size], "mapped headers changed")
    memory = _debug_data(memory)
    _resources(memory)
    _relocations(memory)


def _debug_data(memory: Memory) -> Memory:
    address, size = memory.headers.directory(memory.image, DEBUG)
    holds = (
        s
        for s in memory.headers.sections
        if s.address <= address < (s.address + s.virtual_size) & U32
    )
    row = next(holds, None) if address else None
    if row is None:
        return memory
    start = address - row.address + row.offset
    for at in range(0, size, DEBUG_ENTRY):
        kind, length, where, offset = struct.unpack_from("<4I", memory.image, start + at + 12)
        if kind == CODEVIEW:
            if not where and offset:
                need(length < MOST_FOLLOWED, "no room for debug data")
                memory = Memory(memory.image, memory.headers, memory.size + length)
            _record(memory, address + at)
            break
    return memory


def _record(memory: Memory, at: int) -> None:
    need(at < memory.size, "debug entry past SizeOfImage")
    length, where, offset = memory.unpack("<3I", at + 16)
    data = b""
    if not where and offset:
        last = memory.headers.sections[-1]
        where = last.address + max(last.size, last.virtual_size)
        data = memory.image[offset : offset + length]
    if where:
        need(where < memory.size, "debug data past SizeOfImage")
        signature = data[:4] or memory.read(where, 4)
        need(length >= LEAST_RECORD.get(signature, 0), "debug data cut off")


def _resources(memory: Memory) -> None:
    base, size = memory.headers.directory(memory.image, RESOURCES)
    if not size or base >= memory.size:
        return
    rows, named = _table(memory, base, size, 0)
    for row in range(rows, rows + 8 * named, 8):
        name, where = memory.unpack("<II", row)
        if not name & HIGH:
            continue
        need(name & LOW < size, "a resource's name past the resources")
        (length,) = memory.unpack("<H", base + (name & LOW))
        if length != len(HII) // 2 or memory.read(base + (name & LOW) + 2, len(HII)) != HII:
            continue
        for _ in range(2):
            if where & HIGH:
                need(where & LOW < size, "a resource's table past the resources")
                first, _ = _table(memory, base, size, where & LOW)
                (where,) = memory.unpack("<I", first + 4)
        need(bool(where & HIGH) or where < size, "resource data past the resources")
        return


def _table(memory: Memory, base: int, size: int, at: int) -> tuple[int, int]:
    """Return where a table's rows start and how many of them are named."""
    named, numbered = memory.unpack("<HH", base + at + 12)
    need(at + 16 + 8 * (named + numbered) <= size, "resources past their directory")
    return base + at + 16, named


def _relocations(memory: Memory) -> None:
    headers = memory.headers
    if headers.directories < RELOCATIONS:
        return
    # The count is asked for less than 5, not for more than 5: of 5 directories the one with
    # the number 5 is the first section's name.
    at = headers.optional_at + headers.fixed + 8 * RELOCATIONS
    base, size = struct.unpack_from("<II", memory.image, at)
    if not size:
        return
    end = (base + size - 1) & U32
    need(base <= end < memory.size, "relocations past SizeOfImage")
    kinds = (*RELOCATION_TYPES, *((MOV32T,) if headers.machine == ARM else ()))
    block = base
    while block < end:
        page, length = memory.unpack("<II", block)
        need(0 < length <= base + size - block, "a block of relocations past its directory")
        need(page < memory.size, "relocations for what is past SizeOfImage")
        for entry in range(block + 8, block + length, 2):
            (value,) = memory.unpack("<H", entry)
            need(page + (value & 0xFFF) < memory.size, "a relocation past SizeOfImage")
            need(value >> 12 in kinds, "a relocation of no known type")
        block += length
