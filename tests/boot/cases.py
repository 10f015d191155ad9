"""The table: what is signed how, and what the firmware and sbverify are to say to it.

Every image prints a line of its own. Where `allowed` or `barred` is set, the Authenticode
digest that this project computes for that image is enrolled in db or dbx. What is `revoked`
boots where dbx is empty.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from boot.firmware import Said
from boot.making import (
    Making,
    check_sum,
    command_line,
    flipped,
    overlay,
    padded,
    signature_value,
    time_date_stamp,
)

BOOTS, REFUSED = Said.BOOTS, Said.REFUSED
OK, FAILS = "OK", "fails"
Make = Callable[[Making], bytes]


@dataclass(frozen=True)
class Case:
    """One row: an image and the two verdicts; sbverify is given the certificate of `signer`."""

    name: str
    make: Make
    firmware: Said
    sbverify: str
    signer: str = "ours"
    allowed: Make | None = None
    barred: Make | None = None
    revoked: bool = False
    needs: str = ""

    @property
    def possible(self) -> bool:
        return not self.needs or shutil.which(self.needs) is not None


CASES = (
    # Signed by us
    Case("RSA-2048", lambda m: m.signed(m.program, "ours"), BOOTS, OK),
    Case("RSA-3072", lambda m: m.signed(m.program, "3072"), BOOTS, OK, "3072"),
    Case("RSA-4096", lambda m: m.signed(m.program, "4096"), BOOTS, OK, "4096"),
    Case("a UKI", lambda m: m.signed(m.uki, "ours"), BOOTS, OK),
    Case("odd size", lambda m: m.signed(m.odd, "ours"), BOOTS, OK),
    Case("overlay", lambda m: m.signed(m.overlay(4096), "ours"), BOOTS, OK),
    Case("overlay of odd size", lambda m: m.signed(m.overlay(13), "ours"), BOOTS, OK),
    Case("signed twice by us", lambda m: m.signed(m.uki, "ours", "3072"), BOOTS, OK),
    Case("foreign, then ours", lambda m: m.signed(m.uki, "foreign", "ours"), BOOTS, OK),
    Case("ours, then foreign", lambda m: m.signed(m.uki, "ours", "foreign"), BOOTS, OK),
    Case("expired", lambda m: m.signed(m.program, "expired"), BOOTS, OK, "expired"),
    Case("serverAuth", lambda m: m.signed(m.program, "server"), BOOTS, FAILS, "server"),
    Case("leaf of a CA in db", lambda m: m.signed(m.program, "leaf"), BOOTS, OK, "root"),
    Case(
        "leaf of an intermediate that is added",
        lambda m: m.signed(m.program, "below", chain=("middle",)),
        BOOTS,
        OK,
        "root",
    ),
    Case(
        "leaf of an intermediate that is left out",
        lambda m: m.signed(m.program, "below"),
        REFUSED,
        FAILS,
        "root",
    ),
    Case("ECDSA P-256", lambda m: m.signed(m.program, "p256"), REFUSED, OK, "p256"),
    Case("ECDSA P-384", lambda m: m.signed(m.program, "p384"), REFUSED, OK, "p384"),
    # Not signed by us
    Case("unsigned", lambda m: m.program, REFUSED, FAILS),
    Case("unsigned UKI", lambda m: m.uki, REFUSED, FAILS),
    Case("foreign key", lambda m: m.signed(m.program, "foreign"), REFUSED, FAILS),
    Case("signed by sbsign", lambda m: m.sbsigned(m.program, "ours"), BOOTS, OK, needs="sbsign"),
    # Changed after signing
    Case(
        "bit in .cmdline",
        lambda m: flipped(m.signed(m.uki, "ours"), command_line),
        REFUSED,
        FAILS,
    ),
    Case(
        "bit in the overlay",
        lambda m: flipped(m.signed(m.overlay(4096), "ours"), overlay),
        REFUSED,
        FAILS,
    ),
    Case(
        "bit in the signature value",
        lambda m: flipped(m.signed(m.uki, "ours"), signature_value),
        REFUSED,
        FAILS,
    ),
    Case(
        "TimeDateStamp",
        lambda m: flipped(m.signed(m.uki, "ours"), time_date_stamp),
        REFUSED,
        FAILS,
    ),
    Case("CheckSum", lambda m: flipped(m.signed(m.uki, "ours"), check_sum), BOOTS, OK),
    Case(
        "bytes behind the certificate table",
        lambda m: m.signed(m.uki, "ours") + bytes(8),
        REFUSED,
        FAILS,
    ),
    # Our digest, enrolled
    Case("digest in db", lambda m: m.uki, BOOTS, FAILS, allowed=lambda m: m.uki),
    Case(
        "digest in db, one bit of the image changed",
        lambda m: flipped(m.uki, command_line),
        REFUSED,
        FAILS,
        allowed=lambda m: m.uki,
    ),
    Case(
        "digest in db, CheckSum changed",
        lambda m: flipped(m.uki, check_sum),
        BOOTS,
        FAILS,
        allowed=lambda m: m.uki,
    ),
    Case(
        "digest in db, overlay",
        lambda m: m.overlay(64),
        BOOTS,
        FAILS,
        allowed=lambda m: m.overlay(64),
    ),
    # The firmware pads nothing: our digest is that of the image as it is once signed.
    Case("digest in db, odd size", lambda m: m.odd, REFUSED, FAILS, allowed=lambda m: m.odd),
    Case(
        "digest in db, odd size padded",
        lambda m: padded(m.odd),
        BOOTS,
        FAILS,
        allowed=lambda m: m.odd,
    ),
    Case(
        "digest in db, foreign key",
        lambda m: m.signed(m.uki, "foreign"),
        BOOTS,
        FAILS,
        allowed=lambda m: m.uki,
    ),
    # Revoked by a digest in dbx
    Case(
        "digest in dbx",
        lambda m: m.signed(m.uki, "ours"),
        REFUSED,
        OK,
        barred=lambda m: m.uki,
        revoked=True,
    ),
    Case(
        "digest in db and dbx",
        lambda m: m.uki,
        REFUSED,
        FAILS,
        allowed=lambda m: m.uki,
        barred=lambda m: m.uki,
        revoked=True,
    ),
    # Revoked by a certificate in dbx, which stands in db too
    *(
        Case(name, make, REFUSED, OK, signer, revoked=True)
        for name, make, signer in (
            ("certificate in dbx", lambda m: m.signed(m.uki, "revoked"), "revoked"),
            ("certificate in dbx by hash", lambda m: m.signed(m.uki, "by hash"), "by hash"),
            ("leaf of a CA in dbx", lambda m: m.signed(m.uki, "barred leaf"), "barred root"),
            ("revoked, then ours", lambda m: m.signed(m.uki, "revoked", "ours"), "ours"),
            ("ours, then revoked", lambda m: m.signed(m.uki, "ours", "revoked"), "ours"),
        )
    ),
)
