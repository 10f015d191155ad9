"""What a policy is told that holds and is unwise all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from marks import accepts, refuses
from quorum.casebook import keys_of, rows
from quorum.policy_faults import section
from quorum.release import NOW, Release
from quorum.toml_text import Table, toml

from ceremony.policy import load
from ceremony.policy_advice import advice
from ceremony.types import Severity

Change = Callable[[Release, Table], object]


def wise(release: Release) -> Table:
    """Return a policy that gets no advice."""
    return release.tables(
        *("ann", "bob", "dan", "fay"),
        inputs={"missing": "reject"},
        version={"source": ["statement"]},
    )


def told(tables: Table) -> list[str]:
    data = toml(tables)
    findings = advice(load(data), data.decode(), NOW)
    assert {(f.rule, f.severity) for f in findings} <= {("POL-ADVICE", Severity.WARN)}
    return [finding.text for finding in findings]


@accepts("POL-ADVICE")
def test_a_wise_policy_gets_no_advice(release: Release) -> None:
    assert told(wise(release)) == []


def revoke(_: Release, tables: Table) -> None:
    (key,) = load(toml(tables)).builders[0].keys
    tables["revoked"] = [{"fpr": key.key.fpr, "since": NOW, "mode": "all"}]


def unreachable(_: Release, tables: Table) -> None:
    tables["groups"] = {"core": ["ann", "bob"], "rest": ["dan", "fay"]}
    section(tables, "quorum")["rule"] = "any(3 of core, 2 of rest)"


def alike(_: Release, tables: Table) -> None:
    for row in rows(tables):
        row["isolation"] = "bwrap"


ADVICE: list[tuple[str, str, Change]] = [
    ("expired", "expires", lambda _, t: t.update(expires=NOW - timedelta(days=1))),
    ("ends before", "[builder.key 1].to", lambda _, t: keys_of(t, 0)[0].update(to=NOW)),
    (
        "begins after",
        "[builder.key 2].from",
        lambda _, t: keys_of(t, 1)[0].update({"from": NOW}),
    ),
    ("is revoked", "[builder.key 1]", revoke),
    (
        "signs none",
        "[builder.key 2].type",
        lambda _, t: rows(t)[1].update(formats=["openpgp"]),
    ),
    (
        "can never vote",
        "[builder 2].formats",
        lambda _, t: rows(t)[1].update(formats=["sshsig"]),
    ),
    (
        "never gives a vote under this policy",
        "[builder.key 2]",
        lambda _, t: rows(t)[1].update(formats=["narinfo"]),
    ),
    ("cannot be reached", "[quorum].rule", unreachable),
    ("no rule uses", "[groups].x", lambda _, t: t.update(groups={"x": ["ann"]})),
    (
        "is in no group",
        "[builder 4].id",
        lambda _, t: (
            t.update(groups={"x": ["ann", "bob", "dan"]}),
            section(t, "quorum").update(rule="1 of x"),
        ),
    ),
    ("base_image", "[builder 1].isolation", lambda _, t: rows(t)[0].update(isolation="docker")),
    ("isolation bwrap", "[quorum].distinct", alike),
    ("are needed", "[quorum].threshold", lambda _, t: section(t, "quorum").update(threshold=4)),
    ("is a quorum", "[quorum].threshold", lambda _, t: section(t, "quorum").update(threshold=1)),
    ("are one vote", "[builder 2].id", lambda _, t: rows(t)[1].update(shares_with=["ann"])),
    ("one owner", "[owners].threshold", lambda _, t: section(t, "owners").update(threshold=1)),
    ("old image", "[version]", lambda _, t: t.pop("version")),
    ("no pin", "[inputs].must_agree", lambda _, t: section(t, "inputs").update(must_agree=[])),
    ("plainly", "[inputs].missing", lambda _, t: section(t, "inputs").update(missing="weak")),
    (
        "nobody may",
        "[dissent].override",
        lambda _, t: t.update(dissent={"override": {"operators": 0}}),
    ),
    (
        "one person alone",
        "[dissent].override",
        lambda _, t: t.update(dissent={"override": {"operators": 1}}),
    ),
]


@refuses("POL-ADVICE")
@pytest.mark.parametrize(("words", "place", "change"), ADVICE, ids=[row[0] for row in ADVICE])
def test_an_unwise_policy_is_told_so_with_its_line(
    release: Release, words: str, place: str, change: Change
) -> None:
    tables = wise(release)
    change(release, tables)
    (line,) = [text for text in told(tables) if words in text and text.startswith(place)]
    assert "(line " in line
