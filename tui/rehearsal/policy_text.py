"""Write the policy of a rehearsal: TOML text from the people, builders and the image.

It decides what a rehearsal demands; a real ceremony's policy is written and signed by its
owners. It refuses to know keys' private halves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from tui.rehearsal.builders import BUILDERS
from tui.rehearsal.people import (
    ADMINISTRATOR,
    EXTERNAL_WITNESS,
    INTERNAL_WITNESS,
    KEY_HOLDERS,
    OWNERS,
    PLAYERS,
)

VALID_DAYS = 90
KEY_DAYS = 365
MOST_BYTES = 1 << 29  # of an image, unless the rehearsal's own is larger
SECTIONS = (".osrel", ".uname", ".sbat", ".cmdline", ".initrd", ".linux")


@dataclass(frozen=True, slots=True)
class Demands:
    """What the policy asks of the image: name, architecture, sections, two gates, its cap."""

    name: str
    architecture: str
    sections: tuple[str, ...] = SECTIONS
    overlay: str = "refuse"
    signed_input: str = "refuse"
    max_bytes: int = MOST_BYTES


def policy_text(
    demands: Demands,
    people: dict[str, str],
    builders: dict[str, str],
    signer: tuple[str, str],
    now: datetime,
) -> str:
    """Return the policy; `people` and `builders` give public keys by id.

    `signer` is the PKCS#11 URI and the certificate (PEM); `now` starts the period.
    """
    uri, certificate = signer
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    parts = [
        _rows(
            schema="uki-ceremony/policy/1",
            policy_id="rehearsal",
            sequence=1,
            valid_from=start,
            expires=start + timedelta(days=VALID_DAYS),
        ),
        "\n# Two of these sign this file.\n[owners]\n",
        _rows(threshold=2, keys=[people[owner] for owner in OWNERS]),
        "\n[artifact]\n",
        _rows(names=[demands.name], arch=demands.architecture, max_bytes=demands.max_bytes),
        "\n# Builds are builds of the same thing when these agree.\n[inputs]\n",
        _rows(
            must_agree=["git_commit", "flake_lock"],
            missing="reject",
            flake_lock_file="flake.lock",
        ),
        "\n[quorum]\n",
        _rows(threshold=3, rule="all(1 of core, 2 of external)"),
        "distinct = { organisation = 3, isolation = 3 }\n",
        "\n[groups]\n",
        _rows(core=[BUILDERS[0].id], external=[builder.id for builder in BUILDERS[1:]]),
        "\n[gates]\n",
        _rows(
            sections=list(demands.sections),
            overlay=demands.overlay,
            signed_input=demands.signed_input,
        ),
        "\n[signer]\n",
        _rows(uri=uri),
        f'certificate = """\n{certificate.strip()}\n"""\n',
        "\n[roles]\n",
        _rows(
            administrator=ADMINISTRATOR.id,
            internal_witness=INTERNAL_WITNESS.id,
            external_witness=EXTERNAL_WITNESS.id,
            key_holders=[player.id for player in KEY_HOLDERS],
        ),
        "\n[approvals]\nthreshold = 1\n",
        _rows(by="signature"),
        "\n[countersignatures]\nthreshold = 2\n",
        "\n# A rehearsal may run on a machine with a network; it is shown and recorded.\n",
        "[machine]\n",
        _rows(network="report", swap="report", block_devices="report"),
        *(_person(people, number) for number in range(len(PLAYERS))),
        *(_builder(builders, number, start) for number in range(len(BUILDERS))),
    ]
    return "".join(parts)


def _person(people: dict[str, str], number: int) -> str:
    player = PLAYERS[number]
    return f"\n# {player.part}\n[[person]]\n" + _rows(
        id=player.id,
        name=player.name,
        organisation=player.organisation,
        keys=[people[player.id]],
    )


def _builder(keys: dict[str, str], number: int, start: datetime) -> str:
    builder = BUILDERS[number]
    return (
        "\n[[builder]]\n"
        + _rows(
            id=builder.id,
            organisation=builder.organisation,
            persons=[builder.person],
            isolation=builder.isolation,
            cpu_vendor=builder.cpu_vendor,
            formats=[builder.format],
        )
        + "  [[builder.key]]\n"
        + _rows("  ", type=builder.key_type, public=keys[builder.id])
        + f"  from = {_moment(start - timedelta(days=KEY_DAYS))}\n"
        + f"  to = {_moment(start + timedelta(days=KEY_DAYS))}\n"
    )


def _rows(indent: str = "", /, **values: str | int | list[str] | datetime) -> str:
    return "".join(f"{indent}{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: str | int | list[str] | datetime) -> str:
    # A JSON string is a TOML basic string, an array of strings likewise.
    if isinstance(value, datetime):
        return _moment(value)
    return json.dumps(value, ensure_ascii=False)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
