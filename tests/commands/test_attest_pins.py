"""What attest reads of the source and of the machine, with the real git."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from commands.builder_desk import Desk, git, laid_out, repository
from marks import accepts, refuses

from ceremony.attest.dsse import read_envelope
from ceremony.attest.statement import read_statement
from ceremony.attest.sums import read_sums
from tui.building.source import repository_name
from tui.rehearsal.attestations import make_dsse_key

COMMIT = "c0ffee" * 6 + "beef"


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return laid_out(tmp_path, capfd)


@accepts("ATT-SOURCE", "ATT-DIRTY")
def test_a_clean_work_tree_gives_commit_lock_and_state(desk: Desk) -> None:
    source = desk.folder / "src"
    commit = repository(source)
    git(source, "remote", "add", "origin", "git@github.com:acme/anchor.git")
    (source / "result").write_text("built, and ignored by git\n", "utf-8")
    done = desk.attest("--source", source)
    assert done.status == 0, done.err
    lock = hashlib.sha256((source / "flake.lock").read_bytes()).hexdigest()
    lines = desk.sums().splitlines()
    assert {f"# git_commit {commit}", "# git_tree clean", f"{lock}  flake.lock"} <= set(lines)
    assert f"{hashlib.sha256(desk.image.read_bytes()).hexdigest()}  anchor.efi" in lines
    claims = read_sums(desk.sums().encode())
    assert dict(claims.pins)["flake_lock"] == lock
    assert claims.time is not None


def changed(source: Path) -> None:
    (source / "kernel.config").write_text("CONFIG_EFI=n\n", "utf-8")


def staged(source: Path) -> None:
    changed(source)
    git(source, "add", ".")


def unknown(source: Path) -> None:
    (source / "new\x1b[2J.nix").write_text("{}", "utf-8")


def deleted(source: Path) -> None:
    (source / "kernel.config").unlink()


def hidden(source: Path) -> None:
    git(source, "update-index", "--assume-unchanged", "kernel.config")
    changed(source)


def skipped(source: Path) -> None:
    git(source, "update-index", "--skip-worktree", "kernel.config")
    changed(source)


def unknown_below_a_quiet_configuration(source: Path) -> None:
    git(source, "config", "status.showUntrackedFiles", "no")
    unknown(source)


def in_a_submodule(source: Path) -> None:
    other = source.parent / "other"
    repository(other)
    git(source, "submodule", "--quiet", "add", str(other), "sub")
    git(source, "config", "-f", ".gitmodules", "submodule.sub.ignore", "all")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "sub")
    changed(source / "sub")


DIRT = (
    *(changed, staged, unknown, deleted, hidden, skipped),
    *(unknown_below_a_quiet_configuration, in_a_submodule),
)


@refuses("ATT-DIRTY")
@pytest.mark.parametrize("dirt", DIRT)
def test_a_tree_that_is_not_its_commit_is_refused(desk: Desk, dirt: Callable[[Path], None]) -> None:
    source = desk.folder / "src"
    repository(source)
    dirt(source)
    done = desk.attest("--source", source)
    assert (done.status, "ATT-DIRTY" in done.err, any(desk.out.iterdir())) == (1, True, False)
    assert "next:" in done.err
    assert "\x1b" not in done.err


def test_a_marked_dirty_tree_pins_no_commit(desk: Desk) -> None:
    source = desk.folder / "src"
    commit = repository(source)
    changed(source)
    done = desk.attest("--source", source, "--dirty", "mark")
    assert done.status == 0, done.err
    assert f"# git_tree {commit}-dirty\n" in desk.sums()
    assert "git_commit" not in desk.sums()


def test_git_runs_nothing_that_the_repository_configures(desk: Desk) -> None:
    source = desk.folder / "src"
    repository(source)
    trace = desk.folder / "ran"
    hook = desk.folder / "monitor"
    hook.write_text(f"#!/bin/sh\necho ran >>{trace}\n", "utf-8")
    hook.chmod(0o755)
    git(source, "config", "core.fsmonitor", str(hook))
    git(source, "status")
    assert trace.exists()
    trace.unlink()
    assert desk.attest("--source", source).status == 0
    assert not trace.exists()


def test_the_environment_does_not_lead_git_elsewhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository(desk.folder / "src")
    repository(desk.folder / "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(desk.folder / "elsewhere/.git"))
    assert desk.attest("--source", desk.folder / "src").status == 0
    assert f"# git_commit {commit}\n" in desk.sums()


def empty(folder: Path) -> None:
    folder.mkdir()


def without_commit(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q")


def bare(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "--bare")


@refuses("ATT-SOURCE")
@pytest.mark.parametrize("make", [empty, without_commit, bare, None])
def test_a_source_that_is_no_work_tree(desk: Desk, make: Callable[[Path], None] | None) -> None:
    if make is not None:
        make(desk.folder / "src")
    done = desk.attest("--source", desk.folder / "src")
    assert (done.status, "ATT-SOURCE" in done.err, any(desk.out.iterdir())) == (1, True, False)


@refuses("ATT-SOURCE")
def test_without_git_a_work_tree_is_not_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(desk.folder / "src")
    key = desk.ssh()
    monkeypatch.setenv("PATH", str(desk.folder))
    done = desk.attest("--source", desk.folder / "src", key=key)
    assert (done.status, "ATT-SOURCE: git is not installed" in done.err) == (3, True)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("git@github.com:acme/anchor.git", "github.com/acme/anchor"),
        ("https://github.com/acme/anchor", "github.com/acme/anchor"),
        ("https://user:secret@GitHub.com/acme/anchor.git/", "github.com/acme/anchor"),
        ("ssh://git@git.example.org:2222/a/b/c.git", "git.example.org/a/b/c"),
        ("github.com/acme/anchor", "github.com/acme/anchor"),
        ("/srv/git/anchor.git", ""),
        ("../anchor", ""),
        ("github.com", ""),
        ("github.com/a b/c", ""),
    ],
)
def test_the_name_of_a_repository(address: str, name: str) -> None:
    assert repository_name(address) == name


def test_stated_pins_stand_in_every_format(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    drv = f"/nix/store/{'0' * 32}-anchor.drv"
    words = ["--pin", f"git_commit={COMMIT}", "--image-id", "anchor", "--build-type", "nix-build"]
    words += ("--derivation", drv, "--isolation", "nix-sandbox", "--source", "github.com/a/b")
    assert desk.attest(*words).status == 0
    assert desk.attest(*words, builder="min", key=desk.minisign()).status == 0
    assert desk.attest(*words, builder="pem", key=pem(desk)).status == 0
    wanted = {
        "git_commit": COMMIT,
        "image_id": "anchor",
        "build_type": "nix-build",
        "nix_derivation": drv,
        "source_date_epoch": "1700000000",
    }
    comment = (desk.out / "min.sha256.minisig").read_text("utf-8")
    assert f"github.com/a/b/commit/{COMMIT}" in comment
    assert "isolation:nix-sandbox" in comment
    envelope = read_envelope((desk.out / "pem.intoto.json").read_bytes())
    for claims in (read_sums(desk.sums().encode()), read_statement(envelope.payload)):
        assert wanted.items() <= dict(claims.pins).items()
        assert claims.self_claims == (("isolation", "nix-sandbox"),)
        assert dict(claims.pins)["isolation_seen"]


def pem(desk: Desk) -> Path:
    make_dsse_key(desk.folder / "pem")
    return desk.folder / "pem"


@refuses("ATT-PIN")
@pytest.mark.parametrize(
    "words",
    [
        ("--pin", "git_commit=main"),
        ("--pin", "git_commit"),
        ("--pin", "Commit=x"),
        ("--pin", "a=two words"),
        ("--pin", "a=\x1b[2J"),
        ("--pin", f"a={'x' * 257}"),
        ("--pin", "a=1", "--pin", "a=2"),
        ("--pin", "timestamp=1"),
        ("--source-date-epoch", "-1"),
        ("--source-date-epoch", "now"),
        ("--image-id", "two words"),
        ("--derivation", "/tmp/x.drv"),
        ("--pin", "image_id=a", "--image-id", "b"),
    ],
)
def test_a_pin_that_is_impossible_or_said_twice(desk: Desk, words: tuple[str, ...]) -> None:
    done = desk.attest(*words)
    assert (done.status, "ATT-PIN" in done.err, any(desk.out.iterdir())) == (1, True, False)
    assert "\x1b" not in done.err


@refuses("ATT-PIN")
def test_a_stated_commit_that_is_not_the_trees(desk: Desk) -> None:
    repository(desk.folder / "src")
    done = desk.attest("--source", desk.folder / "src", "--pin", f"git_commit={COMMIT}")
    assert (done.status, "ATT-PIN" in done.err) == (1, True)


@refuses("ATT-SUMS")
@pytest.mark.parametrize("name", ["two\nlines", " x", "\\x", "#x", ""])
def test_a_name_that_no_checksum_line_can_hold(desk: Desk, name: str) -> None:
    image = desk.folder / "anchor.efi"
    words = ("--builder", "ann", "--key", desk.ssh(), "--output", desk.out, "--name", name or " ")
    desk.image.touch()
    done = desk.run("attest", image, *words)
    assert (done.status, "ATT-SUMS" in done.err, any(desk.out.iterdir())) == (1, True, False)
