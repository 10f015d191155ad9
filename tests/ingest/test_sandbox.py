"""The confined child: what it may not do, and that no way it can end keeps anybody waiting."""

from __future__ import annotations

import json
import platform
import re
import time
from pathlib import Path

import pytest
from marks import accepts, refuses
from quorum.casebook import TRIO
from quorum.release import NOW, OTHER, Release, facts, judged
from quorum.toml_text import toml
from tokens.daemons import needed
from tokens.namespaces import needed_namespaces

from ceremony.attest.aids import NONE
from ceremony.content import octets_of
from ceremony.errors import Refused
from ceremony.ingest import asking, judging, sandbox
from ceremony.ingest.judging import Case, SievedMedia, judge_apart, sieve
from ceremony.ingest.media import FolderMedia
from ceremony.ingest.sandbox import Limits, Lost, run
from ceremony.types import MediaFile, Severity

AMPLE = Limits(60, 60)
HEAD = "import sys; sys.path.insert(0, sys.argv[1]); "
READY = HEAD + "print('{\"ready\": []}', flush=True); "


def told(value: str) -> str:
    """Return a program that tells `value` of the first piece of evidence and then waits."""
    return READY + f'print(\'{{"at": 0}}\\n{{"told": {value}}}\', flush=True); input()'


def refusing(rule: str, severity: str, text: str) -> str:
    """Return a program that says that it refused what it was asked."""
    told = {"rule": rule, "severity": severity, "text": text, "offset": None}
    return READY + f"print({json.dumps({'answer': {'refused': [told]}})!r}, flush=True)"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def policy(release: Release) -> bytes:
    return toml(release.tables())


def case(release: Release, *files: MediaFile) -> Case:
    return Case(policy(release), "anchor.efi", facts(), files, NOW)


