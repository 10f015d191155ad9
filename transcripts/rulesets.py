"""The rule sets that this program carries: a transcript replays with the one it names.

Rule set 1 is the engine. A later one that decides otherwise is a second entry here, with the
engine as it was then kept beside the new one; nothing is ever taken out. A transcript that
names another is not judged at all: which program to install is said instead (TRN-RULESET).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ceremony import engine
from ceremony.codec import Json
from ceremony.engine import Rules
from ceremony.errors import Refused
from ceremony.events import FORMAT, Event
from ceremony.show import escaped
from ceremony.states import State
from transcripts.canon import MOST_LINE, parse


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One engine: its first state, and the state after one more event."""

    begin: Callable[[], State]
    advance: Callable[[State, Event, Rules], State]


CARRIED: dict[str, RuleSet] = {engine.RULESET: RuleSet(engine.begin, engine.advance)}


def carried(version: str) -> RuleSet:
    """Return a rule set by the name that the first line gives; KeyError unless it is carried."""
    return CARRIED[version]


def unknown(transcript: bytes) -> str:
    """Return why the rule set that a transcript names is not carried, "" where it is.

    Looked up before any other line is read: a later format may have events unknown here. A
    first line that is no line at all is the reader's to refuse.
    """
    try:
        first = parse(transcript[: max(transcript.find(b"\n", 0, MOST_LINE), 0)])
    except Refused:
        return ""
    body = _member(first, "body")
    version, form, tool = (_member(body, name) for name in ("ruleset", "format", "tool"))
    if not isinstance(version, str) or not isinstance(form, str):
        return ""
    if version in CARRIED and form == FORMAT:
        return ""
    carries = ", ".join(CARRIED)
    return (
        f"event 1 names rule set {escaped(version, 40)} of {escaped(form, 60)}; this program "
        f"carries {carries} of {FORMAT}. Install {_tool(tool)}, which wrote it, or a later one"
    )


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, Mapping) else None


def _tool(name: Json) -> str:
    return escaped(name, 60) if isinstance(name, str) and name else "the program"
