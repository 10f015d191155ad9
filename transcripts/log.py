"""Lines: an event in its envelope, chained to the line before it.

Envelope: ceremony (32 hex digits), seq from 0, prev (SHA-256 in hex of the bytes of the line
before, 64 zeros for the first), time (monotonic nanoseconds, boot id, wall clock), event
(the name), kind, body. Decoding is total: a line is an event or it is Refused.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ceremony.codec import Json, Malformed, decode, encode
from ceremony.errors import Refused, refuse
from ceremony.events import NAMED, Ack, Decided, Event, Kind
from ceremony.show import escaped
from ceremony.types import Finding, Severity
from transcripts.canon import MOST_LINE, canonical, parse

FIRST = "0" * 64
MOST_LINES = 1_000_000
_CEREMONY = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z_]+\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class Stamp:
    """When: nanoseconds of the monotonic clock, the boot it belongs to, the wall's claim."""

    mono_ns: int
    boot: str
    wall: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript."""

    ceremony: str
    seq: int
    prev: str
    time: Stamp
    event: Event

    def to_bytes(self) -> bytes:
        """Return the line's canonical bytes, without the newline."""
        return canonical(
            {
                "body": _body(self.event),
                "ceremony": self.ceremony,
                "event": self.event.name,
                "kind": str(self.event.kind),
                "prev": self.prev,
                "seq": self.seq,
                "time": encode(self.time),
            }
        )


def _body(event: Event) -> dict[str, Json]:
    """Return an event's own members; the name of an ack or a decision is in the envelope."""
    body = encode(event)
    if not isinstance(body, dict):
        raise TypeError("an event is an object")
    body.pop("name", None)
    return body


def link(line: bytes) -> str:
    """Return what the next line's `prev` must be."""
    return hashlib.sha256(line).hexdigest()


def read_line(data: bytes) -> Line:
    """Return the line that `data` (without newline) is; Refused (TRN-LINE, TRN-EVENT)."""
    value = parse(data)
    wanted = {"body", "ceremony", "event", "kind", "prev", "seq", "time"}
    if not isinstance(value, dict) or set(value) != wanted:
        raise refuse("TRN-EVENT", "a line has not the members of an envelope")
    name, kind, seq, prev = value["event"], value["kind"], value["seq"], value["prev"]
    ceremony = value["ceremony"]
    if not (isinstance(name, str) and isinstance(kind, str) and isinstance(prev, str)):
        raise refuse("TRN-EVENT", "event, kind and prev are strings")
    if type(seq) is not int or not isinstance(ceremony, str):
        raise refuse("TRN-EVENT", "seq is an integer and ceremony a string")
    if not _CEREMONY.fullmatch(ceremony):
        raise refuse("TRN-CEREMONY", "a ceremony id has 32 hex digits")
    try:
        stamp = decode(Stamp, value["time"], "time")
        event = _event(name, kind, value["body"])
    except Malformed as error:
        raise refuse("TRN-EVENT", f"{escaped(name, 40)}: {error}") from None
    if (event.name, event.kind) != (name, kind) or _body(event) != value["body"]:
        raise refuse("TRN-EVENT", f"{escaped(name, 40)}: reads as another event")
    return Line(ceremony, seq, prev, stamp, event)


def _event(name: str, kind: str, body: Json) -> Event:
    if not _NAME.fullmatch(name) or not isinstance(body, dict):
        raise Malformed("not an event")
    if kind in (Kind.ACK, Kind.DECIDE):
        if name in NAMED:
            raise Malformed(f"{name} is not of kind {kind}")
        whole: dict[str, Json] = {**body, "name": name}
        return decode(Ack, whole, name) if kind == Kind.ACK else decode(Decided, whole, name)
    found = NAMED.get(name)
    if found is None or found.kind != kind:
        raise Malformed("no event of this name and kind")
    return decode(found, body, name)


@dataclass(frozen=True, slots=True)
class Log:
    """What a transcript file holds: its good lines, their bytes, and what stopped reading.

    `torn` is what stands behind the last newline; `fault` the first line that is not good.
    """

    lines: tuple[Line, ...]
    raw: tuple[bytes, ...]
    torn: bytes
    fault: Finding | None


def read_log(data: bytes) -> Log:
    """Read lines until one is not good; TRN-LINE, -EVENT, -CHAIN, -CEREMONY, -TIME."""
    lines: list[Line] = []
    raws: list[bytes] = []
    start = 0
    while (end := data.find(b"\n", start, start + MOST_LINE + 1)) >= 0:
        try:
            raw = data[start:end]
            if len(raws) == MOST_LINES:
                raise refuse("TRN-LINE", f"there are more than {MOST_LINES:,} lines")
            line = read_line(raw)
            _check_link(line, len(raws), lines[-1] if lines else None, raws[-1] if raws else b"")
        except Refused as error:
            return Log(tuple(lines), tuple(raws), b"", _misplaced(len(raws), error))
        lines.append(line)
        raws.append(raw)
        start = end + 1
    if len(data) - start > MOST_LINE:
        long = refuse("TRN-LINE", f"a line has more than {MOST_LINE:,} bytes")
        return Log(tuple(lines), tuple(raws), b"", _misplaced(len(raws), long))
    return Log(tuple(lines), tuple(raws), data[start:], None)


def _misplaced(place: int, error: Refused) -> Finding:
    """Say which event it is, as screens number them: from 1."""
    found = error.findings[0]
    return Finding(found.rule, Severity.REFUSE, f"event {place + 1}: {found.text}")


def _check_link(line: Line, place: int, before: Line | None, raw_before: bytes) -> None:
    """TRN-CHAIN, TRN-CEREMONY, TRN-TIME: the line follows the one before it."""
    if line.seq != place:
        raise refuse("TRN-CHAIN", f"the line says it is number {line.seq}")
    if line.prev != (link(raw_before) if before else FIRST):
        text = f"prev names {escaped(line.prev[:16], 32)}, the line before is "
        raise refuse("TRN-CHAIN", text + (link(raw_before) if before else FIRST)[:16])
    if before is None:
        return
    if line.ceremony != before.ceremony:
        raise refuse("TRN-CEREMONY", "the line belongs to another ceremony")
    if line.time.boot == before.time.boot and line.time.mono_ns < before.time.mono_ns:
        raise refuse("TRN-TIME", "the monotonic clock ran backwards")
