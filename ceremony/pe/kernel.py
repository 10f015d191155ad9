"""What the bytes of .linux, .initrd and .sdmagic say of themselves.

Decides the kernel's own release string, the initrd's compression and the stub's name by
looking at fixed places. It unpacks nothing and refuses to judge (uki.py).
Sources: Linux, Documentation/arch/x86/boot.rst (HdrS, kernel_version); RFC 1952, RFC 8878
and the magic numbers of the kernel's lib/decompress.c; systemd's LoaderInfo marker.
"""

from __future__ import annotations

import re
import struct

from ceremony.content import PIECE, Content
from ceremony.pe.headers import Bytes

KERNEL_VERSION_AT = 0x20E
HDRS_AT = 0x202
BOOT_SECTOR = 0x200
MOST_BANNER = 256
MOST_MATCH = 80  # bytes that BANNER matches at most
MOST_SEARCH = 64 << 20
BANNER = re.compile(rb"Linux version ([!-~]{1,64}) ")
STUB = re.compile(rb"#### LoaderInfo: ([ -~]{1,80}?) ####")

INITRD_KINDS = (
    (b"070701", "cpio"),
    (b"070702", "cpio with checksums"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bzip2"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO", "lzo"),
)


def kernel_release(linux: Content) -> str:
    """Return the release that a kernel image tells of itself, empty where it cannot be read."""
    head = bytes(linux.part(0, BOOT_SECTOR + MOST_BANNER))
    if len(linux) > KERNEL_VERSION_AT + 2 and head[HDRS_AT : HDRS_AT + 4] == b"HdrS":
        (pointer,) = struct.unpack_from("<H", head, KERNEL_VERSION_AT)
        at = pointer + BOOT_SECTOR
        banner = bytes(linux.part(at, at + MOST_BANNER)).split(b"\0", 1)[0]
        words = banner.split()
        return words[0].decode("latin-1") if pointer and words else ""
    end = min(len(linux), MOST_SEARCH)
    for at in range(0, end, PIECE):  # what begins in one piece may end in the next
        found = BANNER.search(linux.part(at, min(at + PIECE + MOST_MATCH, end)))
        if found:
            return found[1].decode("ascii")
    return ""


def initrd_kind(initrd: Bytes) -> str:
    """Return how an initrd is packed by its first eight bytes, empty where they are not known."""
    start = bytes(initrd)
    return next((kind for magic, kind in INITRD_KINDS if start.startswith(magic)), "")


def stub_name(sdmagic: Bytes) -> str:
    """Return the stub's name and version from its LoaderInfo marker, empty without one."""
    found = STUB.search(sdmagic)
    return found[1].decode("ascii") if found else ""
