"""Votes by SSH certificate as people meet them: attest, --verify, policy show, a missing vote."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands.builder_desk import Desk, laid_out
from quorum.casebook import keys_of, loaded
from quorum.release import NOW, Release, facts
from quorum.ssh_authority import SshAuthority
from quorum.tool_keys import SshKey

from ceremony.policy_advice import advice
from ceremony.quorum import judge
from tui.commands.matrix import advice_lines, explained
from tui.policy_words import words
from tui.rehearsal.prepare import Prepared


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    return laid_out(tmp_path, capfd)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release.make(tmp_path)


def test_attest_signs_by_certificate_and_verify_says_whose(desk: Desk, prepared: Prepared) -> None:
    authority, key = SshAuthority.make(desk.folder / "ca"), SshKey.make(desk.folder / "key")
    authority.certify(desk.folder / "key.pub", "ci-a")
    certified = desk.folder / "key-cert.pub"
    by_whom = ("--builder", "ci-a", "--key", certified, "--output", desk.out)
    done = desk.run("attest", prepared.media / "anchor.efi", *by_whom)
    assert done.status == 0, done.err
    assert "certified for ci-a by sha256:" in desk.run("attest", "--verify", desk.out).out
    by = ("--key", f"{authority.key.path}.pub")
    assert desk.run("attest", "--verify", desk.out, *by).status == 0
    other = ("--key", f"{key.path}.pub")
    assert desk.run("attest", "--verify", desk.out, *other).status == 1
    told = desk.run("attest", "--verify", desk.out, "--policy", prepared.policy).out
    assert "QRM-ENROLLED" in told


def test_check_says_what_a_builder_with_an_authority_runs(release: Release) -> None:
    tables = release.tables()
    authority = SshAuthority.make(release.folder / "ca")
    more = {"principals": ["dan"], "touch": "optional"}
    keys_of(tables, 3)[0].update({"type": "ssh-ca", "public": authority.line} | more)
    fpr = loaded(tables).builder_named["dan"].keys[0].key.fpr
    tables["revoked"] = [{"fpr": fpr, "since": NOW, "serials": ["4711"], "key_ids": ["a b"]}]
    policy = loaded(tables)
    dan = next(one for one in _missing(release, tables) if one.startswith("    ") and "dan" in one)
    assert dan.endswith("--key SSH_KEY_FILE-cert.pub --pin git_commit=" + "c0ffee" * 6 + "beef")
    shown = "\n".join(words(policy))
    assert "certifies keys for dan, untouched signatures count" in shown
    assert "REVOKED" not in shown
    assert "...: serial 4711, a b" in shown
    assert any("signs untouched" in one.text for one in advice(policy, "", NOW))


def _missing(release: Release, tables: dict[str, object]) -> tuple[str, ...]:
    policy = loaded(tables)
    files = release.all("ann", "bob", "cat")
    verdict = judge(policy, "anchor.efi", facts(), files, NOW)
    return advice_lines(explained(policy, verdict))
