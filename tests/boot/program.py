"""EFI programs without a toolchain: print a line and give the machine back to the firmware.

They return an error, as firmware that is told of success stops and shows its menu, and one
that firmware's own checks never give, so that the log tells a returned program from a refusal.
"""

from __future__ import annotations

import struct

from pe.images import CODE, Part, pe_image, uki_parts

STRING = 64  # where the line stands behind the entry point
ABORTED = 21  # UEFI 2.10, Appendix D: EFI_ABORTED, with the highest bit set

# Entry (UEFI 2.10, 4.4): image handle, system table. ConOut stands at 64 in the system table,
# OutputString at 8 in ConOut.
X86_64 = (
    b"\x48\x83\xec\x28"  # sub  rsp, 40
    b"\x48\x8b\x4a\x40"  # mov  rcx, [rdx+64]
    b"\x48\x8d\x15"
    + struct.pack("<i", STRING - 15)  # lea  rdx, [string]
    + b"\xff\x51\x08"  # call [rcx+8]
    b"\x48\xb8"
    + struct.pack("<Q", 1 << 63 | ABORTED)  # mov  rax, EFI_ABORTED
    + b"\x48\x83\xc4\x28"  # add  rsp, 40
    b"\xc3"  # ret
)
AARCH64 = struct.pack(
    "<9I",
    0xA9BF7BFD,  # stp  x29, x30, [sp, -16]!
    0xF9402020,  # ldr  x0, [x1, 64]
    0x10000001 | (STRING - 8) // 4 << 5,  # adr  x1, string
    0xF9400408,  # ldr  x8, [x0, 8]
    0xD63F0100,  # blr  x8
    0xA8C17BFD,  # ldp  x29, x30, [sp], 16
    0xD2800000 | ABORTED << 5,  # mov  x0, 21
    0xF2F00000,  # movk x0, 0x8000, lsl 48
    0xD65F03C0,  # ret
)
MACHINE_CODE = {"x86_64": X86_64, "aarch64": AARCH64}


def line_printer(architecture: str, line: str) -> Part:
    """Return the section that prints `line`, with the entry point at its start."""
    string = f"{line}\r\n\0".encode("utf-16-le")
    return Part(".text", MACHINE_CODE[architecture].ljust(STRING, b"\0") + string, CODE)


def program(architecture: str, line: str, overlay: bytes = b"") -> bytes:
    """Return a program that prints `line`, a PE32+ image of 1.5 KiB and the overlay."""
    return pe_image((line_printer(architecture, line),), architecture, overlay)


def uki_program(architecture: str, line: str) -> bytes:
    """Return a program that prints `line` and carries the sections of a UKI."""
    _, *others = uki_parts(architecture)
    return pe_image((line_printer(architecture, line), *others), architecture)


def cut_program(architecture: str, line: str) -> bytes:
    """Return a program whose only section, and with it the file, ends at an odd size."""
    image = bytearray(program(architecture, line))
    row = image.index(b".text\0\0\0")
    size, raw = struct.unpack_from("<I4xI", image, row + 8)
    odd = size | 1
    assert odd < raw
    struct.pack_into("<I", image, row + 16, odd)
    return bytes(image[: len(image) - raw + odd])
