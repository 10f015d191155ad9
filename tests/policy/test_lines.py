"""Every fault has a line, however the TOML is laid out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import refuses
from quorum.release import Release
from quorum.toml_text import toml

from ceremony.errors import Refused
from ceremony.policy import load
from ceremony.policy_lines import Lines

TEXT = '''schema = "x"  # [quorum]
a.b.c = 1
text = """
[quorum]
threshold = 7
"""
literal = \'\'\'
[[builder]]\'\'\'

[ quorum ]  # threshold = 1
"threshold" = 3
distinct = { organisation = 2,
  isolation = 2 }
list = [
    "[owners]",  # ]
    "x = 1",
]
rule = "all(1 of [a])"

["groups"]
core = ["a"]

[[builder]]
id = "one"
  [[builder.key]]
  public = "k"
  [[ builder . key ]]
  public = "k"
[[builder]]
id = "two"
  [[builder.key]]
  from = 2026-01-01
'''


@pytest.mark.parametrize(
    ("table", "key", "line"),
    [
        *(("", "schema", 1), ("", "a", 2), ("a.b", "c", 2), ("", "text", 3), ("", "literal", 7)),
        *(("quorum", "", 10), ("quorum", "threshold", 11), ("quorum", "distinct", 12)),
        *(("quorum.distinct", "isolation", 12), ("quorum", "list", 14), ("quorum", "rule", 18)),
        *(("quorum", "missing", 10), ("groups", "core", 21), ("builder 1", "id", 24)),
        *(
            ("builder.key 1", "public", 26),
            ("builder.key 2", "public", 28),
            ("builder 2", "id", 30),
        ),
        *(("builder.key 3", "from", 32), ("builder.key 3", "public", 31), ("owners", "keys", 1)),
        *(("", "nothing", 1), ("builder 9", "id", 1)),
    ],
)
def test_a_table_or_key_has_its_line(table: str, key: str, line: int) -> None:
    assert Lines(TEXT).find(table, key) == line


def test_no_text_is_too_strange_for_the_scan() -> None:
    for text in ("", "[", "]]", '"""', "= 1", "[[a]", "a = [[[", "\\", "'''x", '"a" = "\\"'):
        assert Lines(text).find("quorum", "threshold") == 1


@given(st.text(alphabet="ab[]{}\"'#=.\n \\", max_size=60))
def test_the_scan_ends_for_every_text(text: str) -> None:
    assert 1 <= Lines(text).find("a", "b") <= text.count("\n") + 1


@refuses("POL-TOML", "POL-SCHEMA")
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a = 1\na = 2\n", "line 2"),
        (b"[quorum]\nx = 1\n[quorum]\n", "line 3"),
        (b"a = 1\nb = ", "line 2"),
        (b"a = 1\n\nb = \xff", "line 3"),
        (b"\nschema = 'x'\n", "line 2"),
        (b"x = " + b"[" * 5000, "line 1"),
        (b'x = """', "line 1"),
    ],
)
def test_what_is_no_policy_has_a_line_too(data: bytes, line: str) -> None:
    with pytest.raises(Refused, match="POL-") as caught:
        load(data)
    assert all(line in finding.text for finding in caught.value.findings)


def test_every_fault_of_a_table_that_is_left_out_has_a_line(release: Release) -> None:
    tables = release.tables()
    for name in ("owners", "artifact", "quorum", "signer", "roles", "builder", "person"):
        del tables[name]
    with pytest.raises(Refused) as caught:
        load(toml(tables))
    assert len(caught.value.findings) > 5
    for finding in caught.value.findings:
        assert re.search(r"\(line [0-9]+\)", finding.text), finding
