"""The one loop: do what the engine wants through a port, record it, hand it to the engine.

Nothing follows from an event before it is durable: the journal returns only when the line
is on every log medium. An answer that may not be recorded is told to the person and asked
for again. Trouble with a device or medium becomes an event; trouble with the journal ends
the loop, since what cannot be recorded must not go on.
"""

from __future__ import annotations

from typing import assert_never

from ceremony.attest.gather import Reader, read_here
from ceremony.attest.sigstore import Verifier
from ceremony.content import Stored
from ceremony.effects import (
    Ask,
    AskSecond,
    Begin,
    Draw,
    Effect,
    FixTime,
    Login,
    MeasureRoom,
    ProbeToken,
    Publish,
    ReadClock,
    ReadMedia,
    ReadPolicy,
    Record,
    SignNow,
    Survey,
    WriteOutputs,
)
from ceremony.engine import Rules, begin, step, wants
from ceremony.engine.order import BadAnswer
from ceremony.errors import MediaTrouble, OutOfOrder, Refused, TokenTrouble
from ceremony.events import (
    Aborted,
    Ack,
    ClockRead,
    Drawn,
    Event,
    LoggedIn,
    MachineSurveyed,
    MediaFailed,
    OutputsFailed,
    OutputsWritten,
    RoomMeasured,
    Signed,
    TimeFixed,
    TokenFailed,
    TokenProbed,
)
from ceremony.pin_typing import InsteadOfPin, PinTyping
from ceremony.pin_uses import PinUse, nobody
from ceremony.ports import Interruption, Ports
from ceremony.questions import Answer, Question, check_answer
from ceremony.states import Close, State
from ceremony.token import SignResult


class Driver:
    """Runs one ceremony from a state to its close."""

    def __init__(
        self,
        ports: Ports,
        contents: dict[str, Stored],
        state: State | None = None,
        verifier: Verifier | None = None,
        read: Reader = read_here,
    ) -> None:
        self._ports = ports
        self._contents = contents
        self._pins = PinTyping(ports.human, ports.token)
        self._rules = Rules(contents, verifier=verifier, read=read)
        self.state = state if state is not None else begin()
        self.countersigned = 0

    def run(self) -> Close:
        """Go on until the transcript is closed and published; return the last state."""
        while True:
            self._ports.human.tell(self.state)
            (effect,) = wants(self.state, self._rules)
            if isinstance(effect, Publish):
                if not isinstance(self.state, Close):
                    raise OutOfOrder("only a closed transcript is published")
                self.countersigned = self._ports.journal.publish(self.state)
                return self.state
            self.take(self._perform(effect))

    def take(self, event: Event) -> None:
        """Record one event and go on to the state after it."""
        try:
            after, _ = step(self.state, event, self._rules)
        except BadAnswer as error:
            self._ports.human.tell(error.findings)
            return
        self._ports.journal.append(event)
        self.state = after

    def _perform(self, effect: Effect) -> Event:  # noqa: C901, PLR0911, PLR0912 - one case an effect
        ports = self._ports
        match effect:
            case Begin():
                return ports.world.begun()
            case ReadPolicy():
                return ports.media.read_policy()
            case ReadClock():
                return ClockRead(ports.world.wall())
            case Survey():
                return MachineSurveyed(ports.world.survey())
            case ReadMedia():
                return self._read_media(effect)
            case Ask():
                return self._ask(effect.question)
            case Record():
                return effect.event
            case Draw():
                return Drawn(ports.world.draw(effect.count, effect.among))
            case ProbeToken():
                return self._probe(effect)
            case MeasureRoom():
                free, logs, empty = ports.bundle.room()
                return RoomMeasured(free, logs, empty)
            case FixTime():
                return TimeFixed(ports.world.wall())
            case Login():
                return self._login(effect)
            case SignNow():
                return self._sign(effect)
            case AskSecond():
                return ports.world.second(effect.pieces, effect.certificate)
            case WriteOutputs():
                return self._write(effect)
            case Publish():
                raise OutOfOrder("publishing ends the loop")
            case _:
                assert_never(effect)

    def _ask(self, question: Question) -> Ack | Interruption:
        while True:
            answer = self._ports.human.answer(question)
            if not isinstance(answer, Answer):
                return answer
            findings = check_answer(question, answer)
            if not findings:
                return Ack(question.name, question.role, answer.person, question.shown, answer.text)
            self._ports.human.tell(findings)

    def _read_media(self, effect: ReadMedia) -> Event:
        try:
            media, image = self._ports.media.read(
                effect.names, effect.most_bytes, self._ports.human.tell
            )
        except MediaTrouble as trouble:
            return MediaFailed(trouble.rule, trouble.text)
        self._contents.clear()  # of a medium before this one nothing is used
        if media.image:
            self._contents[media.image.sha256] = image
        return media

    def _probe(self, effect: ProbeToken) -> Event:
        try:
            return TokenProbed(self._ports.token.probe(effect.certificate, effect.uri))
        except TokenTrouble as trouble:
            return TokenFailed(trouble.rule, trouble.text)
        except Refused as error:
            return TokenFailed(error.findings[0].rule, error.findings[0].text)

    def _login(self, effect: Login) -> Event:
        try:
            typed = self._pins.typed(effect)
            use = self._pins.again(effect, PinUse.TEST, typed.persons)
            result = self._ports.token.login(typed.pin, effect.part.entry, use)
        except TokenTrouble as trouble:
            return TokenFailed(trouble.rule, trouble.text)
        except InsteadOfPin as instead:
            return instead.event
        return LoggedIn(typed.persons, result)

    def _sign(self, effect: SignNow) -> Event:
        request, login = effect.request, effect.login
        use = self._pins.again(login, PinUse.SIGNATURE, login.persons) if login else nobody
        try:
            result = self._ports.token.sign(request, use)
        except TokenTrouble as trouble:
            result = SignResult("unknown", "", trouble.rule, trouble.text)
        except InsteadOfPin as instead:
            if isinstance(instead.event, Aborted):
                self._ports.token.close()
            return instead.event
        return Signed(request.attempt, result)

    def _write(self, effect: WriteOutputs) -> Event:
        try:
            self._ports.bundle.withdraw(effect.withdrawn)
            return OutputsWritten(self._ports.bundle.write(effect.outputs, self._ports.human.tell))
        except MediaTrouble as trouble:
            return OutputsFailed(trouble.rule, trouble.text)
