"""countersign: a signature is added to a sealed bundle whole or not at all, and only a good one."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import rehearsing
from marks import accepts, refuses
from quorum.security_key import SecurityKey

from ceremony.ingest.reading import read_folder
from transcripts import files as written
from transcripts.replay import Verdict, make_sums, replay
from tui import ssh_keys
from tui.commands import countersign
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold

NAMESPACE = "transcript@uki-ceremony"
TOKENS = {kind: SecurityKey.make(kind) for kind in ("ed25519", "ecdsa")}
KEYS = {"ecdsa": ("-t", "ecdsa", "-b", "256"), "rsa": ("-t", "rsa", "-b", "3072")}


class NobodySigns(ScriptFace):
    def countersign(self, closing: object) -> str | None:
        return None


@pytest.fixture(scope="module")
def _sealed(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A rehearsal nobody countersigned; ines has a key of every kind."""
    folder = tmp_path_factory.mktemp("sealed")
    prepared = rehearsing.make(folder / "r")
    lines = [token.line for token in TOKENS.values()]
    for kind, options in KEYS.items():
        key = prepared.folder / "people" / f"ines-{kind}"
        subprocess.run(["ssh-keygen", "-q", *options, "-N", "", "-C", kind, "-f", key], check=True)
        lines.append(key.with_name(f"{key.name}.pub").read_text().strip())
    own = prepared.person_key("ines").with_name("ines.pub").read_text().strip()
    more = ", ".join(f'"{line}"' for line in (own, *lines))
    rehearsing.edit_policy(prepared, (f'keys = ["{own}"]', f"keys = [{more}]"))
    ended = hold(rehearsing.places_of(prepared), NobodySigns(prepared.sheet, io.StringIO()))
    assert not ended.released
    return prepared


@pytest.fixture
def sealed(_sealed: Prepared, tmp_path: Path) -> Prepared:
    return rehearsing.copy(_sealed, tmp_path / "r")


def verdict(prepared: Prepared) -> Verdict:
    return replay(read_folder(prepared.out)).verdict


def signed(prepared: Prepared, person: str, *options: str | Path) -> int:
    return dispatch(["countersign", str(prepared.out), "--person", person, *map(str, options)])


def by_key(prepared: Prepared, person: str) -> int:
    return signed(prepared, person, "--key", prepared.person_key(person))


@accepts("TRN-COUNTERSIGNATURE", "TRN-BUNDLE")
def test_two_people_complete_a_bundle_one_after_the_other(sealed: Prepared) -> None:
    assert verdict(sealed) is Verdict.INCOMPLETE
    before = read_folder(sealed.out)
    assert by_key(sealed, "ines") == 4
    assert by_key(sealed, "carol") == 4  # the administrator does not count
    assert verdict(sealed) is Verdict.INCOMPLETE
    assert by_key(sealed, "ed") == 0
    assert verdict(sealed) is Verdict.REPRODUCED
    after = read_folder(sealed.out)
    assert {name for name in after if after[name] != before.get(name)} == {
        "SHA256SUMS",
        *(f"checkpoint.{person}.sshsig" for person in ("ines", "carol", "ed")),
    }
    assert by_key(sealed, "kim") == 0  # more may sign than are needed


def signatures(prepared: Prepared) -> dict[str, bytes]:
    text = (prepared.out / "checkpoint.txt").read_bytes()
    made = {f"sk-{kind}": token.sign(text, namespace=NAMESPACE) for kind, token in TOKENS.items()}
    for kind in ("", *KEYS):
        key = prepared.folder / "people" / (f"ines-{kind}" if kind else "ines")
        made[kind or "ed25519"] = ssh_keys.sign(key, NAMESPACE, text)
    return made


@accepts("TRN-COUNTERSIGNATURE")
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa", "sk-ed25519", "sk-ecdsa"])
def test_every_kind_of_key_signs_and_ssh_keygen_says_the_same(
    sealed: Prepared, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "s").write_bytes(signatures(sealed)[kind])
    assert signed(sealed, "ines", "--signature", tmp_path / "s") == 4
    public = [p.read_text() for p in (sealed.folder / "people").glob("ines*.pub")]
    lines = [*public, *(f"{token.line}\n" for token in TOKENS.values())]
    (tmp_path / "allowed").write_text("".join(f"ines {line}" for line in lines))
    kept = sealed.out / "checkpoint.ines.sshsig"
    assert stock(tmp_path, kept, (sealed.out / "checkpoint.txt").read_bytes())
    assert not stock(tmp_path, kept, b"another checkpoint\n")


def stock(folder: Path, signature: Path, checkpoint: bytes) -> bool:
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", "ines",
         "-n", NAMESPACE, "-s", signature],
        input=checkpoint,
        capture_output=True,
        check=False,
    )  # fmt: skip
    return done.returncode == 0


def damaged(prepared: Prepared) -> None:
    (prepared.out / "anchor.p7").write_bytes(b"another")


def cut(prepared: Prepared) -> None:
    """A transcript without its end, checkpoint and sums made to fit: there is nothing to sign."""
    lines = (prepared.out / "transcript.jsonl").read_bytes().splitlines(keepends=True)
    (prepared.out / "transcript.jsonl").write_bytes(b"".join(lines[:-1]))
    rest = {n: d for n, d in read_folder(prepared.out).items() if n != "SHA256SUMS"}
    (prepared.out / "SHA256SUMS").write_bytes(make_sums(rest))


