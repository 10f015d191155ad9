"""A clean room: bubblewrap's options for one build, and running a command in it.

Decides what can be seen there: the system's programs read-only, the inputs read-only in
/build, fresh memory file systems for work, and nothing else; no network, no capabilities, an
empty environment but for five names; calls.py has what namespaces leave open. Refuses to know
what is built and whether it is right. Source: bwrap(1), user_namespaces(7).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ceremony.errors import Trouble
from ceremony.show import escaped
from tui.building.calls import call_filter
from tui.building.listening import carry

RULE = "ATT-SANDBOX"
WORK = "/build"
PROBE_SECONDS = 60
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin"
SYSTEM = ("/usr", "/nix/store", "/gnu/store", "/run/current-system")
ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
# The kernel's switches belong to its root, who has them in a room without any capability.
SWITCHES = (
    *("/proc/sys", "/proc/sysrq-trigger", "/proc/pressure", "/proc/mtrr", "/proc/acpi"),
    *("/proc/scsi", "/proc/fs"),
)
KEYS = ("/proc/keys", "/proc/key-users")  # procfs(5): descriptions of keys from outside
STORES = ("/nix/store/", "/gnu/store/")  # named by what is in them: seen under their own names


@dataclass(frozen=True, slots=True)
class Room:
    """What differs between two rooms; nothing of it may show in what is built."""

    host: str
    user: str
    uid: int
    zone: str
    locale: str
    umask: int

    @property
    def passwd(self) -> bytes:
        """Return the room's /etc/passwd: its one user."""
        number = f"{self.uid}:{self.uid}"
        return f"{self.user}:x:{number}:{self.user}:/home/{self.user}:/bin/sh\n".encode()


ROOMS = (
    Room("first", "anna", 1001, "UTC0", "C", 0o022),
    Room("the-second-room", "zebedee", 60123, "<+1345>-13:45", "C.UTF-8", 0o027),
)


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder of this machine, and the path under which a room sees it."""

    source: Path
    path: str


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The program that makes rooms, its version, and what this machine lets it do."""

    program: str
    version: str
    other_users: bool
    fixed_users: bool

    @property
    def evidence(self) -> str:
        """Return the program and its version as one word."""
        return f"bubblewrap-{self.version}"


def find() -> Bubblewrap:
    """Return bubblewrap as it works here; ATT-SANDBOX when it is missing."""
    program = shutil.which("bwrap")
    if program is None:
        raise Trouble(RULE, "bubblewrap is not installed (the Debian package bubblewrap)")
    said = _said([program, "--version"])
    version = "".join(c for c in said.rpartition(" ")[2].strip() if c.isalnum() or c == ".")
    words = ("--ro-bind", "/", "/", "true")
    other_users = _works([program, "--unshare-user", "--uid", "1001", "--gid", "1001", *words])
    fixed = other_users and _works([program, "--unshare-user", "--disable-userns", *words])
    return Bubblewrap(program, version or "unknown", other_users, fixed)


@dataclass(frozen=True, slots=True)
class Site:
    """What both rooms have in common: bubblewrap, the inputs, SOURCE_DATE_EPOCH."""

    found: Bubblewrap
    inputs: tuple[Input, ...]
    epoch: int

    def options(self, room: Room, users: int = 0, calls: int = 0) -> list[str]:
        """Return bubblewrap's options for a room, with the descriptors of passwd and filter."""
        home = f"/home/{room.user}"
        words = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        words += ["--cap-drop", "ALL", "--hostname", room.host]
        if self.found.other_users:
            words += ["--unshare-user", "--uid", str(room.uid), "--gid", str(room.uid)]
        if self.found.fixed_users:
            words += ["--disable-userns"]
        for path in (*SYSTEM, *SETTINGS):
            words += ["--ro-bind-try", path, path]
        for path in ROOTS:
            words += _root(Path(path))
        words += ["--ro-bind-data", str(users), "/etc/passwd"]
        words += ["--proc", "/proc", "--dev", "/dev", "--seccomp", str(calls)]
        for path in SWITCHES:
            words += ["--ro-bind-try", path, path]
        for path in KEYS:
            words += ["--ro-bind", "/dev/null", path] if Path(path).exists() else []
        for path in ("/tmp", "/dev/shm", WORK, home):  # noqa: S108 - the room's own, made anew
            words += ["--tmpfs", path]
        for each in self.inputs:
            words += ["--ro-bind", str(each.source), each.path]
        words += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", WORK]
        settings = {
            "PATH": PATH,
            "HOME": home,
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "TZ": room.zone,
            "LC_ALL": room.locale,
        }
        for name, value in settings.items():
            words += ["--setenv", name, value]
        return words

    def digest(self) -> str:
        """Return the SHA-256 of both rooms' options, without the paths of this machine."""
        blank = tuple(Input(Path("/"), each.path) for each in self.inputs)
        site = replace(self, inputs=blank)
        said = json.dumps([site.options(room) for room in ROOMS])
        return hashlib.sha256(said.encode()).hexdigest()

    def run(
        self, room: Room, command: tuple[str, ...], output: BinaryIO, most: int, seconds: float
    ) -> int:
        """Run a command in a new room; return its status. It puts out at most `most` bytes."""
        with _held(room.passwd) as passwd, _held(call_filter()) as calls:
            descriptors = (passwd.fileno(), calls.fileno())
            words = [self.found.program, *self.options(room, *descriptors), "--", *command]
            process = subprocess.Popen(  # noqa: S603 - the program found, the builder's command
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                umask=room.umask,
                pass_fds=descriptors,
            )
        try:
            return carry(process, output, most, seconds)
        finally:
            process.kill()  # and with it, by its namespace of processes, all that it began
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def _held(data: bytes) -> BinaryIO:
    """Return a nameless file at its start, for bubblewrap to read."""
    file = os.fdopen(os.memfd_create("uki-ceremony"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _root(path: Path) -> list[str]:
    """Return how a room gets one of the folders that are links into /usr on most systems."""
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found
            command, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(RULE, f"bubblewrap does not start: {escaped(str(error))}") from None
    return done.stdout.decode("ascii", "replace")


def _works(command: list[str]) -> bool:
    done = subprocess.run(  # noqa: S603 - the program that was found
        command, capture_output=True, timeout=PROBE_SECONDS, check=False, env={"PATH": PATH}
    )
    return done.returncode == 0
