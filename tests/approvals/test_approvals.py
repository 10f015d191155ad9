"""Whose approval it is and whether it counts, and that stock ssh-keygen says the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from approvals.holders import HOLDERS, Holders, plan_of
from marks import accepts, refuses
from quorum.policy_faults import section
from quorum.security_key import SecurityKey
from quorum.toml_text import toml

from ceremony.approval import MOST_APPROVALS, NAMESPACE, approved_by, approvers, count
from ceremony.errors import Refused
from ceremony.policy import load
from transcripts import checkpoint, countersign

OTHER = plan_of(time="2026-11-22T14:03:08Z").text.encode()


def stock(holders: Holders, person: str, signature: bytes, plan: bytes, folder: Path) -> bool:
    """Return what ssh-keygen -Y verify says."""
    (folder / "allowed").write_text(f"{person} {holders.keys[person].line}\n")
    (folder / "plan.txt.sig").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-I", person]
    files = ["-f", str(folder / "allowed"), "-s", str(folder / "plan.txt.sig")]
    return (
        subprocess.run([*command, *files], input=plan, capture_output=True, check=False).returncode
        == 0
    )


def ours(holders: Holders, person: str, signature: bytes, plan: bytes) -> bool:
    try:
        return approved_by(holders.policy, plan, signature) == person
    except Refused:
        return False


@accepts("APP-SIGNATURE")
@refuses("APP-SIGNATURE")
@pytest.mark.parametrize("person", HOLDERS)
def test_every_kind_of_key_approves_as_stock_ssh_keygen_verifies(
    holders: Holders, person: str, tmp_path: Path
) -> None:
    good = holders.sign(person)
    other = b"B" if good[200:201] == b"A" else b"A"
    cases = (
        (good, holders.plan, True),
        (good, OTHER, False),
        (holders.sign(person, namespace="transcript@uki-ceremony"), holders.plan, False),
        (good[:200] + other + good[201:], holders.plan, False),
        (holders.sign("stranger"), holders.plan, False),
    )
    for signature, plan, wanted in cases:
        assert ours(holders, person, signature, plan) is wanted
        assert stock(holders, person, signature, plan, tmp_path) is wanted


@refuses("APP-SIGNATURE")
@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda h: h.sign("stranger"), "nobody's in the policy"),
        (lambda h: h.sign("carol"), "the administrator, who does not count"),
        (lambda h: b"", "no approval of this plan"),
        (lambda h: b"x" * 20_000, "over 16,384 bytes"),
        (lambda h: h.sign("ed25519", OTHER), "no approval of this plan"),
        (lambda h: h.sign("ed25519", namespace="policy@uki-ceremony"), "ATT-NAMESPACE"),
    ],
    ids=["stranger", "administrator", "empty", "large", "other-plan", "other-purpose"],
)
def test_what_does_not_count_says_why(
    holders: Holders, make: Callable[[Holders], bytes], fact: str
) -> None:
    with pytest.raises(Refused, match=fact):
        approved_by(holders.policy, holders.plan, make(holders))


@refuses("APP-SIGNATURE")
@pytest.mark.parametrize("person", ["sk-ed25519", "sk-ecdsa"])
def test_a_security_key_must_have_been_touched(holders: Holders, person: str) -> None:
    key = holders.keys[person]
    assert isinstance(key, SecurityKey)
    with pytest.raises(Refused, match="was not touched"):
        approved_by(holders.policy, holders.plan, key.sign(holders.plan, NAMESPACE, flags=0))


@refuses("APP-SIGNATURE")
def test_a_witness_who_holds_no_key_does_not_approve(holders: Holders) -> None:
    roles = section(holders.tables, "roles") | {"key_holders": ["ecdsa256", "rsa3072"]}
    tables = holders.tables | {"roles": roles}
    with pytest.raises(Refused, match="ed25519 is no key holder"):
        approved_by(load(toml(tables)), holders.plan, holders.sign("ed25519"))


@refuses("APP-SIGNATURE")
@pytest.mark.parametrize("mode", ["all", "after"])
def test_a_revoked_key_does_not_approve(holders: Holders, mode: str) -> None:
    fpr = holders.policy.persons[4].keys[0].key.fpr
    since = holders.policy.valid_from
    policy = load(toml(holders.tables | {"revoked": [{"fpr": fpr, "since": since, "mode": mode}]}))
    with pytest.raises(Refused, match="is revoked"):
        approved_by(policy, holders.plan, holders.sign("ed25519"))
    assert approved_by(policy, holders.plan, holders.sign("second")) == "ed25519"
    assert "ed25519" in approvers(policy)


@refuses("TRN-COUNTERSIGNATURE")
@pytest.mark.parametrize("mode", ["all", "after"])
def test_a_revoked_key_does_not_countersign(holders: Holders, mode: str) -> None:
    fpr = holders.policy.persons[4].keys[0].key.fpr
    since = holders.policy.valid_from
    policy = load(toml(holders.tables | {"revoked": [{"fpr": fpr, "since": since, "mode": mode}]}))
    head = b"uki-ceremony/0/production\n1\n\n"
    name = countersign.file_name("ed25519")
    made = {key: holders.sign(key, head, checkpoint.NAMESPACE) for key in ("ed25519", "second")}
    assert countersign.count(holders.policy, {name: made["ed25519"]}, head).witnesses
    counted = countersign.count(policy, {name: made["ed25519"]}, head)
    assert not counted.witnesses
    assert "is revoked" in counted.findings[0].text
    assert countersign.count(policy, {name: made["second"]}, head).witnesses == ("ed25519",)


@refuses("APP-THRESHOLD")
def test_persons_are_counted_and_not_keys_or_files(holders: Holders) -> None:
    both = [holders.sign("ed25519"), holders.sign("second"), holders.sign("ed25519")]
    counted = count(holders.policy, holders.plan, both)
    assert counted.persons == ("ed25519",)
    assert [f.text for f in counted.findings] == [
        "approval 2: ed25519 approved already, persons are counted",
        "approval 3: ed25519 approved already, persons are counted",
    ]
    more = count(holders.policy, holders.plan, [*both, holders.sign("rsa3072")])
    assert more.persons == ("ed25519", "rsa3072")


def test_the_work_of_counting_is_bounded(holders: Holders) -> None:
    counted = count(holders.policy, holders.plan, [b"x"] * (MOST_APPROVALS + 9))
    assert len(counted.findings) == MOST_APPROVALS + 1


def test_the_administrator_is_no_approver(holders: Holders) -> None:
    assert "carol" in holders.policy.roles.key_holders
    assert approvers(holders.policy) == HOLDERS
