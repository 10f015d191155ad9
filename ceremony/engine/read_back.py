"""read_back: words of the digest are typed from paper that was printed elsewhere.

The words are not on this screen and their places are drawn by chance, so nobody can nod
a digest through. One mishearing may be repeated, and is recorded; a second one ends it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from ceremony.effects import Ask, Draw, Effect, Record
from ceremony.engine.endings import leave
from ceremony.engine.order import OutOfStep, expect_ack, expect_same
from ceremony.engine.rules import Rules
from ceremony.errors import OutOfOrder
from ceremony.events import Ack, Decided, Drawn, Event, Outcome
from ceremony.questions import Form, Question
from ceremony.questions import words as words_of
from ceremony.show import escaped
from ceremony.states import ReadBack, Ready, Sign, State, WordsRead
from ceremony.types import Finding, Severity, refusals
from ceremony.words import same_word, words

ReadBackEvent: TypeAlias = Drawn | Ack | Decided

MOST_TRIES = 2
DIGEST_BYTES = 32


def wants(state: ReadBack) -> Effect:
    """Return what read_back does next."""
    if state.pending:
        return Record(state.pending)
    if state.drawn is None:
        return Draw(state.session.policy.read_back.words, DIGEST_BYTES)
    return Ask(_question(state, state.drawn))


def absorb(state: ReadBack, event: Event, _rules: Rules) -> State:
    """Return the state after one event of this step."""
    if not isinstance(event, ReadBackEvent):
        raise OutOfStep(state, event)
    match event:
        case Drawn() if state.drawn is None:
            return replace(state, drawn=_check_drawn(state, event))
        case Ack() if state.drawn and not state.pending:
            expect_ack(event, _question(state, state.drawn))
            return replace(state, pending=_compare(state, state.drawn, event))
        case Decided() if state.drawn and state.pending:
            expect_same(state.pending, event)
            return _after_decision(state, state.drawn, event)
        case Drawn() | Ack() | Decided():
            raise OutOfStep(state, event)
        case _:
            assert_never(event)


def _check_drawn(state: ReadBack, event: Drawn) -> Drawn:
    wanted = state.session.policy.read_back.words
    places = event.positions
    if len(places) != wanted or list(places) != sorted({*places}):
        raise OutOfOrder(f"{wanted} distinct ascending places are drawn")
    if not all(1 <= place <= DIGEST_BYTES for place in places):
        raise OutOfOrder("a place is outside the digest")
    return event


def _compare(state: ReadBack, drawn: Drawn, ack: Ack) -> Decided:
    """APP-WORDS: the words typed are the words of this image's SHA-256."""
    spoken = words(state.approved.facts.sha256.value)
    wanted = [spoken[place - 1] for place in drawn.positions]
    wrong = sum(
        not same_word(typed, word) for typed, word in zip(words_of(ack.answer), wanted, strict=True)
    )
    if wrong:
        # Which words were wrong is not said: it would help nobody but a guesser.
        text = f"the {len(wanted)} words typed are not this image's words"
        finding = Finding("APP-WORDS", Severity.REFUSE, text)
        return Decided("read_back.verdict", Outcome.REFUSED, (finding,), {"try": state.tries + 1})
    finding = Finding("APP-WORDS", Severity.INFO, f"{len(wanted)} words agree")
    return Decided("read_back.verdict", Outcome.OK, (finding,), {"try": state.tries + 1})


def _after_decision(state: ReadBack, drawn: Drawn, event: Decided) -> State:
    tries = state.tries + 1
    if event.outcome is Outcome.OK:
        ready = Ready(state.session, state.taken, state.approved, WordsRead(drawn.positions))
        return Sign(ready)
    if tries >= MOST_TRIES:
        return leave(replace(state, pending=None), Outcome.ABORTED, refusals(event.findings))
    return replace(state, tries=tries, drawn=None, pending=None)


def _question(state: ReadBack, drawn: Drawn) -> Question:
    roles = state.session.policy.roles
    places = ", ".join(str(place) for place in drawn.positions)
    again = (
        (f"The words did not agree. This is try {state.tries + 1} of {MOST_TRIES}.",)
        if state.tries
        else ()
    )
    return Question(
        name="read_back.words",
        role="witness",
        persons=(roles.external_witness, roles.internal_witness),
        shown=(
            *again,
            f"Image   {escaped(state.taken.image.path, 50)}",
            "From YOUR PAPER, not from this screen, read words number",
            f"    {places}",
            "of the SHA-256, and type them with a space between.",
        ),
        prompt=f"The {len(drawn.positions)} words",
        form=Form.WORDS,
        count=len(drawn.positions),
    )
