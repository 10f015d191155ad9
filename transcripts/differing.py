"""Where a recorded event differs from what the engine determined, and how to say so.

Decides which member differs first, in the order of the canonical bytes, and which event the
engine waited for. It refuses to know files and verdicts; what it returns is short and escaped.
"""

from __future__ import annotations

import json

from ceremony.codec import Json, encode
from ceremony.effects import Ask, Effect, Record
from ceremony.engine import Rules, wants
from ceremony.engine.order import BadAnswer, Differs
from ceremony.errors import CeremonyError, OutOfOrder
from ceremony.events import Event
from ceremony.show import escaped
from ceremony.states import State
from ceremony.types import Finding
from transcripts.faults import Difference
from transcripts.log import Line

MOST_SHOWN = 60  # characters of a value
NOTHING = "nothing"
AWAITED = {
    "Begin": "open.begin",
    "ReadPolicy": "open.policy",
    "ReadClock": "open.clock",
    "Survey": "inventory.machine",
    "ReadMedia": "ingest.media",
    "Draw": "read_back.drawn",
    "ProbeToken": "sign.token",
    "MeasureRoom": "sign.room",
    "FixTime": "sign.time",
    "Login": "sign.login",
    "SignNow": "sign.result",
    "AskSecond": "verify.second",
    "WriteOutputs": "seal.outputs",
    "Publish": "no line any more",
}


def of_decision(line: Line, rule: str, error: Differs) -> Difference:
    """Return where what was recorded is not what was recomputed."""
    path, expected, found = first(_body(error.expected), _body(error.found))
    return Difference(line.seq, line.event.name, rule, path, expected, found)


def of_order(line: Line, state: State, rules: Rules, error: OutOfOrder) -> Difference:
    """Return what was waited for where `line` is not legal."""
    name = line.event.name
    if isinstance(error, BadAnswer):
        asked = _awaited(state, rules)
        who = "; ".join(f"{f.rule}: {f.text}" for f in error.findings)
        told = _short(f"{getattr(line.event, 'person', '')}: {getattr(line.event, 'answer', '')}")
        return Difference(line.seq, name, "TRN-ORDER", "body.answer", f"{asked} ({who})", told)
    return Difference(line.seq, name, "TRN-ORDER", "event", _awaited(state, rules), name)


def of_line(place: int, finding: Finding) -> Difference:
    """Return where a line stands that is no good line of this transcript."""
    return Difference(place, "", finding.rule, "", "a good line", _short(finding.text))


def first(expected: Json, found: Json, path: str = "body") -> tuple[str, str, str]:
    """Return path and both values of the first member in which two JSON values differ."""
    match expected, found:
        case dict(), dict():
            for name in sorted({*expected, *found}):
                if name not in expected:
                    return f"{path}.{name}", NOTHING, _spelled(found[name])
                if name not in found:
                    return f"{path}.{name}", _spelled(expected[name]), NOTHING
                if expected[name] != found[name]:
                    return first(expected[name], found[name], f"{path}.{name}")
        case list(), list():
            for place, (one, other) in enumerate(zip(expected, found, strict=False)):
                if one != other:
                    return first(one, other, f"{path}[{place}]")
            longer = max(expected, found, key=len)[min(len(expected), len(found)) :]
            if longer:
                place = min(len(expected), len(found))
                spelled = _spelled(longer[0])
                both = (spelled, NOTHING) if len(expected) > len(found) else (NOTHING, spelled)
                return f"{path}[{place}]", *both
        case str(), str() if expected != found:
            return path, *_apart(expected, found)
        case _:
            pass
    return path, _spelled(expected), _spelled(found)


def _apart(expected: str, found: str) -> tuple[str, str]:
    """Show two texts from shortly before the place where they part."""
    pairs = enumerate(zip(expected, found, strict=False))
    shortest = min(len(expected), len(found))
    place = next((at for at, (one, other) in pairs if one != other), shortest)
    start = place - MOST_SHOWN // 3 if max(len(expected), len(found)) > MOST_SHOWN else 0
    start = max(start, 0)
    ahead = "..." if start else ""
    return _spelled(expected[start:], ahead), _spelled(found[start:], ahead)


def _spelled(value: Json, ahead: str = "") -> str:
    return _short(ahead + json.dumps(value, ensure_ascii=True, sort_keys=True))


def _short(text: str) -> str:
    cut = text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
    return escaped(cut, 2 * MOST_SHOWN)


def _body(event: Event) -> Json:
    body = encode(event)
    if isinstance(body, dict):
        body.pop("name", None)
    return body


def _awaited(state: State, rules: Rules) -> str:
    try:
        (effect,) = wants(state, rules)
    except CeremonyError:  # the image is not here, so what comes next cannot be said
        return "an event of the step " + state.step
    return _named(effect)


def _named(effect: Effect) -> str:
    match effect:
        case Ask():
            who = " or ".join(effect.question.persons)
            return escaped(f"{effect.question.name} by {who}", 2 * MOST_SHOWN)
        case Record():
            return effect.event.name
        case _:
            return AWAITED[type(effect).__name__]
