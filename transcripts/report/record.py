"""The record as a report reads it: numbered events, the policy's people, the replay's answer.

Events are numbered from 1, as the screen did; `seq` in the file counts from 0. Decisions
are read back into their shapes where they have them: what does not fit is None, never a
fault, because a report of a forged record must be written as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ceremony import policy as policies
from ceremony.blobs import from_blob
from ceremony.codec import Json, Malformed, decode
from ceremony.content import Stored
from ceremony.errors import Refused
from ceremony.events import Ack, Begun, Decided, Event, MediaRead, Outcome, PolicyRead
from ceremony.policy_model import Policy
from ceremony.policy_people import Person
from transcripts.log import Line, Log
from transcripts.replay import Replayed, Verdict

SSHSIG_BEGIN = "-----BEGIN SSH SIGNATURE-----"

E = TypeVar("E", bound=Event)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Numbered:
    """One line and its number on the screen."""

    number: int
    line: Line

    @property
    def event(self) -> Event:
        """Return the event."""
        return self.line.event


@dataclass(frozen=True)
class Record:
    """A bundle's files, its log, and what replay said of them."""

    files: Mapping[str, Stored]
    log: Log
    found: Replayed

    @property
    def sound(self) -> bool:
        """Tell whether replay reproduced it."""
        return self.found.verdict is Verdict.REPRODUCED

    @cached_property
    def numbered(self) -> tuple[Numbered, ...]:
        """Return every event with its number."""
        return tuple(Numbered(line.seq + 1, line) for line in self.log.lines)

    @cached_property
    def begun(self) -> Begun | None:
        """Return the first event."""
        first = self.log.lines[0].event if self.log.lines else None
        return first if isinstance(first, Begun) else None

    @cached_property
    def policy(self) -> Policy | None:
        """Return the policy that was accepted, None where there is none."""
        verdict, read = self.decided("open.policy_verdict"), self.last(PolicyRead)
        if verdict is None or read is None or verdict[1].outcome is not Outcome.OK:
            return None
        try:
            return policies.load(from_blob(read[1].policy).data)
        except (Refused, ValueError):
            return None

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Numbered, ...]]:
        """Return the events by name."""
        found: dict[str, list[Numbered]] = {}
        for numbered in self.numbered:
            found.setdefault(numbered.event.name, []).append(numbered)
        return {name: tuple(events) for name, events in found.items()}

    @cached_property
    def answers(self) -> Mapping[str, tuple[tuple[int, Ack], ...]]:
        """Return what people said, by the id that was typed."""
        found: dict[str, list[tuple[int, Ack]]] = {}
        for number, ack in self.all(Ack):
            found.setdefault(ack.person, []).append((number, ack))
        return {person: tuple(said) for person, said in found.items()}

    def all(self, kind: type[E]) -> Iterator[tuple[int, E]]:
        """Yield the events of one kind with their numbers."""
        for numbered in self.numbered:
            if isinstance(numbered.event, kind):
                yield numbered.number, numbered.event

    def last(self, kind: type[E]) -> tuple[int, E] | None:
        """Return the last event of one kind."""
        return max(self.all(kind), key=lambda found: found[0], default=None)

    @cached_property
    def media(self) -> tuple[tuple[int, MediaRead], ...]:
        """Return every reading of a medium."""
        return tuple(self.all(MediaRead))

    def acks(self, name: str) -> tuple[tuple[int, Ack], ...]:
        """Return what people said to one question."""
        named = self.by_name.get(name, ())
        return tuple((n.number, n.event) for n in named if isinstance(n.event, Ack))

    def decided(self, name: str) -> tuple[int, Decided] | None:
        """Return the last decision of a name."""
        for numbered in reversed(self.by_name.get(name, ())):
            if isinstance(numbered.event, Decided):
                return numbered.number, numbered.event
        return None

    @cached_property
    def persons(self) -> Mapping[str, Person]:
        """Return the policy's people by id."""
        return {person.id: person for person in self.policy.persons} if self.policy else {}

    def who(self, person: str) -> str:
        """Return a person's name and id, the id alone where the policy has no name for it."""
        known = self.persons.get(person)
        return f"{known.name} ({known.id})" if known else person

    def whos(self, persons: tuple[str, ...]) -> str:
        """Return several persons' names and ids."""
        return " and ".join(self.who(person) for person in persons)


def shaped(kind: type[T], facts: Json) -> T | None:
    """Return the shape that a decision's facts have, None where they have another."""
    try:
        return decode(kind, facts)
    except (Malformed, TypeError):
        return None


def member(facts: Json, *names: str) -> str:
    """Return a text or number inside facts, "" where there is none."""
    for name in names:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return str(facts) if isinstance(facts, str | int) and not isinstance(facts, bool) else ""


def items(facts: Json, name: str) -> tuple[Json, ...]:
    """Return the array of one name inside facts."""
    found = facts.get(name) if isinstance(facts, dict) else None
    return tuple(found) if isinstance(found, list) else ()


def answer_of(ack: Ack) -> str:
    """Return what a person answered; a signature is named by its digest, not spelled out."""
    if not ack.answer.startswith(SSHSIG_BEGIN):
        return ack.answer
    digest = hashlib.sha256(ack.answer.encode("utf-8")).hexdigest()
    return f"an SSH signature, SHA-256 {digest[:32]}"
