"""The ceremony as plain prompts: the same questions, word for word, without a screen.

It needs no Textual, works over a serial line and with a screen reader. Commands at any
prompt: ":exception", ":abort", ":help". The PIN is read without echo into a bytearray.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TextIO

from ceremony.effects import Login
from ceremony.events import Aborted, Event, Excepted
from ceremony.pin_parts import PinEntry
from ceremony.pin_uses import PinUse
from ceremony.ports import Interruption, Progress
from ceremony.questions import Answer, Form, Question
from ceremony.rules.pin_tries import pin_try
from ceremony.rules.register import lookup
from ceremony.show import grouped, printable
from ceremony.states import State
from ceremony.steps import Step
from ceremony.types import Finding, Mode
from ceremony.words import rows
from transcripts.checkpoint import NAMESPACE, Head
from tui.console import COLUMNS, Blocks
from tui.faces import Closing
from tui.guides import CLOSED_WITHOUT_POLICY, GUIDES, NOBODY_SIGNS, PROMPTS, Guide, beside
from tui.secret import MOST_SECRET, MOST_WHOLE, read_line, read_secret

MOST_LINE = 4096
MOST_CODE_ROWS = 60  # a code that scrolls can still be photographed from a log
WIDTH = 76  # of a line of help behind its indent, for a serial line of 80 columns
COMMANDS = (":exception", ":abort", ":help")


class PlainFace:
    """A face on a descriptor that is read unbuffered and a text stream that is written."""

    def __init__(self, reader: int = 0, writer: TextIO = sys.stdout) -> None:
        self._reader = reader
        self._writer = writer
        self._step: Step | None = None
        self._mode = Mode.REHEARSAL
        self._closed = b""  # the checkpoint that was printed

    def begin(self, mode: Mode) -> None:
        """Say which mode this is."""
        self._mode = mode
        self._say(f"=== {mode.upper()} ===")
        self._say(f"At any prompt: {', '.join(COMMANDS)}.")
        self._say("Ctrl-C stops; the same command resumes.")

    def answer(self, question: Question) -> Answer | Interruption:
        """Print what is shown, and read who answers and what."""
        if question.form is Form.SIGNATURE:
            return self._signed(question)
        person = self._who(question.shown, question.persons, "Who answers")
        if not isinstance(person, str):
            return person
        typed = self._ask(f"{person} ({question.role}): {question.prompt}", person)
        return Answer(person, typed) if isinstance(typed, str) else typed

    def _signed(self, question: Question) -> Answer | Interruption:
        """Print the plan, and its code before it; the key says whose approval it is."""
        if self._writer.isatty():  # the code is higher than a console: the plan stays in view
            self._draw(question.document.encode("ascii"))
        self._who(question.shown, question.persons[:1], "")
        self._say("")
        for line in question.document.splitlines():
            self._verbatim(line)
        typed = self._ask(f"key holder: {question.prompt}", question.persons[0])
        return Answer(question.persons[0], typed) if isinstance(typed, str) else typed

    def _draw(self, text: bytes) -> None:
        """Draw a code where the terminal is wide enough for it, as light blocks on black."""
        from tui.parts import qr  # noqa: PLC0415 - a ceremony over a serial line draws none

        columns, rows = shutil.get_terminal_size()
        code = qr.make(text, columns, max(rows, MOST_CODE_ROWS), Blocks.HALVES)
        for row in code.cells:
            self._verbatim("".join(cell.glyph for cell in row))
        self._say(f"  QR code {code.said}")

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Read the PIN without echo; an empty one where the token has its own reader."""
        part = login.part
        person = self._who(login.shown, login.persons, f"Who types the {part.said}")
        if not isinstance(person, str):
            return person
        if login.protected_path:
            self._say("Enter the PIN on the token's own reader now.")
            return person, bytearray()
        most = MOST_WHOLE if part.entry is PinEntry.SHARES else MOST_SECRET
        said = part.said if login.use is PinUse.LOGIN else f"{part.said}, {login.use.counted}"
        prompt = f"{person} (key holder): {said} (not shown): "
        pin = read_secret(self._reader, self._writer, prompt, most + 1)
        self._say("")
        if len(pin) > most:  # cut, it would be another PIN, and cost a try
            pin[:] = bytes(len(pin))
            self._say("  That is no PIN: too long.")
            return self.pin(login)
        # Compared where it lies: a slice of a PIN would be a copy that nobody overwrites.
        for command in COMMANDS:
            if pin == command.encode("ascii"):
                typed = self._command(command, person)
                return typed or self.pin(login)
        return person, pin

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Print a step's heading once, real counts at the end of long acts, refusals whole."""
        if isinstance(news, Progress):
            if news.done >= news.total:
                self._say(f"  {news.what}: {news.done:,} of {news.total:,} {news.unit}")
        elif isinstance(news, tuple):
            for finding in news:
                self._refusal(finding)
        elif news.step is not self._step:
            self._step = news.step
            self._say("")
            self._say(f"--- {self._mode.upper()} --- {news.step.number} of 10: {news.step.heading}")

    def recorded(self, event: Event, head: Head) -> None:
        """Print the line's number and name, and below them the head words, never broken."""
        self._say(f"  [{head.count:04d}] {event.name}")
        self._say(f"         {head.spoken}")

    def countersign(self, closing: Closing) -> str | None:
        """Print the checkpoint as hex and words, and read a path or a rehearsal signer's id.

        It is printed once: a second time it would push a refusal off a console of 25 rows.
        """
        if closing.head.text != self._closed:
            self._closed = closing.head.text
            self._say_closed(closing)
        if closing.signable:
            self._say(f"  Countersigned by {', '.join(closing.signed) or 'nobody yet'}")
            self._say(
                f"  ({len(closing.signed)} of {closing.needed} witnesses). To sign, elsewhere:"
            )
            self._say(f"    ssh-keygen -Y sign -n {NAMESPACE} -f KEY checkpoint.txt")
            if closing.rehearsal_signers:
                self._say(
                    "  In a rehearsal a person's id signs with the practice key that is here."
                )
        else:
            self._say(f"  {NOBODY_SIGNS}")
        while True:
            typed = self._line(_closing_prompt(closing))
            if typed not in COMMANDS:
                return typed or None
            if typed == ":help":
                self._help(None if closing.signable else CLOSED_WITHOUT_POLICY)
            else:
                self._say("  The transcript is closed: nothing is recorded in it any more.")

    def _say_closed(self, closing: Closing) -> None:
        self._say("")
        self._say(f"  The transcript is closed: {closing.outcome}.")
        for finding in closing.why:
            self._say(f"  {finding.rule}: {finding.text}")
        self._say(f"  {closing.checkpoint}:")
        for line in closing.head.text.decode("ascii").splitlines():
            self._say(f"    {line}")
        self._say("  SHA-256 tree root, hex and words, to be read aloud:")
        digits = closing.head.root.hex()
        self._say(f"    {grouped(digits[:32])}")
        self._say(f"    {grouped(digits[32:])}")
        for row in rows(closing.head.root):
            self._say(f"    {row}")

    def _who(
        self, shown: tuple[str, ...], persons: tuple[str, ...], prompt: str
    ) -> str | Interruption:
        """Print what is shown; return who acts, asked only where there is a choice."""
        self._say("")
        for line in shown:
            self._say(f"  {line}")
        if commands := beside(shown, PROMPTS):
            self._say(f"  {commands}")
        if len(persons) == 1:
            return persons[0]
        while True:
            typed = self._ask(f"{prompt} ({', '.join(persons)})", persons[0])
            if not isinstance(typed, str) or typed in persons:
                return typed
            # An answer or a PIN typed too early is on the screen now, but is nobody's name.
            self._say(f"  Type an id first: {' or '.join(persons)}. What is asked comes after it.")

    def _ask(self, prompt: str, person: str) -> str | Interruption:
        while True:
            typed = self._line(prompt)
            if typed not in COMMANDS:
                if not typed.startswith(":"):
                    return typed
                self._say(f"  That is no command. At any prompt: {', '.join(COMMANDS)}.")
                continue
            done = self._command(typed, person)
            if done:
                return done

    def _command(self, command: str, person: str) -> Interruption | None:
        """Do what a command asks for; None when it only explained."""
        if command == ":abort":
            self._say("  An abort cannot be taken back. The transcript is sealed with the reason.")
            who = self._line(f"Who aborts (empty: {person})") or person
            reason = self._line("Why is the ceremony aborted (empty: it is not)")
            return Aborted(who, reason) if reason else None
        if command == ":exception":
            return Excepted(
                self._line(f"Who says so (empty: {person})") or person,
                self._line("What was expected"),
                self._line("What happened"),
                self._line("What was decided"),
            )
        self._help()
        return None

    def _help(self, page: Guide | None = None) -> None:
        """Print a page of the runbook, the step's, as F1 shows it on the full screen."""
        step = self._step or Step.OPEN
        self._say(f"  HELP: {step.number} of 10, {step.heading}")
        for text in (page or GUIDES[step]).said(PROMPTS).texts():
            for line in _folded(text):
                self._say(f"  {line}")
        self._say("  At any prompt: type the answer that is asked for. :exception notes a")
        self._say("  deviation and the ceremony goes on. :abort ends it; its transcript is sealed.")

    def _line(self, prompt: str) -> str:
        asked = f"{prompt}:"
        if self._writer.isatty():
            asked = "\n".join(_rows(asked))
        self._writer.write(f"{asked} ")
        self._writer.flush()
        return read_line(self._reader, MOST_LINE).decode("utf-8", "replace").strip()

    def _refusal(self, finding: Finding) -> None:
        rule = lookup(finding.rule)
        self._say(f"  {finding.rule}: {finding.text}")
        if rule:
            self._say(f"    must hold: {rule.says}")
            following = f"{rule.next} {beside((rule.next,), PROMPTS)}"
            self._say(f"    next:      {following.rstrip()}")
        if spent := pin_try(finding.rule):
            self._say(f"    PIN:       {spent}")

    def _say(self, line: str) -> None:
        """Print a line; a terminal gets it in rows that break between words."""
        for text in printable(line).split("\n"):
            for row in _rows(text) if self._writer.isatty() else (text,):
                self._verbatim(row)

    def _verbatim(self, line: str) -> None:
        self._writer.write(printable(line) + "\n")
        self._writer.flush()


def _closing_prompt(closing: Closing) -> str:
    if not closing.signable:
        return "Nothing is to be signed; an empty line ends"
    hint = ", ".join(closing.rehearsal_signers)
    extra = f" (or {hint})" if hint else ""
    return f"Path of a signature file{extra}; empty when done"


def _rows(text: str) -> list[str]:
    """Return a line in rows of a serial line, the later ones below the first one's words."""
    if len(text) < COLUMNS:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    return textwrap.wrap(
        text, COLUMNS - 1, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip


def _folded(text: str) -> list[str]:
    """Return a line of help in rows, the later ones below the first one's words."""
    indent = "    " if text.startswith(" ") else ""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
