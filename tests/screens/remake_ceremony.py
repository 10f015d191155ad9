"""Make the fixed inputs in tests/screens/ceremony/ anew: `python -m` not needed, run as a file.

Only to be run when the policy's or an attestation's format changed. The keys are thrown
away but for the key holders', which sign nothing else. Afterwards run the tests once with
UPDATE_SNAPSHOTS=1.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

from ceremony.errors import TokenTrouble
from tui.rehearsal import prepare
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.uki import build_uki

HERE = Path(__file__).resolve().parent / "ceremony"
SBAT = (
    b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    b"uki-ceremony-demo,1,UKI ceremony,demo,2026.11.01,https://example.org\n"
)


def image() -> bytes:
    """Return a small UKI that reads like a real one."""
    return build_uki(
        efi_program("x86_64"),
        [
            (".osrel", b'ID=uki-ceremony-demo\nPRETTY_NAME="UKI ceremony demo image"\n'),
            (".cmdline", b"console=tty0 console=ttyS0 panic=-1 quiet"),
            (".uname", b"6.12.9-amd64"),
            (".sbat", SBAT),
            (".initrd", b"070701" + b"0" * 104 + b"1"),
            (".linux", efi_program("x86_64")),
        ],
    )


def no_module(*_: object, **__: object) -> None:
    """Stand for a machine without a PKCS#11 module: the embedded practice key serves."""
    raise TokenTrouble("KEY-MODULE", "no module")


def main() -> int:
    """Prepare a rehearsal and keep what the ceremony reads."""
    without = mock.patch.object(prepare, "make_rehearsal_token", no_module)
    with tempfile.TemporaryDirectory() as scratch, without:
        source = Path(scratch) / "anchor.efi"
        source.write_bytes(image())
        made = prepare.prepare(Path(scratch) / "rehearsal", source)
        shutil.rmtree(HERE, ignore_errors=True)
        shutil.copytree(made.media, HERE / "in")
        for path in made.folder.glob("policy.toml*"):
            shutil.copy(path, HERE / path.name)
        for holder in ("kim", "kay"):  # they approve the plan, the same way every time
            shutil.copy(made.person_key(holder), HERE / holder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
