"""seal: outputs are written and read back, every role states its word, the log is closed.

Every ceremony comes here, also a refused and an aborted one: its transcript is kept and
sealed all the same. The close line is the last line; the checkpoint that people sign is
over all lines, so it is made after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony import bundle
from ceremony.codec import encode
from ceremony.content import Content, InMemory
from ceremony.effects import Ask, Effect, Output, Record, WriteOutputs
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.events import (
    Ack,
    Decided,
    Event,
    Outcome,
    OutputsFailed,
    OutputsIntended,
    OutputsWritten,
)
from ceremony.pin_parts import PinEntry
from ceremony.policy import Policy
from ceremony.questions import AGREE, DISAGREE, Form, Question, agrees
from ceremony.show import counted, grouped
from ceremony.states import Close, Ready, Seal, SignedImage, State
from ceremony.types import Finding, Severity

SealEvent: TypeAlias = OutputsIntended | OutputsWritten | OutputsFailed | Ack | Decided


def enter(ready: Ready, signed: SignedImage) -> Seal:
    """Return the seal of a ceremony whose signature was made and verified."""
    session = ready.session
    return Seal(session.begun, session.read, session.policy, ready.taken, signed, Outcome.OK)


def wants(state: Seal, rules: Rules) -> Effect:
    """Return what seal does next."""
    if state.pending:
        return Record(state.pending)
    if state.failed:
        return Ask(_again_question(state.policy, state.failed))
    if not state.settled:
        made = _outputs(state, rules)
        if state.intent is None:
            return Record(OutputsIntended(tuple(output.file for output in made)))
        kept = {output.file.name for output in made}
        return WriteOutputs(made, tuple(name for name in state.earlier if name not in kept))
    if state.policy and _asks_rotation(state):
        return Ask(_rotation_question(state.policy))
    person = _next_to_state(state)
    if person and state.policy:
        return Ask(_statement_question(state, state.policy, *person))
    return Record(_closing(state))


def absorb(state: Seal, event: Event, rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, SealEvent):
        raise OutOfStep(state, event)
    wanted = wants(state, rules)
    match event:
        case OutputsIntended() if isinstance(wanted, Record) and isinstance(
            wanted.event, OutputsIntended
        ):
            expect_same(wanted.event, event)
            return replace(state, intent=event)
        case OutputsWritten() if isinstance(wanted, WriteOutputs):
            return replace(state, written=event, pending=_judge_outputs(state, event))
        case OutputsFailed() if isinstance(wanted, WriteOutputs):
            return replace(state, failed=event)
        case Decided() if isinstance(wanted, Record) and isinstance(wanted.event, Decided):
            expect_same(wanted.event, event)
            return _after_decision(state, event)
        case Ack() if isinstance(wanted, Ask):
            expect_ack(event, wanted.question)
            if event.name == "seal.again":
                return replace(state, failed=None, written=None)
            if event.name == "seal.rotation":
                return replace(state, rotation=event)
            return replace(state, statements=(*state.statements, event))
        case OutputsIntended() | OutputsWritten() | OutputsFailed() | Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _outputs(state: Seal, rules: Rules) -> tuple[Output, ...]:
    """Return the outputs, made once of the same things: a replay is here at every event."""
    things = (state.read, state.policy, state.taken, state.signed)
    for of, made in rules.made:
        if all(one is other for one, other in zip(of, things, strict=True)):
            return made
    made = bundle.outputs(state, _image(state, rules))
    rules.made[:] = [(things, made)]
    return made


def _image(state: Seal, rules: Rules) -> Content | None:
    if state.taken is None:
        return None
    sha256 = state.taken.image.sha256
    # Where a record stands in for the image nothing is written: names and digests are compared.
    return InMemory(b"") if rules.lacks(sha256) else rules.content(sha256)


def _judge_outputs(state: Seal, event: OutputsWritten) -> Decided:
    """MED-WRITE: every output reads back with the digest it was written with."""
    intended = state.intent.files if state.intent else ()
    if event.files == intended:
        text = f"{len(intended)} outputs were written and read back"
        finding = Finding("MED-WRITE", Severity.INFO, text)
        return Decided("seal.verdict", Outcome.OK, (finding,), encode(event.files))
    wrong = sorted({f.name for f in intended} ^ {f.name for f in event.files}) or [
        f.name for f, g in zip(intended, event.files, strict=True) if f != g
    ]
    text = f"{len(wrong)} outputs do not read back as written: {', '.join(wrong[:4])}"
    finding = Finding("MED-WRITE", Severity.REFUSE, text)
    return Decided("seal.verdict", Outcome.REFUSED, (finding,), encode(event.files))


def _after_decision(state: Seal, event: Decided) -> State:
    if event.name == "close.transcript":
        return Close(
            state.begun, state.policy, event.outcome, event.findings, state.files, state.statements
        )
    if event.outcome is Outcome.OK:
        return replace(state, pending=None, settled=True)
    failed = OutputsFailed("MED-WRITE", event.findings[0].text)
    return replace(state, pending=None, written=None, failed=failed)


def _next_to_state(state: Seal) -> tuple[str, str] | None:
    """Return the next (role, person) to make a statement; only a signature asks for them."""
    if state.policy is None or state.signed is None or state.outcome is not Outcome.OK:
        return None
    roles = state.policy.roles
    order = [
        ("internal witness", roles.internal_witness),
        ("external witness", roles.external_witness),
        *(("key holder", a) for a in roles.key_holders),
        ("administrator", roles.administrator),
    ]
    done = {(ack.role, ack.person) for ack in state.statements}
    left = [item for item in order if item not in done]
    return left[0] if left else None


def _asks_rotation(state: Seal) -> bool:
    """KEY-PIN-ROTATED: who saw the shares of this PIN has them no longer after a signature."""
    shared = state.policy is not None and state.policy.signer.pin is PinEntry.SHARES
    return shared and state.signed is not None and state.rotation is None


def _closing(state: Seal) -> Decided:
    """APP-AGREE: every role states that it agrees with the record."""
    against = [ack for ack in state.statements if not agrees(ack.answer)]
    findings = state.why + tuple(
        Finding("APP-AGREE", Severity.WARN, f"{ack.person} ({ack.role}): {ack.answer}")
        for ack in against
    )
    if state.rotation and not agrees(state.rotation.answer):
        text = f"the PIN's shares stay as they are: {state.rotation.answer}"
        findings += (Finding("KEY-PIN-ROTATED", Severity.WARN, text),)
    outcome = Outcome.DISPUTED if against and state.outcome is Outcome.OK else state.outcome
    facts = {
        "signed_sha256": state.signed.image.sha256.hex if state.signed else None,
        "statements": [[a.role, a.person, a.answer] for a in state.statements],
    }
    return Decided("close.transcript", outcome, findings, encode(facts))


def _again_question(policy: Policy | None, failed: OutputsFailed) -> Question:
    return Question(
        name="seal.again",
        role="administrator",
        persons=(policy.roles.administrator if policy else "administrator",),
        shown=(
            f"{failed.rule}: {failed.text}",
            "What was done is safe in the transcript; no output stands half written.",
        ),
        prompt="Type WRITE to write the outputs again",
        form=Form.CONFIRM,
        word="WRITE",
    )


def _rotation_question(policy: Policy) -> Question:
    return Question(
        name="seal.rotation",
        role="internal witness",
        persons=(policy.roles.internal_witness,),
        shown=(
            "The shares of the token's PIN were typed here: deal a new PIN now, elsewhere.",
            "  uki-ceremony pin split URI --needed K --shares N --old-shares K",
            "Every holder writes the new share down; the old sheets are destroyed.",
        ),
        prompt=f'Was it done? Type "{AGREE}", or "{DISAGREE} " and why not',
        form=Form.STATEMENT,
    )


def _statement_question(state: Seal, policy: Policy, role: str, person: str) -> Question:
    named = {p.id: p.name for p in policy.persons}
    digest = state.signed.image.sha256.hex if state.signed else ""
    main = [f for f in state.files if f.sha256 == digest]
    return Question(
        name="seal.statement",
        role=role,
        persons=(person,),
        shown=(
            f"{named[person]}, {role}: was this ceremony held as it is recorded?",
            *(f"Signed    {f.name}, {counted(f.size)}" for f in main),
            f"SHA-256   {grouped(digest[:32])}",
            f"          {grouped(digest[32:])}",
            f"Outputs   {len(state.files)} files, written and read back",
        ),
        prompt=f'Type "{AGREE}", or "{DISAGREE} " and the reason',
        form=Form.STATEMENT,
    )
