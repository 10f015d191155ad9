"""What is shown, folded or likened does not depend on the Unicode version of the interpreter."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.casebook import signed_sums, with_third
from quorum.release import COMMIT, IMAGE, Release, checksums, judged, sha256

from ceremony.blobs import from_blob, to_blob
from ceremony.characters import is_printable, likened, lowered, takes_one_column, turns
from ceremony.questions import Answer, Form, Question, check_answer
from ceremony.show import printable
from ceremony.types import MediaFile
from ceremony.verdicts import Standing
from transcripts import auditor

ALL = [chr(number) for number in range(0x110000)]
FIRST = [one for one in ALL[:0x20000] if unicodedata.category(one) != "Cs"]
# Assigned in Unicode 15, 15.1 and 16: a Python 3.11 knows none of them.
NEWER = ("\U0001fae8", "\u2ffc", "\U0002ebf0", "\ua7cb", "\U0001ccd6", "\U0001611e")
NAMES = (
    *("Jörg", "Łukasz", "日本", "O'Brien", "Nguyễn Thị", "Șerban", "ẞtraße", "ৎ", "Ωμέγα", "Ірина"),
    *("محمد", "שרה", "नीरज", "กิตติ", "김철수", "葛\U000e0100", "Xóõ", "Zoë-Ann"),
)
HIDDEN = ("\u202e", "\u200b", "\u00a0", "\u2028", "\x1b", "\u2066", "\ufeff", "\u3000", "\ue000")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


# Computed alike by Python 3.9, 3.11, 3.12 and 3.13, which carry Unicode 13, 14, 15 and 15.1.
ANSWERS: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
    "printable": (
        lambda: ("01"[is_printable(one)] for one in ALL),
        "41dea6e5a540c15fd0f89b72dd3f568d94b86a8c4f25cc2244b04d6009b5d2cd",
    ),
    "turns": (
        lambda: ("01"[turns(one)] for one in ALL),
        "e744f12ad6791800c559fb392600959aee41239449ecc1bb80dd67524bee65a1",
    ),
    "one-column": (
        lambda: ("01"[takes_one_column(one)] for one in ALL),
        "8babbc54d4e6e8fd9f213865743ded696db7d9e38cc4c78eca517a36df7f8a87",
    ),
    "likened": (
        lambda: ("\n".join(likened(one) for one in FIRST),),
        "d0beb2cef8a70290e220337ad54a2278f19525abf98ffa29856c867e3ce8d27c",
    ),
    "lowered": (
        lambda: ("\n".join(lowered(one) for one in ALL),),
        "17c6fcc6346e4f23fb9a468dc90899835d2030d09001835e299b128ff182ef4e",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_python_answers_alike_for_every_character(name: str) -> None:
    ask, expected = ANSWERS[name]
    assert digest(ask()) == expected


def test_of_the_characters_that_unicode_15_1_knows_those_are_shown_that_print() -> None:
    for one in ALL:
        if unicodedata.category(one) not in ("Cn", "Cf"):
            assert is_printable(one) == one.isprintable(), hex(ord(one))
    unseen = [one for one in ALL if unicodedata.category(one) == "Cf"]
    if float(".".join(unicodedata.unidata_version.split(".")[:2])) <= 15.1:
        assert not any(map(is_printable, unseen))


@pytest.mark.parametrize("name", NAMES)
def test_peoples_names_stay_readable(name: str) -> None:
    assert is_printable(name)
    assert printable(name) == name


@pytest.mark.parametrize("one", HIDDEN, ids=lambda one: f"U+{ord(one):04X}")
def test_what_is_not_seen_or_acts_is_escaped(one: str) -> None:
    assert not is_printable(f"a{one}b")
    assert one not in printable(f"a{one}b")


@given(st.text())
def test_a_text_prints_when_each_of_its_characters_does(text: str) -> None:
    assert is_printable(text) == all(map(is_printable, text))
    assert (auditor.HIDDEN.search(text) is None) == is_printable(text)


def test_the_stand_alone_auditor_has_the_same_rule() -> None:
    assert [one for one in ALL if auditor.HIDDEN.search(one)] == [
        one for one in ALL if not is_printable(one)
    ]
    text = "".join(ALL)
    assert auditor.lowered(text) == lowered(text)


@pytest.mark.parametrize("one", NEWER, ids=lambda one: f"U+{ord(one):04X}")
def test_a_character_that_is_newer_than_the_interpreter_changes_no_record(
    one: str, release: Release
) -> None:
    """Seen failing: under Python 3.11 it was refused, in base64, malformed; not under 3.13."""
    question = Question("close.statement", "r", ("ann",), (), "", Form.REASON)
    assert check_answer(question, Answer("ann", f"because {one}")) == ()
    assert auditor.answer_fits("reason", f"because {one}")
    file = MediaFile("a", f"# {one}\n".encode())
    assert to_blob(file).encoding == "utf-8"
    assert from_blob(to_blob(file)) == file
    content = checksums(sha256(IMAGE), f"{one}nchor.efi", {"git_commit": COMMIT})
    policy, files = with_third(release, *signed_sums(release, content))
    (told,) = (d for d in judged(policy, files).dispositions if d.builder == "dan")
    # U+1CCD6 is an A in outlines, which Unicode 16 takes for an A.
    assert (told.disposition, told.rule) == (Standing.NOT_COUNTED, "QRM-NAME")


def test_names_that_look_alike_are_still_told() -> None:
    # The last ones have a character that nobody sees: of no width, a joiner, a filler, a variant.
    unseen = (f"anchor{one}.efi" for one in "\u200b\u2060\u034f\u3164\uffa0\ufe0f\U000e0100")
    for near in ("ANCHOR.efi", "\u0430nchor.efi", "anchor .efi", "\uff41nchor.efi", *unseen):
        assert likened(near).translate({0x430: "a"}) == "anchor.efi"
    assert likened("\u1e9e") != likened("ss"), "U+1E9E came with Unicode 5.1"


# What an interpreter answers by its own Unicode version, unless a text is ASCII.
_OWN = re.compile(
    r"\.is(?:printable|alpha|alnum|decimal|digit|numeric|identifier|space|lower|upper|title)\("
    r"|casefold|unicodedata|swapcase|!r\}|\brepr\(|\\[wdsWDSbB](?![^\n]*re\.ASCII)"
)
_BY_ITSELF = re.compile(r"isascii\(\)|isprintable\(\) if text\.isascii|rb\"|rb'")
MAY = ("ceremony/characters.py", "transcripts/auditor.py")


def test_no_rule_asks_the_interpreter_for_its_unicode_version() -> None:
    root = Path(auditor.__file__).parent.parent
    asked = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for room in ("ceremony", "transcripts")
        for path in sorted((root / room).rglob("*.py"))
        if str(path.relative_to(root)) not in MAY
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        if _OWN.search(line) and not _BY_ITSELF.search(line) and line.strip()[0] != "#"
    ]
    assert asked == []
