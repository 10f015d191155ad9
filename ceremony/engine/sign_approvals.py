"""Approvals in the step sign: who is asked for one, what counts, what a new plan leaves.

An approval belongs to one plan's text. Where the plan changes, those over the old text stay
in the record and count no more. Decides with `ceremony.approval`, so replay decides the same.
"""

from __future__ import annotations

from dataclasses import replace

from cryptography.x509 import load_der_x509_certificate

from ceremony.approval import NAMESPACE, approved_by, approvers, holders
from ceremony.approval_plan import Plan
from ceremony.distinguished_name import dn_text
from ceremony.engine.order import BadAnswer
from ceremony.errors import Refused
from ceremony.events import Ack
from ceremony.policy_model import Approving, Policy
from ceremony.questions import Form, Question, agrees
from ceremony.show import escaped, grouped
from ceremony.states import Sign
from ceremony.types import Finding, Severity

SIGN_WITH = f"Sign ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE"


def approve(state: Sign) -> Question:
    """Ask a key holder who did not approve yet: nobody fills two places of one threshold."""
    policy = state.ready.session.policy
    done = {ack.person for ack in state.approvals}
    if policy.approvals.by is Approving.TYPED:
        return Question(
            name="sign.approve",
            role="key holder",
            persons=tuple(p for p in holders(policy) if p not in done),
            shown=plan_lines(state),
            prompt="Type APPROVE to approve this plan",
            form=Form.CONFIRM,
            word="APPROVE",
        )
    return Question(
        name="sign.approve",
        role="key holder",
        persons=tuple(p for p in approvers(policy) if p not in done),
        shown=(*plan_lines(state), SIGN_WITH),
        prompt=f"Signed approval {len(done) + 1} of {policy.approvals.threshold}: its file's path",
        form=Form.SIGNATURE,
        document=state.stated.text if state.stated else "",
    )


def plan_lines(state: Sign) -> tuple[str, ...]:
    """Return what of the plan key holders compare; its whole text is the file they sign."""
    stated = state.stated
    if stated is None:
        return ()
    certificate = load_der_x509_certificate(state.ready.session.certificate)
    warnings = state.decided.findings if state.decided else ()
    return (
        f"Image     {escaped(state.ready.taken.image.path, 58)}",
        *_digest("SHA-256", stated.image, ""),
        f"Signer    {escaped(dn_text(certificate.subject), 58)}",
        *_digest("Key", stated.key, " (SPKI)"),
        f"Time      {stated.signing_time}, it stands in the signature",
        *_digest("Plan", stated.sha256, " (its file)"),
        *(f"{f.severity:<6} {f.rule}: {f.text}" for f in warnings if f.severity == "warn"),
    )


def _digest(label: str, digits: str, what: str) -> tuple[str, str]:
    return f"{label:<9} {grouped(digits[:32])}", f"          {grouped(digits[32:])}{what}"


def time_stands(state: Sign) -> Question:
    """Ask after an interruption whether the signing time, and with it the plan, is kept."""
    roles = state.ready.session.policy.roles
    done = ", ".join(ack.person for ack in state.approvals) or "nobody yet"
    return Question(
        name="sign.time_stands",
        role="internal witness",
        persons=(roles.internal_witness,),
        shown=(
            f"Before the interruption the signing time was fixed: {state.time_said}.",
            f"Key holders who approved that plan: {done}.",
            "If it stands, plan and approvals stand, and nobody approves twice.",
            "If not, the time is read again: it is another plan, and all approve it anew.",
        ),
        prompt='"agree" keeps this time; "do not agree: " and the reason reads it again',
        form=Form.STATEMENT,
    )


def after_doubt(state: Sign, ack: Ack) -> Sign:
    """Return the state after the witness said whether the signing time stands.

    The plan stays where the time falls, for the image's digest in it; it is stated no more.
    """
    settled = replace(state, doubted=False)
    if agrees(ack.answer):
        return settled
    return replace(settled, time=None, stated=None)


def taken(state: Sign, ack: Ack) -> Sign:
    """Return the state with one more approval; BadAnswer unless it counts for this plan."""
    policy = state.ready.session.policy
    if policy.approvals.by is Approving.SIGNATURE and state.stated:
        person = _checked(policy, state.stated, ack)
        if person != ack.person:
            text = f"this approval is {escaped(person)}'s, not {escaped(ack.person)}'s"
            raise BadAnswer((Finding("APP-PERSON", Severity.REFUSE, text),))
    return replace(state, approvals=(*state.approvals, ack))


def _checked(policy: Policy, stated: Plan, ack: Ack) -> str:
    try:
        return approved_by(policy, stated.text.encode("ascii"), ack.answer.encode("ascii"))
    except Refused as error:
        raise BadAnswer(error.findings) from None


def kept(state: Sign, stated: Plan) -> tuple[Ack, ...]:
    """Return the approvals that are for this very text; typed ones are for no text at all."""
    policy = state.ready.session.policy
    if policy.approvals.by is Approving.TYPED:
        return ()
    return tuple(ack for ack in state.approvals if _fits(policy, stated, ack))


def _fits(policy: Policy, stated: Plan, ack: Ack) -> bool:
    try:
        return _checked(policy, stated, ack) == ack.person
    except BadAnswer:
        return False
