"""A tiny EFI program, for machines without a kernel and a stub at hand: prints, powers off.

Written without a toolchain, so that a rehearsal has a bootable image everywhere. It stands
both for the stub and, inside it, for the kernel.
"""

from __future__ import annotations

import struct

from tui.rehearsal.initrd import MARKER
from tui.rehearsal.uki import ARCHITECTURES

MACHINES = {name: number for number, name in ARCHITECTURES.items()}
ALIGNMENT = 512
PAGE = 4096
ROOM = 1024  # headers with room for ten more sections
TEXT_AT, STRING_AT = PAGE, 2 * PAGE
READ_EXECUTE, READ = 0x60000020, 0x40000040

# Entry (UEFI 2.10, 4.4): image handle, system table. ConOut stands at 64 in the system table,
# RuntimeServices at 88; OutputString at 8 in ConOut, ResetSystem at 104 in RuntimeServices.
X86_64 = (
    b"\x48\x83\xec\x28"  # sub  rsp, 40
    b"\x48\x89\xd3"  # mov  rbx, rdx
    b"\x48\x8b\x4a\x40"  # mov  rcx, [rdx+64]
    b"\x48\x8d\x15"
    + struct.pack("<i", STRING_AT - (TEXT_AT + 18))  # lea rdx, [string]
    + b"\xff\x51\x08"  # call [rcx+8]
    b"\x48\x8b\x43\x58"  # mov  rax, [rbx+88]
    b"\xb9\x02\x00\x00\x00"  # mov  ecx, 2 (EfiResetShutdown)
    b"\x31\xd2"  # xor  edx, edx
    b"\x45\x31\xc0"  # xor  r8d, r8d
    b"\x45\x31\xc9"  # xor  r9d, r9d
    b"\xff\x50\x68"  # call [rax+104]
    b"\xf4\xeb\xfd"  # hlt, again
)
AARCH64 = struct.pack(
    "<13I",
    0xAA0103F3,  # mov  x19, x1
    0xF9402020,  # ldr  x0, [x1, 64]
    0xB0000001,  # adrp x1, string (the next page)
    0xF9400408,  # ldr  x8, [x0, 8]
    0xD63F0100,  # blr  x8
    0xF9402E68,  # ldr  x8, [x19, 88]
    0xF9403508,  # ldr  x8, [x8, 104]
    0x52800040,  # mov  w0, 2 (EfiResetShutdown)
    0xD2800001,  # mov  x1, 0
    0xD2800002,  # mov  x2, 0
    0xD2800003,  # mov  x3, 0
    0xD63F0100,  # blr  x8
    0x14000000,  # b    .
)
CODE = {"x86_64": X86_64, "aarch64": AARCH64}


def efi_program(architecture: str) -> bytes:
    """Return the program for `x86_64` or `aarch64` as a PE32+ image, 2 KiB."""
    text = CODE[architecture].ljust(ALIGNMENT, b"\0")
    string = f"{MARKER}\r\n\0".encode("utf-16-le").ljust(ALIGNMENT, b"\0")
    # PE/COFF 3.3: 2 sections, optional header of 240 bytes, EXECUTABLE_IMAGE | LARGE_ADDRESS.
    coff = struct.pack("<2H3I2H", MACHINES[architecture], 2, 0, 0, 0, 240, 0x22)
    # PE/COFF 3.4: PE32+, entry point, image base 0, alignments, sizes, EFI application, NX.
    optional = struct.pack("<HBB5I", 0x20B, 0, 0, len(text), len(string), 0, TEXT_AT, TEXT_AT)
    optional += struct.pack("<Q2I6H", 0, PAGE, ALIGNMENT, 0, 0, 0, 0, 0, 0)
    optional += struct.pack("<4I2H", 0, 3 * PAGE, ROOM, 0, 10, 0x0100)
    optional += struct.pack("<4Q2I", 0, 0, 0, 0, 0, 16) + bytes(16 * 8)
    table = b""
    for name, address, content, offset, flags in (
        (b".text", TEXT_AT, text, ROOM, READ_EXECUTE),
        (b".rodata", STRING_AT, string, ROOM + ALIGNMENT, READ),
    ):
        sizes = (len(content), address, len(content), offset)
        table += struct.pack("<8s6I2HI", name, *sizes, 0, 0, 0, 0, flags)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    headers = (dos + b"PE\0\0" + coff + optional + table).ljust(ROOM, b"\0")
    return headers + text + string
