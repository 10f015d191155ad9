"""Why a text is no TOML, in words of our own.

tomllib decides whether a text is TOML; its reasons are worded anew when Python likes, and what
is recorded must not be (ADR 25). This scan is asked only about a text that tomllib refused, and
goes through it once, in the order of TOML 1.0.0, to the first fault. Refuses to return values.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from datetime import date

from ceremony.policy_names import Clash, Names, Parts, shown
from ceremony.show import escaped

MOST_DEPTH = 64
MOST_DIGITS = 1000
_SHOWN = 40

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_COMMENT = re.compile(r"#[^\n]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n|.)", re.DOTALL)
_SHORT_ESCAPES = 'btnfr"\\'
_WORD = re.compile(r"[^ \t\n#,\[\]{}=\"']+(?: [0-9]{2}:[^ \t\n#,\[\]{}=\"']*)?")
_NUMBER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
    r"|0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*|[+-]?(?:inf|nan)"
)
_DAY, _HOUR = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = rf"{_HOUR}:[0-5][0-9](?:\.[0-9]+)?"
_MOMENT = re.compile(rf"({_DAY})(?:[Tt ]{_CLOCK}(?:[Zz]|[+-]{_HOUR})?)?|{_CLOCK}")
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class _Fault(Exception):
    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at
        self.why = why


def reason(text: str) -> str:
    """Return "line 3, column 7: " and why a text is no TOML, "" where nothing is found."""
    text = text.replace("\r\n", "\n")
    try:
        _Scan(text).document()
    except _Fault as fault:
        line = text.count("\n", 0, fault.at) + 1
        column = fault.at - (text.rfind("\n", 0, fault.at) + 1) + 1
        return f"line {line}, column {column}: {fault.why}"
    return ""


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._names = Names()
        self._lists: list[int] = []  # where the lists begin that are open
        self._depth = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        while self._at < len(self._text):
            self._skip(_BLANK)
            if self._next() == "[":
                self._header()
            elif self._next() not in ("", "\n", "#"):
                self._pair(self._names.assign)
            self._end_of_line()

    def _next(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _skip(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _line(self, at: int) -> int:
        return bisect_left(self._ends, at) + 1

    def _fault(self, why: str, at: int | None = None) -> _Fault:
        return _Fault(self._at if at is None else at, why)

    def _end_of_line(self) -> None:
        self._skip(_BLANK)
        self._comment(_COMMENT)
        if self._next() not in ("", "\n"):
            raise self._fault(f"{self._here()} stands behind what should be the line's end")
        self._at += 1

    def _comment(self, what: re.Pattern[str]) -> None:
        at = self._at
        self._printable(at, self._skip(what))

    def _printable(self, at: int, text: str) -> None:
        found = _CONTROL.search(text)
        if found:
            raise self._fault(f"a control character, U+{ord(found[0]):04X}", at + found.start())

    def _here(self) -> str:
        """Return what stands here, for people."""
        word = self._text[self._at : self._at + _SHOWN].partition("\n")[0]
        return escaped(word.split(" ")[0] or word) if word else "nothing"

    def _header(self) -> None:
        at = self._at
        mark = "[[" if self._next(2) == "[[" else "["
        self._at += len(mark)
        parts = self._key()
        if self._next(len(mark)) != "]" * len(mark):
            raise self._fault(
                f"a table's name that begins with {mark} ends with {']' * len(mark)}", at
            )
        self._at += len(mark)
        declare = self._names.append if mark == "[[" else self._names.declare
        self._named(at, lambda: declare(parts, self._line(at)))

    def _named(self, at: int, declare: Callable[[], None]) -> None:
        try:
            declare()
        except Clash as clash:
            raise self._fault(str(clash), at) from None

    def _pair(self, assign: Callable[[Parts, int], None]) -> None:
        at = self._at
        parts = self._key()
        if self._next() != "=":
            raise self._fault(f"the key {shown(parts)} has no = behind it")
        self._at += 1
        self._skip(_BLANK)
        if self._next() in ("", "\n", "#"):
            raise self._fault(f"the key {shown(parts)} has no value")
        self._value()
        self._named(at, lambda: assign(parts, self._line(at)))

    def _key(self) -> Parts:
        parts = []
        while True:
            self._skip(_BLANK)
            parts.append(self._key_part())
            self._skip(_BLANK)
            if self._next() != ".":
                return tuple(parts)
            self._at += 1

    def _key_part(self) -> str:
        if bare := self._skip(_BARE):
            return bare
        if self._next() in ('"', "'"):
            return self._one_line_text()[1:-1]
        if self._next() == "=":
            raise self._fault("no key stands before the =")
        raise self._fault(
            f"{self._here()} is no key: letters, digits, - and _, or a text in quotes"
        )

    def _value(self) -> None:
        match self._next():
            case "[" | "{" if self._depth == MOST_DEPTH:
                raise self._fault(f"brackets nest deeper than {MOST_DEPTH}")
            case "[":
                self._depth += 1
                self._list()
                self._depth -= 1
            case "{":
                self._depth += 1
                self._inline_table()
                self._depth -= 1
            case '"' | "'":
                self._one_value_text()
            case _:
                self._word()

    def _one_value_text(self) -> None:
        if self._next(3) not in ('"""', "'''"):
            self._one_line_text()
            return
        at, mark = self._at, self._next(3)
        found = self._skip(_LONG_BASIC if mark == '"""' else _LONG_LITERAL)
        if not found:
            raise self._fault(f"the text that begins here with {mark} has no {mark} at its end")
        self._printable(at, found)
        if mark == '"""':
            self._escapes(at, found)

    def _one_line_text(self) -> str:
        at, mark = self._at, self._next()
        found = self._skip(_BASIC if mark == '"' else _LITERAL)
        if not found:
            raise self._fault(f"the text that begins here has no {mark} at its end, on this line")
        self._printable(at, found)
        if mark == '"':
            self._escapes(at, found, newline=False)
        return found

    def _escapes(self, at: int, found: str, *, newline: bool = True) -> None:
        for escape in _ESCAPE.finditer(found):
            code = escape[1]
            if code[0] in "uU" and len(code) > 1:
                point = int(code[1:], 16)
                good = point <= _LAST_CODE_POINT and point not in _SURROGATES
            else:
                good = code in _SHORT_ESCAPES or (newline and code.endswith("\n"))
            if not good:
                why = f"{escaped(escape[0])} is no escape; a backslash in a text is written twice"
                raise self._fault(why, at + escape.start())

    def _list(self) -> None:
        self._lists.append(self._at)
        self._at += 1
        self._between()
        while self._next() != "]":
            self._value()
            self._between()
            if self._next() == ",":
                self._at += 1
                self._between()
            elif self._next() != "]":
                raise self._fault(f"before {self._here()} a comma is wanted{self._open()}")
        self._at += 1
        self._lists.pop()

    def _between(self) -> None:
        """Go over blanks, comments and line ends between two entries of a list."""
        self._comment(_BETWEEN)
        if not self._next():
            begun = self._lists[-1]
            raise self._fault("the list that begins here has no ] at its end", begun)

    def _open(self) -> str:
        if not self._lists:
            return ""
        return f", or the list that begins on line {self._line(self._lists[-1])} lacks its ]"

    def _inline_table(self) -> None:
        begun, lists, names = self._at, self._lists, Names()
        self._lists = []  # those inside of it are its own
        self._at += 1
        self._skip(_BLANK)
        while self._next() != "}":
            if self._next() in ("", "\n", "#"):
                raise self._fault("the table that begins here with { has no } on its line", begun)
            self._pair(names.assign)
            self._skip(_BLANK)
            if self._next() == ",":
                self._at += 1
                self._skip(_BLANK)
                if self._next() == "}":
                    raise self._fault("behind the last comma of a table in { } a key is wanted")
            elif self._next() not in ("}", "", "\n", "#"):
                raise self._fault(f"before {self._here()} a comma is wanted, or the table's }}")
        self._at += 1
        self._lists = lists

    def _word(self) -> None:
        at = self._at
        word = self._skip(_WORD)
        if len(word) > MOST_DIGITS:
            raise self._fault(f"a value of more than {MOST_DIGITS:,} characters without quotes", at)
        if word in ("true", "false") or _NUMBER.fullmatch(word) or _is_moment(word):
            return
        what = escaped(word, _SHOWN) if word else self._here()
        hint = "a text stands in quotes, true and false are written small"
        if what[0] in "+-0123456789":
            hint = "no number begins with 0, a moment is as 2026-11-01T00:00:00Z"
        raise self._fault(f"{what} is no value: {hint}{self._open()}", at)


def _is_moment(word: str) -> bool:
    found = _MOMENT.fullmatch(word)
    try:
        return found is not None and bool(not found[1] or date.fromisoformat(found[1]))
    except ValueError:
        return False
