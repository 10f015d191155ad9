"""A rehearsal in a process of its own that dies by SIGKILL at a chosen place.

The process is forked from a clean server that has the program loaded, so that hundreds of
deaths take seconds and no test's threads are copied.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import rehearsing

from ceremony.effects import Buffer
from ceremony.events import Event
from transcripts import files, outputs, store
from transcripts.store import FileJournal
from tui import publishing
from tui.rehearsal.prepare import Prepared, reopen

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["rehearsing"])


def run_and_die(prepared: Prepared, kind: str, at: str) -> None:
    """Hold the rehearsal in its own process until it dies; assert that it was killed."""
    process = SERVER.Process(target=_run, args=(str(prepared.folder), kind, at))
    process.start()
    process.join(240)
    assert process.exitcode == -signal.SIGKILL, f"ended with {process.exitcode}, not killed"


def _run(folder: str, kind: str, at: str) -> None:
    _DEATHS[kind](at)
    rehearsing.held(reopen(Path(folder)))


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_line(number: int, die: Callable[[Callable[[], None]], None]) -> None:
    append = FileJournal.append

    def dying(journal: FileJournal, event: Event) -> None:
        if journal.head.count + 1 != number:
            append(journal, event)
        else:
            die(lambda: append(journal, event))
            _die()

    setattr(FileJournal, "append", dying)  # noqa: B010 - a fault that is put in


def _in_second_log(whole: Callable[[], None], share: int) -> None:
    write, writes = files.append, 0

    def dying(path: Path, file: int, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            write(path, file, data[: len(data) * share // 2])
            _die()
        write(path, file, data)

    setattr(store, "append", dying)  # noqa: B010 - a fault that is put in
    whole()


def _while_writing(_at: str) -> None:
    setattr(outputs, "write_part", _die)  # noqa: B010 - a fault that is put in


def _while_publishing(name: str) -> None:
    write = store.write_file

    def dying(path: Path, pieces: Iterable[Buffer]) -> None:
        if path.name == name:
            _die()
        write(path, pieces)

    setattr(publishing, "write_file", dying)  # noqa: B010 - a fault that is put in


_DEATHS: dict[str, Callable[[str], None]] = {
    "before": lambda at: _at_line(int(at), lambda _: None),
    "between": lambda at: _at_line(int(at), lambda whole: _in_second_log(whole, 0)),
    "torn": lambda at: _at_line(int(at), lambda whole: _in_second_log(whole, 1)),
    "after": lambda at: _at_line(int(at), lambda whole: whole()),
    "writing": _while_writing,
    "publishing": _while_publishing,
}
