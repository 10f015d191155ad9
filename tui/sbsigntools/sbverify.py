"""sbverify: verify the signatures of an EFI image against certificates that are trusted.

Different where the original is wrong: a certificate that the signature merely carries is
never trusted, a file that is not strictly laid out verifies nothing, and a signer in --dbx
refuses the image beside however many good signatures, as firmware does. Dates and purposes of
certificates are not asked, as firmware asks for neither.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from ceremony.pe.entries import entry_findings
from ceremony.pe.sweep import SweptImage
from ceremony.pe.table import MOST_ENTRY_BYTES, Entry
from ceremony.pe.trust import Chain, chain_findings
from ceremony.types import Finding, Severity, refusals
from tui.sbsigntools.certificates import read_certificates, read_small
from tui.sbsigntools.listing import list_signatures
from tui.sbsigntools.options import NO_TABLE, Grammar, tell, tell_known
from tui.sbsigntools.reading import reading
from tui.sbsigntools.revoked import revoked
from tui.standard_error import say

GRAMMAR = Grammar(
    "c:d:hlvV", ("cert=", "detached=", "help", "list", "verbose", "version"), ("dbx=",)
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="efi-boot-image")
    parser.add_argument(
        "-c",
        "--cert",
        action="append",
        default=[],
        type=Path,
        help="trusted certificates, PEM or DER; may be repeated",
    )
    parser.add_argument(
        "-l", "--list", action="store_true", help="list the signatures, verify nothing"
    )
    parser.add_argument(
        "-d", "--detached", type=Path, metavar="FILE", help="the signature is this PKCS#7"
    )
    parser.add_argument("--dbx", type=Path, help="what this dbx file revokes is not good")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="list and tell facts")


def run(options: Namespace) -> int:
    """Verify or list; 0 when one signature at least is good and none is revoked."""
    trusted = tuple(der for path in options.cert for der in read_certificates(path))
    with reading(Path(options.image)) as read:
        image = read.image()
    entries = image.entries
    if options.detached:
        cms = read_small(options.detached, MOST_ENTRY_BYTES)
        entries = (Entry(0, len(cms), cms),)
    if not entries:
        say(f"{NO_TABLE}\n")
    judged = () if options.list else verified(image, entries, trusted)
    if options.list or options.verbose:
        list_signatures(entries, tuple(bool(chain) for chain, _ in judged))
    if options.list:
        return 0
    tell_known(image.findings, options.verbose)
    chains = tuple(chain for chain, _ in judged)
    # One good signature is enough: what is wrong with another one is told and refuses nothing.
    told = tuple(finding for _, found in judged for finding in found)
    tell(tuple(replace(f, severity=Severity.WARN) for f in told) if any(chains) else told)
    # Firmware asks dbx about every signature that an image carries, and about the certificate
    # of db that one of them reached.
    asked = (*image.entries, *(entry for entry in entries if options.detached))
    found = revoked(options.dbx, image.authenticode, asked, chains)
    tell(found)
    if not any(chains) or refusals(found):
        sys.stdout.write("Signature verification failed\n")
        return 1
    sys.stdout.write("Signature verification OK\n")
    return 0


def verified(
    image: SweptImage, entries: tuple[Entry, ...], trusted: tuple[bytes, ...]
) -> tuple[tuple[Chain, tuple[Finding, ...]], ...]:
    """Return each signature's chain, empty if it is bad, and what is wrong with it."""
    judged: list[tuple[Chain, tuple[Finding, ...]]] = []
    for entry in entries:
        found = entry_findings(entry, image.authenticode)
        # A signature that firmware passes over is none.
        found = tuple(f for f in found if f.severity is Severity.REFUSE or f.rule == "SIG-OUTER")
        chain: Chain = ()
        if not found:
            chain, found = chain_findings(entry, trusted)
        judged.append((chain, found))
    return tuple(judged)
