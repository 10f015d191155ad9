"""What must hold after any fault: nothing lost, nothing unrecorded, nothing half written.

The ceremony is resumed by the command people resume it with, held to its end, and replayed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from durability import power
from durability.boundary import MEDIA, ROOT

from ceremony import bundle
from ceremony.events import Ack, Decided, Event, Intended, Recovered, Signed
from ceremony.ingest.reading import read_folder
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.token import RehearsalRequest, SignResult
from hsm.soft import RehearsalToken
from transcripts.files import TEMPORARY
from transcripts.log import Log, read_log
from transcripts.replay import Verdict, replay
from tui.commands import Exit
from tui.commands.holding import held
from tui.commands.rehearse import places_of
from tui.faces import Face
from tui.rehearsal.prepare import Prepared, reopen
from tui.rehearsal.script import ScriptFace
from tui.wiring import Ended

MEMORY = Path("signatures")  # what the token ever made, beside all media


class Team(ScriptFace):
    """People who try a medium once more, and stop to mend it when that does not help."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared.sheet, io.StringIO())
        self._tries = 0

    def answer(self, question: Question) -> Answer | Interruption:
        if question.name == "seal.again":
            self._tries += 1
            if self._tries > 1:
                raise EOFError
        return super().answer(question)


def rehearsal() -> Prepared:
    """Return the rehearsal in the working folder, by relative paths."""
    return replace(reopen(Path(ROOT)), folder=Path(ROOT))


def hold() -> tuple[Exit, str]:
    """Hold or resume the ceremony by its command; return the exit status and what was said."""
    prepared = rehearsal()
    said = io.StringIO()

    def run(work: Callable[[Face], Ended]) -> Ended:
        return work(Team(prepared))

    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = held(places_of(prepared), run)
    return status, said.getvalue()


def remember_signatures() -> None:
    """Let the token write down each signature before anybody gets it."""
    sign = RehearsalToken.sign

    def signing(token: RehearsalToken, request: RehearsalRequest) -> SignResult:
        result = sign(token, request)
        with MEMORY.open("a") as memory:
            memory.write(f"{request.attempt} {request.digest} {result.signature}\n")
        return result

    setattr(RehearsalToken, "sign", signing)  # noqa: B010 - watched


@dataclass(frozen=True)
class State:
    """What stands on all media, and what the token made."""

    logs: tuple[bytes, ...]
    evidence: tuple[bytes, ...]
    outputs: dict[str, bytes]
    signatures: str

    @staticmethod
    def read(base: Path = Path()) -> State:
        """Read the media below `base`."""
        return State.of(power.standing(base), _text(base / MEMORY))

    @staticmethod
    def of(files: dict[str, bytes], signatures: str) -> State:
        """Return the state that these files are."""
        logs = tuple(files.get(f"{ROOT}/{name}/{bundle.TRANSCRIPT}", b"") for name in MEDIA[:2])
        torn = (
            data
            for name, data in files.items()
            if ".torn-" in name and not name.endswith(TEMPORARY)
        )
        out = f"{ROOT}/out/"
        outputs = {
            name.removeprefix(out): data
            for name, data in files.items()
            if name.startswith(out) and not name.endswith("/")
        }
        return State(logs, tuple(sorted(torn)), outputs, signatures)

    @property
    def digest(self) -> str:
        """Return one digest over all that stands on the media."""
        files = sorted((name, hashlib.sha256(data).digest()) for name, data in self.outputs.items())
        return hashlib.sha256(repr((self.logs, self.evidence, files)).encode()).hexdigest()

    @property
    def torn(self) -> frozenset[bytes]:
        """Return all that ever stood behind a last good line and is still there."""
        ends = (data[sum(len(raw) + 1 for raw in read_log(data).raw) :] for data in self.logs)
        return frozenset((*(end for end in ends if end), *self.evidence))

    @property
    def longest(self) -> Log:
        """Return the log with the most good lines."""
        return max(map(read_log, self.logs), key=lambda log: len(log.raw))


def _text(path: Path) -> str:
    return path.read_text("ascii") if path.is_file() else ""


def resumed() -> str:
    """Resume in the working folder to the close; return the outcome; AssertionError tells more."""
    before = State.read()
    status, said = hold()
    if status is Exit.REFUSED and "TRN-LOG" in said:
        assert before.longest.lines[-1].event.name == "close.transcript", said
        outcome = "was sealed already"
    else:
        assert status is Exit.YES, f"exit {status}: {said}"
        outcome = _how(before)
    after = State.read()
    found = replay(read_folder(Path(ROOT, "out")))
    assert (found.verdict, found.findings) == (Verdict.REPRODUCED, ()), found
    assert after.logs[0] == after.logs[1] == after.outputs[bundle.TRANSCRIPT], "logs differ"
    log = after.longest
    assert log.raw[: len(before.longest.raw)] == before.longest.raw, "a line was lost"
    events = [line.event for line in log.lines]
    closed = before.longest.lines[-1:] == log.lines[-1:]
    _signatures_are_recorded(after.signatures, events, closed=closed)
    for name, data in before.outputs.items():
        if not name.endswith(TEMPORARY):
            assert after.outputs.get(name) == data, f"{name} was half written"
    _torn_lines_are_kept(before, events)
    return outcome


def _how(before: State) -> str:
    lines = before.longest.lines
    if not lines:
        return "nothing was recorded: begun anew"
    if lines[-1].event.name == "close.transcript":
        return "was closed: published again"
    return "resumed"


def _signatures_are_recorded(memory: str, events: list[Event], *, closed: bool) -> None:
    """Each signature ever made is in the transcript, or its attempt is said to be unknown."""
    intents = {e.attempt: e for e in events if isinstance(e, Intended)}
    results = {e.attempt: e.result.signature for e in events if isinstance(e, Signed)}
    unknown = sum(isinstance(e, Ack) and e.name == "sign.unknown" for e in events)
    made = [line.split() for line in memory.splitlines()]
    assert made or closed, "no signature was made"
    assert len({(digest, signature) for _, digest, signature in made}) <= 1, "two signatures"
    assert len(intents) == len(results) + unknown
    for attempt, _, signature in made:
        assert int(attempt) in intents, "a signature without an intent"
        assert results.get(int(attempt), signature) == signature, "another signature is recorded"
    verdicts = [e for e in events if isinstance(e, Decided) and e.name == "verify.verdict"]
    assert len({str(e.facts) for e in verdicts}) == 1, "two signed images"


def _torn_lines_are_kept(before: State, events: list[Event]) -> None:
    """What stood behind a log's last good line stands beside the log, and people were told."""
    told = [torn for e in events if isinstance(e, Recovered) for torn in e.torn]
    for name, data in zip(MEDIA, before.logs, strict=False):
        rest = data[sum(len(raw) + 1 for raw in read_log(data).raw) :]
        if not rest:
            continue
        digest = hashlib.sha256(rest).hexdigest()
        kept = Path(ROOT, name, f"{bundle.TRANSCRIPT}.torn-{digest[:16]}")
        assert kept.read_bytes() == rest, "a torn line is gone"
        last = before.longest.lines[-1:]
        if last and last[0].event.name != "close.transcript":
            assert any(digest in line for line in told), "a torn line was not told"
