"""The four systems that the examples serve, judged on files that their builders' own tools made.

Each test takes an example as it stands and enrols keys made here in place of its throw-away
ones; everything else, rules, groups and names, is the example's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pe.images import uki
from quorum.release import IMAGE, facts, sha256
from quorum.tool_keys import MinisignKey, SshKey

from ceremony.keys import PublicKey, parse_minisign, parse_ssh_line
from ceremony.ledger import NO_HEAD
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.layout import read_layout
from ceremony.policy import Policy, load
from ceremony.policy_people import KeyWrapping
from ceremony.quorum import Verdict, judge
from ceremony.types import ImageFacts, MediaFile

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
WHEN = datetime(2026, 12, 1, tzinfo=UTC)
STAMP = int((WHEN - timedelta(days=1)).timestamp())
COMMIT = "322227" + "ab" * 17
CHANNELS = "c4" * 20
LOCK = b'{"nodes": {}, "root": "root", "version": 7}\n'
Keys = Mapping[str, SshKey | MinisignKey]
Files = tuple[MediaFile, ...]


def enrolling(example: str, folder: Path, **kinds: str) -> tuple[Policy, Keys]:
    """Return the example with new keys: `kinds` says of each builder ssh or minisign."""
    policy = load((EXAMPLES / f"{example}.toml").read_bytes())
    made: dict[str, SshKey | MinisignKey] = {}
    builders = []
    for builder in policy.builders:
        kind = kinds.get(builder.id.replace("-", "_"))
        if kind:
            path = folder / builder.id
            key = SshKey.make(path) if kind == "ssh" else MinisignKey.make(path)
            made[builder.id] = key
            public, key_id = _public(key)
            wrapping = KeyWrapping(kind)
            held = replace(builder.keys[0], key=public, wrapping=wrapping, key_id=key_id)
            builders.append(replace(builder, keys=(held,)))
        else:
            builders.append(builder)
    return replace(policy, builders=tuple(builders)), made


def _public(key: SshKey | MinisignKey) -> tuple[PublicKey, str]:
    if isinstance(key, SshKey):
        return parse_ssh_line(key.line)[0], ""
    public, key_id = parse_minisign(key.line)
    return public, key_id.hex()


def summed(folder: Path, files: Mapping[str, bytes], *options: str) -> bytes:
    """Return what sha256sum says of files; --tag writes what FreeBSD's sha256 writes."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = ["sha256sum", *options, *files]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def pinned(sums: bytes, **pins: str) -> bytes:
    said = {"timestamp": str(STAMP), **pins}
    return sums + "".join(f"# {name} {value}\n" for name, value in said.items()).encode()


def sshsig(keys: Keys, builder: str, sums: bytes) -> Files:
    key = keys[builder]
    assert isinstance(key, SshKey)
    path = f"{builder}/SHA256SUMS"
    return MediaFile(path, sums), MediaFile(f"{path}.sig", key.sign(sums))


def minisigned(
    keys: Keys, builder: str, sums: bytes, commit: str = COMMIT, more: str = ""
) -> Files:
    key = keys[builder]
    assert isinstance(key, MinisignKey)
    comment = f"timestamp:{STAMP} github.com/acme/image/commit/{commit}{more}"
    path = f"{builder}/image.sha256"
    return MediaFile(path, sums), MediaFile(f"{path}.minisig", key.sign(sums, comment))


def judged(policy: Policy, name: str, files: Files, image: ImageFacts | None = None) -> Verdict:
    return judge(policy, name, image or facts(), files, WHEN, ledger_head=NO_HEAD)


def stops(verdict: Verdict) -> set[str]:
    return {finding.rule for finding in verdict.findings if finding.severity == "refuse"}


def flashbots(
    folder: Path, name: str, commit: str = COMMIT, image: bytes = IMAGE
) -> tuple[Policy, Files]:
    kinds = dict.fromkeys(("ci_buildernet", "rebuilder_a", "rebuilder_b"), "minisign")
    policy, keys = enrolling("flashbots", folder, **kinds)
    sums = summed(folder, {name: image})
    return policy, tuple(file for key in keys for file in minisigned(keys, key, sums, commit))


