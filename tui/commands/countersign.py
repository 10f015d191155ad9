"""countersign BUNDLE: one more person signs the checkpoint of a bundle that was sealed before.

The bundle is replayed first; nothing but the signature and SHA256SUMS is written, each whole.
A kill in between leaves a bundle that replay calls incomplete and the same command completes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony import bundle
from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.reading import read_regular
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped
from transcripts import countersign
from transcripts.checkpoint import NAMESPACE, read_checkpoint
from transcripts.files import read_bundle, remove, write_file
from transcripts.late import Countersignable, countersignable
from tui import ssh_keys
from tui.commands import Exit
from tui.commands.files import copy_image
from tui.commands.findings import put


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--person", metavar="ID", required=True, help="who signs, by the policy")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--key", type=Path, help="their SSH key; a public one where an agent signs")
    how.add_argument("--signature", type=Path, help="their SSHSIG over checkpoint.txt")
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")


def run(options: argparse.Namespace) -> Exit:
    """Add a signature: 0 the bundle is complete, 4 more are needed, 1 refused."""
    folder, person = options.bundle, options.person
    image = copy_image(options.image) if options.image else None
    try:
        files = read_bundle(folder)
    except OSError as error:
        text = f"{escaped(str(folder))}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None
    found = countersignable(files, image, late_verifier())
    if person in found.unlisted:
        _write(folder, found)
        put(f"{person} had signed already; SHA256SUMS lists the signature now")
        return _told(found, found.witnesses())
    found.check(person)
    signature = _signature(options, found.checkpoint)
    found.accept(person, signature)
    _write(folder, found, person, signature)
    if person == found.policy.roles.administrator:
        put(f"{person} is the administrator, whose signature is kept and does not count")
    return _told(found, found.witnesses(person))


def _signature(options: argparse.Namespace, checkpoint: bytes) -> bytes:
    if options.key:
        return ssh_keys.sign(options.key, NAMESPACE, checkpoint)
    try:
        return read_regular(options.signature, countersign.MOST_BYTES)
    except OSError as error:
        text = f"{escaped(str(options.signature))}: {error.strerror or error}"
        raise refuse("TRN-COUNTERSIGNATURE", text) from None


def _write(folder: Path, found: Countersignable, person: str = "", signature: bytes = b"") -> None:
    """Write the signature, then SHA256SUMS; where the second fails the first is taken back."""
    added = folder / countersign.file_name(person)
    try:
        remove(*(folder / name for name in found.left_over))
        if person:
            write_file(added, (signature,))
        try:
            write_file(folder / bundle.SUMS, (found.sums(person, signature),))
        except OSError:
            if person:
                remove(added)
            raise
    except OSError as error:
        text = f"{escaped(str(folder))}: {error.strerror or error}; nothing was added"
        raise MediaTrouble("MED-WRITE", text) from None


def _told(found: Countersignable, witnesses: tuple[str, ...]) -> Exit:
    head = read_checkpoint(found.checkpoint)
    needed = found.policy.countersignatures.threshold
    missing = max(needed - len(witnesses), 0)
    put(
        f"ceremony  {head.origin}",
        f"head      {head.spoken}",
        f"witnesses {len(witnesses)} of {needed}: {', '.join(witnesses) or '-'}",
        f"signed, unwitnessed: {missing} more to sign" if missing else "complete",
    )
    return Exit.INCOMPLETE if missing else Exit.YES
