"""Signed approvals, collected: the plan laid out to be signed, a path or picture taken back.

A face like any other to the driver: it stands before the real one and turns what a person
offers (a signature file, a picture of its QR code, in a rehearsal a person's id) into the
armoured text that is recorded. It decides whose it is and refuses what does not count; the
engine decides the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ceremony.approval import MOST_BYTES, NAMESPACE, approved_by
from ceremony.attest.sshsig import looks_like_sshsig
from ceremony.effects import Login
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.reading import read_regular
from ceremony.known import known
from ceremony.policy import Policy
from ceremony.ports import Human, Interruption, Progress
from ceremony.questions import Answer, Form, Question
from ceremony.show import escaped
from ceremony.states import State
from ceremony.types import Finding, Severity
from transcripts.files import write_file
from tui.parts.picture import MOST_FILE, read_code
from tui.parts.view import inner

PLAN_FILE = "plan.txt"

Signers = Mapping[str, Callable[[str, bytes], bytes]]


class ApprovingFace:
    """ceremony.ports.Human in front of another one."""

    def __init__(self, face: Human, folder: Path, signers: Signers) -> None:
        """`folder` is where plan.txt goes; `signers` are the practice keys of a rehearsal."""
        self._face = face
        self._folder = folder
        self._signers = signers
        self._policy: Policy | None = None

    def answer(self, question: Question) -> Answer | Interruption:
        """Return a person's answer; for a plan, one with the armoured approval as its text."""
        if question.form is not Form.SIGNATURE:
            return self._face.answer(question)
        self._lay_out(question)
        while True:
            answer = self._face.answer(self._told(question))
            if not isinstance(answer, Answer):
                return answer
            try:
                return self._approval(question, answer.text)
            except Refused as error:
                self._face.tell(error.findings)
            except MediaTrouble as trouble:
                self._face.tell((Finding(trouble.rule, Severity.REFUSE, trouble.text),))

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Ask the real face."""
        return self._face.pin(login)

    def tell(self, news: State | Progress | tuple[Finding, ...]) -> None:
        """Learn the policy on the way."""
        if not isinstance(news, Progress | tuple):
            self._policy = known(inner(news))[1]
        self._face.tell(news)

    def _lay_out(self, question: Question) -> None:
        """Put the plan where it can be signed; without it, the screen still shows it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_file(self._folder / PLAN_FILE, (question.document.encode("ascii"),))
        except OSError as error:
            text = f"{self._folder / PLAN_FILE}: {error.strerror or error}"
            self._face.tell((Finding("MED-WRITE", Severity.REFUSE, text),))

    def _told(self, question: Question) -> Question:
        """Return the question with where the plan lies here, which is not for the record."""
        practice = [person for person in self._signers if person in question.persons]
        more = f" (or {', '.join(practice)})" if practice else ""
        place = f"plan.txt  {self._folder / PLAN_FILE}"
        return replace(question, shown=(*question.shown, place), prompt=f"{question.prompt}{more}")

    def _approval(self, question: Question, offered: str) -> Answer:
        """APP-SIGNATURE, APP-FILE: what was offered, if it is a good approval of this plan."""
        plan = question.document.encode("ascii")
        if self._policy is None:
            raise refuse("APP-SIGNATURE", "there is no policy that names any key holder")
        signer = self._signers.get(offered)
        data = signer(NAMESPACE, plan) if signer else _read(self._folder, offered)
        person = approved_by(self._policy, plan, data)
        if person not in question.persons:
            others = " or ".join(map(escaped, question.persons))
            text = f"{escaped(person)} approved this plan already; another is asked for: {others}"
            raise refuse("APP-PERSON", text)
        return Answer(person, data.decode("ascii"))


def _read(folder: Path, offered: str) -> bytes:
    """Return the armoured text in a file, or in the one QR code of a picture."""
    try:
        path = folder / Path(offered).expanduser()  # an absolute path stays what it is
        data = read_regular(path, MOST_FILE)
    except OSError as error:
        text = f"{escaped(offered)}: {error.strerror or error}"
        raise refuse("APP-FILE", text) from None
    except (ValueError, RuntimeError):
        raise refuse("APP-FILE", "that is not a path") from None
    if not looks_like_sshsig(data):
        data = read_code(data)
    if len(data) > MOST_BYTES:
        raise refuse("APP-FILE", f"an approval has at most {MOST_BYTES:,} bytes")
    return data
