"""ledger BUNDLE: the ledger with one more line, made from a bundle that replays.

Written after the last countersignature, beside the old one, for the next ceremony's medium.
Its new head goes on paper, as people will be asked for it then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony import bundle, ledger
from ceremony.content import octets_of
from ceremony.errors import MediaTrouble, refuse
from ceremony.ingest.sigstore import late_verifier
from ceremony.show import escaped, grouped
from transcripts.book import next_entry
from transcripts.files import read_bundle
from transcripts.log import read_log
from transcripts.replay import Verdict, contents_of, replay
from tui.commands import Exit
from tui.commands.files import file_alone, is_bundle
from tui.commands.findings import put
from tui.sbsigntools.certificates import read_small
from tui.sbsigntools.draft import drafting


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--ledger", type=Path, help="the ledger so far; none for the first line")
    parser.add_argument(
        "--output", type=file_alone, required=True, help="where the new ledger goes"
    )


def run(options: argparse.Namespace) -> Exit:
    """Replay, append, write; 1 where the bundle is not reproduced or the ledger forked."""
    if options.output.exists():
        raise refuse("MED-OUTPUT", f"{escaped(str(options.output))} is there already")
    try:
        files = read_bundle(options.bundle)
    except OSError as error:
        text = f"{escaped(str(options.bundle))}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None
    if not is_bundle(files):
        raise refuse("TRN-FOLDER", f"{escaped(str(options.bundle))} is no bundle")
    found = replay(files, None, late_verifier())
    if found.verdict is not Verdict.REPRODUCED:
        raise refuse("TRN-DECISION", f"the bundle is {found.verdict}, not REPRODUCED")
    practice = found.mode == "rehearsal"
    before = _before(options.ledger)
    log = read_log(octets_of(files[bundle.TRANSCRIPT]))
    entry = next_entry(log, contents_of(log, files), late_verifier(), before.head)
    if any(entry.ceremony == earlier.ceremony for earlier in before.entries):
        raise refuse("QRM-LEDGER", f"ceremony {entry.ceremony} has its line already")
    data = ledger.appended(before, entry)
    with drafting(options.output) as draft:
        draft.update(data)
        draft.commit()
    head = ledger.parse(data).head
    put(
        f"line      {len(before.entries) + 1:,}: {entry.ended}, {escaped(entry.artifact)}",
        f"head      {grouped(head[:32])}",
        f"          {grouped(head[32:])}",
        *(["REHEARSAL: this is practice, no line for a production ledger."] if practice else []),
        "Write the head on paper: the next ceremony asks for it.",
    )
    return Exit.YES


def _before(path: Path | None) -> ledger.Ledger:
    if path is None:
        return ledger.Ledger((), ledger.NO_HEAD, b"", ())
    return ledger.parse(read_small(path, ledger.MOST_BYTES))
