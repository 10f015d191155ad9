"""A key holder's key on a PKCS#11 token: stock ssh-agent and ssh-keygen, no code of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from approvals.holders import Holders
from marks import accepts
from quorum.policy_faults import people
from quorum.toml_text import toml

from ceremony.approval import NAMESPACE, approved_by
from ceremony.policy import load
from hsm.binding import find_module
from tui import ssh_keys

PIN = "402913"
TOOLS = ("softhsm2-util", "pkcs11-tool", "ssh-agent", "ssh-add", "ssh-keygen")
KEYS = {"EC:prime256v1": "ecdsa-sha2-nistp256", "rsa:2048": "ssh-rsa"}


@dataclass(frozen=True)
class Agent:
    """An ssh-agent with SoftHSM's keys in it, and where its things lie."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    module = find_module()
    if missing or module is None:
        pytest.skip(f"not installed: {', '.join(missing) or 'SoftHSM'}")
    folder = tmp_path_factory.mktemp("agent")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho {PIN}\n")
    ask.chmod(0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "SOFTHSM2_CONF": str(folder / "softhsm2.conf"),
        "SSH_ASKPASS": str(ask),
        "SSH_ASKPASS_REQUIRE": "force",
        "SSH_AUTH_SOCK": str(folder / "sock"),
    }
    made = Agent(folder, environment)
    label = ("--label", "holder", "--pin", PIN)
    made.run("softhsm2-util", "--init-token", "--free", *label, "--so-pin", "771199")
    login = ("pkcs11-tool", "--module", str(module), "--login", "--pin", PIN)
    for number, kind in enumerate(KEYS, 1):
        made.run(*login, "--keypairgen", "--key-type", kind, "--id", f"0{number}")
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(folder / "sock"), "-P", str(module.resolve())],
        env=environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # it listens
    made.run("ssh-add", "-s", str(module.resolve()))
    yield made
    process.kill()
    process.wait()
    process.stdout.close()


@accepts("APP-SIGNATURE")
@pytest.mark.parametrize("kind", KEYS.values())
def test_a_key_on_a_token_approves_through_the_agent(
    agent: Agent, holders: Holders, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = next(one for one in agent.run("ssh-add", "-L").splitlines() if one.startswith(kind))
    public = agent.folder / f"{kind}.pub"
    public.write_text(f"{line}\n")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent.environment["SSH_AUTH_SOCK"])
    approval = ssh_keys.sign(public, NAMESPACE, holders.plan)
    person: dict[str, object] = {"id": "tess", "name": "Tess", "keys": [line]}
    roles = {**dict(holders.tables["roles"]), "key_holders": ["tess", "ed25519"]}
    tables = holders.tables | {"person": [*people(holders.tables), person], "roles": roles}
    assert approved_by(load(toml(tables)), holders.plan, approval) == "tess"
