"""The parts of a bootable demo image: kernel, EFI stub and busybox, and where they came from.

Decides between the cache, the distribution's packages, what is installed, and (where there is
no kernel or no stub) a tiny EFI program, so that a rehearsal always has a bootable image.
It says plainly which was taken. It refuses to know how an image is put together.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import re
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from tui.rehearsal.efi_program import MACHINES, efi_program
from tui.rehearsal.packages import Taken, Wanted, take

DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
EFI_NAMES = {"x86_64": "x64", "aarch64": "aa64"}
GZIP = b"\x1f\x8b"
PT_INTERP = 3
NOTE = "parts.json"


@dataclass(frozen=True, slots=True)
class Parts:
    """What an image is made of; `release` is the kernel's (uname -r), `busybox` may be None."""

    architecture: str
    release: str
    kernel: bytes
    stub: bytes
    busybox: bytes | None
    description: str


def default_cache() -> Path:
    """Return the folder for downloaded parts, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "uki-ceremony"


def running_architecture() -> str:
    """Return `x86_64` or `aarch64`; on any other machine the demo is an x86_64 image."""
    return {"arm64": "aarch64", "aarch64": "aarch64"}.get(platform.machine().lower(), "x86_64")


def find_parts(cache: Path, architecture: str, root: Path = Path("/")) -> Parts:
    """Return the parts for `architecture`, from the first source that has kernel and stub.

    `cache` is made when it is missing; what was downloaded is kept there.
    """
    folder = cache / "parts" / architecture
    cached = _cached(folder, architecture)
    if cached is not None:
        return cached
    with tempfile.TemporaryDirectory(prefix="uki-ceremony-") as scratch:
        downloaded = take(_wanted(architecture), Path(scratch))
    installed = _installed(architecture, root)
    kernel, stub, busybox = (got or other for got, other in zip(downloaded, installed, strict=True))
    if kernel is None or stub is None:
        return _tiny(architecture)
    parts = _named(architecture, kernel, stub, busybox)
    if all(downloaded):
        _keep(folder, parts)
    return parts


def _wanted(architecture: str) -> list[Wanted]:
    """Return where the distribution's packages hold kernel, stub and busybox."""
    name = DEBIAN_NAMES[architecture]
    flavours = (f"cloud-{name}", "virtual", name, "generic")
    return [
        Wanted(tuple(f"linux-image-{flavour}" for flavour in flavours), r"/boot/vmlinuz-.+"),
        Wanted(("systemd-boot-efi", "systemd"), rf"/usr/lib/.+/{_stub_name(architecture)}"),
        Wanted(("busybox-static",), r"(/usr)?/bin/busybox"),
    ]


def _installed(architecture: str, root: Path) -> list[Taken | None]:
    """Return the newest readable kernel, the stub and a static busybox of this machine."""
    kernels = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    kernels.sort(key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)
    stubs = list(root.glob(f"usr/lib/systemd/boot/efi/{_stub_name(architecture)}"))
    boxes = [path for path in (root / "bin" / "busybox", root / "usr/bin/busybox") if path.exists()]
    fits = MACHINES[architecture]
    return [
        next((got for got in map(_read, kernels) if got and _machine(got.data) == fits), None),
        next((got for got in map(_read, stubs) if got and _machine(got.data) == fits), None),
        next((got for got in map(_read, boxes) if got and _is_static(got.data)), None),
    ]


def _read(path: Path) -> Taken | None:
    """Return an installed file; None when it cannot be read (kernels are often root's)."""
    try:
        return Taken(_unpacked(path.read_bytes()), str(path), str(path))
    except OSError:
        return None


def _named(architecture: str, kernel: Taken, stub: Taken, busybox: Taken | None) -> Parts:
    """Put the parts together with the kernel's release and a sentence on their source."""
    where = Path(kernel.path)
    name = where.parent.name if where.name == "vmlinuz" else where.name
    sources = [kernel.package, stub.package]
    sources.append(busybox.package if busybox else "no busybox: the kernel will find no init")
    return Parts(
        architecture,
        name.removeprefix("vmlinuz-"),
        _unpacked(kernel.data),
        stub.data,
        busybox.data if busybox else None,
        "; ".join(sources),
    )


def _tiny(architecture: str) -> Parts:
    """Return the EFI program of our own, as stub and as kernel."""
    program = efi_program(architecture)
    text = "no kernel and EFI stub at hand: a tiny EFI program that prints a line and powers off"
    return Parts(architecture, "0-efi-program", program, program, None, text)


def _cached(folder: Path, architecture: str) -> Parts | None:
    """Return the parts kept in `folder`; None when they are not all there."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        kernel, stub, busybox = ((folder / n).read_bytes() for n in ("kernel", "stub", "busybox"))
        release, description = str(note["release"]), str(note["description"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Parts(architecture, release, kernel, stub, busybox, description)


def _keep(folder: Path, parts: Parts) -> None:
    """Keep the parts for the next rehearsal; the note is written last, under its final name."""
    folder.mkdir(parents=True, exist_ok=True)
    note = json.dumps({"release": parts.release, "description": parts.description}) + "\n"
    content = {"kernel": parts.kernel, "stub": parts.stub, "busybox": parts.busybox or b""}
    for name, data in (*content.items(), (NOTE, note.encode())):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(data)
        Path(file.name).replace(folder / name)


def _stub_name(architecture: str) -> str:
    return f"linux{EFI_NAMES[architecture]}.efi.stub"


def _unpacked(data: bytes) -> bytes:
    """Return a kernel as an EFI image; some distributions ship AArch64 kernels gzipped."""
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data


def _machine(image: bytes) -> int:
    """Return the machine field of a PE image, 0 when it is none."""
    try:
        (at,) = struct.unpack_from("<I", image, 60)
        (machine,) = struct.unpack_from("<H", image, at + 4)
    except struct.error:
        return 0
    return int(machine) if image[:2] == b"MZ" and image[at : at + 4] == b"PE\0\0" else 0


def _is_static(program: bytes) -> bool:
    """Say whether an ELF program needs no loader (ELF64: no PT_INTERP program header)."""
    try:
        (table,) = struct.unpack_from("<Q", program, 32)
        size, count = struct.unpack_from("<2H", program, 54)
        kinds = [struct.unpack_from("<I", program, table + size * n)[0] for n in range(count)]
    except struct.error:
        return False
    return program[:5] == b"\x7fELF\x02" and PT_INTERP not in kinds
