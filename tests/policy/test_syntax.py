"""What is wrong with a text that is no TOML: in our words, at the right place, in every Python."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import refuses

from ceremony.errors import Refused
from ceremony.policy import load
from ceremony.policy_syntax import reason

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path.read_text("utf-8") for path in sorted((ROOT / "docs/examples").glob("*.toml"))]
# A text with everything that TOML has, to spoil.
WHOLE = '''a.b.c = 1  # a comment
t = """x \\
  "" y"""
l = \'\'\'a 'b' \\\'\'\'
'k l' = { a = 1, b = { "c" = [1, 2, { d = 'x' }] } }
[[x]]
y = 0x1_f
[x.z]
w = [
  1, # one
  "t\\u00e4\\"",
]
[[x]]
d = 2026-01-01 10:00:00.5Z
e = [2026-01-01T00:00:00+01:00, 2026-01-01, 07:32:00]
f = [1.5e3, +0, -inf, true, false]
[p.q]
[p]
'''

FAULTS: list[tuple[str, str, str]] = [
    ("a text that does not end", 'a = "x\nb = 1\n', "line 1, column 5: the text that begins here"),
    ("a long text that does not end", 'a = 1\nb = """x\n\n', "line 2, column 5: the text that"),
    ("a literal text that does not end", "a = 'x\n", "no ' at its end, on this line"),
    ("a long literal that does not end", "a = '''x'\n", "no ''' at its end"),
    ("a key twice", "[q]\na = 1\na = 2\n", "line 3, column 1: the key a in [q] stands twice"),
    ("a key twice, by dots", "a.b = 1\na.b = 2\n", "the key a.b stands twice, first on line 1"),
    ("a key twice, in braces", "a = { b = 1, b = 2 }\n", "the key b stands twice"),
    (
        "a key twice, in braces within braces behind others",
        "x = [\n{ a = { b = 1 } },\n{ a = { b = 1 }, c = 2 },\n{ a = { b = 1, b = 2 } },\n]\n",
        "line 4, column 16: the key b stands twice, first on line 4",
    ),
    ("a table twice", "[q]\n\n[q]\n", "line 3, column 1: the table [q] stands twice, first on"),
    ("a table that keys made", "a.b = 1\n[a]\n", "the table [a] stands twice, first on line 1"),
    ("a table and a list of them", "[[x]]\n[x]\n", "the table [x] stands twice"),
    ("a list of tables and a table", "[x]\n[[x]]\n", "x is one table already, on line 1"),
    ("a table that is a value", "x = 1\n[x]\n", "x is a value, on line 1, and no table"),
    ("tables that are a value", "x = []\n[[x]]\n", "x is a value, on line 1, and no table"),
    ("a table below a value", "x = 1\n[x.y]\n", "x is a value, on line 1, and no table"),
    ("a key below a value", "x = { a = 1 }\nx.b = 2\n", "x is a value, on line 1, and no table"),
    ("a key in another's table", "[a.b]\n[a]\nb.c = 1\n", "a.b is a table already, on line 1"),
    ("no = behind a key", "threshold: 3\n", "line 1, column 10: the key threshold has no ="),
    ("two words before the =", "a b = 1\n", "the key a has no = behind it"),
    ("no value", "a = # nothing\n", "the key a has no value"),
    ("no key", "= 1\n", "no key stands before the ="),
    ("a key that is none", "a.\u00e4 = 1\n", "\\\\xe4 is no key"),
    ("a word without quotes", "a = yes\n", "yes is no value: a text stands in quotes"),
    ("a curly quote", "a = \u201cx\u201d\n", "is no value: a text stands in quotes"),
    ("a number that begins with 0", "a = 01\n", "01 is no value: no number begins with 0"),
    ("a day that is none", "a = 2026-02-30\n", "2026-02-30 is no value"),
    ("an hour that is none", "a = 2026-02-20T24:00:00Z\n", "2026-02-20T24:00:00Z is no value"),
    ("too many digits", f"a = {'9' * 5000}\n", "more than 1,000 characters without quotes"),
    ("two values on a line", "a = 1 b = 2\n", "line 1, column 7: b stands behind what should"),
    ("a bracket too many", "[a]]\n", "] stands behind what should be the line's end"),
    ("a header that does not end", "[a\nb = 1\n", "begins with [ ends with ]"),
    ("a header of a list that does not end", "[[a]\n", "begins with [[ ends with ]]"),
    ("a header without a name", "[]\n", "] is no key"),
    ("a list that does not end", "a = 1\nb = [1,\n", "line 2, column 5: the list that begins here"),
    ("a list that ends too late", 'a = [\n"b"\nc = 1\n', "the list that begins on line 1 lacks"),
    ("a list without a comma", 'a = ["b" "c"]\n', 'before "c"] a comma is wanted'),
    ("a table in braces on two lines", "a = {\nb = 1 }\n", "no } on its line"),
    ("a table in braces without a comma", "a = { b = 1 c = 2 }\n", "before c a comma is wanted"),
    ("a last comma in braces", "a = { b = 1, }\n", "behind the last comma of a table in { }"),
    ("an escape that is none", 'a = "C:\\dir"\n', "is no escape; a backslash in a text is"),
    ("half a character", 'a = "\\ud800"\n', "is no escape"),
    ("a control character", 'a = "\x07"\n', "a control character, U+0007"),
    ("a control character in a comment", "# \x00\n", "a control character, U+0000"),
    ("brackets that nest too deep", "a = " + "[" * 5000, "brackets nest deeper than 64"),
    ("a byte order mark", "\ufeffa = 1\n", "\\\\ufeffa is no key"),
]


@refuses("POL-TOML")
@pytest.mark.parametrize(("text", "why"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS])
def test_a_text_that_is_no_toml_is_told_why(text: str, why: str) -> None:
    with pytest.raises(Refused, match="POL-TOML") as caught:
        load(text.encode())
    (finding,) = caught.value.findings
    assert finding.text.startswith("the policy is no TOML: line ")
    assert why.replace("\\\\", "\\") in finding.text


@pytest.mark.parametrize("text", [*EXAMPLES, WHOLE, WHOLE.replace("\n", "\r\n"), "", "\n"])
def test_nothing_is_wrong_with_what_tomllib_reads(text: str) -> None:
    tomllib.loads(text)
    assert reason(text) == ""


PIECES = (
    "=",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    '"""',
    "\n",
    "\\",
    ".",
    ",",
    "#",
    "0",
    "x",
    " ",
    "\x00",
)


@settings(max_examples=600)
@given(st.data())
def test_a_reason_is_given_where_tomllib_stumbles_and_only_there(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from((WHOLE, WHOLE, EXAMPLES[0][:900])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        till = at + data.draw(st.sampled_from((0, 0, 1, 2, 9)))
        text = text[:at] + data.draw(st.sampled_from(("", *PIECES))) + text[till:]
    found = reason(text)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        line = re.match(r"line ([0-9]+), column [0-9]+: ", found)
        assert line, text
        assert 1 <= int(line[1]) <= text.count("\n") + 1
    else:
        assert found == ""


def test_no_statement_before_the_one_named_is_at_fault() -> None:
    statement = re.compile(r"(?m)^(?:[a-z'\[])")
    starts = [found.start() for found in statement.finditer(WHOLE)]
    for start in starts:
        for spoiled in ("= 1\n", "a b\n", "k = yes\n", 'k = "\n'):
            found = reason(WHOLE[:start] + spoiled + WHOLE[start:])
            assert found.startswith(f"line {WHOLE[:start].count(chr(10)) + 1}, column "), found
