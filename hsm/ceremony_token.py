"""The token of a ceremony: its process signs only what key holders approved, once.

Decides at which desk the process sits and that one signature ends it. It refuses to know
approvals; those are judged in the process (hsm.approved).
"""

from __future__ import annotations

from typing import ClassVar

from ceremony.pin_uses import UsePin, nobody
from ceremony.token import SignRequest, SignResult
from hsm.child import Desk
from hsm.token import Pkcs11Token


class CeremonyToken(Pkcs11Token):
    """A PKCS#11 token behind the ceremony's desk."""

    DESK: ClassVar[Desk] = "ceremony"

    def sign(self, request: SignRequest, use: UsePin = nobody) -> SignResult:
        """Sign, and log out: a ceremony makes one signature."""
        result = super().sign(request, use)
        if result.outcome == "signed":
            self.close()
        return result
