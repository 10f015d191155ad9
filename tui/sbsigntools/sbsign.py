"""sbsign: sign an EFI image for Secure Boot, the same bytes as sbsigntools' own.

Different where the original is wrong: an unknown option signs nothing, several --addcert are
all kept, the output appears only when it was verified, a PIN never stands in a URI.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from tui.sbsigntools.options import (
    ALREADY_SIGNED,
    ENGINE,
    UNSIGNED,
    Grammar,
    descriptor,
    moment,
    no_pin,
    tell_known,
)
from tui.sbsigntools.reading import copying
from tui.standard_error import say

GRAMMAR = Grammar(
    "a:c:de:hk:o:vV",
    ("addcert=", "cert=", "detached", "engine=", "help", "key=", "output=", "verbose", "version"),
    ("dbx=", "machine=", "pin=", "pin-fd=", "time="),
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="efi-boot-image")
    parser.add_argument("-k", "--key", required=True, help="PEM file, or PKCS#11 URI")
    parser.add_argument("-c", "--cert", required=True, type=Path, help="certificate, PEM or DER")
    parser.add_argument(
        "-a",
        "--addcert",
        action="append",
        default=[],
        type=Path,
        help="certificates to embed behind the signer's, in order; may be repeated",
    )
    parser.add_argument(
        "-d", "--detached", action="store_true", help="write the PKCS#7 alone, not a signed image"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="default: IMAGE.signed, or IMAGE.pk7 with --detached"
    )
    parser.add_argument("-e", "--engine", choices=(ENGINE,), help="taken, and needed for nothing")
    parser.add_argument(
        "--pin-fd", type=descriptor, metavar="N", help="read PIN or passphrase there"
    )
    parser.add_argument("--pin", type=no_pin, help=SUPPRESS)  # no short form of --pin-fd
    parser.add_argument(
        "--machine", type=Path, help="the token's binding file (docs/spec/machine.md)"
    )
    parser.add_argument("--time", type=moment, help="signing time in UTC, default: the clock's")
    parser.add_argument("--dbx", type=Path, help="refuse what this dbx file revokes")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="tell facts, too")


def run(options: Namespace) -> int:
    """Sign; every fault is raised."""
    output = options.output or default_output(options.image, detached=options.detached)
    with copying(Path(options.image), None if options.detached else output) as (read, draft):
        # Loaded while the image is read: X.509, the encoder and the verifier take their time.
        from tui.sbsigntools.ordering import sign_as_told  # noqa: PLC0415 - as just said

        done = sign_as_told(options, output, read, draft)
    say(f"{ALREADY_SIGNED if done.before else UNSIGNED}\n")
    tell_known(done.findings, options.verbose)
    return 0


def default_output(image: str, *, detached: bool) -> Path:
    """Return where sbsign puts what it makes when it is not told."""
    return Path(image + (".pk7" if detached else ".signed"))
