"""One ceremony, walked operation by operation: at each, a copy of it meets every fault.

The walking process forks at an operation; the child goes on in a copy of all media, meets
the fault and ends. What it leaves is resumed in another child, by the command that people
resume with. States that are equal to the byte are resumed once.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from durability import aftermath, power
from durability.aftermath import State
from durability.boundary import MEDIA, ROOT, Boundary, Effect, Operation

from ceremony.codec import Json
from ceremony.events import Event
from ceremony.ingest import sandbox
from hsm import soft
from transcripts.store import FileJournal
from tui.commands import Exit

MOST_FAILURES = 10


@dataclass(frozen=True)
class Fault:
    """One sort of fault: a row of the table.

    `act` is what the child does in place of the operation. Without it the power goes instead,
    and `names` and `data` tell which of what was not durable is lost. `mend` is given the
    folder of the case, before it is resumed.
    """

    name: str
    meets: Callable[[Operation], bool]
    act: Callable[[Walk, Operation, Effect], Any] | None = None
    names: bool = False
    data: bool = False
    dies: bool = False
    mend: Callable[[Path], None] = lambda _: None


@dataclass
class Row:
    """What was counted for one sort of fault."""

    points: int = 0
    states: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


class TooManyFailures(BaseException):
    """Enough is known."""


class Walk:
    """The walk of one ceremony through all its operations."""

    def __init__(self, base: Path, faults: tuple[Fault, ...], lines: tuple[int, int]) -> None:
        """Walk in `base`; faults are met while so many new lines stand in the transcript."""
        self._base = base
        self._faults = faults
        self._first, self._last = lines
        self._case: Path | None = None
        self._standing: Callable[[Operation], None] | None = None
        self._promised: tuple[bytes, ...] = ()
        self._outcomes: dict[str, str] = {}
        self._torn: frozenset[bytes] = frozenset()
        self._seen = ""
        self.synced = 0  # bytes of the operation's file that are durable
        self.kinds: Counter[str] = Counter()
        self.rows = {fault.name: Row() for fault in faults}
        self.failures: list[str] = []
        os.chdir(base)
        self._durable = power.Durable()
        self._boundary = Boundary(self._at)

    def run(self) -> None:
        """Hold the ceremony to its end, meeting every fault on the way."""
        aftermath.remember_signatures()
        self._watch_promises()
        found = State.read()
        self._last += len(found.longest.raw)
        self._torn = found.torn
        status: Exit | None = None
        with self._boundary:
            try:
                status, said = aftermath.hold()
            except TooManyFailures:
                raise
            except BaseException:  # noqa: BLE001 - a child tells what went wrong in it
                said = traceback.format_exc()
            if self._case:
                self._tell({"status": status, "said": said})
        if status is not Exit.YES:
            self.failures.append(f"the walk itself: {status} {said}")
        if self._meets_faults():
            end = Operation(sum(self.kinds.values()) + 1, "end", "", ROOT)
            for fault in self._faults:
                if fault.act is None and fault.meets(end):
                    self._meet(fault, end)

    def stand(self, fault: Callable[[Operation], None]) -> None:
        """Let a fault stay until the process ends."""
        self._standing = fault

    def _meets_faults(self) -> bool:
        return self._first <= len(self._promised) <= self._last

    def _watch_promises(self) -> None:
        append = FileJournal.append

        def appending(journal: FileJournal, event: Event) -> None:
            append(journal, event)
            if self._case is None:
                self._promised = tuple(journal.transcript().splitlines())

        setattr(FileJournal, "append", appending)  # noqa: B010 - watched

    def _at(self, operation: Operation, effect: Effect) -> Any:  # noqa: ANN401
        if self._case:
            if self._standing:
                self._standing(operation)
            return effect(operation.data)
        if self._seen not in ("", State.read().digest):
            self.failures.append(f"{_shown(operation)}: written past the boundary")
        self.kinds[operation.kind] += 1
        for fault in self._faults if self._meets_faults() else ():
            if fault.meets(operation) and self._meet(fault, operation) and fault.act:
                return fault.act(self, operation, effect)
        result = effect(operation.data)
        self._durable.note(operation)
        self._seen = State.read().digest
        return result

    def _meet(self, fault: Fault, operation: Operation) -> bool:
        """Let a copy meet the fault, and resume what is left; True in the child that meets it."""
        row = self.rows[fault.name]
        row.points += 1
        case = self._base / f"case-{operation.number}"
        ended = ""
        if fault.act is None:
            files = self._durable.left(names=fault.names, data=fault.data)
            state = State.of(files, State.read().signatures)
            outcome = self._judge(state)
            if not outcome:
                self._copy(case, files)
        else:
            self._copy(case, power.standing())
            self.synced = self._durable.synced(operation.path)
            pid = os.fork()
            if pid == 0:
                self._case = case
                self._boundary.move(case)
                return True
            ended = self._how(os.waitpid(pid, 0)[1], case)
            if fault.dies and ended:
                ended = f"FAILED: not killed: {ended}"
            fault.mend(case)
            state = State.read(case)
            outcome = ended if ended.startswith("FAILED") else self._judge(state)
        outcome = outcome or self._resume(case, state, row)
        if outcome.startswith("FAILED"):
            self.failures.append(f"{fault.name} at {_shown(operation)}: {outcome}")
            row.outcomes["FAILED"] += 1
        else:
            row.outcomes[f"{ended}{outcome}"] += 1
            shutil.rmtree(case, ignore_errors=True)
        if len(self.failures) >= MOST_FAILURES:
            raise TooManyFailures
        return False

    def _copy(self, case: Path, files: dict[str, bytes]) -> None:
        """Copy what stands in the working folder; on the media stands `files`."""
        shutil.copytree(
            ROOT, case / ROOT, copy_function=os.link, ignore=lambda f, _: MEDIA if f == ROOT else ()
        )
        power.lay_out(case, files)
        if aftermath.MEMORY.exists():
            shutil.copy(aftermath.MEMORY, case)

    def _how(self, status: int, case: Path) -> str:
        """Return how the child that met the fault ended."""
        if os.WIFSIGNALED(status):
            return "" if os.WTERMSIG(status) == signal.SIGKILL else f"FAILED: {status}"
        told = json.loads((case / "told.json").read_text("utf-8"))
        said = told["said"]
        match told["status"]:
            case Exit.YES:
                return "went on to the close; "
            case Exit.TROUBLE if "Resume with" in said and "TRN-WRITE" in said:
                return "TRN-WRITE; "
            case Exit.TROUBLE if "Resume with" in said and "MED-WRITE" in said:
                return "MED-WRITE; "
            case Exit.INCOMPLETE if "Resume with" in said:
                return "MED-WRITE, people stop; "
            case _:
                return f"FAILED: {told['status']} {said}"

    def _judge(self, state: State) -> str:
        """Return what is wrong with a state, or how an equal one ended; "" if it is a new one."""
        if state.longest.raw[: len(self._promised)] != self._promised:
            return "FAILED: a line that was promised is on no log"
        if not state.torn >= self._torn:
            return "FAILED: a torn line is gone"
        return self._outcomes.get(state.digest + state.signatures, "")

    def _resume(self, case: Path, state: State, row: Row) -> str:
        """Resume a case in a process of its own."""
        row.states += 1
        pid = os.fork()
        if pid == 0:
            self._case = case
            self._boundary.__exit__()
            os.chdir(case)
            try:
                self._tell({"outcome": aftermath.resumed()})
            except BaseException:  # noqa: BLE001 - told to the parent
                self._tell({"outcome": f"FAILED: {traceback.format_exc()}"})
        os.waitpid(pid, 0)
        outcome = str(json.loads((case / "told.json").read_text("utf-8"))["outcome"])
        self._outcomes[state.digest + state.signatures] = outcome
        return outcome

    def _tell(self, what: dict[str, object]) -> NoReturn:
        """End a child, leaving word for its parent."""
        self._boundary.__exit__()
        if self._case:
            (self._case / "told.json").write_text(json.dumps(what), "utf-8")
        os._exit(0)


def _shown(operation: Operation) -> str:
    return f"operation {operation.number} ({operation.kind} {operation.path})"


def _spare_what_is_the_same_each_time(base: Path) -> None:
    """Remember key and readings: they write nothing, and are most of what a ceremony costs.

    The confined reader is asked in earnest by a ceremony beside the one that is walked.
    """
    setattr(soft, "load_pem_private_key", functools.cache(load_pem_private_key))  # noqa: B010
    ask = sandbox.run
    answers: dict[bytes, tuple[list[tuple[int, Json]], sandbox.Answer]] = {}

    def asked(request: bytes, limits: sandbox.Limits, listener: sandbox.Listener) -> sandbox.Answer:
        if request not in answers:
            told: list[tuple[int, Json]] = []
            taking = sandbox.Listener(told=lambda at, value: told.append((at, value)))
            answers[request] = (told, ask(request, limits, taking))
        for at, value in answers[request][0]:
            listener.at(at)
            listener.told(at, value)
        return answers[request][1]

    setattr(sandbox, "run", asked)  # noqa: B010 - remembered
    shutil.copytree(base / ROOT, base / "beside" / ROOT)
    os.chdir(base / "beside")
    aftermath.hold()
    os.chdir(base)
    shutil.rmtree("beside")


def walk(base: str, lane: str, lines: tuple[int, int]) -> None:
    """Walk the rehearsal in `base` with the faults of `lane`; leave word in result.json."""
    from durability.faults import LANES  # noqa: PLC0415 - it needs Fault

    _spare_what_is_the_same_each_time(Path(base))
    walked = Walk(Path(base), LANES[lane], lines)
    try:
        walked.run()
    except TooManyFailures:
        pass
    except BaseException:  # noqa: BLE001 - told to the test
        walked.failures.append(traceback.format_exc())
    result = {
        "kinds": walked.kinds,
        "rows": {n: [r.points, r.states, r.outcomes] for n, r in walked.rows.items()},
        "failures": walked.failures,
        "seconds": sum(sum(resource.getrusage(w)[:2]) for w in (-1, 0)),
    }
    (Path(base) / "result.json").write_text(json.dumps(result), "utf-8")
