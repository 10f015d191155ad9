"""What this machine shows of containers and virtual machines, and what may be said of it.

Decides which signs are here, each with where it was seen, and refuses (ATT-ISOLATION) a
stated kind that the signs rule out. What is seen is recorded and earns nothing: the policy's
enrolment decides. Refuses to know that enrolment. `root` is / or, for tests, a folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ceremony.errors import refuse
from ceremony.policy_people import ISOLATIONS
from ceremony.show import escaped

RULE = "ATT-ISOLATION"
SECONDS = 10
MOST_BYTES = 1 << 16
MOST_WORD = 200
HYPERVISOR = "other:hypervisor"

# In order: what lies within another first, so that the first sign names the kind.
_MARKS = (("podman", "run/.containerenv"), ("docker", ".dockerenv"))
_MACHINES = (
    ("lima-vm", "mnt/lima-cidata"),
    ("tee-vm", "dev/tdx_guest"),
    ("tee-vm", "dev/sev-guest"),
)
_CGROUP = (
    ("podman", re.compile(r"\blibpod[-_/]")),
    ("docker", re.compile(r"[/:]docker[-/]|kubepods|cri-containerd")),
    ("other:lxc", re.compile(r"/lxc[./]")),
)
_MANAGERS = {"podman": "podman", "docker": "docker", "lxc": "other:lxc", "oci": "other:oci"}
_VMS = {"qemu": "qemu-vm", "kvm": "qemu-vm", "QEMU": "qemu-vm"}
_KIND = re.compile(r"other:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of isolation: which kind (a policy's word), where it was seen, if of a machine."""

    kind: str
    where: str
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """All signs on this machine, and the kernel's name."""

    signs: tuple[Sign, ...]
    kernel: str

    @property
    def kind(self) -> str:
        """Return the kind that the first sign names, "" without any."""
        return self.signs[0].kind if self.signs else ""

    @property
    def word(self) -> str:
        """Return all signs as one word without spaces, as pins are."""
        words = [f"{sign.kind}({sign.where})" for sign in self.signs]
        return ",".join(words)[:MOST_WORD] or "nothing"


def look(root: Path = Path("/")) -> Seen:
    """Return what is to be seen below `root`; the tools are asked about the real / only."""
    asked = _detect_virt() if root == Path("/") else ()
    # A container stands in a machine, never the other way round here; the vaguest word is last.
    found = sorted(
        (*_containers(root), *_hardware(root), *asked),
        key=lambda sign: (sign.machine, sign.kind == HYPERVISOR),
    )
    signs: dict[str, Sign] = {}
    for sign in found:
        signs.setdefault(sign.kind, sign)
    return Seen(tuple(signs.values()), os.uname().sysname)


def stated(kind: str, seen: Seen) -> str:
    """Return the kind that a builder may state; ATT-ISOLATION where the signs rule it out."""
    if kind == "detected":
        if not seen.kind:
            raise refuse(RULE, "no sign of isolation is seen here; state the kind yourself")
        return seen.kind
    if kind not in ISOLATIONS and not _KIND.fullmatch(kind):
        raise refuse(RULE, f"{escaped(kind)} is none of {', '.join(ISOLATIONS)}, other:WORD")
    if kind == "bare-metal" and seen.signs:
        raise refuse(RULE, f"bare-metal is stated, but seen here: {escaped(seen.word)}")
    if kind == "none" and any(not sign.machine for sign in seen.signs):
        raise refuse(RULE, f"none is stated, but seen here: {escaped(seen.word)}")
    if kind == "freebsd-jail" and seen.kernel != "FreeBSD":
        raise refuse(RULE, f"freebsd-jail is stated, but the kernel is {escaped(seen.kernel)}")
    return kind


def _containers(root: Path) -> Iterator[Sign]:
    if (root / ".flatpak-info").exists():
        yield Sign("flatpak", "/.flatpak-info")
    if _text(root / "proc/1/comm").strip() == "bwrap":
        yield Sign("bwrap", "/proc/1/comm")
    for kind, path in _MARKS:
        if (root / path).exists():
            yield Sign(kind, f"/{path}")
    for path in ("proc/self/cgroup", "proc/1/cgroup"):
        text = _text(root / path)
        yield from (Sign(kind, f"/{path}") for kind, form in _CGROUP if form.search(text))
    for path in ("run/systemd/container", "run/host/container-manager"):
        manager = _text(root / path).strip()
        if manager:
            yield Sign(_MANAGERS.get(manager, _other(manager)), f"/{path}")


def _hardware(root: Path) -> Iterator[Sign]:
    for kind, path in _MACHINES:
        if (root / path).exists():
            yield Sign(kind, f"/{path}", machine=True)
    vendor = _text(root / "sys/class/dmi/id/sys_vendor").strip()
    if vendor in _VMS:
        yield Sign(_VMS[vendor], "/sys/class/dmi/id/sys_vendor", machine=True)
    flags = re.search(r"(?m)^flags\s*:.*\bhypervisor\b", _text(root / "proc/cpuinfo"))
    if flags:
        yield Sign(HYPERVISOR, "/proc/cpuinfo", machine=True)


def _detect_virt() -> Iterator[Sign]:
    program = shutil.which("systemd-detect-virt")
    if program is None:
        return
    for option, known, machine in (("--container", _MANAGERS, False), ("--vm", _VMS, True)):
        try:
            done = subprocess.run(  # noqa: S603 - the program that was found
                [program, option],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        word = done.stdout.decode("ascii", "replace").strip()
        if done.returncode == 0 and word and word != "none":
            where = f"systemd-detect-virt:{_safe(word)}"
            yield Sign(known.get(word, _other(word)), where, machine)


def _other(word: str) -> str:
    return f"other:{_safe(word)}"


def _safe(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", word)[:32]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
