"""sign: preflight, plan, approval, PIN, durable intent, one signature; every failure survived."""

from __future__ import annotations

import base64
import re
import shutil
import struct
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import rehearsing
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from marks import accepts, refuses

from ceremony.effects import Buffer
from ceremony.errors import MediaTrouble, TokenTrouble
from ceremony.events import Aborted, Ack, Intended, LoggedIn, Outcome, Signed
from ceremony.ingest.world import LinuxWorld
from ceremony.pin_uses import UsePin
from ceremony.policy import load
from ceremony.ports import Interruption
from ceremony.questions import Answer, Question
from ceremony.token import SignRequest, SignResult
from ceremony.types import Finding
from transcripts import files, outputs, store
from transcripts.log import read_log
from tui import wiring
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.tokens import BoundToken


@accepts("MED-SPACE", "MED-OUTPUT", "AIR-CLOCK-BACK", "KEY-PIN-WRONG")
def test_the_order_of_acts(finished: Prepared) -> None:
    acts = [name for name in rehearsing.names(finished) if name.startswith("sign.")]
    assert acts == [
        "sign.token",
        "sign.room",
        "sign.preflight",
        "sign.time",
        "sign.plan",
        "sign.approve",
        "sign.login",
        "sign.login_verdict",
        "sign.intent",
        "sign.result",
    ]


