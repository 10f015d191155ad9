"""replay ARCHIVE: every bundle below a folder, on all processors, one line a ceremony.

Workers replay one bundle at a time and give back a line, so that memory does not grow with the
archive. The chain of previous heads is checked over all of them at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

from ceremony import bundle
from ceremony.content import octets_of
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import counted, escaped
from ceremony.types import Finding, Severity
from transcripts.archive import Record, check_chain
from transcripts.faults import Verdict
from transcripts.files import read_bundle
from transcripts.replay import replay
from tui.commands import Exit
from tui.commands.files import LISTS
from tui.commands.findings import put, put_findings

MOST_DEPTH = 6  # folders above a bundle
MOST_BUNDLES = 100_000
AHEAD = 4  # bundles a processor that are asked for before the first is told
MOST_LINKS = 20  # that are named
MOST_NAME = 4096
SHOWN = 60
_JUDGED = b'"event":"judge.verdict"'


def is_archive(folder: Path) -> bool:
    """Tell whether a folder is no bundle itself and holds some, be it behind links."""
    return not _is_bundle(folder) and next(_inside(folder), None) is not None


def run(folder: Path) -> Exit:
    """Replay all: 0 every one is reproduced, 1 one is not or the chain forks, 4 incomplete."""
    found = sorted(islice(_inside(folder), MOST_BUNDLES + 1))
    if len(found) > MOST_BUNDLES:
        raise refuse("TRN-BUNDLE", f"more than {MOST_BUNDLES:,} bundles in one archive")
    paths = [path for path in found if not path.is_symlink()]
    links = tuple(_link(folder, path) for path in found if path.is_symlink())
    records = []
    try:
        for record in _replayed(folder, paths):
            records.append(record)
            _progress(len(records), len(paths))
            put(_line(record))
    except BrokenProcessPool:
        text = f"a worker was ended from outside behind {counted(len(records), 'ceremonies')}"
        raise MediaTrouble("MED-GONE", text) from None
    _progress(0, 0)
    chain = check_chain(records)
    put_findings((*links[:MOST_LINKS], *chain))
    if len(links) > MOST_LINKS:
        put(f"and {counted(len(links) - MOST_LINKS, 'links')} more that were not followed")
    counts = Counter(record.verdict for record in records)
    named = sum(1 for record in records if record.previous)
    put(
        f"{counted(len(records), 'ceremonies')}: "
        + ", ".join(f"{counts[v]:,} {v}" for v in reversed(Verdict) if counts[v]),
        f"chain: {named:,} name the one before, {len(records) - named:,} name none, "
        f"{len(chain):,} faults",
    )
    return _exit(counts, (*links, *chain))


def _link(folder: Path, path: Path) -> Finding:
    """TRN-FOLDER: what a link leads to is no part of the archive, and was not audited."""
    name = escaped(str(path.relative_to(folder)), MOST_NAME)
    text = f"{name} is a link to a folder, or to nothing, and was not looked into"
    return Finding("TRN-FOLDER", Severity.WARN, text)


def _exit(counts: Counter[Verdict], found: tuple[Finding, ...]) -> Exit:
    refused = any(finding.severity is Severity.REFUSE for finding in found)
    if refused or counts[Verdict.FORGED] or counts[Verdict.DIFFERS]:
        return Exit.REFUSED
    return Exit.INCOMPLETE if found or counts[Verdict.INCOMPLETE] else Exit.YES


def _is_bundle(folder: Path) -> bool:
    """Tell whether a bundle's lists are there, be it as a pipe or a link that replay refuses."""
    return any(os.path.lexists(folder / name) for name in LISTS)


def _inside(folder: Path, depth: int = MOST_DEPTH) -> Iterator[Path]:
    """Yield every bundle below a folder, and every link that may lead to more of them.

    Links are not followed: an archive could be made to hold anything. Bundles hold no bundles.
    """
    try:
        with os.scandir(folder) as scan:
            inside = sorted(e.name for e in scan if _leads_on(e))
    except OSError as error:
        raise refuse("TRN-BUNDLE", f"{escaped(str(folder))}: {error.strerror}") from None
    for name in inside:
        if (folder / name).is_symlink() or _is_bundle(folder / name):
            yield folder / name
        elif depth > 0:
            yield from _inside(folder / name, depth - 1)
        else:
            # What is not looked into is said: a ceremony could be kept from the chain there.
            text = f"{escaped(str(folder / name))} is nested deeper than {MOST_DEPTH} folders"
            raise refuse("TRN-BUNDLE", text)


def _leads_on(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link to one, to nothing or in a circle."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not entry.is_file())
    except OSError:  # a circle of links
        return True


def _replayed(folder: Path, paths: list[Path]) -> Iterator[Record]:
    """Yield the records in the order of `paths`, as they come, few ahead of what is told."""
    processors = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["transcripts.replay"])
    with ProcessPoolExecutor(processors, mp_context=context) as pool:
        waiting: list[Future[Record]] = []
        for path in paths:
            waiting.append(pool.submit(_record, folder, path))
            if len(waiting) >= AHEAD * processors:
                yield waiting.pop(0).result()
        for record in waiting:
            yield record.result()


def _record(folder: Path, path: Path) -> Record:
    """Replay one bundle, in a worker."""
    name = str(path.relative_to(folder))
    try:
        files = read_bundle(path)
        found = replay(files, None, late_verifier())
    except MediaTrouble as trouble:  # there is not the memory for it, or its medium went away
        text = f"{trouble.rule}: {trouble.text}"
        return Record(name, Verdict.INCOMPLETE, "open", "", "", 0, "", "", judged=False, text=text)
    except (Refused, OSError) as error:
        text = error.findings[0].text if isinstance(error, Refused) else str(error.strerror)
        return Record(name, Verdict.DIFFERS, "open", "", "", 0, "", "", judged=False, text=text)
    return Record(
        name,
        found.verdict,
        found.outcome,
        found.mode,
        found.ceremony,
        found.events,
        found.head.root.hex() if found.head else "",
        found.previous,
        judged=_JUDGED in octets_of(files.get(bundle.TRANSCRIPT, b"")),
        text=f"{found.findings[0].rule}: {found.findings[0].text}" if found.findings else "",
        policy=found.policy,
    )


def _line(record: Record) -> str:
    shown = f"{record.verdict:<10}  {record.outcome:<8}  {record.mode:<10}  {record.head[:8]:<8}"
    why = f"  {escaped(record.text, 120)}" if record.text else ""
    return f"{shown}  {escaped(record.name, SHOWN)}{why}"


def _progress(done: int, total: int) -> None:
    """Show how far it is, on a terminal only, and on a line that is written over."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done:,} of {total:,} " if total else "\r\x1b[K")
        sys.stderr.flush()
