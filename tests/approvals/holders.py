"""A policy whose key holders have keys of every kind, and a plan of an image that is signed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from quorum.security_key import SecurityKey
from quorum.toml_text import Table
from quorum.tool_keys import SshKey

from ceremony.approval import NAMESPACE
from ceremony.approval_plan import Plan, attributes_of
from ceremony.policy import Policy
from ceremony.types import Mode

KINDS = (("ed25519", 0), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 3072))
SECURITY = ("sk-ed25519", "sk-ecdsa")
HOLDERS = tuple(f"{kind}{bits or ''}" for kind, bits in KINDS) + SECURITY


def plan_of(
    policy: str = "4" * 64, time: str = "2026-11-22T14:03:07Z", key: str = "3" * 64
) -> Plan:
    plan = Plan("0" * 32, Mode.PRODUCTION, "1" * 64, "2" * 64, key, policy, time, "0" * 64)
    return replace(plan, attributes=hashlib.sha256(attributes_of(plan)).hexdigest())


@dataclass(frozen=True)
class Holders:
    """The policy, the plan, and every holder's key."""

    policy: Policy
    tables: Table
    plan: bytes
    keys: dict[str, SshKey | SecurityKey]

    def sign(self, person: str, plan: bytes | None = None, namespace: str = NAMESPACE) -> bytes:
        return self.keys[person].sign(self.plan if plan is None else plan, namespace)
