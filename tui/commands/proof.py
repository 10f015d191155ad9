"""proof PROOF: check a proof that replay made, with nothing of the bundle but the checkpoint.

A line is proved by `--line`, an earlier head by `--earlier`. Who signed the checkpoint is
asked of ssh-keygen -Y verify or of replay; a proof only leads to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.errors import refuse
from ceremony.ingest.reading import read_regular
from transcripts import checkpoint, proofs
from transcripts.canon import MOST_LINE
from tui.commands import Exit
from tui.commands.findings import put


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("proof", metavar="PROOF", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint.txt, as signed")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--line", type=Path, help="a file with the one line of the transcript")
    what.add_argument(
        "--earlier", metavar="COUNT:ROOT", help="the head that was noted earlier, ROOT whole"
    )


def run(options: argparse.Namespace) -> Exit:
    """Check: 0 proved, 1 refused (TRN-PROOF, TRN-CHECKPOINT)."""
    proof = proofs.read_proof(read_regular(options.proof, proofs.MOST_BYTES))
    signed = read_regular(options.checkpoint, checkpoint.MOST_BYTES)
    if checkpoint.read_checkpoint(signed) != proof.head:
        raise refuse("TRN-PROOF", "the proof leads to another checkpoint than the one given")
    if options.line:
        line = read_regular(options.line, MOST_LINE + 1)
        proofs.check_line(proof, line.removesuffix(b"\n"))
        said = f"event {proof.place + 1} of {proof.head.count}"
    else:
        earlier = proofs.read_earlier(options.earlier)
        proofs.check_extension(proof, earlier)
        said = f"the first {earlier.count} of {proof.head.count} lines"
    put(f"proved    {said}", f"under     {proof.head.origin}", f"head      {proof.head.spoken}")
    return Exit.YES
