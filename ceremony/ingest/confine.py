"""What a process gives up before it reads bytes from strangers; there is no way back.

Decides the limits (memory, processor time, files, no core) and the system calls that pure
computing needs: memory, its own pipes, the clock. Everything else answers EPERM: no file is
opened, no process or socket made. Sources: setrlimit(2), prctl(2), seccomp(2),
linux/filter.h, linux/seccomp.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import struct
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
SIGKILL = 9
KILL, ALLOW, EPERM = 0x80000000, 0x7FFF0000, 0x00050001  # SECCOMP_RET_..., ERRNO | EPERM
LOAD, JUMP_EQUAL, JUMP_FROM, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JMP|JEQ|JGE|K, RET
NUMBER_AT, ARCH_AT = 0, 4  # of struct seccomp_data
X32 = 0x40000000

OPEN_FILES = 16
WRITTEN_BYTES = 1 << 16  # what it may say on standard error, a memory file

# read write close lseek mmap mprotect munmap mremap brk madvise rt_sigaction rt_sigprocmask
# rt_sigreturn sigaltstack futex getpid gettid tgkill exit exit_group clock_gettime getrandom
# sched_yield restart_syscall writev
_CALLS = {
    "x86_64": (
        0xC000003E,
        *(0, 1, 3, 8, 9, 10, 11, 25, 12, 28, 13, 14, 15, 131, 202, 39, 186, 234, 60, 231),
        *(228, 318, 24, 219, 20),
    ),
    "aarch64": (
        0xC00000B7,
        *(63, 64, 57, 62, 222, 226, 215, 216, 214, 233, 134, 135, 139, 132, 98, 172, 178, 131),
        *(93, 94, 113, 278, 124, 128, 66),
    ),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of address space and seconds of processor time."""

    memory: int
    seconds: int


def confine(bounds: Bounds) -> tuple[str, ...]:
    """Give up everything that reading does not need; return what took hold."""
    for kind, limit in (
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_CPU, bounds.seconds),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        most = resource.getrlimit(kind)[1]
        most = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    held = ["limits"]
    if not (
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        or libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    ):
        held.append("no new privileges")
    if _filter_calls(libc):
        held.append("seccomp")
    return tuple(held)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return False
    program = _program(*calls)
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: unsigned short len, padding, struct sock_filter *filter
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _program(arch: int, *numbers: int) -> bytes:
    """Return the filter: another architecture is killed, a number not listed gets EPERM."""
    count = len(numbers)
    lines = [
        (LOAD, 0, 0, ARCH_AT),
        (JUMP_EQUAL, 1, 0, arch),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_FROM, count, 0, X32),
        *((JUMP_EQUAL, count - at, 0, number) for at, number in enumerate(numbers)),
        (RETURN, 0, 0, EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("@HBBI", *line) for line in lines)
