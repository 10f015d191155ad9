"""The system calls that namespaces do not keep inside a clean room, as a filter for bwrap.

Decides which calls fail there: the kernel's keys (keyrings(7): a session's keys come along
into every namespace), sockets of other families than local, IP and netlink (vsock(7) reaches
the host of a virtual machine from every network namespace), io_uring, which makes sockets
unseen by filters, and all calls of another architecture. Sources: seccomp(2),
linux/seccomp.h, linux/audit.h, linux/filter.h.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass

from ceremony.errors import Trouble
from ceremony.show import escaped

ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
LOAD, EQUAL, FROM, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
NUMBER_AT, ARCH_AT, FIRST_ARGUMENT_AT = 0, 4, 16  # of struct seccomp_data, little-endian
X32 = 0x40000000
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK


@dataclass(frozen=True, slots=True)
class Numbers:
    """An architecture's AUDIT_ARCH_ word and the numbers of its calls."""

    arch: int
    keys: tuple[int, int, int]  # add_key request_key keyctl
    rings: tuple[int, int, int]  # io_uring_setup io_uring_enter io_uring_register
    socket: int


MACHINES = {
    "x86_64": Numbers(0xC000003E, (248, 249, 250), (425, 426, 427), 41),
    "aarch64": Numbers(0xC00000B7, (217, 218, 219), (425, 426, 427), 198),
}


def call_filter(machine: str = "") -> bytes:
    """Return the filter for this machine or the one named; ATT-SANDBOX where none is known."""
    name = machine or platform.machine()
    numbers = MACHINES.get(name)
    if numbers is None:
        raise Trouble("ATT-SANDBOX", f"no filter of system calls is known for {escaped(name)}")
    denied = (*numbers.keys, *numbers.rings)
    count, families = len(denied), len(FAMILIES)
    # A jump's numbers are how many lines are passed over, if equal and if not.
    lines = [
        (LOAD, 0, 0, ARCH_AT),
        (EQUAL, 1, 0, numbers.arch),
        (RETURN, 0, 0, ERRNO | ENOSYS),
        (LOAD, 0, 0, NUMBER_AT),
        (FROM, 0, 1, X32),
        (RETURN, 0, 0, ERRNO | ENOSYS),
        *((EQUAL, count - at + families + 3, 0, number) for at, number in enumerate(denied)),
        (EQUAL, 0, families + 2, numbers.socket),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        *((EQUAL, families - at, 0, family) for at, family in enumerate(FAMILIES)),
        (RETURN, 0, 0, ERRNO | EAFNOSUPPORT),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EPERM),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
