"""sbattach: put a detached signature into an image, take one out or away.

Different where the original is wrong: a signature of another image is not attached, --signum
0 and words are refused, and the image is replaced only by a whole, verified one.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from pathlib import Path

from ceremony.errors import Refused, refuse
from ceremony.pe.attach import check_attachable, tail, win_certificate
from ceremony.pe.cms import read_signed_data
from ceremony.pe.sign import check_entries
from ceremony.pe.table import MOST_ENTRY_BYTES, Entry
from ceremony.show import escaped
from tui.sbsigntools.certificates import read_small
from tui.sbsigntools.draft import drafting, keep_apart
from tui.sbsigntools.finishing import finish
from tui.sbsigntools.options import ALREADY_SIGNED, NO_TABLE, UNSIGNED, Grammar, tell_known
from tui.sbsigntools.reading import reading
from tui.standard_error import say

GRAMMAR = Grammar(
    "a:d:hrs:vV", ("attach=", "detach=", "help", "remove", "signum=", "version"), ("verbose",)
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="efi-boot-image")
    parser.add_argument("-a", "--attach", type=Path, metavar="SIG", help="attach this PKCS#7")
    parser.add_argument(
        "-d", "--detach", type=Path, metavar="SIG", help="write the signature's PKCS#7 there"
    )
    parser.add_argument("-r", "--remove", action="store_true", help="take the signature away")
    parser.add_argument(
        "-s", "--signum", type=int, default=1, metavar="N", help="which signature, from 1"
    )
    parser.add_argument("-v", "--verbose", action="count", default=0, help="tell facts, too")


def run(options: Namespace) -> int:
    """Do what is asked; every fault is raised."""
    if options.attach and (options.detach or options.remove):
        raise refuse("SIG-ACTION", "--attach goes with no other action")
    if not (options.attach or options.detach or options.remove):
        raise refuse("SIG-ACTION", "none of --attach, --detach and --remove is given")
    image = Path(options.image)
    if options.detach:
        keep_apart(options.detach, image)
    if options.attach:
        attach(image, options.attach, options.verbose)
    else:
        take(image, options.signum, options.detach, remove=options.remove)
    return 0


def attach(path: Path, signature: Path, verbose: int) -> None:
    """Attach a PKCS#7 that is a good signature of the image."""
    cms = _read_pkcs7(signature)
    with drafting(path) as draft, reading(path, cheap=(draft,)) as read:
        image = read.image()
        check_entries(image)
        check_attachable(image, cms)
        say(f"{ALREADY_SIGNED if image.entries else UNSIGNED}\n")
        table = image.table + tail(image.layout, cms).entry
        known = finish(draft, image.layout, table, lambda v, at: v.integrity(at))
        draft.commit()
    tell_known((*image.findings, *known), verbose)


def _read_pkcs7(path: Path) -> bytes:
    """SIG-FILE: return a detached signature that can be one at all, before the image is read."""
    cms = read_small(path, MOST_ENTRY_BYTES)
    try:
        read_signed_data(cms)
    except Refused as refused:
        why = "it is empty" if not cms else refused.findings[0].text
        raise refuse("SIG-FILE", f"{escaped(str(path), 4096)} is no signature: {why}") from None
    return cms


def take(path: Path, number: int, output: Path | None, *, remove: bool) -> None:
    """Write one signature's PKCS#7 to `output`, and take it out of the image if so asked."""
    copy = drafting(path) if remove else nullcontext()
    with copy as draft, reading(path, cheap=() if draft is None else (draft,)) as read:
        image = read.image()
        entry = _chosen(image.entries, number)
        if output is not None:
            with drafting(output) as alone:
                alone.update(entry.pkcs7)
                alone.commit()
        if draft is not None:
            kept = (e.pkcs7 for e in image.entries if e is not entry)
            table = b"".join(win_certificate(cms) for cms in kept)
            # One signature may go while another one stays that is no good either.
            finish(draft, image.layout, table, lambda v, at: v.copied(image.authenticode, at))
            draft.commit()


def _chosen(entries: tuple[Entry, ...], number: int) -> Entry:
    if not entries:
        say(f"{NO_TABLE}\n")
    if not 1 <= number <= len(entries):
        raise refuse("SIG-NUMBER", f"signature {number} of an image that has {len(entries)}")
    return entries[number - 1]
