"""approve PLAN: read a ceremony's plan, say what it means, and sign it with a key holder's key.

For key holders, on their own machine. It signs nothing but a plan, and only for a person who
confirms at a terminal; any stock ssh-keygen does the same and is named as the other way.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ceremony.approval import NAMESPACE
from ceremony.approval_plan import MOST_BYTES, Plan, read_plan
from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.reading import read_regular
from ceremony.show import escaped, grouped
from tui import ssh_keys
from tui.building.writing import require_new, write_new
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put
from tui.console import Blocks
from tui.secret import read_line

WORD = "APPROVE"
MOST_TYPED = 64
LEAST_ROWS = 200  # a terminal scrolls; a code is never cut at its side


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("plan", metavar="PLAN", type=Path, help="plan.txt of the ceremony")
    parser.add_argument(
        "--key",
        metavar="KEY",
        type=Path,
        required=True,
        help="your OpenSSH key file, or the .pub file of a key that ssh-agent holds",
    )
    parser.add_argument("--output", metavar="FILE", type=file_alone, help="else PLAN.sig")


def run(options: argparse.Namespace) -> Exit:
    """Show, let a person confirm, sign, check, write."""
    path: Path = options.plan
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        text = f"{escaped(str(path))}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None
    output: Path = options.output or path.with_name(f"{path.name}.sig")
    plan = read_plan(data)
    require_new(output.parent, (output.name,))  # before anybody types a word or touches a key
    _show(plan, path)
    if not sys.stdin.isatty():
        raise refuse("APP-ANSWER", "an approval is typed at a terminal, and standard input is none")
    sys.stdout.write(f"Type {WORD} to sign this plan, anything else to leave: ")
    sys.stdout.flush()
    if read_line(sys.stdin.fileno(), MOST_TYPED).decode("utf-8", "replace").strip() != WORD:
        put("nothing was signed")
        return Exit.INCOMPLETE
    armoured = ssh_keys.sign(options.key, NAMESPACE, data)
    key = verify_sshsig(read_sshsig(armoured), data, NAMESPACE)
    (written,) = write_new(output.parent, {output.name: armoured})
    put(f"wrote {written}, signed by {key.fpr}")
    if sys.stdout.isatty():
        _draw(armoured)
    return Exit.YES


def _show(plan: Plan, path: Path) -> None:
    put(
        f"The plan of one signature over one image ({plan.mode}):",
        "",
        *(f"  {line}" for line in plan.lines),
        "",
        f"SHA-256 of the plan  {grouped(plan.sha256[:32])}",
        f"                     {grouped(plan.sha256[32:])}",
        "Its attributes are those of this image and time.",
        "Compare image and policy with what you know from elsewhere, not from the ceremony.",
        "",
        "The same with stock OpenSSH:",
        f"  ssh-keygen -Y sign -n {NAMESPACE} -f KEY {escaped(str(path))}",
        "",
    )


def _draw(armoured: bytes) -> None:
    from tui.parts import qr  # noqa: PLC0415 - a file alone needs no code

    code = qr.make(armoured, shutil.get_terminal_size().columns, LEAST_ROWS, Blocks.HALVES)
    put(*("".join(cell.glyph for cell in row) for row in code.cells))
    put(f"QR code {code.said}")
