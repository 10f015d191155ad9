"""The rule language: what parses, what does not, what holds; and who stands for a value."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of

from ceremony import groups
from ceremony.errors import Refused
from ceremony.tally import distinct_values


@accepts("POL-RULE")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2 of core", "2 of core"),
        ("all(2 of core, 1 of external)", "all(2 of core, 1 of external)"),
        (" any( 3 of a ,all(1 of b,2 of c-d_9) )", "any(3 of a, all(1 of b, 2 of c-d_9))"),
        ("all(1 of all, 1 of of)", "all(1 of all, 1 of of)"),
    ],
)
def test_a_rule_parses_and_prints_as_itself(text: str, shown: str) -> None:
    assert str(groups.parse(text)) == shown
    assert groups.parse(shown) == groups.parse(text)


@refuses("POL-RULE")
@pytest.mark.parametrize(
    "text",
    [
        *("", "core", "2", "2 core", "2 of", "0 of core", "-1 of core", "2of core", "1.5 of a"),
        *("all()", "all(1 of a", "all(1 of a,)", "all 1 of a", "1 of a, 1 of b", "none(1 of a)"),
        *(
            "all(1 of a))",
            "any(1 of a, 2 of a)",
            "99999 of a",
            "2 of a b",
            "2 of \u0430",
            "1 of a\n",
        ),
        *("all(" * 9 + "1 of a" + ")" * 9, "1 of " + "a" * 2000),
    ],
)
def test_what_is_no_rule_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(Refused, match="POL-RULE"):
        groups.parse(text)


@refuses("POL-RULE")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("some(1 of a)", 'expected "all(", "any(" or a number, at character 5'),
        ("all 1 of a", 'expected "("'),
        ("all(1 of a (", 'expected "," or ")"'),
        ("1 off a", 'expected "of" after the number'),
        ("1 of 2", 'expected a group after "of"'),
        ("0 of a", "0 of a group is no rule"),
        ("1 of a b", "something stands after the rule"),
        ("all(1 of a", "the rule ends or goes on strangely"),
        ("all(" * 8 + "1 of a" + ")" * 8, "brackets nest deeper than 8"),
        ("any(1 of a, 2 of a)", "the group a stands twice in the rule"),
        ("1 of " + "a" * 1996, "more than 2000 characters"),
    ],
)
def test_a_fault_of_a_rule_is_named(text: str, why: str) -> None:
    with pytest.raises(Refused) as caught:
        groups.parse(text)
    assert why in caught.value.findings[0].text


@accepts("POL-RULE")
def test_a_rule_may_be_as_long_and_as_deep_as_its_bounds() -> None:
    for text in ("1 of " + "a" * 1995, "all(" * 7 + "1 of a" + ")" * 7):
        assert str(groups.parse(text)) == text


@given(st.text(alphabet="anyl(), of12core", max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    rule = rule_of(groups.parse, text)
    assert rule in ("", "POL-RULE")
    if not rule:
        assert groups.parse(str(groups.parse(text))) == groups.parse(text)


def test_a_rule_holds_by_its_groups() -> None:
    tree = groups.parse("all(2 of core, any(1 of near, 2 of far))")
    for present, holds in (
        ({"core": 2, "near": 1}, True),
        ({"core": 3, "far": 2}, True),
        ({"core": 2, "far": 1}, False),
        ({"core": 1, "near": 9, "far": 9}, False),
        ({}, False),
    ):
        assert groups.holds(tree, Counter(present).__getitem__) is holds


def test_one_principal_stands_for_one_value() -> None:
    assert distinct_values([("p", "a"), ("p", "b")], 2) == 1
    assert distinct_values([("p", "a"), ("p", "b"), ("q", "a")], 2) == 2
    assert distinct_values([("p", "a"), ("q", "a"), ("r", "")], 3) == 1
    # p must give way twice: p-c, q-a, r-b
    pairs = [("p", "a"), ("p", "b"), ("p", "c"), ("q", "a"), ("r", "a"), ("r", "b")]
    assert distinct_values(pairs, 3) == 3


@given(st.sets(st.tuples(st.sampled_from("pqrst"), st.sampled_from("abcde")), max_size=12))
def test_the_matching_is_as_large_as_halls_theorem_allows(pairs: set[tuple[str, str]]) -> None:
    values = {value for _, value in pairs}
    subsets = [
        {value for n, value in enumerate(sorted(values)) if mask >> n & 1}
        for mask in range(1 << len(values))
    ]
    deficit = max(len(s) - len({p for p, value in pairs if value in s}) for s in subsets)
    assert distinct_values(pairs, 9) == len(values) - deficit
