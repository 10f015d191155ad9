"""The firmware's key databases, and the variable store that holds them with Secure Boot on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from boot.disks import PATH

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
IMAGE_SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
SECURE_BOOT_ENABLE = "f0a30bc7-af08-4556-99c4-001009c93a44"  # EDK II's own
# UEFI 2.10, 8.2: non-volatile, boot service, runtime, time-based authenticated write
STORED, RUNTIME, AUTHENTICATED = 0x03, 0x04, 0x20
MADE = "da070101" + "00" * 12  # EFI_TIME, 2010-01-01


@dataclass(frozen=True)
class Databases:
    """What the firmware trusts and what it bars; each is a signature list."""

    platform: bytes
    db: bytes
    dbx: bytes


def virt_fw_vars() -> str | None:
    """Return the tool that writes variable stores: this environment's, or the machine's."""
    return shutil.which("virt-fw-vars", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{PATH}")


def enrol(template: Path, databases: Databases, output: Path) -> None:
    """Write a variable store with exactly these databases, Secure Boot on, and no waiting."""
    owned = {
        "PK": (GLOBAL, databases.platform),
        "KEK": (GLOBAL, databases.platform),
        "db": (IMAGE_SECURITY, databases.db),
        "dbx": (IMAGE_SECURITY, databases.dbx),
    }
    variables = [
        _variable("SecureBootEnable", SECURE_BOOT_ENABLE, STORED, b"\x01"),
        _variable("Timeout", GLOBAL, STORED | RUNTIME, bytes(2)),
    ]
    for name, (guid, data) in owned.items():
        if data:
            made = _variable(name, guid, STORED | RUNTIME | AUTHENTICATED, data)
            variables.append(made | {"time": MADE})
    described = output.with_suffix(".json")
    described.write_text(json.dumps({"version": 2, "variables": variables}), "ascii")
    tool = virt_fw_vars()
    assert tool
    command: list[str | Path] = [tool, "--input", template, "--output", output]
    command += ["--set-json", described]
    for name in owned:
        command += ["--delete", name]
    done = subprocess.run(command, capture_output=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr


def _variable(name: str, guid: str, attributes: int, data: bytes) -> dict[str, object]:
    return {"name": name, "guid": guid, "attr": attributes, "data": data.hex()}
