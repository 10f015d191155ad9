"""inspect: the image is parsed strictly, and people see what it would do when booted."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.codec import encode
from ceremony.effects import Ask, Effect, Record
from ceremony.engine import judge, unseen
from ceremony.engine.endings import refused
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.errors import OutOfOrder
from ceremony.events import Ack, Decided, Event, Outcome
from ceremony.pe.inspect import Gates
from ceremony.pe.inspect import inspect as inspect_image
from ceremony.policy import Policy
from ceremony.questions import Form, Question
from ceremony.show import counted, escaped, grouped
from ceremony.states import Inspect, Session, State, Taken
from ceremony.types import ImageFacts, Severity, refusals

InspectEvent: TypeAlias = Ack | Decided

LINE = 58
MOST_COMMAND_LINE = 4 * 4096  # every byte of the longest one escaped: it is shown whole


def gates(policy: Policy) -> Gates:
    """Return the content gates of a policy as the parser takes them."""
    return Gates(
        machine=policy.artifact.arch,
        sections=policy.gates.sections,
        overlay=policy.gates.overlay,
        signed_input=policy.gates.signed_input,
        max_bytes=policy.artifact.max_bytes,
        writable_code=policy.gates.writable_code,
        mapped_over=policy.gates.mapped_over,
    )


def enter(session: Session, taken: Taken, rules: Rules) -> Inspect:
    """Return the step's first state, its decision made."""
    facts = _facts(session, taken, rules)
    if facts.sha256.hex != taken.image.sha256:
        raise OutOfOrder("the content is not the image that was taken in")
    outcome = Outcome.REFUSED if refusals(facts.findings) else Outcome.OK
    pending = Decided("inspect.verdict", outcome, facts.findings, encode(facts))
    return Inspect(session, taken, facts, pending)


def _facts(session: Session, taken: Taken, rules: Rules) -> ImageFacts:
    if rules.lacks(taken.image.sha256):
        return unseen.facts(taken.image, rules)
    content = rules.content(taken.image.sha256)
    known = rules.known(taken.image.sha256)
    return inspect_image(content, gates(session.policy), rules.run, known)


def wants(state: Inspect) -> Effect:
    """Return what inspect does next."""
    if state.pending:
        return Record(state.pending)
    return Ask(_question(state.session.policy, state.facts))


def absorb(state: Inspect, event: Event, rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, InspectEvent):
        raise OutOfStep(state, event)
    match event:
        case Decided() if state.pending:
            expect_same(state.pending, event)
            settled = replace(state, pending=None, decided=event)
            stops = refusals(event.findings)
            return refused(settled, stops) if stops else settled
        case Ack() if state.decided:
            expect_ack(event, _question(state.session.policy, state.facts))
            return judge.enter(state.session, state.taken, state.facts, rules)
        case Decided() | Ack():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _question(policy: Policy, facts: ImageFacts) -> Question:
    return Question(
        name="inspect.meaning",
        role="external witness",
        persons=(policy.roles.external_witness,),
        shown=(
            *meaning_lines(facts),
            *(
                f"{f.severity:<6} {f.rule}: {f.text}"
                for f in facts.findings
                if f.severity is not Severity.INFO
            ),
        ),
        prompt="Type UNDERSTOOD when this is the release that was announced",
        form=Form.CONFIRM,
        word="UNDERSTOOD",
    )


def meaning_lines(facts: ImageFacts) -> tuple[str, ...]:
    """Return what the image means, a fact a line."""
    meaning = facts.meaning
    release = dict(meaning.os_release)
    name = release.get("PRETTY_NAME") or release.get("NAME") or release.get("ID", "(none)")
    command_line = escaped(meaning.command_line, MOST_COMMAND_LINE) or "(none)"
    authenticode = facts.authenticode.hex if facts.authenticode else ""
    return (
        f"System    {escaped(name, LINE)}",
        f"Kernel    {escaped(meaning.kernel, LINE) or '(none)'}, {facts.machine}",
        *_wrapped("Command   ", command_line),
        *_initrd_lines(meaning.initrd),
        f"Stub      {escaped(meaning.stub, LINE) or '(unknown)'}",
        f"Sections  {escaped(' '.join(s.name for s in facts.sections), 4 * LINE)}",
        f"Size      {counted(facts.size)}, {len(facts.signatures)} signatures",
        f"Digest    {grouped(authenticode[:32])}",
        f"          {grouped(authenticode[32:])} (Authenticode)",
    )


def _initrd_lines(initrd: str) -> tuple[str, ...]:
    """Return what the initrd is, its digest below in groups that can be read aloud."""
    kind, sha256, digest = initrd.partition(" sha256 ")
    if not sha256:
        return _wrapped("Initrd    ", escaped(initrd, 4 * LINE) or "(none)")
    return (
        f"Initrd    {escaped(kind, LINE)} sha256",
        f"          {escaped(grouped(digest[:32]), LINE)}",
        f"          {escaped(grouped(digest[32:]), LINE)}",
    )


def _wrapped(label: str, text: str) -> tuple[str, ...]:
    parts = [text[i : i + LINE] for i in range(0, len(text), LINE)]
    return tuple((label if i == 0 else " " * len(label)) + part for i, part in enumerate(parts))
