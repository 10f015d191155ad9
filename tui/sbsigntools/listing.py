"""`sbverify --list`: whose the signatures are, in sbverify's words and forms.

Every certificate that a signature carries is shown by name, trusted or not; what was verified
is sbverify.py's to say.
"""

from __future__ import annotations

import sys

from cryptography.hazmat import asn1

from ceremony.errors import Refused, refuse
from ceremony.pe.certificate import read_certificate, subject_name
from ceremony.pe.cms import read_signed_data
from ceremony.pe.entries import MOST_CERTIFICATES
from ceremony.pe.oneline import oneline
from ceremony.pe.table import Entry
from tui.sbsigntools.options import tell


def list_signatures(entries: tuple[Entry, ...], good: tuple[bool, ...]) -> None:
    """Write the names in every signature; one that cannot be read is told of and passed over.

    `good` says of each whether it was verified, nothing where none was.
    """
    for number, entry in enumerate(entries, 1):
        sys.stdout.write(f"signature {number}\n")
        try:
            lines = _lines(entry)
        except Refused as refused:
            tell(refused.findings)
            continue
        sys.stdout.writelines(f"{line}\n" for line in lines)
        if good:
            sys.stdout.write(f"PKCS7 verification {'passed' if good[number - 1] else 'failed'}\n")


def _lines(entry: Entry) -> list[str]:
    signed = read_signed_data(entry.pkcs7)
    issuers = [asn1.encode_der(signer.signer.issuer) for signer in signed.signers.as_list()]
    carried = [
        read_certificate(asn1.encode_der(tlv))
        for tlv in (signed.certificates or [])[:MOST_CERTIFICATES]
    ]
    try:
        lines = ["image signature issuers:", *(f" - {oneline(name)}" for name in issuers)]
        lines.append("image signature certificates:")
        for certificate in carried:
            lines.append(f" - subject: {oneline(subject_name(certificate))}")
            lines.append(f"   issuer:  {oneline(certificate.issuer)}")
    except ValueError:
        text = "a name in the signature cannot be read"
        raise refuse("SIG-CERTIFICATE", text, entry.offset) from None
    return lines
