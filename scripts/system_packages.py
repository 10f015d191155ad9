"""Which Debian packages serve this project, what each is for, and how to get the missing ones.

Every one is optional. Where apt-get, root and passwordless sudo do not suffice, exactly one
line says what to run and what is left out meanwhile, and set-up goes on.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

APT_TIMEOUT = 1200  # seconds; a slow mirror, not a question waiting for an answer
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Package:
    """One package: what shows that it is there, and what goes missing without it.

    `shows` is a program's name, a library as `lib:NAME`, a PKCS#11 module as `pkcs11:FILE`, or
    a file's absolute path.
    """

    name: str
    shows: str
    without: str

    def present(self) -> bool:
        """Say whether this machine has it, from whatever source it came."""
        if self.shows.startswith("lib:"):
            return ctypes.util.find_library(self.shows.removeprefix("lib:")) is not None
        if self.shows.startswith("pkcs11:"):
            name = self.shows.removeprefix("pkcs11:")
            return any(Path("/usr").glob(f"lib*/{name}")) or any(Path("/usr/lib").glob(f"*/{name}"))
        if self.shows.startswith("/"):
            return Path(self.shows).exists()
        return shutil.which(self.shows, path=search_path()) is not None


DEMO = (
    Package("softhsm2", "softhsm2-util", "the SoftHSM2 token"),
    Package("libzbar0", "lib:zbar", "reading the drawn QR code back"),
    Package("openssh-client", "ssh-keygen", "attestations made by the real ssh-keygen"),
    Package("minisign", "minisign", "attestations made by the real minisign"),
    Package("sbsigntool", "sbverify", "the second opinion of sbverify"),
)
TESTS = (
    Package("bubblewrap", "bwrap", "building twice in clean rooms, and the tests of them"),
    Package("git", "git", "the tests of what attest reads of a work tree"),
    Package("gcc", "cc", "the sabotaged PKCS#11 modules of the tests"),
    Package("libc6-dev", "/usr/include/dlfcn.h", "the headers to build them"),
    Package("pcscd", "pcscd", "the virtual smart card's reader"),
    Package(
        "vsmartcard-vpcd",
        "/usr/lib/pcsc/drivers/serial/libifdvpcd.so",
        "the driver of the virtual smart card",
    ),
    Package("opensc", "pkcs11-tool", "setting up the TPM's token"),
    Package("opensc-pkcs11", "pkcs11:opensc-pkcs11.so", "the virtual card through OpenSC"),
    Package("ykcs11", "pkcs11:libykcs11.so.2", "the virtual card through Yubico's module"),
    Package("swtpm", "swtpm", "the virtual TPM"),
    Package("libtpm2-pkcs11-1", "pkcs11:libtpm2_pkcs11.so.1", "the virtual TPM as a token"),
    Package("libnss3-tools", "certutil", "NSS softokn as a token"),
    Package("opencryptoki", "pkcsslotd", "opencryptoki's soft token"),
    Package("faketime", "faketime", "the byte comparison with sbsign"),
    Package("gnupg", "gpg", "OpenPGP attestations that another program made"),
    Package("signify-openbsd", "signify-openbsd", "signify attestations"),
    Package("nix-bin", "nix", "narinfo attestations out of a real Nix store"),
    Package("busybox-static", "busybox", "building inside a real Nix store"),
    Package("dpkg-dev", "dpkg-source", "sbsigntools' own test scripts on our commands"),
    Package("bsdextrautils", "hexdump", "those of the scripts that read bytes with hexdump"),
    Package("efitools", "cert-to-efi-sig-list", "dbx files that another program wrote"),
    Package("tidy", "tidy", "a validator's word on the HTML of reports"),
    Package("chromium", "chromium", "the tests that print reports in a real browser"),
    Package("poppler-utils", "pdftotext", "reading the printed reports"),
    Package("osslsigncode", "osslsigncode", "the comparison with osslsigncode"),
    Package("systemd-boot-efi", "/usr/lib/systemd/boot/efi", "the tests on a real EFI stub"),
    Package("qemu-system-x86", "qemu-system-x86_64", "the boot tests on x86-64"),
    Package("ovmf", "/usr/share/OVMF", "the x86-64 firmware of the boot tests"),
    Package("qemu-system-arm", "qemu-system-aarch64", "the boot tests on AArch64"),
    Package("qemu-efi-aarch64", "/usr/share/AAVMF", "the AArch64 firmware of the boot tests"),
    Package("dosfstools", "mkfs.vfat", "the disks of the boot tests"),
    Package("mtools", "mcopy", "the files on the disks of the boot tests"),
)
PURPOSES = {"demo": DEMO, "test": (*DEMO, *TESTS)}


def search_path() -> str:
    """Return PATH and the folders for administrators, which a user's PATH may lack."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN))


def provide(packages: tuple[Package, ...]) -> None:
    """Install what is missing where this machine allows it; otherwise say so in one line."""
    missing = [package for package in packages if not package.present()]
    if not missing:
        return
    prefix = administrator()
    if prefix is not None:
        names = ", ".join(package.name for package in missing)
        print(f"set-up: installing with apt-get: {names}", flush=True)
        install(prefix, [package.name for package in missing])
        missing = [package for package in missing if not package.present()]
    if missing:
        print(advice(missing, can_apt=shutil.which("apt-get") is not None), flush=True)


def advice(missing: list[Package], *, can_apt: bool) -> str:
    """Return the one line about `missing`: what to run, and what is left out meanwhile."""
    names = " ".join(package.name for package in missing)
    run = f"run: sudo apt-get install --no-install-recommends {names}"
    if not can_apt:
        run = f"this machine has no apt-get; install what your system calls: {names}"
    return f"set-up: {run} - left out meanwhile: {'; '.join(p.without for p in missing)}"


def administrator() -> list[str] | None:
    """Return the words before an apt-get that may install, or None when none may."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and _quiet(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None


def install(prefix: list[str], names: list[str]) -> None:
    """Install by apt-get: first with the lists at hand, then with new ones, then one by one."""
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y"]
    get = [*apt, "install", "--no-install-recommends"]
    if _quiet([*get, *names]):
        return
    _quiet([*apt, "update"])
    if not _quiet([*get, *names]):
        for name in names:
            _quiet([*get, name])


def _quiet(command: list[str]) -> bool:
    """Run a command without a terminal; True when it succeeded."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=APT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
