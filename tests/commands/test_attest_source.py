"""What makes a work tree look like its commit, or git look elsewhere, with the real git."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from commands.builder_desk import Desk, git, laid_out, repository
from marks import accepts, refuses

from ceremony.errors import Refused
from tui.building.source import Source, read_source

EVIL = "CONFIG_EFI=n\n"  # as long as what the commit holds


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    repository(folder)
    return folder


def change(source: Path, name: str = "kernel.config") -> None:
    (source / name).write_text(EVIL, "utf-8")


def commit(source: Path, **files: str) -> None:
    for name, text in files.items():
        path = source / name.replace("__", "/").replace("dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "more")


def replaced_commit(source: Path) -> None:
    change(source)
    git(source, "commit", "-q", "-a", "-m", "evil")
    evil = git(source, "rev-parse", "HEAD")
    git(source, "reset", "-q", "--soft", "HEAD~")
    git(source, "replace", git(source, "rev-parse", "HEAD"), evil)
    git(source, "reset", "-q", "--hard")
    assert (source / "kernel.config").read_text("utf-8") == EVIL


def same_size_and_time(source: Path) -> None:
    git(source, "config", "core.trustctime", "false")
    git(source, "config", "core.checkStat", "minimal")
    os.utime(source / "kernel.config", (1e9, 1e9))
    git(source, "update-index", "--refresh")
    change(source)
    os.utime(source / "kernel.config", (1e9, 1e9))


def executable_under_no_file_mode(source: Path) -> None:
    git(source, "config", "core.fileMode", "false")
    (source / "kernel.config").chmod(0o755)


def file_for_a_link(source: Path) -> None:
    (source / "link").symlink_to("kernel.config")
    commit(source)
    git(source, "config", "core.symlinks", "false")
    (source / "link").unlink()
    (source / "link").write_text("kernel.config", "utf-8")


def pipe_for_a_file(source: Path) -> None:
    (source / "kernel.config").unlink()
    os.mkfifo(source / "kernel.config")


def folder_behind_a_link(source: Path) -> None:
    commit(source, sub__file="x\n")
    (source / "sub").rename(source.parent / "outside")
    (source / "sub").symlink_to(source.parent / "outside")


def named_in_info_exclude(source: Path) -> None:
    (source / ".git/info").mkdir(exist_ok=True)
    (source / ".git/info/exclude").write_text("evil*\n", "utf-8")
    change(source, "evil.conf")


def named_in_the_users_excludes(source: Path) -> None:
    excludes = source.parent / "excludes"
    excludes.write_text("evil*\n", "utf-8")
    git(source, "config", "core.excludesFile", str(excludes))
    change(source, "evil.conf")


def ignoring_itself(source: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub/.gitignore").write_text("*\n", "utf-8")
    change(source, "sub/evil.conf")


def rules_that_name_nothing(source: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub/.gitignore").write_text("*.o\n", "utf-8")


def cleaned_by_a_filter(source: Path) -> None:
    commit(source, dot_gitattributes="*.config filter=x\n")
    ran = source.parent / "ran"
    git(source, "config", "filter.x.clean", f"echo >>{ran}; echo CONFIG_EFI=y")
    git(source, "config", "filter.x.required", "true")
    change(source)


def cleaned_by_a_filter_of_a_strange_name(source: Path) -> None:
    cleaned_by_a_filter(source)
    config = (source / ".git/config").read_text("utf-8")
    (source / ".git/config").write_text(config.replace('"x"', '"x=y"'), "utf-8")
    (source / ".gitattributes").write_text("*.config filter=x=y\n", "utf-8")
    git(source, "commit", "-q", "-m", "evil", ".gitattributes")
    (source.parent / "ran").unlink(missing_ok=True)  # by the commit just made


def cleaned_by_local_attributes(source: Path) -> None:
    (source / ".git/info").mkdir(exist_ok=True)
    (source / ".git/info/attributes").write_text("*.config text eol=lf\n", "utf-8")
    (source / "kernel.config").write_bytes(b"CONFIG_EFI=y\r\n")


def cleaned_by_ignored_attributes(source: Path) -> None:
    commit(source, dot_gitignore=".gitattributes\n")
    (source / ".gitattributes").write_text("*.config text eol=crlf\n", "utf-8")
    (source / "kernel.config").write_bytes(b"CONFIG_EFI=y\r\n")


def submodule(source: Path) -> None:
    repository(source.parent / "other")
    git(source, "submodule", "--quiet", "add", str(source.parent / "other"), "sub")
    commit(source)


def hidden_in_a_submodule(source: Path) -> None:
    submodule(source)
    git(source / "sub", "update-index", "--assume-unchanged", "kernel.config")
    change(source / "sub")


def submodule_not_checked_out(source: Path) -> None:
    submodule(source)
    git(source, "submodule", "--quiet", "deinit", "-f", "sub")


def submodule_at_another_commit(source: Path) -> None:
    submodule(source)
    commit(source / "sub", more="x\n")
    git(source, "config", "-f", ".gitmodules", "submodule.sub.ignore", "all")


def sparse(source: Path) -> None:
    git(source, "sparse-checkout", "set", "--no-cone", "flake.lock")


def staged_and_put_back(source: Path) -> None:
    change(source)
    git(source, "add", ".")
    (source / "kernel.config").write_text("CONFIG_EFI=y\n", "utf-8")


def pointer_of_other_content(source: Path) -> None:
    lfs(source)
    (source / "big.bin").write_bytes(b"other")


@refuses("ATT-DIRTY")
@pytest.mark.parametrize(
    ("hide", "says"),
    [
        (replaced_commit, "kernel.config (changed)"),
        (same_size_and_time, "kernel.config (changed)"),
        (executable_under_no_file_mode, "kernel.config (mode)"),
        (file_for_a_link, "link (no link)"),
        (pipe_for_a_file, "kernel.config (no regular file)"),
        (folder_behind_a_link, "sub/file (behind a link"),
        (named_in_info_exclude, "evil.conf (not in the commit)"),
        (named_in_the_users_excludes, "evil.conf (not in the commit)"),
        (ignoring_itself, "sub/.gitignore (a .gitignore that is not in the commit)"),
        (rules_that_name_nothing, "sub/ (not in the commit)"),
        (cleaned_by_a_filter, "kernel.config (changed)"),
        (cleaned_by_a_filter_of_a_strange_name, "kernel.config (changed)"),
        (cleaned_by_local_attributes, ".git/info/attributes"),
        (cleaned_by_ignored_attributes, ".gitattributes (attributes that are not in the commit)"),
        (hidden_in_a_submodule, "sub/kernel.config (changed, hidden from git status)"),
        (submodule_not_checked_out, "sub (submodule not checked out)"),
        (submodule_at_another_commit, "sub/. (at commit "),
        (sparse, "kernel.config (missing, hidden from git status)"),
        (staged_and_put_back, "kernel.config (staged)"),
        (pointer_of_other_content, "big.bin (changed)"),
    ],
)
def test_what_is_kept_from_git_status_is_found(
    source: Path, hide: Callable[[Path], None], says: str
) -> None:
    hide(source)
    found = read_source(source)
    assert any(says in each for each in found.changed), found.changed
    with pytest.raises(Refused, match="ATT-DIRTY"):
        found.require_clean()
    assert not (source.parent / "ran").exists(), "a filter driver ran"


def lfs(source: Path) -> None:
    digest = hashlib.sha256(b"big").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 3\n"
    files = {"big.bin": pointer, "dot_gitattributes": "big.bin filter=lfs\n"}
    commit(source, **files)
    (source / "big.bin").write_bytes(b"big")


def line_ends(source: Path) -> None:
    (source / "a.bat").write_bytes(b"x\r\n")
    commit(source, dot_gitattributes="*.bat text eol=crlf\n")
    assert git(source, "cat-file", "-s", "HEAD:a.bat") == "2"


def ignored_folder_with_rules(source: Path) -> None:
    commit(source, dot_gitignore="venv/\n")
    (source / "venv").mkdir()
    (source / "venv/.gitignore").write_text("*\n", "utf-8")
    (source / "venv/.gitattributes").write_text("* text\n", "utf-8")


def whole_submodule(source: Path) -> None:
    submodule(source)


def strange_names(source: Path) -> None:
    commit(source, **{"two\nlines \x1b[2J": "x\n"})


@accepts("ATT-DIRTY", "ATT-SOURCE")
@pytest.mark.parametrize(
    "made", [lfs, line_ends, ignored_folder_with_rules, whole_submodule, strange_names]
)
def test_a_tree_that_is_its_commit_is_clean(source: Path, made: Callable[[Path], None]) -> None:
    made(source)
    found = read_source(source)
    assert found.changed == ()
    assert found.commit == git(source, "rev-parse", "HEAD")


def test_a_repository_of_sha256_names(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(folder))
    commit(folder, sub__file="x\n", file="y\n")
    found = read_source(folder)
    assert (found.changed, len(found.commit)) == ((), 64)


def test_what_the_commit_ignores_is_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    desk: Desk = laid_out(tmp_path, capfd)
    repository(tmp_path / "src")
    assert desk.attest("--source", tmp_path / "src").status == 0
    assert "git_ignored" not in desk.sums()
    (tmp_path / "src/result").write_text("a local file that a build may read\n", "utf-8")
    done = desk.attest("--source", tmp_path / "src", builder="bob")
    assert done.status == 0
    assert "# git_ignored 1\n" in desk.sums("bob")
    assert "ignored by the commit, and here: result" in done.err


# Repositories that say another thing than they hold


def another_work_tree(source: Path) -> None:
    git(source.parent, "clone", "-q", str(source), "clean")
    git(source, "config", "core.worktree", str(source.parent / "clean"))
    change(source)


def forged_subtree(source: Path) -> None:
    commit(source, sub__file="x\n")
    true = git(source, "rev-parse", "HEAD:sub")
    (source / "sub/file").write_text("y\n", "utf-8")
    git(source, "add", ".")
    put_under_its_name(source, true, git(source, "write-tree", "--prefix=sub/"))


def forged_commit(source: Path) -> None:
    true = git(source, "rev-parse", "HEAD")
    commit(source, more="x\n")
    evil = git(source, "rev-parse", "HEAD")
    git(source, "reset", "-q", "--soft", true)
    put_under_its_name(source, true, evil)


def put_under_its_name(source: Path, true: str, evil: str) -> None:
    objects = source / ".git/objects"
    at = objects / true[:2] / true[2:]
    at.unlink()
    at.write_bytes((objects / evil[:2] / evil[2:]).read_bytes())


def fetched_when_missing(source: Path) -> None:
    ran = source.parent / "ran"
    for name, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", f"ext::touch {ran}"),
        ("protocol.ext.allow", "always"),
    ):
        git(source, "config", name, value)
    name = git(source, "rev-parse", "HEAD^{tree}")
    (source / ".git/objects" / name[:2] / name[2:]).unlink()


@refuses("ATT-SOURCE")
@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (another_work_tree, "speaks of the work tree"),
        (forged_subtree, "is not what its name says"),
        (forged_commit, "hash mismatch|is not what its name says"),
        (fetched_when_missing, "git in "),
    ],
)
def test_a_repository_that_is_not_what_it_says(
    source: Path, forge: Callable[[Path], None], says: str
) -> None:
    forge(source)
    with pytest.raises(Refused, match=says) as refused:
        read_source(source)
    assert refused.value.findings[0].rule == "ATT-SOURCE"
    assert not (source.parent / "ran").exists(), "a transport ran"


def test_a_link_to_a_tree_and_a_folder_in_it_are_that_tree(source: Path) -> None:
    commit(source, sub__file="x\n")
    link = source.parent / "link"
    link.symlink_to(source)
    seen: list[Source] = [read_source(at) for at in (source, link, source / "sub")]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0].changed == ()
