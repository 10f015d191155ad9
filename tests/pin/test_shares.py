"""A PIN as SLIP-39 shares: dealt by one process, typed by k holders, joined in the token's own."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import rehearsing
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from pin.console import Console
from pin.staged import CANARY, set_pin

from ceremony.errors import OutOfOrder, TokenTrouble
from ceremony.events import Ack, LoggedIn
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.policy import load
from ceremony.types import Severity
from hsm import shares
from hsm.binding import read_binding
from hsm.token import Pkcs11Token
from hsm.worker import Answered
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

pytest.importorskip("shamir_mnemonic", reason="the package shamir-mnemonic")

PIN = bytearray(CANARY.encode())
SHARED = ("[signer]\n", '[signer]\npin = "shares"\npin_shares = 2\n')


@pytest.fixture(scope="module")
def dealt() -> list[bytearray]:
    return shares.dealt(PIN, 2, 3)


def logins(prepared: Prepared) -> list[LoggedIn]:
    return [e for e in rehearsing.events(prepared) if isinstance(e, LoggedIn)]


def texts(found: list[bytearray]) -> tuple[str, ...]:
    return tuple(one.decode("ascii") for one in found)


# The form of the secret (docs/spec/pin.md)


@pytest.mark.parametrize("length", [1, 4, 15, 16, 31])
def test_a_pin_comes_back_from_any_two_of_three_shares(length: int) -> None:
    pin = shares.new_pin(length, digits=False)
    found = shares.dealt(pin, 2, 3)
    assert {len(one.split()) for one in found} == {20 if length < 16 else 33}
    for pair in (found[:2], found[1:], found[::2][::-1]):
        assert shares.recovered(pair) == pin


@given(st.binary(max_size=40))
def test_any_other_secret_is_no_pin(secret: bytes) -> None:
    with suppress(Answered):
        assert shares.packed(shares.unpacked(secret)) == secret


@pytest.mark.parametrize(
    "secret",
    [
        b"\x04" + b"1234" + bytes(10) + b"\x01",
        b"\x00" + bytes(15),
        b"\x10" + b"1" * 15,
        b"\x04" + b"12\n4" + bytes(11),
        b"\x04" + b"1234" + bytes(27),
        b"\x04" + b"1234",
    ],
    ids=["not-zeros", "empty", "longer-than-it-is", "not-printable", "long-for-short", "cut-off"],
)
def test_a_secret_of_another_form_is_refused(secret: bytes) -> None:
    with pytest.raises(Answered) as answered:
        shares.unpacked(secret)
    assert answered.value.rule == "KEY-PIN-PART"


def test_four_letters_of_a_word_are_enough(dealt: list[bytearray]) -> None:
    short = bytearray(b"  ".join(word[:4].upper() for word in dealt[0].split()))
    assert shares.why_not(short, [], 2) == ""
    assert shares.same_words(short, dealt[0])
    assert not shares.same_words(short, dealt[1])


def defects(dealt: list[bytearray]) -> dict[str, tuple[bytearray, str]]:
    words = dealt[1].split()
    # Two neighbours are the same word once in a thousand shares: nothing is swapped then.
    at = next(number for number in range(5, len(words)) if words[number] != words[number + 1])
    swapped = [*words[:at], words[at + 1], words[at], *words[at + 2 :]]
    misread = next(word for word in words if word != words[-1])
    other = shares.dealt(PIN, 2, 3)[1]
    while other.split()[0] == words[0]:  # a set's number begins the share: 15 bits by chance
        other = shares.dealt(PIN, 2, 3)[1]
    return {
        "misread": (bytearray(b" ".join([*words[:-1], misread])), "misread"),
        "swapped": (bytearray(b" ".join(swapped)), "in each other's place"),
        "one-short": (bytearray(b" ".join(words[:-1])), "were typed"),
        "no-word": (bytearray(b" ".join([*words[:3], b"anchor", *words[4:]])), "number 4"),
        "not-ascii": (bytearray(b" ".join([*words[:3], b"\xff\xfe", *words[4:]])), "number 4"),
        "another-set": (other, "another set"),
        "the-same-again": (dealt[0], "already"),
        "other-threshold": (shares.dealt(PIN, 3, 3)[0], "needs 3 shares"),
        "nothing": (bytearray(), "0 were typed"),
    }


@pytest.mark.parametrize(
    "defect",
    [
        *("misread", "swapped", "one-short", "no-word", "not-ascii", "another-set"),
        *("the-same-again", "other-threshold", "nothing"),
    ],
)
def test_what_is_no_next_share_is_told_and_quotes_no_word(
    dealt: list[bytearray], defect: str
) -> None:
    typed, said = defects(dealt)[defect]
    why = shares.why_not(typed, [dealt[0]], 2)
    assert said in why
    quoted = {word.decode("ascii", "replace") for word in typed.split()} & set(why.split())
    # Some of the program's own words ("already", "says") may stand in a share by chance.
    assert not quoted - set(re.findall("[a-z]+", inspect.getsource(shares)))


@refuses("KEY-PIN-SLIP39")
def test_without_the_package_shares_are_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "shamir_mnemonic", None)
    with pytest.raises(Answered) as answered:
        shares.why_not(bytearray(b"academic acid"), [], 2)
    assert answered.value.rule == "KEY-PIN-SLIP39"
    assert "slip39.lock" in answered.value.text


# In a ceremony


@accepts("KEY-PIN-SLIP39", "KEY-PIN-ROTATED", "POL-THRESHOLD")
def test_two_holders_type_a_share_each_and_a_misread_one_costs_no_try(
    prepared: Prepared, dealt: list[bytearray]
) -> None:
    set_pin(prepared)
    rehearsing.edit_policy(prepared, SHARED)
    first, second, _ = texts(dealt)
    words = first.split()
    words[7] = next(word for word in words if word != words[7])
    typed = (" ".join(words), first, first, second)
    assert rehearsing.held(prepared, {"pin": typed}).released
    (login,) = logins(prepared)
    assert (login.persons, login.result.outcome) == (("kim", "kay"), "ok")
    (asked,) = (
        e for e in rehearsing.events(prepared) if isinstance(e, Ack) and e.name == "seal.rotation"
    )
    assert asked.answer == "agree"
    (closed,) = rehearsing.decisions(prepared, "close.transcript")
    assert not [f for f in closed.findings if f.rule == "KEY-PIN-ROTATED"]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    log = (prepared.logs[0] / "transcript.jsonl").read_bytes()
    assert b" ".join(bytes(dealt[0]).split()[4:7]) not in log


@refuses("KEY-PIN-ROTATED")
def test_shares_that_stay_as_they_are_stand_in_the_close_line(
    prepared: Prepared, dealt: list[bytearray]
) -> None:
    set_pin(prepared)
    rehearsing.edit_policy(prepared, SHARED)
    why = "do not agree: the holders left"
    instead = {"pin": texts(dealt[:2]), "seal.rotation": (why,)}
    assert rehearsing.held(prepared, instead).released
    (closed,) = rehearsing.decisions(prepared, "close.transcript")
    (finding,) = (f for f in closed.findings if f.rule == "KEY-PIN-ROTATED")
    assert finding.severity is Severity.WARN
    assert "the holders left" in finding.text
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def token_of(prepared: Prepared) -> tuple[Pkcs11Token, bytes]:
    signer = load(prepared.policy.read_bytes()).signer
    binding = read_binding(prepared.machine.read_bytes())
    return Pkcs11Token(binding, signer.uri), signer.certificate.encode()


def test_parts_out_of_order_are_refused_by_the_tokens_process(
    prepared: Prepared, dealt: list[bytearray]
) -> None:
    token, certificate = token_of(prepared)
    with pytest.raises(OutOfOrder):
        token.offer(bytearray(b"1"), PinPart(PinEntry.HALVES, 1, 2))
    token.probe(certificate)
    with pytest.raises(TokenTrouble, match="the parts before it are not here"):
        token.offer(bytearray(dealt[1]), PinPart(PinEntry.SHARES, 2, 2))
    assert token.offer(bytearray(dealt[0]), PinPart(PinEntry.SHARES, 1, 2)) == ""
    assert "more than" in token.offer(bytearray(2000), PinPart(PinEntry.SHARES, 2, 2))
    with pytest.raises(TokenTrouble, match="not every part"):
        token.login(bytearray(), PinEntry.SHARES)
    token.close()


# Dealing and rotating


class Holders:
    """People at a console who write down the shares that are shown, and type them back."""

    def __init__(self, console: Console, count: int) -> None:
        self.console = console
        self.count = count
        self.papers: list[bytearray] = []

    def write_down(self, *, misread: bool = False) -> None:
        console = self.console
        for number in range(1, self.count + 1):
            console.wait("Enter shows it.")
            console.type(b"\n", 0)
            shown = self._shown(number)
            console.type(b"\n", 0)
            console.wait("four letters each will do):")
            if misread and number == 1:
                console.type(b" ".join(reversed(shown)) + b"\n", 0)
                console.wait("these are other words")
                assert self._shown(number) == shown
                console.type(b"\n", 0)
                console.wait("four letters each will do):")
            console.type(b" ".join(word[:4] for word in shown) + b"\n", 0)
            self.papers.append(bytearray(b" ".join(shown)))

    def _shown(self, number: int) -> list[bytes]:
        before = len(self.console.screen)
        self.console.wait("Enter hides it.")
        page = self.console.screen[:].rpartition(b"\x1b[3J")[2].decode()
        assert before >= 0
        assert f"Share {number} of {self.count}" in page
        words = [word for word in page.split() if word in _list()]
        at = words.index("hides") if "hides" in words else len(words)
        return [word.encode() for word in words[:at]][-20:]


def _list() -> list[str]:
    return list(importlib.import_module("shamir_mnemonic.wordlist").WORDLIST)


def split(prepared: Prepared, folder: Path, *words: str) -> Console:
    uri = load(prepared.policy.read_bytes()).signer.uri.partition(";object")[0]
    arguments = ("-I", "-m", "tui", "pin", "split", uri, "--machine", str(prepared.machine))
    return Console(*arguments, *words, folder=folder)


def test_a_new_pin_is_dealt_typed_back_set_and_later_rotated(
    prepared: Prepared, tmp_path: Path
) -> None:
    wanted = ("--needed", "2", "--shares", "3", "--length", "12")
    with split(prepared, tmp_path, *wanted) as console:
        console.wait("the token reports no failed try; not shown):")
        console.type(prepared.pin.encode() + b"\n", 0)
        holders = Holders(console, 3)
        holders.write_down(misread=True)
        console.wait("2 of 3 shares make it")
        assert console.end() == 0
        assert console.screen.count(b"\x1b[3J") >= 6, "each share was taken off the screen"
    pin = shares.recovered(holders.papers[:2])
    assert len(pin) == 12
    token, certificate = token_of(prepared)
    token.probe(certificate)
    for number, paper in enumerate(holders.papers[1:], 1):
        assert token.offer(bytearray(paper), PinPart(PinEntry.SHARES, number, 2)) == ""
    assert token.login(bytearray(), PinEntry.SHARES).outcome == "ok"
    token.close()
    rotated = ("--needed", "2", "--shares", "2", "--old-shares", "2")
    with split(prepared, tmp_path, *rotated, "--length", "8", "--digits") as console:
        for number, paper in enumerate(holders.papers[:2], 1):
            console.wait(f"Old words of share {number} of 2 (not shown):")
            console.type(bytes(paper) + b"\n", 0)
        again = Holders(console, 2)
        again.write_down()
        console.wait("2 of 2 shares make it")
        assert console.end() == 0
    assert shares.recovered(again.papers).isdigit()
    token.probe(certificate)
    assert token.login(bytearray(pin)).outcome == "wrong-pin", "the PIN before is void"
    token.close()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and pin in p.read_bytes()]


def test_a_split_that_nobody_finishes_leaves_the_old_pin(
    prepared: Prepared, tmp_path: Path
) -> None:
    with split(prepared, tmp_path, "--needed", "2", "--shares", "2") as console:
        console.wait("not shown):")
        console.type(prepared.pin.encode() + b"\n", 0)
        console.wait("Enter shows it.")
        console.type(b"\n", 0)
        console.wait("Enter hides it.")
    token, certificate = token_of(prepared)
    token.probe(certificate)
    assert token.login(bytearray(prepared.pin.encode())).outcome == "ok"
    token.close()


@refuses("KEY-PIN-ENTRY")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--paper", "kept.txt"), "would keep the shares"),
        (("--paper", "pipe"), "No such device or address"),  # it was waited for without end
        (("--needed", "4"), "is 2 to --shares"),
        (("--needed", "1"), "is 2 to --shares"),
        (("--shares", "17"), "at most 16"),
        (("--length", "32"), "--length is"),
        (("--old-shares", "1"), "--old-shares is"),
    ],
    ids=[
        "a-file",
        "nobody-reads-it",
        "too-many",
        "one",
        "too-many-shares",
        "long",
        "one-old-share",
    ],
)
def test_what_cannot_be_dealt_is_refused_before_any_pin(  # noqa: PLR0913, PLR0917 - what a test is given
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.txt").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    uri = load(prepared.policy.read_bytes()).signer.uri.partition(";object")[0]
    given_words = ("--machine", str(prepared.machine), "--needed", "2", "--shares", "3", *words)
    assert dispatch(["pin", "split", uri, *given_words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "kept.txt").read_bytes()
