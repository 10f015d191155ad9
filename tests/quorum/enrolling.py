"""A policy with other builders than the release's own, without going through TOML."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from quorum.release import NOW, Release

from ceremony.keys import PublicKey
from ceremony.policy import Policy
from ceremony.policy_people import Builder, BuilderKey, KeyWrapping


def enrolled(release: Release, *builders: Builder) -> Policy:
    return replace(release.policy(), builders=builders)


def builder(  # noqa: PLR0913, PLR0917 - one attribute each
    name: str,
    key: PublicKey,
    wrapping: KeyWrapping,
    key_id: str,
    formats: tuple[str, ...],
    isolation: str = "nix-sandbox",
) -> Builder:
    held = BuilderKey(
        key, wrapping, key_id, "", NOW - timedelta(days=300), NOW + timedelta(days=300)
    )
    return Builder(name, name, (name,), isolation, "", "", "", "", (), formats, (held,))
