"""What sbsign's options order: certificates and key are opened, then the image is signed."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from pathlib import Path

from ceremony.errors import refuse
from ceremony.pe.certificate import key_algorithm, read_certificate
from tui.sbsigntools.certificates import read_certificates
from tui.sbsigntools.draft import Draft, keep_apart
from tui.sbsigntools.keys import SCHEME, open_key
from tui.sbsigntools.options import ENGINE, now, tell
from tui.sbsigntools.reading import Reading
from tui.sbsigntools.revoked import check_against
from tui.sbsigntools.secrets import Secrets
from tui.sbsigntools.signing import Done, Order, carry_out


def sign_as_told(options: Namespace, output: Path, read: Reading, draft: Draft | None) -> Done:
    """Sign the image that is being read; raises Refused, TokenTrouble and MediaTrouble."""
    if options.engine and not options.key.lower().startswith(SCHEME):
        raise refuse("KEY-URI", f"--engine {ENGINE} needs --key {SCHEME}...")
    key = None if options.key.lower().startswith(SCHEME) else Path(options.key)
    image = Path(options.image) if options.detached else None
    keep_apart(output, image, key, options.cert, options.dbx, options.machine, *options.addcert)
    certificate = read_certificates(options.cert)[0]
    order = Order(
        output=output,
        certificate=certificate,
        chain=tuple(der for path in options.addcert for der in read_certificates(path)),
        time=options.time or now(),
        algorithm=key_algorithm(read_certificate(certificate)),
        check=check_against(options.dbx),
    )
    secrets = Secrets(options.pin_fd)
    with closing(open_key(options.key, certificate, secrets, options.machine, tell)) as opened:
        return carry_out(order, read, draft, opened.sign)
