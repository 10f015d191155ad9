"""What is left of a reading that was told by the confined child."""

from __future__ import annotations

from dataclasses import replace

from ceremony.attest.record import Attestation, Claims, Reading, Unverified
from ceremony.policy import Policy


def as_told(reading: Reading, policy: Policy) -> Reading:
    """Return a reading without its proof, and of what is not proved only the digests."""
    match reading:
        case Attestation():
            return replace(reading, proof=None)
        case Unverified(claims=Claims(artifacts=artifacts)):
            named = tuple(one for one in artifacts if one.name in policy.artifact.names)
            return replace(reading, claims=Claims(named, (), None, ()) if named else None)
        case _:
            return reading
