"""Annotated policies to begin with, one for each kind of release, with places to fill in.

Decides which kinds there are and what stands in a place until its owner fills it. Refuses to
know whether the result is a policy: `policy lint` names every place that is still open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

KINDS = {
    "flashbots": "flashbots.toml",
    "anchor": "anchor.toml",
    "nixos-laptop": "nixos-laptop.toml",
    "freebsd": "freebsd-jail.toml",
}
PLACE = re.compile(r"\{\{([a-z0-9-]+)\}\}")
POLICY_DAYS = 90
KEY_DAYS = 365
_WANTED = {
    "certificate": "the certificate in PEM",
    "trusted": "sha256: and the SHA-256 of trusted_root.json",
    "minisign": "the second line of the minisign .pub",
    "signify": "the second line of the signify .pub",
    "nix": "the line of the Nix public key, name:base64",
    "openpgp": "the output of gpg --armor --export KEY",
    "pem": "the output of openssl pkey -in KEY.pem -pubout",
}


def text(kind: str) -> str:
    """Return a kind's policy with its places as {{name}}."""
    return Path(__file__).with_name("skeletons").joinpath(KINDS[kind]).read_text("utf-8")


def filled(kind: str, values: Mapping[str, str]) -> str:
    """Return a kind's policy with every place filled."""
    return PLACE.sub(lambda found: values[found[1]], text(kind))


def new(kind: str, now: datetime) -> str:
    """Return a kind's policy that begins today, each key's place saying what belongs there."""
    names = PLACE.findall(text(kind))
    values = {name: f"REPLACE {name}: {_wanted(name)}" for name in names}
    return filled(kind, values | moments(now))


def moments(now: datetime) -> dict[str, str]:
    """Return the places of a policy's and its keys' windows, from midnight on."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "valid-from": _moment(start),
        "expires": _moment(start + timedelta(days=POLICY_DAYS)),
        "key-from": _moment(start - timedelta(days=1)),
        "key-to": _moment(start + timedelta(days=KEY_DAYS)),
    }


def _wanted(name: str) -> str:
    return _WANTED.get(name.partition("-")[0], "the line of an OpenSSH .pub file")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
