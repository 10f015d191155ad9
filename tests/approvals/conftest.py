"""A policy whose key holders have keys of every kind; the keys are made by the real tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from approvals.holders import HOLDERS, KINDS, Holders, plan_of
from quorum.policy_faults import people, section
from quorum.release import Release
from quorum.security_key import SecurityKey
from quorum.toml_text import toml
from quorum.tool_keys import SshKey

from ceremony.policy import load


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def holders(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Holders:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    folder: Path = tmp_path_factory.mktemp("holders")
    keys: dict[str, SshKey | SecurityKey] = {
        f"{kind}{bits or ''}": SshKey.make(folder / f"{kind}{bits}", kind, bits)
        for kind, bits in KINDS
    }
    keys |= {f"sk-{kind}": SecurityKey.make(kind) for kind in ("ed25519", "ecdsa")}
    keys["second"] = SshKey.make(folder / "second")
    keys["stranger"] = SshKey.make(folder / "stranger")
    keys["carol"] = SshKey.make(folder / "carol")
    tables = release.tables()
    persons = people(tables)
    persons[0]["keys"] = [keys["carol"].line]
    for name in HOLDERS:
        more = [keys["second"].line] if name == "ed25519" else []
        persons.append({"id": name, "name": name, "keys": [keys[name].line, *more]})
    section(tables, "roles")["key_holders"] = [*HOLDERS, "carol"]
    tables["approvals"] = {"threshold": 2, "by": "signature"}
    return Holders(load(toml(tables)), tables, plan_of().text.encode(), keys)
