"""The ceremony's desk in the child process: it signs what enough key holders approved.

Before C_Sign, `hsm.approved_digest` judges plan, policy, approvals and attributes from their
bytes; only the digest that it computed is signed, with the key of the policy's own
certificate. The policy that the machine binding pins is taken once, with the module; where it
is none, rehearsals alone are signed. Runs only inside `hsm.worker`.
"""

from __future__ import annotations

from hsm.cryptoki import Cryptoki
from hsm.worker import Answered, Reply, Request


class ApprovedSigning(Cryptoki):
    """A module and a login, and C_Sign behind the approvals."""

    def __init__(self, init_args: str = "") -> None:
        super().__init__(init_args)
        self._pinned: str | None = None
        self._proved = False

    def load(self, request: Request) -> Reply:
        """Load the module and take the pinned policy, both once."""
        if self._pinned is not None:
            raise Answered("APP-POLICY", "pinned", "the pinned policy is taken once")
        self._pinned = request.text("policy_sha256")
        return super().load(request)

    def login(self, request: Request) -> Reply:
        """Log in, then load the rules of approvals: neither the start nor C_Sign waits for them."""
        reply = super().login(request)
        from hsm import approved_digest  # noqa: F401, PLC0415 - half of a start otherwise

        return reply

    def challenge(self, request: Request) -> Reply:
        """Have the test signature made, and verify it here as well as outside."""
        from hsm.approved_digest import proves  # noqa: PLC0415 - loaded by the login

        reply = super().challenge(request)
        self._proved = proves(reply, self.sought)
        return reply

    def permitted(self, request: Request) -> tuple[str, bytes]:
        """Judge the approvals here: the attributes' digest is signed, and nothing else.

        KEY-POSSESSION: a private key that hides its numbers was found by an id that anybody can
        give another public key, so it has signed the challenge before it signs anything else.
        """
        from hsm.approved_digest import approved  # noqa: PLC0415 - loaded by the login

        permitted = approved(request, self._pinned or "", self.sought)
        if not self._proved:
            text = "the key on the token has not signed as the policy's certificate says"
            raise Answered("KEY-POSSESSION", "not-proved", text)
        return permitted
