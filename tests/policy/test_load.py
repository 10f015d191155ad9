"""What a policy may say: every table read, every default, every fault named with its place."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.casebook import keys_of, rows
from quorum.policy_faults import FAULTS, Change, section
from quorum.release import NOW, Release, certificate
from quorum.toml_text import toml

from ceremony import policy_model as model
from ceremony.errors import Refused
from ceremony.policy import load
from ceremony.rules import pol
from ceremony.types import Severity


@accepts(
    "POL-SIZE",
    "POL-TOML",
    "POL-SCHEMA",
    "POL-UNKNOWN",
    "POL-MISSING",
    "POL-VALUE",
    "POL-PERIOD",
    "POL-TWICE",
    "POL-PUBLIC-KEY",
    "POL-KEY-TWICE",
    "POL-MEMBERS",
    "POL-RULE",
    "POL-THRESHOLD",
    "POL-ROLES",
    "POL-CERTIFICATE",
    "POL-COMPONENT",
)
def test_every_table_is_read(release: Release) -> None:
    tables = release.tables(
        "ann",
        "bob",
        "cat",
        quorum={"rule": "2 of core", "weak_votes_max": 1, "distinct": {"os": 1, "isolation": 2}},
        groups={"core": ["ann", "bob"]},
        inputs={"must_agree": ["git_commit", "flake_lock"], "flake_lock_file": "flake.lock"},
        dissent={"other_inputs": "refuse", "override": {"operators": 0}},
        time={"max_age": "2w", "future_skew": "90s", "max_drift": "0s", "untimed": "refuse"},
        algorithms={"sign": ["ed25519", "ecdsa-p256-sha256", "rsa>=4096-sha512"]},
        gates={"sections": [".linux"], "overlay": "report", "signed_input": "report"},
        signer={"chain": [certificate()]},
        approvals={"threshold": 1},
        countersignatures={"threshold": 2},
        machine={"network": "report", "swap": "refuse"},
        read_back={"words": 4},
        outputs={"unsigned": False},
    )
    tables["revoked"] = [{"fpr": "sha256:" + "a" * 64, "since": NOW, "mode": "after"}]
    rows(tables)[0] |= {"os": "nixos", "cpu_vendor": "amd", "host": "h", "network": "n"}
    tables["component"] = [
        {"id": "kernel", "names": ["vmlinuz"], "section": ".linux", "threshold": 2},
        {"id": "bay0", "names": ["bay0"], "threshold": 1, "rule": "1 of core"},
    ]
    policy = load(toml(tables))
    assert [(c.id, c.names, c.section) for c in policy.components] == [
        ("kernel", ("vmlinuz",), ".linux"),
        ("bay0", ("bay0",), ""),
    ]
    assert [c.quorum.threshold for c in policy.components] == [2, 1]
    assert str(policy.components[1].quorum.tree) == "1 of core"
    assert policy.quorum.distinct == (("isolation", 2), ("os", 1))
    assert str(policy.quorum.tree) == policy.quorum.rule == "2 of core"
    assert policy.inputs == model.Inputs(
        ("flake_lock", "git_commit"), model.Missing.WEAK, "flake.lock"
    )
    assert policy.dissent.other_inputs is Severity.REFUSE
    assert policy.time == model.TimeRule(1209600, 90, 0, model.Untimed.REFUSE)
    assert policy.algorithms == ("ed25519", "ecdsa-p256-sha256", "rsa>=4096-sha512")
    assert policy.gates == model.Gates((".linux",), Severity.WARN, Severity.WARN)
    assert policy.machine == model.MachineTopics(Severity.WARN, Severity.REFUSE, Severity.REFUSE)
    assert (policy.read_back.words, policy.outputs.unsigned) == (4, False)
    assert policy.countersignatures.threshold == 2
    assert policy.builders[0].os == "nixos"
    assert policy.revoked[0].mode == "after"
    assert [owner.comment for owner in policy.owners.keys] == ["owner-1", "owner-2", "owner-3"]


def test_tables_that_are_left_out_have_the_documented_defaults(release: Release) -> None:
    tables = release.tables()
    for name in ("inputs", "dissent"):
        del tables[name]
    policy = load(toml(tables))
    assert policy.inputs == model.Inputs((), model.Missing.WEAK, "")
    assert policy.dissent == model.DissentRule(
        "veto", Severity.WARN, Severity.WARN, model.OverrideRule(2)
    )
    assert policy.time == model.TimeRule(45 * 86400, 600, 300, model.Untimed.ALLOW)
    assert policy.algorithms == model.ALGORITHMS
    assert policy.gates == model.Gates(model.SECTIONS, Severity.REFUSE, Severity.REFUSE)
    assert policy.machine == model.MachineTopics(*[Severity.REFUSE] * 3)
    assert (policy.approvals.threshold, policy.countersignatures.threshold) == (1, 1)
    assert (policy.read_back.words, policy.outputs.unsigned) == (6, True)
    assert (policy.quorum.tree, policy.quorum.weak_votes_max, policy.quorum.distinct) == (
        None,
        0,
        (),
    )
    assert (policy.groups, policy.revoked) == ((), ())
    assert policy.builders[0].keys[0].namespace == "uki-attestation"


def test_a_date_is_midnight_utc_and_offsets_are_utc_times(release: Release) -> None:
    text = toml(release.tables()).decode()
    until = text.partition("expires = ")[2].partition("\n")[0]
    dated = load(text.replace(until, "2027-01-02", 1).encode())
    assert dated.expires == datetime(2027, 1, 2, tzinfo=UTC)
    shifted = load(text.replace(until, "2027-01-02T01:30:00+01:30", 1).encode())
    assert shifted.expires == dated.expires


@refuses(
    "POL-SCHEMA",
    "POL-UNKNOWN",
    "POL-MISSING",
    "POL-VALUE",
    "POL-PERIOD",
    "POL-TWICE",
    "POL-PUBLIC-KEY",
    "POL-KEY-TWICE",
    "POL-MEMBERS",
    "POL-RULE",
    "POL-THRESHOLD",
    "POL-ROLES",
    "POL-CERTIFICATE",
    "POL-COMPONENT",
)
@pytest.mark.parametrize(
    ("rule", "place", "change"), FAULTS, ids=[f"{n}-{row[0]}" for n, row in enumerate(FAULTS)]
)
def test_a_fault_is_refused_with_its_place(
    release: Release, rule: str, place: str, change: Change
) -> None:
    tables = release.tables()
    change(release, tables)
    with pytest.raises(Refused) as caught:
        load(toml(tables))
    told = [f.text for f in caught.value.findings if f.rule == rule]
    assert any(place in text for text in told), caught.value.findings
    assert {f.rule for f in caught.value.findings} <= pol.RULES.keys()


def test_all_faults_are_told_at_once_with_lines_that_are_right(release: Release) -> None:
    tables = release.tables()
    section(tables, "quorum")["treshold"] = 3
    section(tables, "artifact")["arch"] = "riscv"
    rows(tables)[2]["isolation"] = "vm"
    keys_of(tables, 3)[0]["type"] = "pgp"
    data = toml(tables)
    lines = data.decode().split("\n")
    with pytest.raises(Refused) as caught:
        load(data)
    told = sorted(finding.text for finding in caught.value.findings)
    wanted = {
        "[artifact].arch": 'arch = "riscv"',
        "[builder 3].isolation": 'isolation = "vm"',
        "[builder.key 4].type": 'type = "pgp"',
        "[quorum].treshold": "treshold = 3",
    }
    for (place, line), text in zip(sorted(wanted.items()), told, strict=False):
        assert text.startswith(f"{place} (line {lines.index(line) + 1}): ")


@refuses("POL-TOML", "POL-SIZE")
@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\xff", "POL-TOML"),
        (b"\xef\xbb\xbfschema = 1", "POL-TOML"),
        (b"a = 1\na = 2", "POL-TOML"),
        (b"[quorum]\n[quorum]\n", "POL-TOML"),
        (b"x = ", "POL-TOML"),
        (b"x = " + b"9" * 5000, "POL-TOML"),
        (b"x = " + b"[" * 5000, "POL-TOML"),
        (b"x = 2026-99-99", "POL-TOML"),
        (b"#" * ((1 << 20) + 1), "POL-SIZE"),
        (b"#" * 16385, "POL-SIZE"),
        (b"a." * 65 + b"b = 1", "POL-SIZE"),
        (b"", "POL-SCHEMA"),
        (b"schema = 7", "POL-SCHEMA"),
    ],
)
def test_what_is_no_policy_at_all_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        load(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_a_policy_loads_or_is_refused(release: Release, data: st.DataObject) -> None:
    text = bytearray(toml(release.tables()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 12))] = data.draw(
            st.binary(max_size=3) | st.sampled_from((b"=", b"[", b"\n", b"0", b'"', b"x = 1\n"))
        )
    try:
        policy = load(bytes(text))
    except Refused as error:
        told = {f.rule for f in error.findings}
    else:
        told = set()
        assert policy.policy_id == tomllib.loads(text.decode())["policy_id"]
    assert told <= pol.RULES.keys()
