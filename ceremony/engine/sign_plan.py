"""The plan that key holders approve: image, certificate, policy, signing time, nothing else.

Its text is what key holders sign, and its digest is what sha256sum says of that text.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from cryptography.x509 import load_der_x509_certificate

from ceremony.approval_plan import Plan
from ceremony.blobs import from_blob
from ceremony.clock import wall_text, wall_time
from ceremony.codec import Json
from ceremony.engine.rules import Rules
from ceremony.errors import OutOfOrder
from ceremony.events import Decided, Intended, Outcome, TimeFixed
from ceremony.pe.certificate import Algorithm
from ceremony.pe.sign import SigningPlan, plan, plan_ecdsa, plan_for
from ceremony.policy import Policy, check_window
from ceremony.policy_model import Approving
from ceremony.preflight import mechanism_for, preflight, signing_key, spki_sha256
from ceremony.states import Sign
from ceremony.token import Mandate, SignRequest, sign_request
from ceremony.types import Finding, Severity, refusals


def make_plan(state: Sign, fixed: TimeFixed, rules: Rules) -> SigningPlan:
    """Return the signing plan of this image at the time that was fixed.

    An image that is signed already is swept once: a plan before this one has its digest.
    """
    session = state.ready.session
    key = signing_key(load_der_x509_certificate(session.certificate))
    ecdsa = mechanism_for(key) == "CKM_ECDSA"
    facts, moment = state.ready.approved.facts, wall_time(fixed.wall)
    sha256 = state.ready.taken.image.sha256
    # Inspect read these very bytes strictly; of signatures in them only a sweep says that they fit,
    # and none can be made where the bytes are not here.
    digest = state.plan.authenticode if state.plan else None
    if digest is None and (not facts.signatures or rules.lacks(sha256)):
        digest = facts.authenticode
    if digest is not None:
        algorithm = Algorithm.ECDSA if ecdsa else Algorithm.RSA
        return plan_for(digest, session.certificate, session.chain, moment, algorithm)
    image = rules.content(sha256)
    make = plan_ecdsa if ecdsa else plan
    return make(image, session.certificate, session.chain, moment)


def plan_decided(state: Sign, fixed: TimeFixed, made: SigningPlan) -> tuple[Decided, Plan]:
    """Return the decision that states the plan, and the plan as the text to be approved."""
    session = state.ready.session
    stated = Plan(
        ceremony=session.begun.ceremony,
        mode=session.begun.mode,
        image=state.ready.taken.image.sha256,
        authenticode=made.authenticode.hex,
        key=spki_sha256(signing_key(load_der_x509_certificate(session.certificate))),
        policy=session.policy.sha256.hex,
        signing_time=fixed.wall,
        attributes=hashlib.sha256(made.attributes).hexdigest(),
    )
    findings = _at_signing_time(state, wall_time(fixed.wall))
    facts: Json = {
        "plan": [*stated.lines],
        "sha256": stated.sha256,
        "attributes": made.attributes.hex(),
    }
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    return Decided("sign.plan", outcome, findings, facts), stated


def _at_signing_time(state: Sign, moment: datetime) -> tuple[Finding, ...]:
    """AIR-CLOCK-BACK, POL-WINDOW, KEY-CERT-DATES: all hold at the time that is signed."""
    session = state.ready.session
    findings = check_window(session.policy, moment)
    if moment < session.now:
        text = f"the signing time {wall_text(moment)} is before the clock was confirmed"
        findings += (Finding("AIR-CLOCK-BACK", Severity.REFUSE, text),)
    if state.token:
        signer, mode = session.policy.signer, session.begun.mode
        certificate, evidence = session.certificate, state.token.evidence
        judged = preflight(evidence, certificate, moment, mode, signer.mechanisms)
        findings += tuple(f for f in judged if f.rule == "KEY-CERT-DATES")
    return tuple(f for f in findings if f.severity is Severity.REFUSE)


def request_for(state: Sign, intent: Intended | None) -> SignRequest:
    """Return the request to the token, of the one type that the ceremony's mode allows.

    It carries what the token's own process needs to judge the approvals once more.
    """
    session = state.ready.session
    if state.plan is None or state.stated is None:
        raise OutOfOrder("there is no plan to sign")
    key = signing_key(load_der_x509_certificate(session.certificate))
    mandate = Mandate(
        plan=state.stated.text,
        policy=from_blob(session.read.policy).data.hex(),
        attributes=state.plan.attributes.hex(),
        approvals=tuple(ack.answer for ack in state.approvals if _is_signed(session.policy)),
    )
    return sign_request(
        session.begun.mode,
        intent.attempt if intent else state.attempt,
        spki_sha256(key),
        mechanism_for(key),
        hashlib.sha256(state.plan.attributes).hexdigest(),
        mandate=mandate,
    )


def _is_signed(policy: Policy) -> bool:
    return policy.approvals.by is Approving.SIGNATURE
