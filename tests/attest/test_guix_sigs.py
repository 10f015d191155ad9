"""Six releases of Bitcoin Core, as their builders signed them: gpg's answer and ours, the verdicts.

The files are not ours and lie beside the checkout where they are present. The table is what
should come out with three distinct primary keys for each artifact.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from attest.gpg_home import Gpg, packet
from quorum.release import Release, facts
from quorum.toml_text import Table, toml

from ceremony.attest.openpgp_armour import ARMOUR, PUBLIC_KEY, dearmoured
from ceremony.attest.openpgp_certificate import OpenPgpKey
from ceremony.attest.openpgp_file import read_detached, read_signature_file
from ceremony.attest.openpgp_key import read_openpgp_key
from ceremony.attest.openpgp_wire import Packet, read_packets
from ceremony.errors import Refused
from ceremony.policy import Policy, load
from ceremony.quorum import Judgement, Standing, Verdict, judge
from ceremony.types import Digest, DigestKind, MediaFile

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "guix.sigs"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="shared/data/guix.sigs is not here")

# A key on a curve that is enrolled nowhere: its owner's statements are reported only.
SECP256K1 = "kvaciral"
# One key in two files: enrolled once, or the policy would not load.
TWICE = "TheCharlatan"
SIGNATURE_TAG, PRIMARY_TAG, SUBKEY_TAG = 2, 6, 14
ALL, FIRST = "all", "noncodesigned"

SPLIT = tuple(f"bitcoin-26.0rc1-{kind}-apple-darwin.zip" for kind in ("arm64", "x86_64"))


@dataclass(frozen=True)
class Stage:
    """What should come out: artifacts signed and refused, votes for each of the former."""

    accepted: int
    refused: int
    votes: int
    rules: frozenset[str] = frozenset()


NO_VOTES = frozenset({"ATT-TWICE"})
EXPECTED = {
    # One dissenter, on one artifact, whose key is not in the folder.
    ("22.0rc3", ALL): Stage(23, 0, 11, frozenset({"QRM-UNVERIFIED"})),
    ("22.0rc3", FIRST): Stage(20, 0, 11),
    # Every statement names files twice with two hashes.
    ("23.0rc1", FIRST): Stage(0, 21, 0, NO_VOTES),
    ("23.0rc2", ALL): Stage(0, 24, 0, NO_VOTES),
    ("23.0rc2", FIRST): Stage(0, 21, 0, NO_VOTES),
    ("26.0", ALL): Stage(27, 0, 20),
    ("26.0", FIRST): Stage(23, 0, 21),
    # Nine builders, nine answers for two artifacts; the ninth's key is not enrolled.
    ("26.0rc1", ALL): Stage(25, 2, 8, frozenset({"QRM-DISSENT", "QRM-UNVERIFIED"})),
    ("26.0rc1", FIRST): Stage(23, 0, 14),
    ("27.0", ALL): Stage(27, 0, 14),
    ("27.0", FIRST): Stage(23, 0, 16),
}


@cache
def keys() -> dict[str, OpenPgpKey]:
    found = {}
    for path in sorted((FOLDER / "builder-keys").glob("*.gpg")):
        if path.stem not in (SECP256K1, TWICE):
            found[path.stem] = read_openpgp_key(path.read_bytes())
    return found


def stage(release: str, name: str) -> tuple[MediaFile, ...]:
    paths = sorted((FOLDER / release).glob(f"*/{name}.SHA256SUMS*"))
    return tuple(MediaFile(f"{path.parent.name}/{path.name}", path.read_bytes()) for path in paths)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with Gpg.made() as made:
        for path in sorted((FOLDER / "builder-keys").glob("*.gpg")):
            made("--import", path, at=datetime(2026, 11, 1, tzinfo=UTC))
        yield made


@pytest.mark.parametrize("release", sorted({release for release, _ in EXPECTED}))
def test_every_signature_verifies_as_gpg_says(gpg: Gpg, release: str) -> None:
    members = {
        member.fingerprint: (member.key, key.fingerprint)
        for key in keys().values()
        for member in key.members
    }
    paths = sorted((FOLDER / release).glob("*/*.asc"))
    assert len(paths) > 10
    for path in paths:
        content = path.with_suffix("").read_bytes()
        words = gpg.status(path.read_bytes(), content)
        valid = [status[1:] for status in words if status[:1] == ["VALIDSIG"]]
        (body,) = read_signature_file(path.read_bytes())
        signature = read_detached(body)
        if signature.fingerprint not in members:
            assert not valid or path.parent.name == SECP256K1
            continue
        key, primary = members[signature.fingerprint]
        signature.verify(key, signature.hasher(content))
        (said,) = valid
        assert said[0].lower() == signature.fingerprint
        assert said[2] == str(signature.created)
        assert said[-1].lower() == primary
        with pytest.raises(Refused, match="ATT-SIGNATURE"):
            signature.verify(key, signature.hasher(content + b"\n"))


def test_one_curve_is_refused_and_one_key_stands_in_two_files() -> None:
    with pytest.raises(Refused, match="ATT-OPENPGP-KEY: an ECDSA key on a curve"):
        read_openpgp_key((FOLDER / "builder-keys" / f"{SECP256K1}.gpg").read_bytes())
    twin = read_openpgp_key((FOLDER / "builder-keys" / f"{TWICE}.gpg").read_bytes())
    assert twin.keys[0] in keys()["sedited"].keys
    assert len(keys()) == 37


def without_user_ids(name: str) -> bytes:
    """Return a key and its subkeys only: a policy has no room for a decade of signatures.

    `gpg --export-options export-minimal` would leave out subkeys that expired since.
    """
    whole = (FOLDER / "builder-keys" / f"{name}.gpg").read_bytes()
    if whole.startswith(ARMOUR):
        whole = dearmoured(whole, PUBLIC_KEY, "X")
    parts = read_packets(whole, "X", 2000)
    kept: list[Packet] = []
    last = 0
    for part in parts:
        last = part.tag if part.tag != SIGNATURE_TAG else last
        if last == SUBKEY_TAG or part.tag == PRIMARY_TAG:
            kept.append(part)
    data = b"".join(packet(part.tag, part.body) for part in kept)
    assert read_openpgp_key(data).keys == keys()[name].keys
    return data


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Return a policy's tables with every builder's key."""
    release = Release.make(tmp_path_factory.mktemp("release"))
    tables = release.tables("ann")
    builders: list[Table] = []
    for name in keys():
        entry = {
            "type": "openpgp",
            "public": base64.encodebytes(without_user_ids(name)).decode(),
            "from": datetime(2021, 1, 1, tzinfo=UTC),
            "to": datetime(2026, 1, 1, tzinfo=UTC),
        }
        builders.append(
            {
                "id": name.lower(),
                "organisation": name,
                "persons": [name.lower()],
                "isolation": "guix-container",
                "formats": ["openpgp"],
                "key": [entry],
            }
        )
    tables["builder"] = builders
    tables["valid_from"] = datetime(2021, 1, 1, tzinfo=UTC)
    tables["expires"] = datetime(2026, 1, 1, tzinfo=UTC)
    tables["inputs"] = {"must_agree": [], "missing": "weak"}
    tables["algorithms"] = {"sign": ["ed25519", "ecdsa-p256-sha256", "rsa>=2048-sha256"]}
    tables["time"] = {"max_age": "400d"}
    return tables


