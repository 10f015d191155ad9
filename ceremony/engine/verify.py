"""verify: the signed image is assembled and verified before it is written anywhere.

Our own verifier re-reads the assembled bytes from nothing; another implementation is
asked where one is installed. Any disagreement keeps the image from being put out.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.codec import Json
from ceremony.effects import Ask, AskSecond, Effect, Record
from ceremony.engine import seal, unseen
from ceremony.engine.endings import refused
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import Ack, Decided, Event, Outcome, SecondOpinion
from ceremony.pe.attach import Signed
from ceremony.pe.certificate import Algorithm
from ceremony.pe.sign import SigningPlan, assemble, check_signature
from ceremony.pe.verify import verify_pieces
from ceremony.questions import Form, Question
from ceremony.show import counted, escaped, grouped
from ceremony.states import Ready, SignedImage, State, Verify
from ceremony.types import Finding, Severity, refusals

VerifyEvent: TypeAlias = SecondOpinion | Ack | Decided


def enter(
    ready: Ready, plan: SigningPlan, signature: bytes, rules: Rules, attempt: int = 1
) -> Verify:
    """Return the step's first state: the image assembled, and our verifier's decision made."""
    signed: Signed | None = None
    facts: Json = {}
    try:
        findings = (*check_signature(plan, signature), *_attempts(plan, attempt))
        if not refusals(findings):
            if rules.lacks(ready.taken.image.sha256):
                signed, told = unseen.verified(plan, signature, rules)
                if told:
                    return Verify(ready, plan, signed, told)
                findings += unseen.warned(ready.approved.facts)
            else:
                signed, found = _assembled(ready, plan, signature, rules)
                findings += found
            facts = {
                "cms_sha256": hashlib.sha256(signed.cms).hexdigest(),
                "size": signed.size,
                "sha256": signed.sha256.hex,
            }
    except Refused as error:
        findings = error.findings
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    return Verify(ready, plan, signed, Decided("verify.verdict", outcome, findings, facts))


def _assembled(
    ready: Ready, plan: SigningPlan, signature: bytes, rules: Rules
) -> tuple[Signed, tuple[Finding, ...]]:
    image = rules.content(ready.taken.image.sha256)
    signed = assemble(image, plan, signature, ready.approved.facts.authenticode)
    certificate = ready.session.certificate
    return signed, verify_pieces(signed.pieces, signed.size, certificate, rules.run)


def _attempts(plan: SigningPlan, attempt: int) -> tuple[Finding, ...]:
    """SIG-ATTEMPTS: every value of ECDSA is another one, so a lost attempt may have left one."""
    if attempt == 1 or plan.algorithm is Algorithm.RSA:
        return ()
    text = f"attempt {attempt}: up to {attempt} different ECDSA signatures of this image may exist"
    return (Finding("SIG-ATTEMPTS", Severity.WARN, text),)


def wants(state: Verify) -> Effect:
    """Return what verify does next."""
    if state.pending:
        return Record(state.pending)
    if state.image is None:
        raise OutOfOrder("there is no image to verify")
    if state.signed and state.second:
        return Ask(_question(state, state.signed, state.second))
    return AskSecond(state.image.pieces, state.ready.session.certificate)


def absorb(state: Verify, event: Event, _rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, VerifyEvent):
        raise OutOfStep(state, event)
    match event:
        case Decided() if state.pending:
            expect_same(state.pending, event)
            return _after_decision(replace(state, pending=None), event)
        case SecondOpinion() if not state.pending and state.signed and state.second is None:
            return replace(state, second=event, pending=_judge_second(event, state.signed))
        case Ack() if not state.pending and state.signed and state.second:
            expect_ack(event, _question(state, state.signed, state.second))
            return seal.enter(state.ready, state.signed)
        case Decided() | SecondOpinion() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _after_decision(state: Verify, event: Decided) -> State:
    stops = refusals(event.findings)
    if stops:
        return refused(state, stops)
    if state.image is None:
        raise OutOfOrder("there is no image to seal")
    if state.signed is None:
        digest = hashlib.sha256(state.image.cms).hexdigest()
        return replace(state, signed=SignedImage(state.plan, state.image, digest))
    return state


def _question(state: Verify, signed: SignedImage, second: SecondOpinion) -> Question:
    roles = state.ready.session.policy.roles
    digest = signed.image.sha256.hex
    return Question(
        name="verify.seen",
        role="internal witness",
        persons=(roles.internal_witness,),
        shown=(
            "The signature was attached and the signed image verified, before it is written.",
            "Own verifier  accepted",
            f"{escaped(second.tool, 24):<13} {second.answer}: {escaped(second.text)}",
            f"Signed image  {counted(signed.image.size)}",
            f"SHA-256       {grouped(digest[:32])}",
            f"              {grouped(digest[32:])}",
            f"PKCS#7        {grouped(signed.cms_sha256[:32])}",
            f"              {grouped(signed.cms_sha256[32:])}",
        ),
        prompt="Type VERIFIED when no verifier disagrees",
        form=Form.CONFIRM,
        word="VERIFIED",
    )


def _judge_second(event: SecondOpinion, signed: SignedImage) -> Decided:
    """SIG-SECOND: another implementation, where one is installed, accepts the signed image."""
    said = f"{escaped(event.tool)}: {escaped(event.text)}"
    severity = {"accepted": Severity.INFO, "absent": Severity.WARN}.get(
        event.answer, Severity.REFUSE
    )
    findings = (Finding("SIG-SECOND", severity, said),)
    outcome = Outcome.REFUSED if refusals(findings) else Outcome.OK
    facts: dict[str, Json] = {"answer": event.answer}
    if outcome is Outcome.OK:  # the PKCS#7 stands in the record once nobody refuses it
        facts["cms"] = base64.b64encode(signed.image.cms).decode("ascii")
    return Decided("verify.second_verdict", outcome, findings, facts)
