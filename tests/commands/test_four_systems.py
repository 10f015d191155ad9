"""The four systems as their people meet them: `policy new`, filled in, signed, and `check`.

Every file on the medium is made by the tool that the system has: minisign with a trusted comment,
sha256sum and ssh-keygen, Nix with a signed cache, BSD checksum lines with jail-metadata.txt.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pe.images import uki
from quorum.nix_cache import NixStore, needs_nix
from quorum.signify_key import SignifyKey
from quorum.tool_keys import MinisignKey, SshKey
from rehearsing import tiny_uki

from ceremony.pe.layout import read_layout
from tui import policy_skeletons
from tui.commands.dispatch import dispatch

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
OPEN = re.compile(r'REPLACE ([a-z0-9-]+): [^"\n]*')
NO_LEDGER = "0" * 64
COMMIT = "322227" + "ab" * 17
CHANNELS = "c4" * 20
LOCK = b'{"nodes": {}, "root": "root", "version": 7}\n'
BASE = "sha256:" + "ba5e" * 16
Signer: TypeAlias = SshKey | MinisignKey | SignifyKey


def example_values(kind: str) -> dict[str, str]:
    """Return what stands in an example where its skeleton has places."""
    parts = policy_skeletons.PLACE.split(policy_skeletons.text(kind))
    names = parts[1::2]
    text = (EXAMPLES / policy_skeletons.KINDS[kind]).read_text("utf-8")
    pattern = "".join(
        re.escape(part) if number % 2 == 0 else '([^"]*?)' for number, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, text, re.DOTALL)
    assert found
    return dict(zip(names, found.groups(), strict=True))


@dataclass(frozen=True)
class Site:
    """A medium and the policy beside it."""

    folder: Path
    keys: Mapping[str, Signer]

    @property
    def policy(self) -> Path:
        return self.folder / "policy.toml"

    @property
    def media(self) -> Path:
        return self.folder / "media"

    def put(self, name: str, data: bytes) -> None:
        path = self.media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def check(self, capsys: pytest.CaptureFixture[str], image: str) -> dict[str, Any]:
        """Return what `check` says of an image on the medium."""
        capsys.readouterr()
        words = ("--policy", str(self.policy), "--attestations", str(self.media))
        code = dispatch(
            ["check", str(self.media / image), *words, "--ledger-head", NO_LEDGER, "--json"]
        )
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (code == 0) is (found["verdict"] == "ACCEPT")
        return found

    def summed(self, files: Mapping[str, bytes], *options: str, **pins: str) -> bytes:
        """Return what sha256sum says of files, with pins as comment lines."""
        there = self.folder / "build"
        there.mkdir(exist_ok=True)
        for name, data in files.items():
            (there / name).write_bytes(data)
        command = ["sha256sum", *options, *files]
        sums = subprocess.run(command, cwd=there, capture_output=True, check=True).stdout
        said = {"timestamp": str(int(datetime.now(UTC).timestamp()) - 60), **pins}
        return sums + "".join(f"# {name} {value}\n" for name, value in said.items()).encode()

    def sshsig(self, place: str, folder: str, sums: bytes) -> None:
        key = self.keys[place]
        assert isinstance(key, SshKey)
        self.put(f"{folder}/SHA256SUMS", sums)
        self.put(f"{folder}/SHA256SUMS.sig", key.sign(sums))

    def minisig(self, place: str, folder: str, sums: bytes, more: str = "") -> None:
        key = self.keys[place]
        assert isinstance(key, MinisignKey)
        when = int(datetime.now(UTC).timestamp()) - 60
        comment = f"timestamp:{when} github.com/acme/image/commit/{COMMIT}{more}"
        self.put(f"{folder}/image.sha256", sums)
        self.put(f"{folder}/image.sha256.minisig", key.sign(sums, comment))


def newcomer(kind: str, folder: Path, capsys: pytest.CaptureFixture[str], **values: str) -> Site:
    """Write a kind's policy by the commands, with keys made here, and sign it by two owners."""
    folder = folder / "site"
    (folder / "keys").mkdir(parents=True)
    (folder / "media").mkdir()
    path = folder / "policy.toml"
    assert dispatch(["policy", "new", "--for", kind, "--output", str(path)]) == 0
    assert dispatch(["policy", "lint", str(path)]) == 1
    told = capsys.readouterr().out
    keys: dict[str, Signer] = {}
    text = path.read_text("utf-8")
    filled = example_values(kind) | values
    for name in dict.fromkeys(OPEN.findall(text)):
        assert f"{name} is not filled in" in told
        if name in values:
            continue
        tool = name.partition("-")[0]
        if tool == "minisign":
            keys[name] = MinisignKey.make(folder / "keys" / name)
        elif tool == "signify":
            keys[name] = SignifyKey.make(folder / "keys" / name)
        elif tool in ("owner", "witness", "holder", "ssh"):
            keys[name] = SshKey.make(folder / "keys" / name)
    for name, key in keys.items():
        filled[name] = key.text.split("\n")[1] if isinstance(key, SignifyKey) else key.line
    path.write_text(OPEN.sub(lambda found: filled[found[1]], text), "utf-8")
    assert dispatch(["policy", "lint", str(path)]) == 0, capsys.readouterr().out
    for owner in ("owner-1", "owner-2"):
        key = folder / "keys" / owner
        assert dispatch(["policy", "sign", str(path), "--key", str(key)]) == 0
    assert "2 of 2 owner signatures fit" in capsys.readouterr().out
    assert dispatch(["policy", "show", str(path)]) == 0
    return Site(folder, keys)


