"""Order: which event a state waits for, and what is said when another one comes."""

from __future__ import annotations

import json
from dataclasses import replace

from ceremony.codec import encode
from ceremony.errors import OutOfOrder
from ceremony.events import Ack, Decided, Event, Intended, OutputsIntended
from ceremony.questions import Answer, Question, check_answer
from ceremony.states import State
from ceremony.types import Finding


class OutOfStep(OutOfOrder):
    """An event that the state does not wait for."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.name} is not legal in the step {state.step}")


class Differs(OutOfOrder):
    """What is recorded is not what the rules conclude, or show, from the events before it."""

    def __init__(self, expected: Event, found: Event) -> None:
        super().__init__(f"{found.name}: what is recomputed and what is recorded differ")
        self.expected = expected
        self.found = found


class BadAnswer(OutOfOrder):
    """An answer from the wrong person or in the wrong form; the findings say which."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{f.rule}: {f.text}" for f in findings))
        self.findings = findings


def expect_same(determined: Decided | Intended | OutputsIntended, event: Event) -> None:
    """Let `event` pass if it is exactly what the engine determined."""
    if type(event) is not type(determined) or event.name != determined.name:
        raise OutOfOrder(f"{determined.name} must come next, not {event.name}")
    if _bytes(determined) != _bytes(event):
        raise Differs(determined, event)


def _bytes(event: Event) -> str:
    return json.dumps(encode(event), sort_keys=True)


def expect_ack(ack: Ack, question: Question) -> None:
    """Let `ack` pass if it answers `question`, by a person who may, in the form asked for.

    TRN-SHOWN: the lines that it says were shown are the question's.
    """
    if ack.name != question.name:
        raise OutOfOrder(f"{question.name} is asked, not {ack.name}")
    if ack.role != question.role:
        raise OutOfOrder(f"{question.name} is for the {question.role}")
    findings = check_answer(question, Answer(ack.person, ack.answer))
    if findings:
        raise BadAnswer(findings)
    if ack.shown != question.shown:
        raise Differs(replace(ack, shown=question.shown), ack)