def test_flashbots_signs_a_release_whose_version_stands_only_in_its_name(tmp_path: Path) -> None:
    name = "flashbox-l1_2026-06-29.322227.efi"
    policy, files = flashbots(tmp_path, name)
    verdict = judged(policy, name, files)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)
    assert dict(verdict.inputs) == {"git_commit": COMMIT}  # from the trusted comments alone
    # the same files under another release's name
    assert judged(policy, "flashbox-l1_2026-06-30.322227.efi", files).verdict == "REFUSE"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("flashbox-l1_2026-06-29.322227-dirty.efi", "QRM-VERSION-DENIED"),
        ("flashbox-l1_dev-2026-06-29.322227.efi", "QRM-VERSION-DENIED"),
        ("flashbox-l1_2026-06-29.322227-dev.efi", "QRM-VERSION-DENIED"),
        ("flashbox-l1_2026-06-29.ffffff.efi", "QRM-VERSION-COMMIT"),
        ("flashbox-l1_1.2.0.efi", "QRM-VERSION"),
        ("flashbox-l1_.efi", "QRM-VERSION"),
    ],
)
def test_flashbots_refuses_every_other_name(tmp_path: Path, name: str, rule: str) -> None:
    policy, files = flashbots(tmp_path, name)
    assert rule in stops(judged(policy, name, files))


def test_flashbots_refuses_a_rebuild_of_another_commit(tmp_path: Path) -> None:
    name = "flashbox-l1_2026-06-29.322227.efi"
    policy, files = flashbots(tmp_path, name, commit="ee" * 20)
    assert "QRM-VERSION-COMMIT" in stops(judged(policy, name, files))


def anchor(folder: Path, lock: bytes) -> tuple[Policy, Files]:
    policy, keys = enrolling("anchor", folder, clean_a="ssh", clean_b="ssh")
    sums = summed(folder, {"anchor.efi": IMAGE, "flake.lock": lock})
    said = pinned(sums, git_commit=COMMIT, version="1.2.0")
    return policy, tuple(file for key in keys for file in sshsig(keys, key, said))


def test_anchor_hashes_the_lock_file_from_the_medium(tmp_path: Path) -> None:
    policy, files = anchor(tmp_path, LOCK)
    verdict = judged(policy, "anchor.efi", (*files, MediaFile("flake.lock", LOCK)))
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 2)
    assert dict(verdict.inputs) == {"git_commit": COMMIT, "flake_lock": sha256(LOCK)}
    for there in ((), (MediaFile("flake.lock", LOCK + b" "),)):
        assert "QRM-LOCK" in stops(judged(policy, "anchor.efi", (*files, *there)))


def test_anchor_needs_two_clean_builders(tmp_path: Path) -> None:
    policy, files = anchor(tmp_path, LOCK)
    lock = MediaFile("flake.lock", LOCK)
    one = judged(policy, "anchor.efi", (*files[:2], lock))
    assert stops(one) == {"QRM-THRESHOLD", "QRM-GROUP", "QRM-DIVERSITY"}


def laptop(folder: Path, *names: str) -> tuple[Policy, Files]:
    kinds = {
        "laptop_docker": "ssh",
        "laptop_bwrap": "ssh",
        "laptop_flatpak": "minisign",
        "laptop_qemu": "ssh",
        "friend": "ssh",
    }
    policy, keys = enrolling("nixos-laptop", folder, **kinds)
    sums = summed(folder, {"nixos.efi": IMAGE, "flake.lock": LOCK})
    base = {"base_image": "sha256:" + "ba5e" * 16}
    said = pinned(sums, git_commit=COMMIT, version="1.2.0", **base)
    files = [MediaFile("flake.lock", LOCK)]
    for name in names:
        if isinstance(keys[name], MinisignKey):
            files += minisigned(keys, name, sums, more=" version:1.2.0")
        else:
            files += sshsig(keys, name, said)
    return policy, tuple(files)


