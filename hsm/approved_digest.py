"""What a ceremony's process may sign: judged from bytes, without believing the engine.

Decides with the engine's own rules that plan, policy, approvals and attributes belong
together, that the request asks for their digest, that the login was for the policy's key, and
whether the token's key is that one. It refuses to know the module. Runs only inside
`hsm.worker`, for `hsm.approved`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ceremony.approval_permit import Permit, permit
from ceremony.errors import Refused
from ceremony.preflight import mechanism_for
from hsm.signature import to_be_signed, verified
from hsm.target import target_of
from hsm.worker import Answered, Reply, Request


def approved(request: Request, pinned: str, sought: Mapping[str, str]) -> tuple[str, bytes]:
    """Return mechanism and data for C_Sign, or raise Answered with an APP- rule.

    `pinned` is the SHA-256 of the one policy to sign under, or "" for rehearsals only; `sought`
    the key of the login.
    """
    found = _permitted(request, pinned)
    data = to_be_signed(found.key, found.digest)
    if request.text("data") != data.hex():
        text = "what is to be signed is not the digest of the approved attributes"
        raise Answered("APP-DIGEST", "not-approved", text)
    if sought != target_of(found.certificate).fields:
        text = "the login was for another key than the policy's certificate has"
        raise Answered("APP-POLICY", "not-approved", text)
    return mechanism_for(found.key), data


def proves(reply: Reply, sought: Mapping[str, str]) -> bool:
    """Tell whether a signed challenge is one by the key of the certificate in `sought`."""
    try:
        key = target_of(bytes.fromhex(sought["certificate"])).key
    except (Refused, ValueError, KeyError):
        return False
    digest = hashlib.sha256(bytes.fromhex(str(reply["challenge"]))).digest()
    return verified(key, digest, bytes.fromhex(str(reply["signature"]))) is not None


def _permitted(request: Request, pinned: str) -> Permit:
    try:
        return permit(
            request.text("plan").encode(),
            bytes.fromhex(request.text("policy")),
            bytes.fromhex(request.text("attributes")),
            tuple(approval.encode() for approval in request.texts("approvals")),
            pinned,
        )
    except Refused as error:
        first, *more = error.findings
        text = "; ".join([first.text, *(f.text for f in more)])
        raise Answered(first.rule, "not-approved", text) from None
    except ValueError:
        raise Answered("APP-PLAN", "not-approved", "the request cannot be read") from None