def votes(found: dict[str, Any]) -> dict[str, str]:
    return {
        one["builder"]: f"{one['disposition']} {one['rule']}".strip()
        for one in found["attestations"]
        if one["builder"]
    }


def test_flashbots_by_minisign_with_a_commit_in_the_trusted_comment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """F1, F2, F4, F5, F6, F9, F11: the CI's two workflows are one vote, two rebuild elsewhere."""
    site = newcomer("flashbots", tmp_path, capsys)
    name = "flashbox-l1_2026-06-29.322227.efi"
    image = tiny_uki()
    site.put(name, image)
    sums = site.summed({name: image, "flashbox-l1.manifest": b"{}"})
    for place in ("minisign-ci", "minisign-a"):
        site.minisig(place, place, sums)
    few = site.check(capsys, name)
    assert (few["verdict"], sorted(few["rules"])) == (
        "REFUSE",
        ["QRM-DIVERSITY", "QRM-GROUP", "QRM-THRESHOLD"],
    )
    site.minisig("minisign-b", "minisign-b", sums)
    found = site.check(capsys, name)
    assert (found["verdict"], found["rules"]) == ("ACCEPT", []), found["findings"]
    counted = dict.fromkeys(("ci-buildernet", "rebuilder-a", "rebuilder-b"), "counted")
    assert votes(found) == counted
    (site.media / name).rename(site.media / "flashbox-l1_2026-06-29.322227-dirty.efi")
    dirty = site.check(capsys, "flashbox-l1_2026-06-29.322227-dirty.efi")
    assert dirty["verdict"] == "REFUSE"
    assert {"QRM-VERSION-DENIED", "QRM-SUBJECT"} & set(dirty["rules"])


def anchored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Site, NixStore, bytes]:
    needs_nix()
    (tmp_path / "nix").mkdir()
    store = NixStore(tmp_path / "nix")
    site = newcomer("anchor", tmp_path, capsys, **{"nix-b": store.key("clean-b-1")})
    image = tiny_uki(architecture="aarch64")
    site.put("anchor.efi", image)
    site.put("flake.lock", LOCK)
    return site, store, image


def test_anchor_by_checksums_and_by_a_signed_nix_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A1, A2, A6, A8, A10: two clean builders, one by SSHSIG and one by what Nix left behind."""
    site, store, image = anchored(tmp_path, capsys)
    built = store.build("anchor.efi", image)
    store.sign(built, "clean-b-1")
    for file in store.copy(built):
        site.put(file.path, file.data)
    one = site.check(capsys, "anchor.efi")
    assert one["verdict"] == "REFUSE"
    assert votes(one) == {"clean-b": "weak QRM-PINS"}
    said = {"git_commit": COMMIT, "version": "1.2.0"}
    sums = site.summed({"anchor.efi": image, "flake.lock": LOCK}, **said)
    site.sshsig("ssh-a", "clean-a", sums)
    found = site.check(capsys, "anchor.efi")
    assert (found["verdict"], found["rules"]) == ("ACCEPT", []), found["findings"]
    assert votes(found) == {"clean-a": "counted", "clean-b": "weak QRM-PINS"}
    site.put("flake.lock", LOCK + b" ")
    other = site.check(capsys, "anchor.efi")
    assert (other["verdict"], "QRM-LOCK" in other["rules"]) == ("REFUSE", True)


def test_anchor_refuses_a_cache_that_holds_another_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, store, image = anchored(tmp_path, capsys)
    said = {"git_commit": COMMIT, "version": "1.2.0"}
    sums = site.summed({"anchor.efi": image, "flake.lock": LOCK}, **said)
    for builder in ("a", "b"):
        site.sshsig(f"ssh-{builder}", f"clean-{builder}", sums)
    found = site.check(capsys, "anchor.efi")
    assert (found["verdict"], found["rules"]) == ("ACCEPT", []), found["findings"]
    other = store.build("anchor.efi", tiny_uki(b"2", "aarch64"))
    store.sign(other, "clean-b-1")
    for file in store.copy(other):
        site.put(file.path, file.data)
    torn = site.check(capsys, "anchor.efi")
    assert torn["verdict"] == "OVERRIDE_NEEDED"
    assert sorted(torn["rules"]) == ["QRM-DISSENT", "QRM-TWO-ANSWERS"]


def test_a_laptops_boxes_are_one_vote_and_a_friend_the_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S1 to S4: docker with and without its image's digest, flatpak by minisign, one store."""
    site = newcomer("nixos-laptop", tmp_path, capsys)
    image = tiny_uki()
    site.put("nixos.efi", image)
    site.put("flake.lock", LOCK)
    files = {"nixos.efi": image, "flake.lock": LOCK}
    said = {"git_commit": COMMIT, "version": "1.2.0"}
    site.sshsig("ssh-docker", "docker", site.summed(files, **said, base_image=BASE))
    site.sshsig("ssh-bwrap", "bwrap", site.summed(files, **said))
    site.sshsig("ssh-qemu", "qemu", site.summed(files, **said))
    site.minisig("minisign-flatpak", "flatpak", site.summed(files), " version:1.2.0")
    alone = site.check(capsys, "nixos.efi")
    assert (alone["verdict"], sorted(alone["rules"])) == (
        "REFUSE",
        ["QRM-DIVERSITY", "QRM-THRESHOLD"],
    )
    told = votes(alone)
    boxes = {"laptop-bwrap", "laptop-docker", "laptop-flatpak", "laptop-qemu"}
    assert told.keys() == boxes
    assert sorted(told.values()) == ["counted", *["duplicate QRM-PRINCIPAL"] * 3]
    site.sshsig("ssh-friend", "friend", site.summed(files, **said))
    found = site.check(capsys, "nixos.efi")
    assert (found["verdict"], found["rules"]) == ("ACCEPT", []), found["findings"]
    assert votes(found)["friend"] == "counted"


