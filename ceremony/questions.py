"""What a person is asked: who may answer, what is shown, and which form the answer has.

A question is made by the engine from its state alone, so full screen, plain prompts and
the rehearsal's script put the very same words. It knows nothing of how it is drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ceremony.characters import is_printable
from ceremony.clock import typed_time
from ceremony.errors import Refused
from ceremony.types import Finding, Severity

MOST_CHARACTERS = 500
MOST_SIGNATURE = 16 * 1024
ARMOUR = "-----BEGIN SSH SIGNATURE-----"
LEAST_REASON = 3
# ASCII: the digits of other scripts are not what a transcript holds (docs/spec/steps.md).
UTC_MINUTE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", re.ASCII)


class Form(StrEnum):
    """How an answer is given."""

    CONFIRM = "confirm"  # the exact word
    TIME = "time"  # YYYY-MM-DD HH:MM[:SS], UTC
    WORDS = "words"  # words from paper, separated by spaces
    STATEMENT = "statement"  # "agree", or "do not agree: reason"
    REASON = "reason"  # a sentence
    SIGNATURE = "signature"  # an armoured SSHSIG over the question's document


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `name` is also the event's name, `persons` are those who may answer.

    `shown` are the lines put before the person; they are recorded with the answer.
    `word` is the exact word of a CONFIRM; `count` the number of words of a WORDS form;
    `document` the text that a SIGNATURE is over.
    """

    name: str
    role: str
    persons: tuple[str, ...]
    shown: tuple[str, ...]
    prompt: str
    form: Form
    word: str = ""
    count: int = 0
    document: str = ""

    def __post_init__(self) -> None:
        if not self.persons:
            raise TypeError(f"nobody may answer {self.name}")
        if (self.form is Form.CONFIRM) != bool(self.word):
            raise TypeError(f"{self.name}: a word belongs to a confirmation, and only there")
        if (self.form is Form.SIGNATURE) != bool(self.document):
            raise TypeError(f"{self.name}: a document belongs to a signature, and only there")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person answered."""

    person: str
    text: str


def check_answer(question: Question, answer: Answer) -> tuple[Finding, ...]:
    """Return what is wrong with the form of an answer; empty when it may be recorded."""
    return (*_person(question, answer), *_form(question, answer.text))


def _person(question: Question, answer: Answer) -> tuple[Finding, ...]:
    """APP-PERSON: an answer comes from a person who holds the role that is asked."""
    if answer.person in question.persons:
        return ()
    who = " or ".join(question.persons)
    return (Finding("APP-PERSON", Severity.REFUSE, f"this is for {who} ({question.role})"),)


def _form(question: Question, text: str) -> tuple[Finding, ...]:
    """APP-ANSWER: an answer has the form that is asked for."""
    signed = question.form is Form.SIGNATURE
    if not signed and (len(text) > MOST_CHARACTERS or not is_printable(text)):
        return (_not(f"an answer is one line of at most {MOST_CHARACTERS} printable characters"),)
    match question.form:
        case Form.CONFIRM:
            return () if text == question.word else (_not(f'type exactly "{question.word}"'),)
        case Form.TIME:
            return _time(text)
        case Form.WORDS:
            if (typed := len(words(text))) == question.count:
                return ()
            return (_not(f"{question.count} words are asked for, {typed} were typed"),)
        case Form.STATEMENT:
            if text == AGREE or (
                text.startswith(DISAGREE) and text.removeprefix(DISAGREE).strip(" ")
            ):
                return ()
            return (_not(f'type "{AGREE}", or "{DISAGREE} " and the reason'),)
        case Form.REASON:
            return () if len(text.strip(" ")) >= LEAST_REASON else (_not("give a reason"),)
        case Form.SIGNATURE:
            return _armoured(text)


def _armoured(text: str) -> tuple[Finding, ...]:
    if len(text) > MOST_SIGNATURE or not text.isascii():
        return (_not(f"a signature is ASCII text of at most {MOST_SIGNATURE:,} characters"),)
    if not text.startswith(ARMOUR) or not is_printable(text.replace("\n", "")):
        return (_not(f'a signature begins with "{ARMOUR}"'),)
    return ()


def _time(text: str) -> tuple[Finding, ...]:
    if not UTC_MINUTE.fullmatch(text):
        return (_not("the form is YYYY-MM-DD HH:MM"),)
    try:
        typed_time(text)
    except Refused as error:
        return error.findings
    return ()


AGREE = "agree"
DISAGREE = "do not agree:"


def _not(text: str) -> Finding:
    return Finding("APP-ANSWER", Severity.REFUSE, text)


def words(text: str) -> list[str]:
    """Return the words of an answer: no other white space than the space can stand in one."""
    return [word for word in text.split(" ") if word]


def agrees(text: str) -> bool:
    """Tell whether a recorded statement agrees."""
    return text == AGREE
