"""The machine around a ceremony: its clock, its dice, its devices, its other tools.

sbverify runs only on an image whose layout our strict parser accepted and whose table we
wrote ourselves, in a child with a time limit, on a memory file: nothing is put on a disk,
and its answer is evidence beside our own verifier's, never instead of it.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from ceremony.clock import wall_text
from ceremony.effects import Buffer
from ceremony.engine import RULESET
from ceremony.events import FORMAT, Begun, SecondOpinion
from ceremony.ingest import machine
from ceremony.machine import Machine
from ceremony.show import escaped
from ceremony.steps import Step
from ceremony.types import Mode

SECOND_SECONDS = 120
VERSION_SECONDS = 10
SEARCH = "/usr/bin:/bin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class LinuxWorld:
    """A Linux machine; `tool` and `tool_sha256` are the running program's own identity."""

    mode: Mode
    logs: tuple[str, ...]
    tool: str
    tool_sha256: str
    root: Path = Path("/")
    previous_head: str | None = None

    def begun(self) -> Begun:
        """Return the first line of a new ceremony, with 128 random bits for its id."""
        return Begun(
            format=FORMAT,
            ceremony=secrets.token_hex(16),
            mode=self.mode,
            ruleset=RULESET,
            steps=tuple(str(step) for step in Step),
            tool=self.tool,
            tool_sha256=self.tool_sha256,
            python=platform.python_version(),
            logs=self.logs,
            previous_head=self.previous_head,
        )

    def survey(self) -> Machine:
        """Return the machine as it describes itself."""
        return machine.survey(self.root)

    def wall(self) -> str:
        """Return the clock reading."""
        return wall_text(datetime.now(UTC))

    def draw(self, count: int, among: int) -> tuple[int, ...]:
        """Return `count` distinct ascending places of 1..`among` from the system's generator."""
        return tuple(sorted(secrets.SystemRandom().sample(range(1, among + 1), count)))

    def second(self, pieces: Callable[[], Iterator[Buffer]], certificate: bytes) -> SecondOpinion:
        """Return sbverify's word on the signed image, "absent" where it is not installed."""
        tool = shutil.which("sbverify", path=SEARCH)
        if tool is None:
            return SecondOpinion("sbverify", "absent", "sbverify is not installed here")
        image = os.memfd_create("image", os.MFD_CLOEXEC)
        pem = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            for piece in pieces():
                _write_all(image, piece)
            _write_all(pem, load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))
            command = [tool, "--cert", f"/proc/self/fd/{pem}", f"/proc/self/fd/{image}"]
            done = subprocess.run(  # noqa: S603 - a fixed program on our own bytes
                command,
                pass_fds=(image, pem),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECOND_SECONDS,
                check=False,
                env={"LC_ALL": "C"},
            )
            version = _version(tool)
        except (OSError, subprocess.TimeoutExpired) as error:
            return SecondOpinion("sbverify", "refused", escaped(type(error).__name__))
        finally:
            os.close(image)
            os.close(pem)
        said = _last_line(done.stdout) or _last_line(done.stderr)
        answer = "accepted" if done.returncode == 0 else "refused"
        return SecondOpinion(version, answer, f"exit {done.returncode}: {said}")


def copies_at_once() -> int:
    """Return how many copies of the image this machine has to hold at the most at one time.

    Ours, and where sbverify is installed the signed file it is given and its own copy of that.
    """
    return 1 if shutil.which("sbverify", path=SEARCH) is None else 3


def monotonic_ns() -> int:
    """Return nanoseconds of the clock that counts from boot and is never set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the id of this boot, "unknown" where the kernel gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


def _write_all(descriptor: int, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return escaped(lines[-1]) if lines else ""


def _version(tool: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program
            [tool, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=False,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return "sbverify"
    found = re.search(rb"\d+(\.\d+)+", done.stdout + done.stderr)
    return f"sbverify {found.group().decode()}" if found else "sbverify"