def child(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the child run another program in the reader's place."""
    monkeypatch.setattr(sandbox, "_START", program)


def confined(act: str) -> str:
    """Return a program that confines itself as the reader does, acts, and answers."""
    return (
        HEAD + "import os, socket, ctypes, json; from ceremony.ingest.confine import *\n"
        "held = confine(Bounds(1 << 30, 20))\n"
        "print(json.dumps({'ready': held}), flush=True)\n"
        f"def act():\n    {act}\n"
        "try:\n    said = act() or 'done'\n"
        "except BaseException as error:\n    said = repr(error)\n"
        "print(json.dumps({'answer': said}), flush=True)\n"
    )


@pytest.fixture
def confined_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what confined the last child that answered."""
    held: list[str] = []
    really = sandbox.run

    def run_and_tell(request: bytes, limits: Limits, listener: sandbox.Listener) -> sandbox.Answer:
        answer = really(request, limits, listener)
        held[:] = answer.confined
        return answer

    monkeypatch.setattr(sandbox, "run", run_and_tell)
    return held


def test_the_childs_verdict_is_the_judges_own(release: Release, confined_by: list[str]) -> None:
    files = (*release.all(*TRIO), *release.attest("dan", OTHER), MediaFile("x.sig", b"\xff" * 99))
    found = judge_apart(case(release, *files))
    assert found.verdict == judged(release.policy(), files)
    assert found.lost == ()
    assert "limits" in confined_by
    if platform.machine() in ("x86_64", "aarch64"):
        assert {"seccomp", "no new privileges"} <= set(confined_by)


def bubblewrap_works() -> None:
    """Skip where there is no bubblewrap, or the kernel gives it no namespaces (in a chroot)."""
    bubblewrap = needed("bwrap", package="bubblewrap")
    needed_namespaces([bubblewrap, "--unshare-all", "--ro-bind", "/", "/", "true"])


def test_bubblewrap_confines_the_child_where_it_works(
    release: Release, confined_by: list[str]
) -> None:
    bubblewrap_works()
    judge_apart(case(release, *release.all("ann")))
    assert confined_by[0] == "bubblewrap"


def test_without_bubblewrap_the_child_still_confines_itself(
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    confined_by: list[str],
) -> None:
    for search in (str(tmp_path), str(_broken_bubblewrap(tmp_path / "bin"))):
        monkeypatch.setattr(sandbox, "SEARCH", search)
        found = judge_apart(case(release, *release.all(*TRIO)))
        assert found.verdict.verdict == "ACCEPT"
        assert "bubblewrap" not in confined_by
        assert "limits" in confined_by


def _broken_bubblewrap(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "bwrap"
    program.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("return open('/etc/passwd').read()[:4]", "PermissionError"),
        ("return open('/tmp/left-behind', 'w')", "PermissionError"),
        ("return os.listdir('/')", "PermissionError"),
        ("return socket.socket().fileno()", "PermissionError"),
        ("return os.fork() and 'forked'", "PermissionError"),
        ("return os.execv('/bin/true', ['true'])", "PermissionError"),
        ("return os.kill(1, 0) or 'killed'", "PermissionError"),
        ("return os.stat('/etc').st_mode", "PermissionError"),
        ("return len(bytes(2 << 30))", "MemoryError"),
    ],
)
def test_a_confined_process_reaches_nothing(
    act: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("no table of system calls for this machine")
    monkeypatch.setattr(sandbox, "SEARCH", "/nowhere")  # seccomp alone
    child(monkeypatch, confined(act))
    assert said in str(run(b"", AMPLE).value)


def test_bubblewrap_alone_hides_files_and_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("here")
    bubblewrap_works()
    look = (
        "import os, json\n"
        f"print(json.dumps({{'answer': [sorted(os.listdir('/')), os.path.exists({str(sentinel)!r}),"
        " os.path.exists('/proc/net/dev')]}), flush=True)"
    )
    child(monkeypatch, READY + look)
    answer = run(b"", AMPLE)
    assert answer.confined == ("bubblewrap",)
    assert isinstance(answer.value, list)
    roots, seen, interfaces = answer.value
    assert isinstance(roots, list)
    assert not {"etc", "boot", "media", "proc", "sys"} & set(map(str, roots))
    assert (seen, interfaces) == (False, False)


@refuses("MED-SANDBOX")
@pytest.mark.parametrize(
    ("program", "why"),
    [
        (READY + "import time; time.sleep(60)", "in time"),
        (READY + "import os; os.abort()", "ended with"),
        (READY + "raise SystemExit(3)", "status 3"),
        (READY + "print('nonsense', flush=True)", "no JSON"),
        (READY + "print('[' * 9000, flush=True)", "no JSON"),
        (READY + "print('{}', flush=True)", "out of order"),
        (READY + "print('{\"at\": -7}', flush=True)", "out of order"),
        (READY + "print('{\"ready\": []}', flush=True)", "out of order"),
        (READY + "print('{\"answer\": {}}', flush=True)", "shape"),
        (READY + 'print(\'{"answer": {"read": 0}}\', flush=True)', "did not read"),
        (READY + "print('{\"told\": []}', flush=True)", "out of order"),
        (told("{}"), "something else"),
        (told('[[["malformed", "", "ATT-SUMS", ""]], [["malformed"]]]'), "more than"),
        (READY + 'print(\'{"answer": {"refused": [1]}}\', flush=True)', "without a finding"),
        (READY + 'print(\'{"answer": {"refused": []}}\', flush=True)', "shape"),
        (refusing("X", "refuse", "no rule"), "without a finding"),
        (refusing("ATT-SUMS", "refuse", "\x1b[2J"), "without a finding"),
        (refusing("ATT-SUMS", "refuse", "\ud800"), "without a finding"),
        (refusing("ATT-SUMS", "refuse", "x" * 5000), "without a finding"),
        (refusing("MED-SANDBOX", "info", "all is well"), "all is well"),
        (READY + "print('x' * (1 << 21), flush=True)", "more than"),
        (
            READY + "import os; os.close(1); import time; time.sleep(60)",
            "closed its answer|in time",
        ),
        ("raise SystemExit(9)", "did not start"),
        ("print('{\"answer\": {}}', flush=True)", "did not start"),
    ],
)
def test_every_bad_end_is_a_refusal_at_once(
    release: Release, program: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A child that ends is noticed at once; only one that waits costs its time.
    seconds = 2.0 if "in time" in why else 30.0
    monkeypatch.setattr(asking, "SECONDS", seconds)
    monkeypatch.setattr(asking, "PATIENCE", seconds)
    child(monkeypatch, program)
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        judge_apart(case(release, *release.all("ann")))
    assert time.monotonic() - began < 20
    (finding,) = refused.value.findings
    assert (finding.rule, finding.severity) == ("MED-SANDBOX", Severity.REFUSE)
    assert re.search(why, finding.text)


def children() -> set[str]:
    """Return the numbers of this process's children."""
    listed = Path("/proc/self/task").glob("*/children")
    return {number for path in listed for number in path.read_text("ascii").split()}


def test_no_child_is_left_behind(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 1.0)
    child(monkeypatch, READY + "import time; time.sleep(3600)")
    before = children()  # of other tests in this process
    with pytest.raises(Lost):
        run(b"", Limits(1, 1))
    assert children() <= before


GARBAGE = {
    "nothing": ("[[]]", "no readings"),
    "no-object": ("[{}]", "no readings"),
    "too-many": (f"[{[['malformed', '', 'ATT-SUMS', '']] * 65}]".replace("'", '"'), "no readings"),
    "cut": ('[[["malformed"]]]', "no reading"),
    "kind": ('[[["vote", "", "ATT-SUMS", ""]]]', "no reading"),
    "rule": ('[[["malformed", "", "all is well", ""]]]', "no rule"),
    "builder": ('[[["malformed", "eve", "ATT-SUMS", ""]]]', "not enrolled"),
    "escape": ('[[["malformed", "", "ATT-SUMS", "\\\\u001b[2J"]]]', "not printable"),
    "artifact": ('[[["unverified", "", "ATT-SUMS", "", [1]]]]', "no artifact"),
    "digest": ('[[["unverified", "", "ATT-SUMS", "", [["x", [["sha256", 1]]]]]]]', "no pair"),
    "claims": ('[[["attestation", "", "ed25519", [1], null]]]', "no claims"),
    "zone": ('[[["attestation", "", "ed25519", [[], [], "2025-01-01", []], null]]]', "no zone"),
    "time": ('[[["attestation", "", "ed25519", [[], [], "now", []], null]]]', "isoformat"),
    "key": ('[[["attestation", "sha256:0", "ed25519", [[], [], null, []], null]]]', "key"),
    "scheme": ('[[["attestation", "sha256:0", "rot13", [[], [], null, []], null]]]', "rot13"),
}


@pytest.mark.parametrize(("value", "why"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_from_the_reader_is_the_guilty_files_own_fault(
    release: Release, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, told(value))
    found = judge_apart(case(release, *release.all("ann")))
    (lost,) = found.lost
    assert (lost.rule, lost.severity) == ("MED-SANDBOX", Severity.WARN)
    assert "ann/SHA256SUMS.sig" in lost.text
    assert re.search(why, lost.text)
    assert "\x1b" not in lost.text


LIES = {
    "another-content": ("replace(one, claims=other_image, proof=made_up)", "does not fit"),
    "another-signature": (
        "replace(one, proof=replace(one.proof, signature=bytes(64)))",
        "does not fit",
    ),
    "no-proof": ("replace(one, proof=None)", "without its proof"),
    "parts": ("replace(one, proof=replace(one.proof, parts=()))", "no such proof"),
}
# What stands in no answer: the parent reads it from the bytes that were signed.
UNHEARD = {
    "another-digest": "replace(one, claims=other_image)",
    "another-commit": "replace(one, claims=other_inputs)",
    "another-time": "replace(one, claims=replace(one.claims, time=None))",
    "no-touch": "replace(one, touched=False)",
}


def lying(lie: str) -> str:
    """Return a reader of which ann's attestation comes out as `lie`."""
    return (
        HEAD + "from dataclasses import replace\n"
        "from ceremony.attest import gather\n"
        "from ceremony.attest.record import Artifact\n"
        "really = gather.read\n"
        "def read(evidence, *more):\n"
        "    (one,) = really(evidence, *more)\n"
        "    if not evidence.file.path.startswith('ann/'): return (one,)\n"
        "    image = Artifact('anchor.efi', (('sha256', 'ab' * 32),))\n"
        "    other_image = replace(one.claims, artifacts=(image,))\n"
        "    other_inputs = replace(one.claims, pins=(('git_commit', 'ab' * 20),))\n"
        "    named = one.claims.artifacts[0].digest('sha256').encode()\n"
        "    content = one.proof.content.replace(named, b'ab' * 32)\n"
        "    made_up = replace(one.proof, content=content)\n"
        f"    return ({lie},)\n"
        "gather.read = read\n"
        "from ceremony.ingest import reader\n"
        "reader.main()"
    )


@pytest.mark.parametrize("lie", UNHEARD.values(), ids=UNHEARD)
def test_what_a_taken_over_reader_says_besides_the_bytes_is_not_heard(
    release: Release, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = case(release, *release.all(*TRIO))
    honest = judge_apart(asked)
    child(monkeypatch, lying(lie))
    assert judge_apart(asked) == honest


@pytest.mark.parametrize(("lie", "why"), LIES.values(), ids=LIES)
def test_a_reader_that_was_taken_over_makes_no_vote(
    release: Release, lie: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, lying(lie))
    found = judge_apart(case(release, *release.all(*TRIO)))
    (lost,) = found.lost
    assert "ann/SHA256SUMS.sig" in lost.text
    assert why in lost.text
    assert {row.builder for row in found.verdict.matrix if row.answer == "match"} == {
        name for name in TRIO if name != "ann"
    }


LETHAL = (
    HEAD + "import os, time; from ceremony.attest import gather\n"
    "really = gather.read\n"
    "def read(evidence, *more):\n"
    "    act = evidence.file.path.rpartition('/')[2]\n"
    "    if act == 'crash.sig': os.abort()\n"
    "    if act == 'hang.sig': time.sleep(3600)\n"
    "    if act == 'bug.sig': raise KeyError('a bug')\n"
    "    if act == 'hog.sig': bytes(8 << 30)\n"
    "    return really(evidence, *more)\n"
    "gather.read = read\n"
    "from ceremony.ingest import reader\n"
    "reader.main()"
)


@accepts("MED-SANDBOX")
@refuses("MED-SANDBOX")
def test_files_that_end_their_reader_are_left_out_and_told(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, LETHAL)
    monkeypatch.setattr(asking, "PATIENCE", 5.0)
    monkeypatch.setattr(asking, "SECONDS", 60.0)
    begin = b"-----BEGIN SSH SIGNATURE-----\n"
    lethal = [MediaFile(f"x/{name}.sig", begin) for name in ("bug", "crash", "hang", "hog")]
    good = release.all(*TRIO)
    kept, lost = sieve(release.policy(), (*lethal, *good), NONE)
    assert kept == good
    assert [finding.text.split()[0] for finding in lost] == [file.path for file in lethal]
    assert {finding.severity for finding in lost} == {Severity.WARN}


def test_a_judgement_goes_on_without_what_killed_it(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, LETHAL)
    files = release.all(*TRIO)
    lethal = MediaFile("x/crash.sig", b"-----BEGIN SSH SIGNATURE-----\n")
    found = judge_apart(case(release, lethal, *files))
    assert found.verdict == judged(release.policy(), files)
    assert [finding.rule for finding in found.lost] == ["MED-SANDBOX"]


def test_a_medium_full_of_lethal_files_is_refused(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, LETHAL)
    monkeypatch.setattr(judging, "MOST_LOST", 2)
    begin = b"-----BEGIN SSH SIGNATURE-----\n"
    lethal = tuple(MediaFile(f"{n}/crash.sig", begin + b"%d" % n) for n in range(4))
    with pytest.raises(Refused, match="more than 2 files"):
        sieve(release.policy(), lethal, NONE)


def test_a_sieved_medium_does_not_list_what_kills(
    release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child(monkeypatch, LETHAL)
    stick = tmp_path / "stick"
    (stick / "x").mkdir(parents=True)
    (stick / "anchor.efi").write_bytes(b"image")
    (stick / "x/crash.sig").write_bytes(b"-----BEGIN SSH SIGNATURE-----\n")
    for file in release.all("ann"):
        path = stick / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.data)
    (tmp_path / "policy.toml").write_bytes(policy(release))
    medium = SievedMedia(FolderMedia(stick, tmp_path / "policy.toml"))
    found, image = medium.read(("anchor.efi",), 1 << 20, lambda _: None)
    assert octets_of(image) == b"image"
    names = [entry.path for entry in found.manifest]
    assert names == ["anchor.efi", "ann/SHA256SUMS", "ann/SHA256SUMS.sig"]
    assert [blob.path for blob in found.files] == names[1:]
    (problem,) = found.problems
    assert (problem.rule, problem.severity) == ("MED-SANDBOX", Severity.WARN)
