"""The machine as Linux describes it: interfaces, radios, swap, disks, boot, under any root.

Every fact that cannot be read is None or "unknown"; nothing here says whether a fact is
good. Source: sysfs and procfs; the root is a parameter so that tests bring their own.
"""

from __future__ import annotations

from pathlib import Path

from ceremony.machine import BlockDevice, Interface, Machine

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SECTOR = 512
MOST_DEVICES = 256


def survey(root: Path = Path("/")) -> Machine:
    """Return what this machine says of itself."""
    return Machine(
        kernel=_text(root / "proc/sys/kernel/osrelease"),
        architecture=_text(root / "proc/sys/kernel/arch"),
        boot_id=_text(root / "proc/sys/kernel/random/boot_id"),
        time_zone=_time_zone(root),
        secure_boot=_secure_boot(root),
        lockdown=_lockdown(root),
        interfaces=_interfaces(root),
        radios=_radios(root),
        swap=_swap(root),
        block_devices=_block_devices(root),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()[:200] or "unknown"
    except OSError:
        return "unknown"


def _names(folder: Path) -> list[str] | None:
    try:
        return sorted(entry.name for entry in folder.iterdir())[:MOST_DEVICES]
    except OSError:
        return None


def _interfaces(root: Path) -> tuple[Interface, ...] | None:
    net = root / "sys/class/net"
    names = _names(net)
    if names is None:
        return None
    return tuple(
        Interface(name, _text(net / name / "operstate"), (net / name / "device").exists())
        for name in names
        if (net / name).is_dir()
    )


def _radios(root: Path) -> tuple[str, ...] | None:
    # /sys/class exists wherever sysfs is mounted; without rfkill in it there are no radios.
    if not (root / "sys/class").is_dir():
        return None
    rfkill = root / "sys/class/rfkill"
    names = _names(rfkill) or []
    return tuple(f"{name} {_text(rfkill / name / 'type')}" for name in names)


def _swap(root: Path) -> tuple[str, ...] | None:
    try:
        lines = (root / "proc/swaps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return tuple(line.split()[0] for line in lines[1:] if line.split())


def _block_devices(root: Path) -> tuple[BlockDevice, ...] | None:
    block = root / "sys/block"
    names = _names(block)
    if names is None:
        return None
    mounts = _mounts(root)
    devices = []
    for name in names:
        size = _number(block / name / "size") * SECTOR
        virtual = name.startswith(("loop", "ram", "zram"))
        if size and not virtual:
            devices.append(
                BlockDevice(
                    name=name,
                    size=size,
                    removable=_number(block / name / "removable") == 1,
                    read_only=_number(block / name / "ro") == 1,
                    mounts=tuple(
                        sorted(point for device, point in mounts if device.startswith(name))
                    ),
                )
            )
    return tuple(devices)


def _mounts(root: Path) -> list[tuple[str, str]]:
    try:
        lines = (root / "proc/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines[:4096]]
    return [(f[0].removeprefix("/dev/"), f[1]) for f in fields if len(f) > 1 and "/dev/" in f[0]]


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else 0


def _time_zone(root: Path) -> str:
    try:
        return str((root / "etc/localtime").readlink()).rpartition("zoneinfo/")[2] or "unknown"
    except OSError:
        return "unknown"


def _secure_boot(root: Path) -> str:
    if not (root / "sys/firmware").is_dir():
        return "unknown"
    if not (root / "sys/firmware/efi").is_dir():
        return "no EFI"
    try:
        value = (root / SECURE_BOOT).read_bytes()
    except OSError:
        return "unknown"
    return "on" if value[4:5] == b"\x01" else "off"


def _lockdown(root: Path) -> str:
    text = _text(root / "sys/kernel/security/lockdown")
    return text.partition("[")[2].partition("]")[0] or "unknown"
