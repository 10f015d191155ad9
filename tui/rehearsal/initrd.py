"""The demo's initial RAM disk: a newc cpio archive whose init prints a marker and powers off.

It is not compressed, so that no compressor's version shows in the bytes.
"""

from __future__ import annotations

MARKER = "UKI-CEREMONY-DEMO"
TRAILER = "TRAILER!!!"
DIRECTORY, REGULAR, CHARACTER_DEVICE = 0o040000, 0o100000, 0o020000
INIT = f"""#!/bin/busybox sh
/bin/busybox echo "{MARKER}: this image was started; the demo ends here."
/bin/busybox sleep 1
/bin/busybox poweroff -f
"""
NOTE = f"{MARKER}: no busybox was at hand; this archive holds no init.\n"


def build_initrd(busybox: bytes | None, epoch: int) -> bytes:
    """Return the archive; every file carries `epoch` (seconds since 1970) as its time."""
    archive = _Archive(epoch)
    archive.add("dev", DIRECTORY | 0o755)
    archive.add("dev/console", CHARACTER_DEVICE | 0o600, device=(5, 1))
    if busybox is None:
        archive.add("NOTE", REGULAR | 0o644, NOTE.encode())
    else:
        archive.add("bin", DIRECTORY | 0o755)
        archive.add("bin/busybox", REGULAR | 0o755, busybox)
        archive.add("init", REGULAR | 0o755, INIT.encode())
    archive.add(TRAILER, 0)
    return b"".join(archive.parts)


class _Archive:
    """A cpio archive in the making, format newc ("070701")."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.parts: list[bytes] = []
        self.inode = 0

    def add(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        """Append one member: header, name and content, each padded to 4 bytes."""
        self.inode += 1
        links = 2 if mode & DIRECTORY else 1
        path = name.encode("ascii") + b"\0"
        # cpio(5), newc: ino mode uid gid nlink mtime filesize dev(2) rdev(2) namesize check
        fields = (self.inode, mode, 0, 0, links, self.epoch, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + "".join(f"{value:08x}" for value in fields).encode("ascii") + path
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]