def policy_for(tables: Table, artifact: str) -> Policy:
    rule = {"names": [artifact], "arch": "x86_64", "max_bytes": 1 << 29}
    return load(in_lines(toml({**tables, "artifact": rule})))


def in_lines(policy: bytes) -> bytes:
    """Write the keys over several lines, as people do: one line has a longest length."""
    return re.sub(
        rb'public = "([^"]*)"',
        lambda found: b'public = """\n' + found[1].replace(b"\\n", b"\n") + b'"""',
        policy,
    )


def most_said(files: tuple[MediaFile, ...]) -> dict[str, str]:
    """Return for each artifact the digest that most files give it, whoever wrote them."""
    said: dict[str, Counter[str]] = {}
    for file in files:
        if not file.path.endswith(".asc"):
            for line in file.data.decode().splitlines():
                digest, name = line.split(maxsplit=1)
                said.setdefault(name, Counter())[digest] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in said.items()}


def verdict(tables: Table, files: tuple[MediaFile, ...], artifact: str, digest: str) -> Verdict:
    stamps = [
        read_detached(body).created
        for file in files
        if file.path.endswith(".asc")
        for body in read_signature_file(file.data)
    ]
    now = datetime.fromtimestamp(max(stamps), UTC) + timedelta(days=1)
    value = Digest.from_hex(DigestKind.FILE_SHA256, digest)
    image = replace(facts(), sha256=value)
    return judge(policy_for(tables, artifact), artifact, image, files, now)


