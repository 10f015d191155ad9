"""sbsign: sign an EFI image for Secure Boot, the same bytes as sbsigntools' own.

Different where the original is wrong: an unknown option signs nothing, several --addcert are
all kept, the output appears only when it was verified, a PIN never stands in a URI.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path

from ceremony.errors import refuse
from ceremony.pe.certificate import key_algorithm, read_certificate
from tui.sbsigntools.certificates import read_certificates
from tui.sbsigntools.keys import SCHEME, open_key
from tui.sbsigntools.options import ALREADY_SIGNED, UNSIGNED, moment, now, tell, tell_known
from tui.sbsigntools.revoked import check_against
from tui.sbsigntools.secrets import Secrets
from tui.sbsigntools.signing import Order, Sign, carry_out

ENGINE = "pkcs11"


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
    parser.add_argument("--pin-fd", type=int, metavar="N", help="read PIN or passphrase there")
    parser.add_argument("--machine", type=Path, help="the token's binding file (docs/machine.md)")
    parser.add_argument("--time", type=moment, help="signing time in UTC, default: the clock's")
    parser.add_argument("--dbx", type=Path, help="refuse what this dbx file revokes")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="tell facts, too")


def run(options: Namespace) -> int:
    """Sign; every fault is raised."""
    if options.engine and not options.key.lower().startswith(SCHEME):
        raise refuse("KEY-URI", f"--engine {ENGINE} needs --key {SCHEME}...")
    certificate = read_certificates(options.cert)[0]
    chain = tuple(der for path in options.addcert for der in read_certificates(path))
    order = Order(
        image=Path(options.image),
        output=options.output or default_output(options.image, detached=options.detached),
        detached=options.detached,
        certificate=certificate,
        chain=chain,
        time=options.time or now(),
        algorithm=key_algorithm(read_certificate(certificate)),
        check=check_against(options.dbx),
    )

    with ExitStack() as opened:

        def signer() -> Sign:
            secrets = Secrets(options.pin_fd)
            key = open_key(options.key, certificate, secrets, options.machine, tell)
            opened.callback(key.close)
            return key.sign

        done = carry_out(order, signer)
    sys.stderr.write(f"{ALREADY_SIGNED if done.before else UNSIGNED}\n")
    tell_known(done.findings, options.verbose)
    return 0


def default_output(image: str, *, detached: bool) -> Path:
    """Return where sbsign puts what it makes when it is not told."""
    return Path(image + (".pk7" if detached else ".signed"))