@pytest.mark.parametrize("base", ["alpine:3.20", ""])
def test_a_docker_box_alone_without_its_images_digest_is_a_weak_vote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], base: str
) -> None:
    site = newcomer("nixos-laptop", tmp_path, capsys)
    image = tiny_uki()
    site.put("nixos.efi", image)
    site.put("flake.lock", LOCK)
    pins = {"git_commit": COMMIT, "version": "1.2.0"} | ({"base_image": base} if base else {})
    sums = site.summed({"nixos.efi": image, "flake.lock": LOCK}, **pins)
    site.sshsig("ssh-docker", "docker", sums)
    assert votes(site.check(capsys, "nixos.efi")) == {"laptop-docker": "weak QRM-BASE-IMAGE"}


CLOSED = (
    b"path=/jails/build ip4=disable ip6=disable enforce_statfs=2 persist\n"
    b"/toolchain /jails/build/toolchain nullfs ro 0 0\n"
    b"/out /jails/build/output nullfs rw 0 0\n"
)


def initrd(image: bytes) -> bytes:
    layout = read_layout(image, len(image)).layout
    assert layout is not None
    (section,) = [each for each in layout.sections if each.name == ".initrd"]
    return image[section.offset : section.offset + section.content_size]


def jailed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metadata: bytes, *, signify: bool
) -> Site:
    site = newcomer("freebsd", tmp_path, capsys)
    image = bytes(uki())
    site.put("image.efi", image)
    built = {"image.efi": image, "initrd.cpio": initrd(image)}
    pins = {"git_commit": COMMIT, "guix_channels": CHANNELS, "version": "1.2.0"}
    tagged = site.summed({**built, "jail-metadata.txt": metadata}, "--tag", **pins)
    assert tagged.startswith(b"SHA256 (image.efi) = ")
    folder = "jail-b" if signify else "jail-a"
    if signify:
        key = site.keys["signify-jail-b"]
        assert isinstance(key, SignifyKey)
        site.put("jail-b/SHA256SUMS", tagged)
        site.put("jail-b/SHA256SUMS.sig", key.sign(tagged))
    else:
        site.sshsig("ssh-jail-a", folder, tagged)
    site.put(f"{folder}/jail-metadata.txt", metadata)
    site.sshsig("ssh-guix", "guix", site.summed(built, **pins))
    return site


@pytest.mark.parametrize("signify", [False, True], ids=["sshsig", "signify"])
def test_a_freebsd_jail_by_bsd_lines_and_its_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, signify: bool
) -> None:
    """J1 to J6: BSD lines, the base system's signature, a closed jail, Guix channels, a part."""
    site = jailed(tmp_path, capsys, CLOSED, signify=signify)
    found = site.check(capsys, "image.efi")
    assert (found["verdict"], found["rules"]) == ("ACCEPT", []), found["findings"]
    jail = "jail-b" if signify else "jail-a"
    assert votes(found) == {jail: "counted", "guix-a": "counted"}
    assert [(part["component"], part["votes"]) for part in found["components"]] == [("initrd", 2)]


def test_a_jail_with_a_network_has_no_vote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = jailed(tmp_path, capsys, CLOSED.replace(b"ip6=disable", b"ip6=inherit"), signify=False)
    found = site.check(capsys, "image.efi")
    assert found["verdict"] == "REFUSE"
    assert votes(found) == {"jail-a": "not-counted ATT-JAIL", "guix-a": "counted"}