@refuses("TRN-BUNDLE", "TRN-CHECKPOINT")
@pytest.mark.parametrize("change", [damaged, cut])
def test_nobody_signs_a_bundle_that_does_not_replay(
    sealed: Prepared, change: Callable[[Prepared], None]
) -> None:
    change(sealed)
    before = read_folder(sealed.out)
    assert by_key(sealed, "ines") == 1
    assert read_folder(sealed.out) == before


@refuses("TRN-COUNTERSIGNATURE")
def test_strangers_doubles_and_other_checkpoints_are_refused(
    sealed: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_key(sealed, "ines") == 4
    before = read_folder(sealed.out)
    text = (sealed.out / "checkpoint.txt").read_bytes()
    kim = sealed.person_key("kim")
    cases = {
        "other": ("ed", ssh_keys.sign(sealed.person_key("ed"), NAMESPACE, text + b"x")),
        "namespace": ("ed", ssh_keys.sign(sealed.person_key("ed"), "file", text)),
        "person": ("ed", ssh_keys.sign(kim, NAMESPACE, text)),
        "stranger": ("mallory", ssh_keys.sign(kim, NAMESPACE, text)),
        "path": ("../ed", ssh_keys.sign(kim, NAMESPACE, text)),
        "twice": ("ines", ssh_keys.sign(sealed.person_key("ines"), NAMESPACE, text)),
        "twice, another key": ("ines", TOKENS["ed25519"].sign(text, namespace=NAMESPACE)),
        "untouched": ("ed", TOKENS["ecdsa"].sign(text, namespace=NAMESPACE, flags=0)),
        "nonsense": ("ed", b"\x00" * 100),
        "huge": ("ed", b"A" * (2 * 2**20)),
    }
    for person, data in cases.values():
        (tmp_path / "s").write_bytes(data)
        assert signed(sealed, person, "--signature", tmp_path / "s") == 1
        said = capsys.readouterr().err
        assert "TRN-COUNTERSIGNATURE" in said or "MED-SIZE" in said
        assert (person == "ines") == ("has signed this checkpoint already" in said)
    assert signed(sealed, "ed", "--signature", tmp_path / "none") == 1
    assert signed(sealed, "ed", "--key", tmp_path / "none") == 3
    assert read_folder(sealed.out) == before


@refuses("TRN-COUNTERSIGNATURE")
def test_where_no_policy_names_anybody_nobody_signs(prepared: Prepared) -> None:
    prepared.policy.write_bytes(b"nonsense = [")
    rehearsing.held(prepared)
    assert by_key(prepared, "ines") == 1


@refuses("TRN-BUNDLE")
@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("part", [b"", b"half"])
def test_killed_between_two_writes_it_is_incomplete_and_completed_by_the_same_command(
    sealed: Prepared, renames: int, part: bytes
) -> None:
    """What stands after 0 or 1 renames, with or without the next temporary file."""
    assert by_key(sealed, "ed") == 4
    text = (sealed.out / "checkpoint.txt").read_bytes()
    signature = ssh_keys.sign(sealed.person_key("ines"), NAMESPACE, text)
    name = "checkpoint.ines.sshsig"
    if renames:
        (sealed.out / name).write_bytes(signature)
    if part or not renames:
        (sealed.out / f"{'SHA256SUMS' if renames else name}.part").write_bytes(part)
    assert verdict(sealed) is Verdict.INCOMPLETE
    assert {f.rule for f in replay(read_folder(sealed.out)).findings} == (
        {"TRN-BUNDLE"} if renames else {"TRN-BUNDLE", "TRN-COUNTERSIGNATURE"}
    )
    assert by_key(sealed, "ines") == 0
    assert verdict(sealed) is Verdict.REPRODUCED
    assert not list(sealed.out.glob("*.part"))


@refuses("MED-WRITE")
@pytest.mark.parametrize("failing", ["checkpoint.ines.sshsig", "SHA256SUMS"])
def test_a_medium_that_fails_at_either_write_leaves_the_bundle_as_it_was(
    sealed: Prepared, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    real = written.write_file

    def fails(path: Path, pieces: tuple[bytes, ...]) -> None:
        if path.name == failing:
            raise OSError(28, "No space left on device")
        real(path, pieces)

    monkeypatch.setattr(countersign, "write_file", fails)
    before = read_folder(sealed.out)
    assert by_key(sealed, "ines") == 3
    assert read_folder(sealed.out) == before


def test_the_unsigned_image_is_given_where_the_policy_leaves_it_out(
    prepared: Prepared, tmp_path: Path
) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[outputs]\nunsigned = false\n\n[machine]"))
    hold(rehearsing.places_of(prepared), NobodySigns(prepared.sheet, io.StringIO()))
    assert by_key(prepared, "ines") == 1
    image = prepared.media / "anchor.efi"
    key = prepared.person_key("ines")
    assert signed(prepared, "ines", "--key", key, "--image", image) == 4
    shutil.rmtree(prepared.out)
    assert by_key(prepared, "ed") == 3
