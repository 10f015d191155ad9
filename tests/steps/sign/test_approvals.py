"""sign: signed approvals in a whole ceremony: laid out, taken back, kept, replayed, resumed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import rehearsing
from killing import run_and_die
from marks import accepts, refuses

from ceremony.approval import NAMESPACE
from ceremony.clock import wall_text, wall_time
from ceremony.engine import Rules, begin, sign_plan, step
from ceremony.engine.sign import absorb
from ceremony.engine.sign_approvals import after_doubt
from ceremony.events import Ack, Intended, TimeFixed
from ceremony.ingest.world import LinuxWorld
from ceremony.pe.sign import SigningPlan, plan
from ceremony.pin_uses import UsePin
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.states import Sign, State
from ceremony.token import SignRequest, SignResult
from ceremony.types import EmbeddedSignature, Finding
from tui import ssh_keys
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.tokens import BoundToken
from tui.wiring import hold

TWO = ("[approvals]\nthreshold = 1", "[approvals]\nthreshold = 2")


class Offering(ScriptFace):
    """Answers sign.approve with what `offer` makes of the plan; remembers what was told."""

    def __init__(self, prepared: Prepared, offer: Callable[[int, bytes], str]) -> None:
        super().__init__(prepared.sheet, io.StringIO())
        self.asked: list[Question] = []
        self.told: list[str] = []
        self._offer = offer

    def answer(self, question: Question) -> Answer | Interruption:
        self.asked.append(question)
        if question.name == "sign.approve":
            times = sum(one.name == "sign.approve" for one in self.asked)
            return Answer(question.persons[0], self._offer(times, question.document.encode()))
        return super().answer(question)

    def tell(self, news: object) -> None:
        if isinstance(news, tuple):
            self.told.extend(f"{f.rule} {f.text}" for f in news if isinstance(f, Finding))


def acks(prepared: Prepared, name: str) -> list[Ack]:
    return [e for e in rehearsing.events(prepared) if isinstance(e, Ack) and e.name == name]


@accepts("APP-FILE", "APP-SIGNATURE", "APP-PERSON")
@refuses("APP-FILE", "APP-SIGNATURE", "APP-PERSON")
def test_an_approval_made_elsewhere_comes_back_as_a_file(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, TWO)
    folder = prepared.approvals

    def offer(times: int, plan: bytes) -> str:
        assert (folder / "plan.txt").read_bytes() == plan
        signed = (plan + b"\n", plan, plan, plan)[times - 1]
        person = ("kim", "kim", "kim", "kay")[times - 1]
        data = ssh_keys.sign(prepared.person_key(person), NAMESPACE, signed)
        (folder / "plan.txt.sig").write_bytes(data)
        return "plan.txt.sig" if times % 2 else str(folder / "plan.txt.sig")

    face = Offering(prepared, offer)
    assert hold(rehearsing.places_of(prepared), face).released
    assert [line.split()[0] for line in face.told] == ["APP-SIGNATURE", "APP-PERSON"]
    found = acks(prepared, "sign.approve")
    assert [ack.person for ack in found] == ["kim", "kay"]
    plan = (folder / "plan.txt").read_bytes()
    intent = next(e for e in rehearsing.events(prepared) if isinstance(e, Intended))
    assert intent.plan_sha256 == hashlib.sha256(plan).hexdigest()
    facts = rehearsing.decisions(prepared, "sign.plan")[0].facts
    assert isinstance(facts, dict)
    assert facts["plan"] == plan.decode().splitlines()
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


NO_FILES = ("", "nowhere", "/dev/zero", ".", "~nobody-here/x", "a\0b")


@refuses("APP-FILE", "MED-SPECIAL")
def test_what_is_no_file_is_said_and_asked_again(prepared: Prepared) -> None:
    face = Offering(prepared, lambda times, _plan: (*NO_FILES, "kay")[times - 1])
    assert hold(rehearsing.places_of(prepared), face).released
    assert len(face.told) == len(NO_FILES)
    assert {line.split()[0] for line in face.told} == {"APP-FILE", "MED-SPECIAL"}


def test_a_folder_that_cannot_be_written_still_shows_the_plan(prepared: Prepared) -> None:
    prepared.approvals.write_bytes(b"in the way")
    face = Offering(prepared, lambda _times, _plan: "kim")
    assert hold(rehearsing.places_of(prepared), face).released
    assert face.told[0].startswith("MED-WRITE")


@refuses("APP-THRESHOLD")
def test_a_parent_that_forgets_an_approval_gets_no_signature(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the engine counted wrong: the process that holds the token counts by itself."""
    rehearsing.edit_policy(prepared, TWO)
    whole, calls = BoundToken.sign, []

    def forgets(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        calls.append(request)
        if len(calls) == 1:
            assert request.mandate is not None
            fewer = replace(request.mandate, approvals=request.mandate.approvals[:1])
            request = replace(request, mandate=fewer)
        return whole(token, request, use)

    monkeypatch.setattr(BoundToken, "sign", forgets)
    assert rehearsing.held(prepared).released
    shown = " ".join(acks(prepared, "sign.unknown")[0].shown)
    assert "APP-THRESHOLD: 1 of 2 key holders approved this plan" in shown
    assert [call.attempt for call in calls] == [1, 2]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def approved_then_killed(prepared: Prepared, finished: Prepared) -> None:
    """Let one of two key holders approve, and the process die behind that."""
    rehearsing.edit_policy(prepared, TWO)
    at = rehearsing.names(finished).index("sign.approve") + 1
    run_and_die(prepared, "after", str(at))
    assert rehearsing.names(prepared)[-1] == "sign.approve"


def test_after_a_crash_approvals_stand_with_the_time(
    prepared: Prepared, finished: Prepared
) -> None:
    approved_then_killed(prepared, finished)
    face = Offering(prepared, lambda _times, _plan: "kay")
    assert hold(rehearsing.places_of(prepared), face).released
    asked = next(q for q in face.asked if q.name == "sign.time_stands")
    assert "Key holders who approved that plan: kim." in asked.shown
    assert [ack.person for ack in acks(prepared, "sign.approve")] == ["kim", "kay"]
    assert rehearsing.names(prepared).count("sign.time") == 1
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("APP-SIGNATURE")
def test_a_time_fixed_anew_is_another_plan_and_all_approve_again(
    prepared: Prepared, finished: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved_then_killed(prepared, finished)
    whole = LinuxWorld.wall
    minute = timedelta(minutes=1)
    monkeypatch.setattr(
        LinuxWorld, "wall", lambda world: wall_text(wall_time(whole(world)) + minute)
    )
    first = acks(prepared, "sign.approve")[0].answer
    stale = prepared.folder / "stale.sig"
    stale.write_text(first)
    offers = (str(stale), "kim", "kay")
    face = Offering(prepared, lambda times, _plan: offers[times - 1])
    face._instead["sign.time_stands"] = ["do not agree: it was yesterday"]
    assert hold(rehearsing.places_of(prepared), face).released
    assert [line.split()[0] for line in face.told] == ["APP-SIGNATURE"]
    assert [a.person for a in acks(prepared, "sign.approve")] == ["kim", "kim", "kay"]
    assert rehearsing.names(prepared).count("sign.plan") == 2
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_however_often_the_time_is_read_again_a_signed_image_is_hashed_once(
    finished: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by reading: each "do not agree" hashed an image with signatures anew, replay too."""
    rules = Rules({finished.image_sha256: (finished.out / "anchor.efi").read_bytes()})
    state: State = begin()
    fixed = None
    for event in rehearsing.events(finished):
        if isinstance(state, Sign) and isinstance(event, TimeFixed):
            fixed = event
            break
        state, _ = step(state, event, rules)
    assert isinstance(state, Sign)
    assert fixed
    approved = state.ready.approved
    there = EmbeddedSignature(0, 8, "somebody", approved.facts.authenticode)
    facts = replace(approved.facts, signatures=(there,))
    state = replace(state, ready=replace(state.ready, approved=replace(approved, facts=facts)))
    hashed: list[SigningPlan] = []

    def counted(
        image: bytes, certificate: bytes, chain: tuple[bytes, ...], moment: datetime
    ) -> SigningPlan:
        hashed.append(plan(image, certificate, chain, moment))
        return hashed[-1]

    monkeypatch.setattr(sign_plan, "plan", counted)
    plans = []
    for _ in range(5):
        state = absorb(state, fixed, rules)
        assert isinstance(state, Sign)
        assert state.pending
        state = absorb(state, state.pending, rules)
        assert isinstance(state, Sign)
        plans.append(state.plan)
        doubt = Ack("sign.time_stands", "internal witness", "ines", (), "do not agree: late")
        state = after_doubt(state, doubt)
        assert (state.time, state.stated) == (None, None)
    assert plans == hashed * 5


@refuses("APP-TYPED")
def test_production_takes_no_typed_approvals(prepared: Prepared) -> None:
    class People(ScriptFace):
        """Answers as the script does, where a script must not."""

        def begin(self, mode: object) -> None:
            pass

    rehearsing.edit_policy(prepared, ('by = "signature"', 'by = "typed"'))
    ended = hold(rehearsing.production(prepared), People(prepared.sheet, io.StringIO()))
    assert rehearsing.refused_rules(ended) == {"APP-TYPED"}
