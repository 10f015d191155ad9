"""Ceremonies in memory, in milliseconds: honest ports of their own, and people who stumble.

The inputs are a real prepared rehearsal's; the token signs with a real RSA key, the journal
chains real lines, the witnesses sign with their real keys. What is scripted is what goes wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import rehearsing
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ceremony import approval
from ceremony.clock import wall_text
from ceremony.content import Stored
from ceremony.driver import Driver
from ceremony.effects import Buffer, Login, Output
from ceremony.engine import RULESET, Rules, fold
from ceremony.errors import MediaTrouble, TokenTrouble
from ceremony.events import (
    FORMAT,
    Aborted,
    Begun,
    Event,
    Excepted,
    Locked,
    OutputFile,
    Recovered,
    SecondOpinion,
)
from ceremony.ingest.media import FolderMedia
from ceremony.machine import Interface, Machine
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_typing import InsteadOfPin
from ceremony.pin_uses import UsePin, nobody
from ceremony.ports import Interruption, Ports, Report
from ceremony.preflight import read_certificate, signing_key, spki_sha256
from ceremony.questions import AGREE, DISAGREE, Answer, Form, Question
from ceremony.states import Close
from ceremony.steps import Step
from ceremony.token import (
    KeyEvidence,
    LoginResult,
    PinState,
    SignRequest,
    SignResult,
    TokenEvidence,
)
from ceremony.types import Mode
from ceremony.words import words
from transcripts.checkpoint import NAMESPACE, Head, origin
from transcripts.countersign import file_name
from transcripts.log import FIRST, Line, Stamp, link
from transcripts.merkle import Tree
from transcripts.replay import make_sums
from tui import ssh_keys
from tui.rehearsal.prepare import Prepared

PIN = b"123456"
TRIES: dict[int, PinState] = {0: "locked", 1: "final-try", 2: "count-low", 3: "ok"}
CEREMONY = "c0ffee" * 5 + "00"
MOST_ASKED = 25


class Died(Exception):
    """The process ended here; what is durable stays."""


@dataclass(frozen=True)
class Setting:
    """A prepared rehearsal whose policy names a key in memory; made once, read often."""

    prepared: Prepared
    key: rsa.RSAPrivateKey
    certificate: bytes


def setting(folder: Path) -> Setting:
    """Prepare the inputs: a policy that keeps read-back short and takes two operators."""
    prepared = rehearsing.make(folder)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A key in memory")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    text = prepared.policy.read_text("utf-8")
    start, end = text.index("-----BEGIN CERT"), text.index("-----END CERT")
    pem = certificate.public_bytes(Encoding.PEM).decode().partition("-----END CERT")[0]
    rehearsing.edit_policy(prepared, (text[start:end], pem))
    return Setting(prepared, key, certificate.public_bytes(Encoding.DER))


@dataclass
class Troubles:
    """What goes wrong, by the number of the call it befalls; nothing befalls later calls."""

    people: dict[int, str] = field(default_factory=dict)
    token: dict[int, str] = field(default_factory=dict)
    outputs: dict[int, str] = field(default_factory=dict)
    deaths: dict[int, str] = field(default_factory=dict)
    machine: str = ""
    always: bool = False  # the key asks for its PIN at every use
    pins: dict[int, str] = field(default_factory=dict)  # at PIN prompts alone
    second: str = "accepted"
    signers: tuple[str, ...] = ("ines", "ed")


@dataclass
class Ceremony:
    """All ports in one: what was durable, and the calls so far."""

    given: Setting
    troubles: Troubles
    lines: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    clock: int = 0
    tries: int = 3
    logged_in: bool = False
    boots: int = 0

    def run(self) -> Close:
        """Hold the ceremony to its end, through every death."""
        while True:
            try:
                return self._driver().run()
            except Died:
                self.boots += 1
                self.logged_in = False

    def bundle(self) -> dict[str, bytes]:
        """Return the files of the sealed bundle."""
        return {**self.files, "SHA256SUMS": make_sums(self.files)}

    def _driver(self) -> Driver:
        media = FolderMedia(self.given.prepared.media, self.given.prepared.policy)
        ports = Ports(self, media, self, _Token(self), self, self)
        contents: dict[str, Stored] = {}
        if not self.events:
            return Driver(ports, contents)
        image = (self.given.prepared.media / "anchor.efi").read_bytes()
        contents[hashlib.sha256(image).hexdigest()] = image
        state = fold(tuple(self.events), Rules(contents))
        driver = Driver(ports, contents, state)
        if not isinstance(state, Close):
            head = self._head()
            driver.take(Recovered(head.count, head.spoken, (), (), "imagined", "0" * 64))
        return driver

    def _head(self) -> Head:
        tree = Tree(self.lines)
        return Head(origin(CEREMONY, Mode.REHEARSAL), tree.size, tree.root())

    def befalls(self, what: str, troubles: dict[int, str]) -> str:
        """Count a call, and return what befalls it."""
        number = self.counts[what] = self.counts.get(what, 0) + 1
        return troubles.get(number, "")

    # Journal

    def append(self, event: Event) -> None:
        """Chain a line; a death comes before or after it is durable."""
        death = self.befalls("line", self.troubles.deaths)
        if death == "before":
            raise Died
        self.clock += 1
        stamp = Stamp(self.clock, f"boot-{self.boots}", self.wall())
        prev = link(self.lines[-1]) if self.lines else FIRST
        line = Line(CEREMONY, len(self.lines), prev, stamp, event)
        self.lines.append(line.to_bytes())
        self.events.append(event)
        if death == "after":
            raise Died

    def publish(self, closed: Close) -> int:
        """Write transcript and checkpoint, and let witnesses sign."""
        self.files["transcript.jsonl"] = b"".join(line + b"\n" for line in self.lines)
        text = self.files["checkpoint.txt"] = self._head().text
        signers = self.troubles.signers if closed.policy else ()
        for person in signers:
            key = self.given.prepared.person_key(person)
            self.files[file_name(person)] = ssh_keys._sign(key, NAMESPACE, text)
        return len(signers)

    # World

    def begun(self) -> Begun:
        """Return the first line."""
        steps = tuple(str(step) for step in Step)
        return Begun(
            FORMAT, CEREMONY, Mode.REHEARSAL, RULESET, steps, "imagined", "0" * 64, "3",
            ("a", "b"), None,
        )  # fmt: skip

    def survey(self) -> Machine:
        """Return a quiet machine, or one with a radio while it is the first to be looked at."""
        radio = self.troubles.machine and self.befalls("survey", {1: "radio"})
        found = (Interface("lo", "up", hardware=False),)
        return Machine(
            "6.12", "x86_64", "boot", "UTC", "enabled", "integrity", found,
            ("wlan0",) if radio else (), (), (),
        )  # fmt: skip

    def wall(self) -> str:
        """Return the real time: attestations and policy were made a moment ago."""
        return wall_text(datetime.now(UTC))

    def draw(self, count: int, among: int) -> tuple[int, ...]:
        """Return the first places, shifted by how often was drawn."""
        self.befalls("draw", {})
        start = self.counts["draw"]
        return tuple(range(start, start + count)) if start + count <= among else (1, 2, 3, 4, 5, 6)

    def second(self, pieces: Callable[[], Iterator[Buffer]], _certificate: bytes) -> SecondOpinion:
        """Read the whole image and say what is scripted."""
        size = sum(len(piece) for piece in pieces())
        return SecondOpinion("imagined verifier", self.troubles.second, f"{size} bytes")

    # Human

    def tell(self, _news: object) -> None:
        """Say nothing."""

    def answer(self, question: Question) -> Answer | Interruption:
        """Answer as asked, or stumble; a question that comes again and again is an abort."""
        person = question.persons[0]
        self.befalls(question.name, {})
        if self.counts[question.name] > MOST_ASKED:
            return Aborted(person, f"{question.name} comes again and again")
        match self.befalls("asked", self.troubles.people):
            case "except":
                return Excepted(person, "quiet", "a phone rang", "it was put out of the room")
            case "lock":
                return Locked(person, 60)
            case "abort":
                return Aborted(person, "the serial number is another one")
            case "stranger":
                return Answer("mallory", self._right(question))
            case "wrong":
                return Answer(person, _wrong(question))
            case "die":
                raise Died
            case _:
                return Answer(question.persons[-1], self._right(question))

    def _right(self, question: Question) -> str:
        match question.form:
            case Form.CONFIRM:
                return question.word
            case Form.TIME:
                return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            case Form.WORDS:
                image = (self.given.prepared.media / "anchor.efi").read_bytes()
                sheet = words(hashlib.sha256(image).digest())
                drawn = next(e for e in reversed(self.events) if e.name == "read_back.drawn")
                return " ".join(sheet[place - 1] for place in getattr(drawn, "positions", ()))
            case Form.STATEMENT:
                return AGREE
            case Form.REASON:
                return "seen and understood"
            case Form.SIGNATURE:
                key = self.given.prepared.person_key(question.persons[-1])
                return ssh_keys.sign(key, approval.NAMESPACE, question.document.encode()).decode()

    def pin(self, login: Login) -> tuple[str, bytearray] | Interruption:
        """Type the PIN, a wrong one, or give it back to somebody who holds no key."""
        person = login.persons[0]
        match self.befalls("pin", self.troubles.pins or self.troubles.people):
            case "abort":
                return Aborted(person, "no PIN here")
            case "except":
                return Excepted(person, "quiet", "a phone rang", "it was put out of the room")
            case "lock":
                return Locked(person, 60)
            case "die":
                raise Died
            case "stranger" if self.counts["pin"] < MOST_ASKED:
                return "mallory", bytearray(PIN)
            case "empty":
                return person, bytearray()
            case "wrong":
                return person, bytearray(b"000000")
            case _:
                return person, bytearray(PIN)

    # Bundle

    def room(self) -> tuple[int, tuple[int, ...], bool]:
        """Return plenty of room, once the medium is not the full one."""
        full = self.befalls("room", self.troubles.outputs) == "full"
        return 1000 if full else 10**12, (10**12, 10**12), True

    def write(self, outputs: tuple[Output, ...], _report: Report) -> tuple[OutputFile, ...]:
        """Keep every output and read it back; a medium may fail, or hold other bytes."""
        befallen = self.befalls("write", self.troubles.outputs)
        if befallen == "fail":
            raise MediaTrouble("MED-WRITE", "No space left on device")
        found = []
        for output in outputs:
            data = b"".join(bytes(piece) for piece in output.pieces())
            if befallen == "rot":
                data = data[:-1] + bytes([data[-1] ^ 1]) if data else data
            self.files[output.file.name] = data
            digest = hashlib.sha256(data).hexdigest()
            found.append(OutputFile(output.file.name, len(data), digest))
        return tuple(found)

    def withdraw(self, names: tuple[str, ...]) -> None:
        """Take back outputs."""
        for name in names:
            self.files.pop(name, None)


def _wrong(question: Question) -> str:
    match question.form:
        case Form.STATEMENT:
            return f"{DISAGREE} the door was open"
        case Form.TIME:
            return "2020-01-01 00:00"
        case Form.WORDS:
            return " ".join(["aardvark"] * question.count)
        case _:
            return "no"


@dataclass
class _Token:
    """A token with an RSA key, three tries, and a loose contact."""

    held: Ceremony

    def probe(self, certificate: bytes, _uri: str) -> TokenEvidence:
        """Describe the token."""
        if self.held.befalls("probe", self.held.troubles.token) == "lost":
            raise TokenTrouble("KEY-TOKEN", "no token is present")
        assert certificate == self.held.given.certificate
        self.held.logged_in = False
        return self._evidence()

    def offer(self, typed: bytearray, _part: PinPart) -> str:
        """Take no parts: nobody imagined types half a PIN."""
        typed[:] = bytes(len(typed))
        return "the PIN is typed whole"

    def login(
        self, pin: bytearray, entry: PinEntry = PinEntry.WHOLE, use: UsePin = nobody
    ) -> LoginResult:
        """Try a PIN; three wrong ones lock the token. It may be asked for again at each use."""
        assert entry is PinEntry.WHOLE
        held = self.held
        befallen = held.befalls("login", held.troubles.token)
        if befallen == "lost":
            raise TokenTrouble("KEY-LOST", "the token was pulled")
        if befallen == "cancelled":
            return LoginResult("cancelled", TRIES[held.tries])
        if self._right(pin) and (not held.troubles.always or self._right(self._asked(use))):
            held.logged_in = True
            return LoginResult("ok", "ok", self._evidence())
        return LoginResult("wrong-pin" if held.tries else "locked", TRIES[held.tries])

    def close(self) -> None:
        """Log out."""
        self.held.logged_in = False

    def _asked(self, use: UsePin) -> bytearray:
        if (pin := use(TRIES[self.held.tries])) is None:
            raise TokenTrouble("KEY-PIN-USE", "no PIN was given")
        return pin

    def _right(self, pin: bytearray) -> bool:
        right = self.held.tries > 0 and pin == PIN
        self.held.tries = 3 if right else max(self.held.tries - 1, 0)
        return right

    def sign(self, request: SignRequest, use: UsePin = nobody) -> SignResult:
        """Sign, or lose the answer, or answer with an error."""
        held = self.held
        if held.troubles.always and held.logged_in:
            held.logged_in = False
            try:
                held.logged_in = self._right(self._asked(use))
            except TokenTrouble as trouble:
                return SignResult("failed", "", trouble.rule, trouble.text)
            except InsteadOfPin:
                held.logged_in = True
                raise
            if not held.logged_in:
                return SignResult("failed", "", "KEY-PIN-WRONG", "the token refused the PIN")
        match held.befalls("sign", held.troubles.token):
            case "lost":
                raise TokenTrouble("KEY-LOST", "the token was pulled")
            case "failed":
                return SignResult("failed", "", "KEY-REFUSED", "CKR_DEVICE_ERROR")
            case "die":
                raise Died
            case _:
                assert held.logged_in
        digest = bytes.fromhex(request.digest)
        signature = held.given.key.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        return SignResult("signed", signature.hex())

    def _evidence(self) -> TokenEvidence:
        held = self.held
        attributes = tuple(
            (name, "false" if name == "EXTRACTABLE" else "true")
            for name in ("SENSITIVE", "EXTRACTABLE", "SIGN", "ALWAYS_SENSITIVE",
                         "NEVER_EXTRACTABLE", "LOCAL")
        )  # fmt: skip
        spki = spki_sha256(signing_key(read_certificate(held.given.certificate)))
        inside = held.logged_in
        key = KeyEvidence(
            "uki", "01", spki, "RSA", 2048, "private key" if inside else "public key",
            attributes if inside else (),
            always_authenticate=inside and held.troubles.always,
        )  # fmt: skip
        return TokenEvidence(
            "/usr/lib/imagined.so", "0" * 64, "Imagined", "", "1.0", "3.0", 0, "slot", "Imagined",
            "rehearsal", "1", "1", "Imagined", ("LOGIN_REQUIRED",), ("CKM_RSA_PKCS",), (key,),
            TRIES[held.tries], protected_path=False,
            libraries=(), sandbox="none", grade="asserted by module",
            stage="after-login" if inside else "before-login",
            possession="proved" if inside else "not-tried",
        )  # fmt: skip