def test_the_table_is_whole_and_no_statement_is_left_out(tables: Table) -> None:
    there = {
        (path.parent.parent.name, path.name.removesuffix(".SHA256SUMS"))
        for path in FOLDER.glob("*/*/*.SHA256SUMS")
    }
    assert there == set(EXPECTED)
    for release, name in EXPECTED:
        files = stage(release, name)
        artifact, digest = next(iter(most_said(files).items()))
        told = {row.file for row in verdict(tables, files, artifact, digest).dispositions}
        assert told == {file.path for file in files if file.path.endswith(".asc")}


@pytest.mark.parametrize(("release", "name"), EXPECTED)
def test_the_verdicts_are_those_of_the_table(tables: Table, release: str, name: str) -> None:
    expected, files = EXPECTED[release, name], stage(release, name)
    found = {
        artifact: verdict(tables, files, artifact, digest)
        for artifact, digest in most_said(files).items()
    }
    accepted = [each for each in found.values() if each.verdict is Judgement.ACCEPT]
    refused = [each for each in found.values() if each.verdict is Judgement.REFUSE]
    assert (len(accepted), len(refused)) == (expected.accepted, expected.refused)
    assert len(found) == expected.accepted + expected.refused
    assert {each.votes for each in accepted} <= {expected.votes}
    rules = {finding.rule for each in found.values() for finding in each.findings}
    assert rules - {"QRM-THRESHOLD"} == expected.rules
    if expected.accepted:
        good = accepted[0]
        assert Counter(row.disposition for row in good.dispositions)[Standing.COUNTED] == good.votes
    else:
        assert {row.rule for each in refused for row in each.dispositions} <= ABSENT | NO_VOTES


# A statement by a key that is not in the folder is reported as that, whatever it says.
ABSENT = {"QRM-ENROLLED"}


def test_the_dissenters_artifacts_are_named(tables: Table) -> None:
    for release, rule, artifacts in (
        ("22.0rc3", "QRM-UNVERIFIED", ["bitcoin-22.0rc3-osx-signed.dmg"]),
        ("26.0rc1", "QRM-DISSENT", list(SPLIT)),
    ):
        files = stage(release, ALL)
        named = [
            artifact
            for artifact, digest in most_said(files).items()
            if any(f.rule == rule for f in verdict(tables, files, artifact, digest).findings)
        ]
        assert sorted(named) == artifacts


def test_copies_and_other_stages_of_the_same_keys_add_no_vote(tables: Table) -> None:
    files = stage("27.0", ALL)
    copies = tuple(MediaFile(f"copy/{file.path}", file.data) for file in files)
    artifact, digest = next(iter(most_said(files).items()))
    once = verdict(tables, files, artifact, digest)
    assert once.votes == EXPECTED["27.0", ALL].votes
    assert verdict(tables, files + copies, artifact, digest).votes == once.votes
    both = verdict(tables, files + copies + stage("27.0", FIRST), artifact, digest)
    # Every builder of the last stage was one of the first.
    assert both.votes == EXPECTED["27.0", FIRST].votes
    assert both.verdict is Judgement.ACCEPT
