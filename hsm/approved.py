"""The ceremony's desk in the child process: it signs what enough key holders approved.

Decides from bytes alone, with the same rules as the engine and without believing it, that
plan, policy, approvals and attributes belong together; only then is C_Sign called, on the
digest that was computed here, with the key of the policy's own certificate. The policy that
the machine binding pins is taken once, with the module. Runs only inside `hsm.worker`.
"""

from __future__ import annotations

from ceremony.approval_permit import Permit, permit
from ceremony.errors import Refused
from ceremony.preflight import mechanism_for
from hsm.cryptoki import Cryptoki
from hsm.signature import to_be_signed
from hsm.target import target_of
from hsm.worker import Answered, Reply, Request


class ApprovedSigning(Cryptoki):
    """A module and a login, and C_Sign behind the approvals."""

    def __init__(self, init_args: str = "") -> None:
        super().__init__(init_args)
        self._pinned: str | None = None

    def load(self, request: Request) -> Reply:
        """Load the module and take the pinned policy, both once."""
        if self._pinned is not None:
            raise Answered("APP-POLICY", "pinned", "the pinned policy is taken once")
        self._pinned = request.text("policy_sha256")
        return super().load(request)

    def sign(self, request: Request) -> Reply:
        """Judge the approvals here; sign the attributes' digest once, and nothing else."""
        found = self._permitted(request)
        data = to_be_signed(found.key, found.digest)
        if request.text("data") != data.hex():
            text = "what is to be signed is not the digest of the approved attributes"
            raise Answered("APP-DIGEST", "not-approved", text)
        if self.sought != target_of(found.certificate).fields:
            text = "the login was for another key than the policy's certificate has"
            raise Answered("APP-POLICY", "not-approved", text)
        return self.signed(mechanism_for(found.key), data)

    def _permitted(self, request: Request) -> Permit:
        try:
            return permit(
                request.text("plan").encode(),
                bytes.fromhex(request.text("policy")),
                bytes.fromhex(request.text("attributes")),
                tuple(approval.encode() for approval in request.texts("approvals")),
                self._pinned or "",
            )
        except Refused as error:
            first, *more = error.findings
            text = "; ".join([first.text, *(f.text for f in more)])
            raise Answered(first.rule, "not-approved", text) from None
        except ValueError:
            raise Answered("APP-PLAN", "not-approved", "the request cannot be read") from None
