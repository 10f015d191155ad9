"""--dbx: what the named file revokes is neither signed again nor said to be good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ceremony.errors import Refused
from ceremony.types import Finding, refusals
from tui.sbsigntools.certificates import read_small
from tui.sbsigntools.options import tell

if TYPE_CHECKING:
    from ceremony.pe.sign import SigningPlan
    from ceremony.pe.sweep import SweptImage
    from ceremony.pe.table import Entry
    from ceremony.pe.trust import Chain
    from ceremony.types import Digest
    from tui.sbsigntools.signing import Check


def check_against(dbx: Path | None) -> Check | None:
    """Return a check of image, its signatures and the signer, None without a dbx.

    Raises Refused (SIG-DBX) and says what of the file is not judged.
    """
    if dbx is None:
        return None
    from ceremony.pe import revocation  # noqa: PLC0415 - seldom asked for, slow to load
    from ceremony.pe.certificate import read_certificate  # noqa: PLC0415 - as above

    revocations = revocation.read_revocations(read_small(dbx, revocation.MOST_DBX_BYTES))
    tell(revocations.findings)

    def check(image: SweptImage, plan: SigningPlan) -> None:
        found = revocation.revocation_findings(image.authenticode, image.entries, revocations)
        chain = tuple(read_certificate(der) for der in plan.chain)
        signer = read_certificate(plan.certificate)
        found += revocation.signer_revocations(signer, chain, revocations)
        if faults := refusals(found):
            raise Refused(*faults)

    return check


def revoked(
    dbx: Path | None, image: Digest, entries: tuple[Entry, ...], chains: tuple[Chain, ...]
) -> tuple[Finding, ...]:
    """Return what a dbx revokes of an image, its signatures and the chains that were trusted."""
    if dbx is None:
        return ()
    from ceremony.pe import revocation  # noqa: PLC0415 - seldom asked for, slow to load

    revocations = revocation.read_revocations(read_small(dbx, revocation.MOST_DBX_BYTES))
    found = revocation.revocation_findings(image, entries, revocations)
    for chain in chains:
        found += revocation.chain_revocations(chain, revocations, None)
    return (*revocations.findings, *dict.fromkeys(found))
