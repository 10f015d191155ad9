"""The installed program as its users start it: a process, its words, its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rehearsing
from marks import accepts, refuses

from tui.rehearsal.prepare import Prepared

SECONDS = 240  # fsync is slow on a busy disk


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "tui", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=cwd or "/",
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )


def is_calm(done: subprocess.CompletedProcess[str]) -> bool:
    said = done.stdout + done.stderr
    return "Traceback" not in said and "BUG" not in said


def test_a_rehearsal_and_its_replay(prepared: Prepared) -> None:
    done = run("rehearse", prepared.folder, "--auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "REHEARSAL: ok",
        "  2 of 2 countersignatures",
        f"  {prepared.out}",
    ]
    assert f"{prepared.out}/anchor.signed.efi" in done.stdout
    again = run("replay", prepared.out)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "REPRODUCED")
    found = json.loads(run("replay", prepared.out, "--json").stdout)
    assert (found["verdict"], found["rules"], found["events"]) == ("REPRODUCED", [], 43)


def test_prepare_only_prepares_and_stops(prepared: Prepared) -> None:
    done = run("rehearse", prepared.folder, "--prepare-only")
    assert (done.returncode, prepared.out.exists()) == (0, False)
    assert "paper-sheet.txt" in done.stdout


def test_a_finished_rehearsal_is_not_held_again(finished: Prepared) -> None:
    done = run("rehearse", finished.folder, "--auto")
    assert (done.returncode, "TRN-LOG" in done.stderr, is_calm(done)) == (1, True, True)


def test_help_names_token_init_as_it_is_typed() -> None:
    assert "\n    token init" in run("--help").stdout
    assert run("token", "init", "--help").stdout.startswith("usage: uki-ceremony token init ")
    assert run("token-init", "--help").returncode == 2


def test_check_says_what_the_ceremony_would(prepared: Prepared) -> None:
    words = ("check", prepared.media / "anchor.efi", "--policy", prepared.policy,
             "--attestations", prepared.media)  # fmt: skip
    done = run(*words)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "ACCEPT")
    (prepared.media / "attestations/bob.intoto.json").unlink()
    done = run(*words, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (1, "REFUSE")
    assert "QRM-THRESHOLD" in found["rules"]
    assert {"file", "builder", "disposition", "rule"} <= set(found["attestations"][0])


def test_check_says_how_it_is_given_the_head_of_the_ledger(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[ledger]\n\n[machine]"))
    words = ("check", prepared.media / "anchor.efi", "--policy", prepared.policy,
             "--attestations", prepared.media)  # fmt: skip
    done = run(*words)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "REFUSE")
    assert "QRM-LEDGER" in done.stdout
    assert "--ledger-head HEX is the head on paper; 64 zeros" in done.stdout
    done = run(*words, "--ledger-head", "0" * 64)
    assert (done.returncode, "--ledger-head" in done.stdout) == (0, False)


def test_check_refuses_a_policy_whose_signature_fails(prepared: Prepared) -> None:
    prepared.policy.write_text(prepared.policy.read_text("utf-8") + "# changed\n", "utf-8")
    done = run("check", prepared.media / "anchor.efi", "--policy", prepared.policy,
               "--attestations", prepared.media, "--json")  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "REFUSE")
    prepared.policy.write_text("nonsense = [", "utf-8")
    done = run("check", prepared.media / "anchor.efi", "--policy", prepared.policy,
               "--attestations", prepared.media, "--json")  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["rules"]) == (1, ["POL-TOML"])


def test_inspect(prepared: Prepared) -> None:
    done = run("inspect", prepared.media / "anchor.efi", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"], found["machine"]) == (0, "ok", "x86_64")
    assert found["sha256"] == prepared.image_sha256
    sheet = prepared.sheet.read_text("ascii").splitlines()
    shown = run("inspect", prepared.media / "anchor.efi").stdout.splitlines()
    words = [line for line in sheet if line[:5].strip().isdecimal()]
    assert (len(words), [line for line in words if line not in shown]) == (8, [])
    bad = prepared.folder / "bad.efi"
    bad.write_bytes(b"MZ" + bytes(100))
    done = run("inspect", bad)
    assert (done.returncode, is_calm(done)) == (1, True)
    assert "next:" in done.stdout


@pytest.mark.parametrize("key", ["ci-a", "alice", "bob"])
def test_attest_makes_what_check_counts(prepared: Prepared, key: str, tmp_path: Path) -> None:
    for path in (prepared.media / "attestations").glob(f"{key}.*"):
        path.unlink()
    policy_words = ("--policy", prepared.policy, "--attestations", prepared.media)
    assert run("check", prepared.media / "anchor.efi", *policy_words).returncode == 1
    commit = (prepared.media / "attestations").glob("*")
    pin = next(
        text.split("git_commit ")[1].split()[0]
        if "git_commit " in text
        else text.split("/commit/")[1].split()[0]
        for path in commit
        if (text := path.read_text("utf-8")) and ("git_commit " in text or "/commit/" in text)
    )
    words = ("attest", prepared.media / "anchor.efi", "--builder", key, "--key",
             prepared.folder / "builders" / key, "--pin", f"git_commit={pin}",
             "--flake-lock", prepared.media / "flake.lock",
             "--output", prepared.media / "attestations")  # fmt: skip
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sha256"] == prepared.image_sha256
    assert run("check", prepared.media / "anchor.efi", *policy_words).returncode == 0
    again = run(*words)
    assert (again.returncode, "MED-OUTPUT" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nonsense",), 2),
        (("run",), 2),
        (("rehearse",), 2),
        (("rehearse", "/x", "--auto", "--plain"), 2),
        (("rehearse", "/x", "--auto", "--lock-after", "0"), 2),
        (("rehearse", "/x", "--auto", "--lock-after", "121"), 2),
        (("run", "--policy", "p", "--in", "i", "--log", "a", "--out", "o", "--auto"), 2),
        (("replay", "/nowhere"), 3),
        (("inspect", "/nowhere"), 3),
        (("inspect", "/dev/zero"), 1),
        (("check", "/nowhere", "--policy", "/nowhere", "--attestations", "/"), 3),
        (("attest", "/nowhere", "--builder", "b", "--key", "k"), 3),
        (("run", "--policy", "p", "--in", "i", "--log", "a", "--out", "o"), 1),
        (("--version",), 0),
        (("--help",), 0),
    ],
)  # fmt: skip
def test_exit_statuses(words: tuple[str, ...], status: int) -> None:
    done = run(*words)
    assert (done.returncode, is_calm(done)) == (status, True), done.stderr


def test_a_hostile_module_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    for name in ("hsm.py", "ceremony.py", "tui.py", "json.py", "transcripts.py"):
        (tmp_path / name).write_text("print('HOSTILE')\nraise SystemExit(66)\n")
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, "HOSTILE" in done.stdout) == (0, False)
    script = Path(sys.executable).with_name("uki-ceremony")
    hostile = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"}
    done = subprocess.run(
        [script, "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=hostile,
        check=False,
    )
    assert (done.returncode, "HOSTILE" in done.stdout) == (0, False)


class Terminal:
    """The plain face on a real terminal."""

    def __init__(self, *words: str | Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # pragma: no branch
            os.execv(sys.executable, [sys.executable, "-I", "-m", "tui", *map(str, words)])
        self.said = ""

    def until(self, text: str) -> str:
        """Return what was said since the last call, up to `text`."""
        start = len(self.said)
        limit = time.monotonic() + SECONDS
        while text not in self.said[start:]:
            assert time.monotonic() < limit, f"waited for {text!r} in {self.said[-800:]}"
            ready, _, _ = select.select([self.fd], [], [], 1)
            if ready:
                try:
                    self.said += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        assert text in self.said[start:], self.said[-800:]
        return self.said[start:]

    def type(self, line: str) -> None:
        os.write(self.fd, line.encode() + b"\n")

    def ended(self) -> int:
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            if ready:
                try:
                    self.said += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    time.sleep(0.05)
        raise AssertionError("it did not end")


@pytest.fixture
def terminal(prepared: Prepared) -> Iterator[Terminal]:
    opened = Terminal("rehearse", prepared.folder, "--plain")
    yield opened
    os.close(opened.fd)


def approve(prepared: Prepared, *words: str | Path, answer: str = "APPROVE") -> Terminal:
    """Sign the plan as kim does on a machine of their own; return what was said there."""
    plan, key = prepared.approvals / "plan.txt", prepared.person_key("kim")
    at_home = Terminal("approve", plan, "--key", key, *words)
    try:
        at_home.until("Type APPROVE to sign this plan")
        at_home.type(answer)
        status = at_home.ended()
    finally:
        os.close(at_home.fd)
    assert status == (0 if answer == "APPROVE" else 4), at_home.said
    return at_home


def hold_plain(terminal: Terminal, prepared: Prepared) -> None:
    sheet = rehearsing.script(prepared)
    terminal.until("Type PRESENT")
    terminal.type("yes")
    terminal.until("APP-ANSWER")
    terminal.type("PRESENT")
    terminal.until("YYYY-MM-DD HH:MM")
    terminal.type(time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    terminal.until("Type SEEN")
    terminal.type(":exception")
    answers = ("ed", "expected a table", "it is a chair", "go on")
    asked = ("Who says so", "What was expected", "What happened", "What was decided")
    for question, answer in zip(asked, answers, strict=True):
        terminal.until(question)
        terminal.type(answer)
    terminal.until("Type SEEN")
    terminal.type("SEEN")
    terminal.until("type REMOVED")
    terminal.type("REMOVED")
    terminal.until("Type UNDERSTOOD")
    terminal.type("UNDERSTOOD")
    terminal.until("Type COUNTED")
    terminal.type("COUNTED")
    said = terminal.until("Who answers")
    places = [int(p) for p in said.split("words number")[1].split("\n")[1].split(",")]
    terminal.type("ed")
    terminal.until("words")
    terminal.type(" ".join(sheet._words[place - 1] for place in places))
    said = terminal.until("Signed approval 1 of 1: its file's path (or kim, kay): ")
    assert "QR code read back: equal" in said or "QR code not" in said
    terminal.type("nothing.sig")
    terminal.until("APP-FILE")
    approve(prepared)
    terminal.type("plan.txt.sig")
    terminal.until("Who types the PIN")
    terminal.type("kay")
    terminal.until("PIN (not shown): ")
    terminal.type(prepared.pin)
    terminal.until("Type VERIFIED")
    terminal.type("VERIFIED")
    for _ in range(5):
        terminal.until('Type "agree"')
        terminal.type("agree")
    for person in ("ines", "ed"):
        terminal.until("empty when done")
        terminal.type(person)
    terminal.until("empty when done")
    terminal.type("")


def test_plain_mode_is_the_whole_ceremony(terminal: Terminal, prepared: Prepared) -> None:
    hold_plain(terminal, prepared)
    assert terminal.ended() == 0
    alone = rf"(?<![0-9a-f]){prepared.pin}(?![0-9a-f])"
    assert not re.search(alone, terminal.said), "the PIN was echoed"
    assert "ceremony.exception" in rehearsing.names(prepared)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_at_a_prompt_leaves_a_ceremony_that_resumes(
    terminal: Terminal, prepared: Prepared, number: signal.Signals
) -> None:
    terminal.until("Type PRESENT")
    terminal.type("PRESENT")
    terminal.until("YYYY-MM-DD HH:MM")
    os.kill(terminal.pid, number)
    status = terminal.ended()
    if number in (signal.SIGINT, signal.SIGTERM):
        assert (status, "INCOMPLETE" in terminal.said) == (4, True)
    assert "Traceback" not in terminal.said
    done = run("rehearse", prepared.folder, "--auto")
    assert done.returncode == 0, done.stderr
    assert "ceremony.resume" in rehearsing.names(prepared)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_production_runs_with_a_machine_binding_and_says_so(prepared: Prepared) -> None:
    """The same folders as a production ceremony: SoftHSM warns, people answer, mode is kept."""
    rehearsing.production(prepared)
    opened = Terminal(
        "run", "--policy", prepared.policy, "--in", prepared.media, "--log", prepared.logs[0],
        "--log", prepared.logs[1], "--out", prepared.out, "--machine",
        prepared.folder / "machine.toml", "--plain",
    )  # fmt: skip
    try:
        said = opened.until("Type PRESENT")
        assert "=== PRODUCTION ===" in said
        opened.type(":abort")
        opened.until("Who aborts")
        opened.type("carol")
        opened.until("Why is the ceremony aborted")
        opened.type("only a test")
        opened.until("empty when done")
        opened.type("")
        assert opened.ended() == 4
    finally:
        os.close(opened.fd)
    found = rehearsing.replayed(prepared)
    assert (found.mode, found.outcome) == ("production", "aborted")


@refuses("TRN-FOLDER")
@accepts("TRN-FOLDER")
def test_a_folder_that_is_no_bundle_is_told_so(finished: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "notes.txt").write_text("nothing of a ceremony\n", "utf-8")
    done = run("replay", folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (4, "INCOMPLETE")
    assert "TRN-FOLDER" in done.stdout
    assert "transcript.jsonl, checkpoint.txt, SHA256SUMS" in done.stdout
    assert "Resume" not in done.stdout
    done = run("report", folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "TRN-FOLDER" in done.stderr
    line = ("ledger", folder, "--output", tmp_path / "ledger.jsonl")
    assert (run(*line).returncode, (tmp_path / "ledger.jsonl").exists()) == (1, False)
    assert "TRN-FOLDER" not in run("replay", finished.out).stdout


def test_replay_refuses_an_image_that_is_not_the_ceremonys(finished: Prepared) -> None:
    (finished.folder / "other.efi").write_bytes(b"hello\n")
    done = run("replay", finished.out, "--image", finished.folder / "other.efi")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "DIFFERS")
    assert "TRN-IMAGE" in done.stdout + done.stderr
    done = run("replay", finished.out, "--image", finished.out / "anchor.efi")
    assert done.stdout.splitlines()[-1] == "REPRODUCED"


def test_check_refuses_a_name_that_the_ceremony_would_not_find(prepared: Prepared) -> None:
    other = prepared.media / "other.efi"
    (prepared.media / "anchor.efi").rename(other)
    words = ("check", other, "--policy", prepared.policy, "--attestations", prepared.media)
    done = run(*words)
    assert (done.returncode, "MED-IMAGE" in done.stdout) == (1, True)
    assert run(*words, "--name", "anchor.efi").returncode == 0
