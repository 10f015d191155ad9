"""Make transcripts/golden/ anew: one bundle a kind of ceremony, with what replay must say of it.

Run as a file: `.venv/bin/python scripts/golden.py`. From the first release on a golden bundle
is never made anew: an old transcript replays with its own rule set, for ever. Before it, run
this when a rule, a decision or an event changed, and say so in the change. With `--reports`
only the reports are written anew, from the bundles that are there: do that when the words or
the drawing of reports changed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rehearsing

from ceremony.approval import NAMESPACE as APPROVAL_NAMESPACE
from ceremony.events import Aborted
from ceremony.ingest.reading import read_folder
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.types import Mode
from transcripts.checkpoint import NAMESPACE
from transcripts.replay import replay
from transcripts.report.html import html
from transcripts.report.text import text
from tui import ssh_keys
from tui.commands.dispatch import dispatch
from tui.commands.report import made
from tui.faces import Closing
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "transcripts" / "golden"
WRONG = "aardvark adroitness absurd adviser accrue aftermath"


def happy(prepared: Prepared) -> None:
    """Nothing out of the ordinary."""
    rehearsing.held(prepared)


def misheard(prepared: Prepared) -> None:
    """One mishearing, one wrong PIN, one clock read wrong."""
    rehearsing.held(
        prepared,
        {
            "read_back.words": (WRONG,),
            "pin": ("000000000",),
            "open.clock_read": ("2020-01-01 00:00",),
        },
    )


def refused_quorum(prepared: Prepared) -> None:
    """Two builders where three are needed."""
    (prepared.media / "attestations/bob.intoto.json").unlink()
    rehearsing.held(prepared)


def refused_policy(prepared: Prepared) -> None:
    """Change the policy after it was signed."""
    prepared.policy.write_bytes(prepared.policy.read_bytes() + b"# changed\n")
    rehearsing.held(prepared)


def aborted(prepared: Prepared) -> None:
    """Let a key holder end it before the PIN."""

    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.approve":
                return Aborted("kim", "the serial number on the bag is another one")
            return super().answer(question)

    with tempfile.TemporaryFile("w") as nowhere:
        hold(rehearsing.places_of(prepared), Aborts(prepared.sheet, nowhere))


def disputed(prepared: Prepared) -> None:
    """Signed, and one witness does not agree with the record."""
    rehearsing.held(prepared, {"seal.statement": ("do not agree: the door was open",)})


def resumed(prepared: Prepared) -> None:
    """Killed between intent and result, then resumed: attempt 2."""
    from killing import run_and_die  # noqa: PLC0415 - starts a process server

    run_and_die(prepared, "after", "29")
    rehearsing.held(prepared)


def dissent(prepared: Prepared) -> None:
    """Let two named operators set aside what a builder attested of other bytes."""
    from steps.judge.test_judge import dissent as other_bytes  # noqa: PLC0415 - a test's own

    other_bytes(prepared)
    rehearsing.edit_policy(
        prepared, ("[gates]", "[dissent]\noverride = { operators = 2 }\n\n[gates]")
    )
    rehearsing.held(prepared, {"judge.override": ("alice's disk was full",) * 2})


def ecdsa(prepared: Prepared) -> None:
    """Sign with a P-256 key; killed before the result, so two signatures may exist."""
    rehearsing.take_ecdsa(prepared)
    resumed(prepared)


def aarch64(prepared: Prepared) -> None:
    """Sign an image for AArch64, and nothing out of the ordinary."""
    rehearsing.held(prepared)


def production(prepared: Prepared) -> None:
    """Hold what happy is in production mode: people sign with their own keys."""

    class People(ScriptFace):
        def begin(self, _mode: Mode) -> None:
            """Let people answer by the sheet; in a real ceremony nobody may."""

        def answer(self, question: Question) -> Answer | Interruption:
            if question.name != "sign.approve":
                return super().answer(question)
            person = question.persons[0]
            key, plan = prepared.person_key(person), question.document.encode("ascii")
            signature = prepared.folder / f"plan.{person}.sshsig"
            signature.write_bytes(ssh_keys.sign(key, APPROVAL_NAMESPACE, plan))
            return Answer(person, str(signature))

        def countersign(self, closing: Closing) -> str | None:
            person = next((p for p in ("ines", "ed") if p not in closing.signed), None)
            if person is None:
                return None
            key, text = prepared.person_key(person), closing.checkpoint.read_bytes()
            signature = prepared.folder / f"{person}.sshsig"
            signature.write_bytes(ssh_keys.sign(key, NAMESPACE, text))
            return str(signature)

    with tempfile.TemporaryFile("w") as nowhere:
        hold(rehearsing.production(prepared), People(prepared.sheet, nowhere))


def chained(prepared: Prepared) -> None:
    """Hold a second ceremony under a ledger: it names the head of the one before."""
    rehearsing.edit_policy(prepared, ("[quorum]\n", "[ledger]\n\n[quorum]\n"))
    first = rehearsing.copy(prepared, prepared.folder.with_name("first"))
    rehearsing.held(first)
    book = prepared.media / "ledger.jsonl"
    if dispatch(["ledger", str(first.out), "--output", str(book)]):
        sys.exit("the first ceremony has no line")
    rehearsing.held(prepared)


KINDS: tuple[Callable[[Prepared], None], ...] = (
    happy,
    aarch64,
    production,
    chained,
    dissent,
    ecdsa,
    misheard,
    refused_quorum,
    refused_policy,
    aborted,
    disputed,
    resumed,
)


REPORTED = ("happy", "resumed")
REPORTER = "the tests"  # a version here would change every report at each release


def reports() -> None:
    """Write the reports of some bundles beside them."""
    for name in REPORTED:
        files = read_folder(GOLDEN / name / "bundle")
        report = made(files, replay(files), REPORTER)
        (GOLDEN / name / "report.html").write_text(html(report), "utf-8")
        (GOLDEN / name / "report.txt").write_text(text(report), "utf-8")


def main() -> None:
    """Make every bundle, and write beside it what replay says."""
    if sys.argv[1:] == ["--reports"]:
        reports()
        return
    shutil.rmtree(GOLDEN, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        fresh = rehearsing.make(Path(folder) / "fresh")
        other = rehearsing.make(Path(folder) / "other", architecture="aarch64")
        for kind in KINDS:
            source = other if kind is aarch64 else fresh
            prepared = rehearsing.copy(source, Path(folder) / kind.__name__)
            kind(prepared)
            target = GOLDEN / kind.__name__
            shutil.copytree(prepared.out, target / "bundle")
            found = replay(read_folder(prepared.out))
            lines = [
                f"kind: {kind.__doc__}",
                f"verdict: {found.verdict}",
                f"outcome: {found.outcome}",
                f"events: {found.events}",
                f"head: {found.head.spoken if found.head else ''}",
                f"witnesses: {' '.join(found.witnesses)}",
            ]
            (target / "expect.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    reports()


if __name__ == "__main__":
    main()
