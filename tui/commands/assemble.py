"""assemble IMAGE: put a signature that was made elsewhere behind the image it was made for.

Refused: to-be-signed bytes of another image, certificate form or profile (SIG-ATTRIBUTES,
SIG-DIGEST), a signature by another key, over other bytes, or no signature (SIG-VALUE).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.errors import Refused, refuse
from ceremony.pe.certificate import key_algorithm, read_certificate
from ceremony.pe.cms import SignedAttributes
from ceremony.pe.sign import SigningPlan, read_plan_attributes
from ceremony.pe.sweep import SweptImage
from ceremony.show import escaped
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put, put_findings
from tui.sbsigntools.certificates import read_certificates, read_small
from tui.sbsigntools.draft import keep_apart
from tui.sbsigntools.reading import copying
from tui.sbsigntools.revoked import check_against
from tui.sbsigntools.sbsign import default_output
from tui.sbsigntools.signing import Order, carry_out

MOST_ATTRIBUTES = 1024  # bytes
MOST_SIGNATURE = 2048  # bytes: RSA of 16384 bits


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("--cert", required=True, type=Path, help="the signer's certificate")
    parser.add_argument(
        "--addcert", action="append", default=[], type=Path, help="certificates to embed, in order"
    )
    parser.add_argument(
        "--signed-data", required=True, type=Path, help="what `tbs` wrote, or systemd-sbsign"
    )
    parser.add_argument(
        "--signed-data-signature",
        required=True,
        type=Path,
        help="the raw signature: PKCS#1 v1.5 over SHA-256, or DER ECDSA-Sig-Value",
    )
    parser.add_argument("--detached", action="store_true", help="write the PKCS#7 alone")
    parser.add_argument(
        "--output", type=file_alone, help="default: IMAGE.signed, or IMAGE.pk7 with --detached"
    )
    parser.add_argument("--dbx", type=Path, help="refuse what this dbx file revokes")


def run(options: argparse.Namespace) -> Exit:
    """Read the image once, put together and verify what was written."""
    certificate = read_certificates(options.cert)[0]
    signed_data = read_small(options.signed_data, MOST_ATTRIBUTES)
    signature = read_small(options.signed_data_signature, MOST_SIGNATURE)
    if not any(signature):
        raise refuse("SIG-VALUE", "the signature is empty or all zeros")
    revocations = check_against(options.dbx)

    def check(image: SweptImage, plan: SigningPlan) -> None:
        if plan.attributes != signed_data:
            text = "the signed data are of another image than this one"
            raise refuse("SIG-DIGEST", text)
        if revocations is not None:
            revocations(image, plan)

    said = _read_signed_data(options.signed_data, signed_data)
    order = Order(
        output=options.output or default_output(options.image, detached=options.detached),
        certificate=certificate,
        chain=tuple(der for path in options.addcert for der in read_certificates(path)),
        time=said.signing_time,
        algorithm=key_algorithm(read_certificate(certificate)),
        check=check,
        profile=said.profile,
    )
    read_too = (options.cert, options.signed_data, options.signed_data_signature, options.dbx)
    image = Path(options.image)
    keep_apart(order.output, *read_too, *options.addcert, image if options.detached else None)
    copied = None if options.detached else order.output
    with copying(image, copied) as (read, draft):
        done = carry_out(order, read, draft, lambda _plan: signature)
    put_findings(done.findings)
    put(f"{'PKCS#7' if options.detached else 'signed image'} written: {order.output}")
    return Exit.YES


def _read_signed_data(path: Path, signed_data: bytes) -> SignedAttributes:
    """Read the signed data; SIG-ATTRIBUTES whatever else they are, a signature for one."""
    try:
        return read_plan_attributes(signed_data)
    except Refused as fault:
        text = f"{escaped(str(path))} is no signed data: {fault.findings[0].text}"
        raise refuse("SIG-ATTRIBUTES", text) from None
