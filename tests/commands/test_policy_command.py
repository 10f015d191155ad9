"""policy lint | show | sign | new, as owners use them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from marks import accepts, refuses

from ceremony.policy import check_owners, load
from ceremony.types import MediaFile, refusals
from tui import ssh_keys
from tui.commands.dispatch import dispatch
from tui.policy_skeletons import KINDS

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
EXAMPLE = EXAMPLES / "nixos-laptop.toml"


@pytest.fixture
def owned(tmp_path: Path) -> tuple[Path, list[Path]]:
    """Return an example whose two owners' keys are ours."""
    keys = [tmp_path / "keys" / name for name in ("olga", "otto")]
    text = EXAMPLE.read_text("utf-8")
    owners = text.partition("keys = [")[2].partition("]")[0]
    lines = [ssh_keys.make_key(key, key.name) for key in keys]
    path = tmp_path / "policy.toml"
    path.write_text(text.replace(owners, "".join(f'"{line}",' for line in lines), 1), "utf-8")
    return path, keys


@accepts("POL-ADVICE", "POL-PLACE")
@pytest.mark.parametrize("name", sorted(KINDS.values()))
def test_lint_accepts_every_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["policy", "lint", str(EXAMPLES / name)]) == 0
    assert f"{name}: 0 faults" in capsys.readouterr().out


@refuses("POL-VALUE", "POL-UNKNOWN", "POL-THRESHOLD")
def test_lint_names_every_fault_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.read_text("utf-8")
    broken = text.replace("threshold = 2", "threshold = 0", 1) + "\n[surprise]\nx = 1\n"
    path = tmp_path / "policy.toml"
    path.write_text(broken, "utf-8")
    assert dispatch(["policy", "lint", str(path)]) == 1
    shown = capsys.readouterr().out
    lines = broken.split("\n")
    assert f"POL-VALUE: [owners].threshold (line {lines.index('threshold = 0') + 1})" in shown
    assert f"POL-UNKNOWN: surprise (line {lines.index('[surprise]') + 1})" in shown
    assert "policy.toml: 2 faults" in shown
    assert dispatch(["policy", "lint", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "refused"
    assert {finding["rule"] for finding in report["findings"]} == {"POL-VALUE", "POL-UNKNOWN"}


@refuses("POL-PLACE")
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_policy_is_refused_until_its_places_are_filled(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.toml"
    assert dispatch(["policy", "new", "--for", kind, "--output", str(path)]) == 0
    written = path.read_text("utf-8")
    capsys.readouterr()
    assert dispatch(["policy", "lint", str(path)]) == 1
    said = capsys.readouterr().out
    faults = [line for line in said.split("\n") if line.startswith("refuse")]
    lines = written.split("\n")
    for fault in faults:
        number = int(fault.partition("(line ")[2].partition(")")[0])
        name, _, wanted = lines[number - 1].partition("REPLACE ")[2].rstrip('"],').partition(": ")
        assert f"{name} is not filled in; here belongs {wanted}" in fault
        assert "POL-PLACE" in fault
    assert len(faults) == written.count("REPLACE ")
    assert "not base64" not in said
    assert dispatch(["policy", "new", "--for", kind]) == 0
    assert capsys.readouterr().out == written
    assert dispatch(["policy", "new", "--for", kind, "--output", str(path)]) == 1
    assert path.read_text("utf-8") == written


@refuses("MED-FOLDER")
def test_a_new_policy_is_written_into_no_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep" / "policy.toml"
    assert dispatch(["policy", "new", "--for", "anchor", "--output", str(path)]) == 3
    said = capsys.readouterr().err
    assert ("MED-FOLDER" in said, "mkdir -p" in said, path.parent.exists()) == (True, True, False)


@refuses("KEY-PRIVATE")
@pytest.mark.parametrize("key", [None, b"", b"ssh-ed25519 AAAA no key\n"])
def test_a_key_that_does_not_sign_is_told_of_as_a_private_one(
    owned: tuple[Path, list[Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    key: bytes | None,
) -> None:
    path = tmp_path / "key"
    if key is not None:
        path.write_bytes(key)
        path.chmod(0o600)
    assert dispatch(["policy", "sign", str(owned[0]), "--key", str(path)]) in (1, 3)
    said = capsys.readouterr().err
    assert ("KEY-PRIVATE" in said, "private key" in said, "Export" in said) == (True, True, False)


def test_show_says_what_the_policy_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["policy", "show", str(EXAMPLE)]) == 0
    shown = capsys.readouterr().out
    for words in (
        "2 independent principals must agree on every byte.",
        "One vote of laptop-bwrap, laptop-docker, laptop-flatpak, laptop-qemu",
        "It must be greater than every version signed before.",
        "0 of 2 owner signatures fit",
        f'policy_sha256 = "{hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()}"',
    ):
        assert words in shown
    for name in KINDS.values():
        assert dispatch(["policy", "show", str(EXAMPLES / name)]) == 0
    assert "{version} stands for" in capsys.readouterr().out


@accepts("POL-OWNERS")
def test_owners_sign_one_after_the_other(
    owned: tuple[Path, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, keys = owned
    for number, key in enumerate(keys, 1):
        assert dispatch(["policy", "sign", str(path), "--key", str(key)]) == 0
        assert f"{number} of 2 owner signatures fit" in capsys.readouterr().out
    data = path.read_bytes()
    files = tuple(
        MediaFile(file.name, file.read_bytes()) for file in path.parent.glob("policy.toml.*.sshsig")
    )
    assert sorted(file.path for file in files) == [
        "policy.toml.olga.sshsig",
        "policy.toml.otto.sshsig",
    ]
    assert not refusals(check_owners(load(data), data, files))


def test_owners_sign_without_ssh_keygen_too(
    owned: tuple[Path, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (key, _) = owned
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert dispatch(["policy", "sign", str(path), "--key", str(key), "--name", "o"]) == 0
    assert path.with_name("policy.toml.o.sshsig").exists()


@refuses("POL-OWNERS")
def test_nobody_signs_a_broken_policy_or_one_that_is_not_theirs(
    owned: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, (key, _) = owned
    stranger = tmp_path / "stranger"
    ssh_keys.make_key(stranger, "stranger")
    assert dispatch(["policy", "sign", str(path), "--key", str(stranger)]) == 1
    assert "POL-OWNERS" in capsys.readouterr().err
    assert dispatch(["policy", "sign", str(path), "--key", str(key), "--name", "../x"]) == 1
    path.write_text(path.read_text("utf-8") + "\n[surprise]\n", "utf-8")
    assert dispatch(["policy", "sign", str(path), "--key", str(key)]) == 1
    assert "POL-UNKNOWN" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.sshsig"))


def test_what_is_no_file_is_told_and_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["policy", "lint", str(tmp_path / "nothing")]) == 3
    said = capsys.readouterr().err
    assert ("MED-PATH" in said, "Check the path" in said, "medium" in said) == (True, True, False)
    link = tmp_path / "link"
    link.symlink_to(EXAMPLE)
    assert dispatch(["policy", "lint", str(link)]) == 1
    assert "MED-SPECIAL" in capsys.readouterr().err
    assert dispatch(["policy"]) == 2
