"""Sign one image that is being read: plan, sign, put together, write and verify.

Decides the order of things, so that the output appears only after the written bytes were
verified. It refuses to know options (sbsign.py) and where the key is (keys.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ceremony.pe.attach import check_attachable, tail
from ceremony.pe.certificate import Algorithm
from ceremony.pe.profile import Profile
from ceremony.pe.sign import SigningPlan, encode, in_profile, plan_swept
from ceremony.pe.sweep import SweptImage
from ceremony.pe.verify import Verification
from ceremony.types import Finding, Severity
from tui.sbsigntools.draft import Draft, drafting
from tui.sbsigntools.finishing import finish
from tui.sbsigntools.reading import Reading

Sign = Callable[[SigningPlan], bytes]
Check = Callable[[SweptImage, SigningPlan], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What a signature says and where it goes; certificates are DER, the time is UTC.

    `check` may refuse what is about to be signed.
    """

    output: Path
    certificate: bytes
    chain: tuple[bytes, ...]
    time: datetime
    algorithm: Algorithm
    check: Check | None = None
    profile: Profile = Profile.SBSIGN


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an order: how many signatures stood there before, what to know."""

    before: int
    findings: tuple[Finding, ...]


def carry_out(order: Order, read: Reading, draft: Draft | None, sign: Sign) -> Done:
    """Sign the image that is read, into the draft of the output or, without one, detached.

    Raises Refused, TokenTrouble and MediaTrouble; then there is no output.
    """
    image = read.image()
    planned = plan_swept(image, order.certificate, order.chain, order.time, order.algorithm)
    if order.profile is not Profile.SBSIGN:
        planned = in_profile(planned, order.profile)
    if order.check is not None:
        order.check(image, planned)
    cms = encode(planned, sign(planned))
    check_attachable(image, cms)
    known: tuple[Finding, ...] = ()
    if draft is None:
        with drafting(order.output) as alone:
            alone.update(cms)
            alone.commit()
    else:
        table = image.table + tail(image.layout, cms).entry

        def judged(written: Verification, at: int) -> tuple[Finding, ...]:
            return written.findings(order.certificate, at, order.profile)

        known = finish(draft, image.layout, table, judged)
        draft.commit()
    ecdsa = () if order.algorithm is Algorithm.RSA else (firmware_warning(),)
    return Done(len(image.entries), (*image.findings, *known, *ecdsa))


def firmware_warning() -> Finding:
    """Return what has to be known of an ECDSA signature."""
    text = "firmware built on EDK2 (OVMF, AAVMF) refuses ECDSA signatures that sbverify accepts"
    return Finding("SIG-KEY", Severity.WARN, text)
