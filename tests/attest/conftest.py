"""Keys of every kind, made once by the real ssh-keygen and minisign."""

from __future__ import annotations

import pytest
from quorum.tool_keys import MinisignKey, SshKey

KINDS = {
    "ed25519": ("ed25519", 0),
    "ecdsa-p256-sha256": ("ecdsa", 256),
    "ecdsa-p384-sha384": ("ecdsa", 384),
    "ecdsa-p521-sha512": ("ecdsa", 521),
    "rsa-2048": ("rsa", 2048),
    "rsa-3072": ("rsa", 3072),
}


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("ssh")
    return {name: SshKey.make(folder / name, *kind) for name, kind in KINDS.items()}


@pytest.fixture(params=KINDS)
def ssh_key(request: pytest.FixtureRequest, ssh_keys: dict[str, SshKey]) -> SshKey:
    return ssh_keys[request.param]


@pytest.fixture(scope="session")
def minisign_key(tmp_path_factory: pytest.TempPathFactory) -> MinisignKey:
    return MinisignKey.make(tmp_path_factory.mktemp("minisign") / "key")