def test_a_laptops_docker_bubblewrap_flatpak_and_qemu_are_one_vote(tmp_path: Path) -> None:
    boxes = ("laptop-docker", "laptop-bwrap", "laptop-flatpak", "laptop-qemu")
    policy, files = laptop(tmp_path, *boxes)
    verdict = judged(policy, "nixos.efi", files)
    assert (verdict.verdict, verdict.votes) == ("REFUSE", 1)
    standings = sorted(f"{d.disposition} {d.rule}" for d in verdict.dispositions)
    assert standings == ["counted ", *["duplicate QRM-PRINCIPAL"] * 3]
    shared = next(p for p in verdict.principals if len(p.builders) > 1)
    assert "store laptop-store" in shared.because


def test_a_laptop_and_a_friend_are_two(tmp_path: Path) -> None:
    policy, files = laptop(tmp_path, "laptop-flatpak", "laptop-docker", "friend")
    verdict = judged(policy, "nixos.efi", files)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 2)


def initrd() -> bytes:
    layout = read_layout(uki(), len(uki())).layout
    assert layout is not None
    (section,) = [each for each in layout.sections if each.name == ".initrd"]
    return bytes(uki()[section.offset : section.offset + section.content_size])


CLOSED = (
    b"path=/jails/build ip4=disable ip6=disable enforce_statfs=2 persist\n"
    b"/toolchain /jails/build/toolchain nullfs ro 0 0\n"
    b"/out /jails/build/output nullfs rw 0 0\n"
)


def jailed(
    folder: Path, metadata: bytes = CLOSED, only: tuple[str, ...] = ()
) -> tuple[Policy, Files]:
    policy, keys = enrolling("freebsd-jail", folder, jail_a="ssh", jail_b="ssh", guix_a="ssh")
    whole = {"image.efi": uki(), "initrd.cpio": initrd(), "jail-metadata.txt": metadata}
    part = {name: data for name, data in whole.items() if not only or name in only}
    pins = {"git_commit": COMMIT, "guix_channels": CHANNELS, "version": "1.2.0"}
    tagged = summed(folder, part, "--tag")
    assert f"SHA256 (initrd.cpio) = {sha256(initrd())}\n".encode() in tagged
    built = summed(folder, {"image.efi": uki(), "initrd.cpio": initrd()})
    return policy, (
        *sshsig(keys, "jail-a", pinned(tagged, **pins)),
        MediaFile("jail-a/jail-metadata.txt", metadata),
        *sshsig(keys, "guix-a", pinned(built, **pins)),
    )


def test_a_jails_bsd_lines_and_closed_network_count(tmp_path: Path) -> None:
    policy, files = jailed(tmp_path)
    verdict = judged(policy, "image.efi", files, inspect(uki(), OPEN_GATES))
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 2)
    assert [(part.component, part.votes) for part in verdict.components] == [("initrd", 2)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ip4=disable", b"ip4=inherit"),
        (b"ip6=disable", b"ip6=new"),
        (b" ip6=disable", b""),
        (b"nullfs ro", b"nullfs rw"),
    ],
)
def test_a_jail_that_is_not_closed_has_no_vote(tmp_path: Path, old: bytes, new: bytes) -> None:
    policy, files = jailed(tmp_path, CLOSED.replace(old, new))
    verdict = judged(policy, "image.efi", files, inspect(uki(), OPEN_GATES))
    assert verdict.verdict == "REFUSE"
    told = {d.builder: d.rule for d in verdict.dispositions if d.builder}
    assert told == {"jail-a": "ATT-JAIL", "guix-a": ""}
    assert [part.votes for part in verdict.components] == [1]


def test_a_jail_that_made_the_initrd_only_counts_for_that(tmp_path: Path) -> None:
    policy, files = jailed(tmp_path, only=("initrd.cpio", "jail-metadata.txt"))
    verdict = judged(policy, "image.efi", files, inspect(uki(), OPEN_GATES))
    assert stops(verdict) == {"QRM-THRESHOLD", "QRM-GROUP", "QRM-DIVERSITY"}
    assert [part.votes for part in verdict.components] == [2]
    assert [part.sha256 for part in verdict.components] == [sha256(initrd())]
