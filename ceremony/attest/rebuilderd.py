"""What a rebuilderd instance serves: an in-toto link named "rebuild <package>".

Decides which pins such a link gives: a Debian .buildinfo is the `buildinfo` pin. Where the
material is the product itself (Arch Linux) nothing says what it was built from. The worker
signs, then the instance signs again: one operator, one rebuild, one vote, whatever the
number of signatures; the policy enrols both keys under one builder or only the published
one. Its PEM has explicit NULL parameters, which keys.parse_spki reads. Refuses to know votes.
"""

from __future__ import annotations

from ceremony.attest.in_toto_link import (
    Link,
    files_of,
    link_claims,
    looks_like_link,
    read_metablock_file,
)
from ceremony.attest.record import Claims, Pins, Reading, Unverified
from ceremony.errors import refuse
from ceremony.policy_model import Policy
from ceremony.types import MediaFile

RULE = "ATT-REBUILD"
REBUILDERD = "rebuilderd"
STEP = "rebuild "
BUILDINFO = ".buildinfo"
# RFC 8878 3.1.1: the magic number of a Zstandard frame. The service answers in this coding.
ZSTD = bytes.fromhex("28b52ffd")
NAMES = (".link", ".intoto", ".intoto.json", ".json", ".zst")


def looks_like_rebuilderd(path: str, data: bytes) -> bool:
    """Say whether the file is a link with such a name in it, or a packed answer."""
    if data.startswith(ZSTD):
        return path.endswith(NAMES)
    return looks_like_link(path, data) and b'"rebuild ' in data


def read_rebuilderd(file: MediaFile, policy: Policy) -> tuple[Reading, ...]:
    """Read a link of rebuilderd: one reading for each enrolled key that signed it."""
    if file.data.startswith(ZSTD):
        text = "it is packed with Zstandard; unpack it with: zstd -d FILE"
        return (Unverified(file.path, REBUILDERD, "", RULE, text, None),)
    return read_metablock_file(file, policy, REBUILDERD, rebuild_claims)


def rebuild_claims(link: Link) -> Claims:
    """Return what a rebuild says; Refused (ATT-REBUILD, ATT-LINK, ATT-PIN) says why not."""
    said = link_claims(link)
    name = link.get("name")
    if not isinstance(name, str) or not name.startswith(STEP):
        raise refuse(RULE, f"the link's name does not begin with {STEP.strip()}")
    if name.removeprefix(STEP) not in {artifact.name for artifact in said.artifacts}:
        raise refuse(RULE, "the link is named after a package that is none of its products")
    infos = {
        str(digests.get("sha256"))
        for material, digests in files_of(link, "materials").items()
        if material.endswith(BUILDINFO)
    }
    pins = Pins()
    for pin, value in (*said.pins, *said.self_claims):
        pins.add(pin, value)
    if len(infos) == 1:
        pins.add("buildinfo", *infos)
    return pins.claims(said.artifacts)
