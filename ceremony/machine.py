"""What an air-gapped machine must look like, decided from facts somebody else gathered.

The checks are the policy's: each topic refuses or is reported. A fact that could not be
read is "unknown", which is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.show import counted, escaped
from ceremony.types import Finding, Severity

LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface: its name, operational state, and whether hardware backs it."""

    name: str
    state: str
    hardware: bool


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One block device: size in bytes, whether removable and read-only, where mounted."""

    name: str
    size: int
    removable: bool
    read_only: bool
    mounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """The ceremony machine as it describes itself; "unknown" where nothing could be read."""

    kernel: str
    architecture: str
    boot_id: str
    time_zone: str
    secure_boot: str
    lockdown: str
    interfaces: tuple[Interface, ...] | None
    radios: tuple[str, ...] | None
    swap: tuple[str, ...] | None
    block_devices: tuple[BlockDevice, ...] | None


@dataclass(frozen=True, slots=True)
class MachineRules:
    """How grave a finding is on each topic, from the signed policy."""

    network: Severity
    swap: Severity
    block_devices: Severity


def check_machine(machine: Machine, rules: MachineRules) -> tuple[Finding, ...]:
    """Return the AIR- findings of one survey.

    Source: Linux /sys/class/net, /proc/swaps, /sys/block as gathered by ceremony.ingest.
    """
    return (
        *_network(machine, rules.network),
        *_swap(machine, rules.swap),
        *_block_devices(machine, rules.block_devices),
    )


def _network(machine: Machine, severity: Severity) -> tuple[Finding, ...]:
    """AIR-NETWORK: no interface but the loopback, no radio."""
    if machine.interfaces is None or machine.radios is None:
        return (Finding("AIR-NETWORK", severity, "the network interfaces could not be read"),)
    found = [
        f"{escaped(i.name)} ({i.state}{', hardware' if i.hardware else ''})"
        for i in machine.interfaces
        if i.name != LOOPBACK
    ] + [f"radio {escaped(radio)}" for radio in machine.radios]
    if not found:
        return (Finding("AIR-NETWORK", Severity.INFO, "only the loopback interface is present"),)
    return (Finding("AIR-NETWORK", severity, "this machine has " + ", ".join(found)),)


def _swap(machine: Machine, severity: Severity) -> tuple[Finding, ...]:
    """AIR-SWAP: no swap area, so that nothing typed here reaches a disk."""
    if machine.swap is None:
        return (Finding("AIR-SWAP", severity, "the swap areas could not be read"),)
    if not machine.swap:
        return (Finding("AIR-SWAP", Severity.INFO, "no swap area is in use"),)
    areas = ", ".join(escaped(area) for area in machine.swap)
    return (Finding("AIR-SWAP", severity, f"swap is in use on {areas}"),)


def _block_devices(machine: Machine, severity: Severity) -> tuple[Finding, ...]:
    """AIR-DISK: no fixed disk is present; removable media are listed."""
    if machine.block_devices is None:
        return (Finding("AIR-DISK", severity, "the block devices could not be read"),)
    fixed = [
        f"{escaped(d.name)} ({counted(d.size)})" for d in machine.block_devices if not d.removable
    ]
    removable = [escaped(d.name) for d in machine.block_devices if d.removable]
    listed = Finding(
        "AIR-DISK",
        Severity.INFO,
        f"{len(removable)} removable devices" + (": " + ", ".join(removable) if removable else ""),
    )
    if not fixed:
        return (listed,)
    return (Finding("AIR-DISK", severity, "fixed disks: " + ", ".join(fixed)), listed)
