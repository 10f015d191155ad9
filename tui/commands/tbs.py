"""tbs IMAGE: the exact bytes that a key elsewhere is to sign, for those who ship only hashes.

The file is DER, a SET OF Attribute (RFC 2315, 9.3), as `systemd-sbsign
--prepare-offline-signing` writes it; SHA-256 of it is what the key signs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.pe.certificate import key_algorithm, read_certificate, sha256
from ceremony.pe.digest import FileSha256
from ceremony.pe.sign import plan_swept
from ceremony.show import grouped
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put, put_findings
from tui.sbsigntools.certificates import read_certificates
from tui.sbsigntools.draft import drafting, keep_apart
from tui.sbsigntools.options import moment
from tui.sbsigntools.reading import reading
from tui.sbsigntools.revoked import check_against


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--cert", required=True, type=Path, help="the signer's certificate")
    parser.add_argument(
        "--time", required=True, type=moment, help="signing time, YYYY-MM-DDTHH:MM:SSZ"
    )
    parser.add_argument("--output", required=True, type=file_alone, help="where the DER goes")
    parser.add_argument("--dbx", type=Path, help="refuse what this dbx file revokes")


def run(options: argparse.Namespace) -> Exit:
    """Read the image once and write the attributes."""
    keep_apart(options.output, options.image, options.cert, options.dbx)
    certificate = read_certificates(options.cert)[0]
    algorithm = key_algorithm(read_certificate(certificate))
    check = check_against(options.dbx)
    plain = FileSha256()
    with reading(options.image, costly=(plain,)) as read:
        image = read.image()
    planned = plan_swept(image, certificate, (), options.time, algorithm)
    if check is not None:
        check(image, planned)
    with drafting(options.output) as draft:
        draft.update(planned.attributes)
        draft.commit()
    put_findings(image.findings)
    for name, octets in (
        ("image          SHA-256", plain.digest().value),
        ("image          Authenticode SHA-256", image.authenticode.value),
        ("certificate    SHA-256", sha256(certificate)),
        (f"to be signed   {algorithm}, SHA-256", planned.to_be_signed_sha256),
    ):
        put(name, f"               {grouped(octets.hex())}")
    return Exit.YES
