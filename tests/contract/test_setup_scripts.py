"""Set-up on machines that lack things: one line says what to run and what is left out."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PROVIDE = "import system_packages as s; s.provide(s.PURPOSES['test'])"
RECORDER = '#!/bin/sh\necho "$*" >>"$RECORD"\nexit 100\n'


def provide(path: Path, **environment: str) -> str:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {PROVIDE}"
    command = [sys.executable, "-c", program]
    changed = os.environ | {"PATH": str(path)} | environment
    return subprocess.run(command, env=changed, capture_output=True, check=True, text=True).stdout


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    return path


def test_without_apt_one_line_names_the_packages_and_what_is_left_out(tmp_path: Path) -> None:
    (line,) = provide(tmp_path).splitlines()
    assert line.startswith("set-up: this machine has no apt-get; install")
    assert "minisign" in line
    assert "left out meanwhile: " in line
    assert "the byte comparison with sbsign" in line


def test_without_the_right_to_install_one_line_says_what_to_run(tmp_path: Path) -> None:
    executable(tmp_path / "apt-get", RECORDER)
    executable(tmp_path / "sudo", RECORDER)
    record = tmp_path / "record"
    program = f"import os; os.geteuid = lambda: 1000; {PROVIDE}"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {program}"]
    changed = os.environ | {"PATH": str(tmp_path), "RECORD": str(record)}
    done = subprocess.run(command, env=changed, capture_output=True, check=True, text=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("set-up: run: sudo apt-get install --no-install-recommends softhsm2 ")
    assert record.read_text(encoding="ascii") == "-n true\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs without asking sudo")
def test_a_failing_apt_is_tried_with_new_lists_then_package_by_package(tmp_path: Path) -> None:
    executable(tmp_path / "apt-get", RECORDER)
    env = shutil.which("env")
    assert env is not None
    (tmp_path / "env").symlink_to(env)
    record = tmp_path / "record"
    lines = provide(tmp_path, RECORD=str(record)).splitlines()
    assert lines[0].startswith("set-up: installing with apt-get: ")
    assert lines[1].startswith("set-up: run: ")
    assert len(lines) == 2
    calls = record.read_text(encoding="ascii").splitlines()
    assert all(call.startswith("-qq -y ") for call in calls)
    assert calls[1] == "-qq -y update"
    assert calls[0] == calls[2]
    packages = calls[0].removeprefix("-qq -y install --no-install-recommends ").split()
    assert [call.split()[-1] for call in calls[3:]] == packages


@pytest.mark.parametrize("arguments", [[], ["production"], ["demo", "test"]])
def test_bootstrap_refuses_another_purpose(arguments: list[str]) -> None:
    command = [sys.executable, str(SCRIPTS / "bootstrap.py"), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr == "usage: bootstrap.py demo|test\n"


def test_the_demo_takes_a_new_numbered_folder_and_passes_on_what_was_asked(tmp_path: Path) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    executable(tmp_path / ".venv/bin/uki-ceremony", '#!/bin/sh\necho "asked: $*"\n')
    (tmp_path / "rehearsal" / "1").mkdir(parents=True)

    def demo(*arguments: str) -> list[str]:
        command = ["sh", str(tmp_path / "scripts" / "demo.sh"), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, check=True, text=True
        ).stdout.splitlines()

    assert demo("", "", "")[0] == "asked: rehearse rehearsal/2"
    (tmp_path / "mine/out").mkdir(parents=True)
    (tmp_path / "mine/out/transcript.jsonl").touch()
    lines = demo("mine", "other image.efi", "1")
    assert lines[0] == "asked: rehearse mine --image other image.efi --auto"
    assert lines[1] == "Outputs in mine/out:"
    assert any(line.endswith("transcript.jsonl") for line in lines)


def test_the_demo_fails_with_the_status_of_the_ceremony(tmp_path: Path) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    executable(tmp_path / ".venv/bin/uki-ceremony", "#!/bin/sh\nexit 4\n")
    command = ["sh", str(tmp_path / "scripts" / "demo.sh"), "", "", "1"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (done.returncode, "make demo DIR=rehearsal/1" in done.stdout) == (4, True)


def test_a_set_up_that_waits_for_another_one_says_so(tmp_path: Path) -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(SCRIPTS)!r}); import bootstrap;"
        "bootstrap.wait_for_turn(os.open(sys.argv[1], os.O_RDONLY)); print('its turn')"
    )
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        first = waiting.stdout.readline()
        os.close(held)
        rest = waiting.stdout.read()
    assert first == "set-up: waiting for another set-up in this folder to end\n"
    assert rest == "its turn\n"