def test_the_intent_is_on_both_logs_before_the_token_hears_of_it(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    whole = BoundToken.sign

    def looking(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        for folder in prepared.logs:
            log = read_log((folder / "transcript.jsonl").read_bytes())
            seen.append([log.lines[-1].event.name])
        return whole(token, request, use)

    monkeypatch.setattr(BoundToken, "sign", looking)
    assert rehearsing.held(prepared).released
    assert seen == [["sign.intent"], ["sign.intent"]]


@refuses("KEY-CERT-REVOKED")
def test_a_key_that_the_policys_dbx_revokes_is_refused_before_the_pin(prepared: Prepared) -> None:
    policy = load(prepared.policy.read_bytes())
    read = x509.load_pem_x509_certificate(policy.signer.certificate.encode())
    der = read.public_bytes(Encoding.DER)
    kind = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
    dbx = kind + struct.pack("<III", 44 + len(der), 0, 16 + len(der)) + bytes(16) + der
    text = base64.b64encode(dbx).decode()
    rehearsing.edit_policy(prepared, ("[signer]\n", f'[signer]\ndbx = "{text}"\n'))

    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.again":
                return Aborted("carol", "the key is revoked")
            return super().answer(question)

    assert not wiring.hold(rehearsing.places_of(prepared), Aborts(prepared.sheet)).released
    (decided,) = rehearsing.decisions(prepared, "sign.preflight")
    assert {f.rule for f in decided.findings} >= {"KEY-CERT-REVOKED"}
    assert "sign.login" not in rehearsing.names(prepared)


@refuses("KEY-PIN-WRONG")
def test_a_wrong_pin_is_said_and_never_tried_again_by_itself(prepared: Prepared) -> None:
    ended = rehearsing.held(prepared, {"pin": ("000000000",)})
    assert ended.released
    logins = [e.result.outcome for e in rehearsing.events(prepared) if isinstance(e, LoggedIn)]
    assert logins == ["wrong-pin", "ok"]
    names = rehearsing.names(prepared)
    assert names.index("sign.pin_again") == names.index("sign.login") + 1
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_the_pin_is_nowhere_in_what_is_kept(prepared: Prepared) -> None:
    wrong = "975310864"
    rehearsing.held(prepared, {"pin": (wrong,)})
    for path in prepared.folder.rglob("*"):
        if path.is_file() and path.name not in ("paper-sheet.txt", "rehearsal.json"):
            data = path.read_bytes()
            assert wrong.encode() not in data, path
            # Six digits may stand inside a hex value by chance; a PIN would stand by itself.
            alone = rf"(?<![0-9a-f]){prepared.pin}(?![0-9a-f])".encode()
            assert not re.search(alone, data), path


@refuses("MED-SPACE")
def test_too_little_room_is_said_before_anything_is_signed(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [100]
    whole = outputs._free
    monkeypatch.setattr(
        outputs, "_free", lambda path: free[0] if free and path == prepared.out else whole(path)
    )

    class FreesSpace(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.again":
                assert "MED-SPACE" in question.shown[0]
                free.clear()
            return super().answer(question)

    assert wiring.hold(rehearsing.places_of(prepared), FreesSpace(prepared.sheet)).released
    names = rehearsing.names(prepared)
    assert names.index("sign.again") < names.index("sign.intent")
    assert names.count("sign.intent") == 1


@refuses("MED-OUTPUT")
def test_an_output_that_exists_already_is_never_overwritten(prepared: Prepared) -> None:
    prepared.out.mkdir()
    (prepared.out / "anchor.signed.efi").write_bytes(b"precious")
    with pytest.raises(Exception, match="MED-OUTPUT"):
        rehearsing.held(prepared)
    assert (prepared.out / "anchor.signed.efi").read_bytes() == b"precious"
    assert not any(any(log.iterdir()) for log in prepared.logs)


@refuses("MED-OUTPUT")
def test_an_output_that_appears_meanwhile_stops_the_signing(prepared: Prepared) -> None:
    class PutsOne(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            if getattr(event, "name", "") == "read_back.verdict":
                prepared.out.mkdir()
                (prepared.out / "x").write_bytes(b"")

        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.again":
                (prepared.out / "x").unlink()
            return super().answer(question)

    assert wiring.hold(rehearsing.places_of(prepared), PutsOne(prepared.sheet)).released
    assert "sign.again" in rehearsing.names(prepared)


def test_a_token_that_is_pulled_leaves_the_outcome_unknown_and_the_next_attempt_is_the_same(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = BoundToken.sign, []

    def pulled(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        calls.append(request)
        if len(calls) == 1:
            tokens = prepared.folder / "token" / "tokens"
            away = prepared.folder / "token" / "away"
            tokens.rename(away)
            try:
                return whole(token, request, use)
            finally:
                away.rename(tokens)
        return whole(token, request, use)

    monkeypatch.setattr(BoundToken, "sign", pulled)
    assert rehearsing.held(prepared).released
    events = rehearsing.events(prepared)
    results = [e.result.outcome for e in events if isinstance(e, Signed)]
    assert results == ["unknown", "signed"]
    assert "sign.unknown" in rehearsing.names(prepared)
    intents = [e for e in events if isinstance(e, Intended)]
    assert {i.attributes for i in intents} == {intents[0].attributes}
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_a_token_that_dies_between_intent_and_result(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = BoundToken.sign, []

    def dies(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        calls.append(request)
        if len(calls) == 1:
            raise TokenTrouble("KEY-LOST", "the reader was unplugged")
        return whole(token, request, use)

    monkeypatch.setattr(BoundToken, "sign", dies)
    assert rehearsing.held(prepared).released
    names = rehearsing.names(prepared)
    assert "sign.unknown" in names
    assert [r.attempt for r in calls] == [1, 2]
    assert calls[0].digest == calls[1].digest


def test_a_token_that_is_not_there_may_be_put_in(prepared: Prepared) -> None:
    tokens = prepared.folder / "token"
    tokens.rename(prepared.folder / "away")

    class PutsIn(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.again" and not tokens.exists():
                (prepared.folder / "away").rename(tokens)
            return super().answer(question)

    assert wiring.hold(rehearsing.places_of(prepared), PutsIn(prepared.sheet)).released
    assert "sign.trouble" in rehearsing.names(prepared)


@refuses("AIR-CLOCK-BACK")
def test_a_clock_that_ran_backwards_stops_the_signing(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = LinuxWorld.wall
    back = [True]

    class SetsBack(ScriptFace):
        def recorded(self, event: object, head: object) -> None:
            name = getattr(event, "name", "")
            if name == "sign.preflight" and back:
                monkeypatch.setattr(LinuxWorld, "wall", lambda _self: "2026-01-01T00:00:00Z")
            if name == "sign.plan":
                back.clear()
                monkeypatch.setattr(LinuxWorld, "wall", whole)

    assert wiring.hold(rehearsing.places_of(prepared), SetsBack(prepared.sheet)).released
    plans = [d.outcome for d in rehearsing.decisions(prepared, "sign.plan")]
    assert plans == [Outcome.REFUSED, Outcome.OK]


@accepts("APP-PERSON", "APP-ANSWER", "APP-ABORT")
def test_two_key_holders_approve_where_two_must(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, TWO)
    assert rehearsing.held(prepared).released
    people = [e.person for e in rehearsing.events(prepared) if e.name == "sign.approve"]
    assert sorted(people) == ["kay", "kim"]


TWO = ("[approvals]\nthreshold = 1", "[approvals]\nthreshold = 2")
TYPED = ('by = "signature"', 'by = "typed"')


def _approved_with(prepared: Prepared, offers: tuple[Answer, ...]) -> tuple[list[str], list[str]]:
    """Hold a rehearsal with these offers; return the rules told and who approved."""
    said: list[str] = []

    class Tries(ScriptFace):
        tries: Iterator[Answer] = iter(offers)

        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "sign.approve":
                return next(self.tries)
            return super().answer(question)

        def tell(self, news: object) -> None:
            if isinstance(news, tuple):
                said.extend(f.rule for f in news if isinstance(f, Finding))

    assert wiring.hold(rehearsing.places_of(prepared), Tries(prepared.sheet)).released
    acks = [e for e in rehearsing.events(prepared) if isinstance(e, Ack)]
    return said, [ack.person for ack in acks if ack.name == "sign.approve"]


@refuses("APP-PERSON", "APP-SIGNATURE", "APP-FILE")
@accepts("APP-SIGNATURE", "APP-PLAN", "APP-THRESHOLD", "APP-DIGEST", "APP-POLICY")
def test_nobody_approves_twice_or_without_being_a_key_holder(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, TWO)
    offers = ("ines", "nowhere.sig", "kim", "kim", "kay")
    said, people = _approved_with(prepared, tuple(Answer("kim", offer) for offer in offers))
    assert said == ["APP-SIGNATURE", "APP-FILE", "APP-PERSON"]
    assert people == ["kim", "kay"]


@refuses("APP-PERSON", "APP-ANSWER")
@accepts("APP-TYPED")
def test_nobody_types_an_approval_twice_or_for_another(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, TWO, TYPED)
    offers = (
        Answer("ines", "APPROVE"),
        Answer("kim", "yes"),
        Answer("kim", "APPROVE"),
        Answer("kim", "APPROVE"),
        Answer("kay", "APPROVE"),
    )
    said, people = _approved_with(prepared, offers)
    assert said == ["APP-PERSON", "APP-ANSWER", "APP-PERSON"]
    assert people == ["kim", "kay"]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("APP-ABORT")
@pytest.mark.parametrize(
    "name",
    ["open.roles", "inventory.seen", "ingest.removed", "inspect.meaning", "judge.seen",
     "read_back.words", "sign.approve", "verify.seen", "seal.statement"],
)  # fmt: skip
def test_an_abort_in_every_step_is_sealed_and_replays(prepared: Prepared, name: str) -> None:
    class Aborts(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == name:
                return Aborted(question.persons[0], "the fire alarm")
            return super().answer(question)

    ended = wiring.hold(rehearsing.places_of(prepared), Aborts(prepared.sheet))
    assert ended.closed.outcome is Outcome.ABORTED
    assert not ended.released
    found = rehearsing.replayed(prepared)
    assert (found.verdict, found.outcome) == ("REPRODUCED", "aborted")
    signed = list(prepared.out.glob("*.signed.efi"))
    assert bool(signed) == (name == "seal.statement")


@refuses("MED-WRITE")
@accepts("MED-WRITE")
def test_a_full_output_medium_leaves_nothing_half_written_and_is_tried_again(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def full(part: Path, pieces: Iterable[Buffer]) -> None:
        calls.append(part.name)
        if len(calls) == 3:
            part.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        files.write_part(part, pieces)

    monkeypatch.setattr(outputs, "write_part", full)
    seen: list[list[str]] = []

    class Looks(ScriptFace):
        def answer(self, question: Question) -> Answer | Interruption:
            if question.name == "seal.again":
                seen.append([p.name for p in prepared.out.rglob("*") if p.is_file()])
            return super().answer(question)

    assert wiring.hold(rehearsing.places_of(prepared), Looks(prepared.sheet)).released
    assert seen == [[]]
    assert "seal.failed" in rehearsing.names(prepared)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("TRN-WRITE")
def test_a_log_medium_that_is_full_ends_it_before_anything_follows(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files.append

    def full(path: Path, file: int, data: bytes) -> None:
        if b'"event":"sign.intent"' in data and path.parent == prepared.logs[1]:
            whole(path, file, data[:40])
            raise MediaTrouble("TRN-WRITE", f"{path}: No space left on device")
        whole(path, file, data)

    calls: list[object] = []
    sign = BoundToken.sign

    def counted(token: BoundToken, request: SignRequest, use: UsePin) -> SignResult:
        calls.append(request)
        return sign(token, request, use)

    monkeypatch.setattr(BoundToken, "sign", counted)
    monkeypatch.setattr(store, "append", full)
    with pytest.raises(MediaTrouble):
        rehearsing.held(prepared)
    assert calls == []
    monkeypatch.setattr(store, "append", whole)
    assert rehearsing.held(prepared).released
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    shutil.rmtree(prepared.folder)
