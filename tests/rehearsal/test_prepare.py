"""A prepared rehearsal is real: other tools verify what its people and builders signed."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ceremony import policy as policies
from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.errors import MediaTrouble, Trouble
from ceremony.pe.inspect import OPEN_GATES, Gates, inspect
from ceremony.quorum import Judgement, Standing, Verdict, judge
from ceremony.types import MediaFile, Severity
from ceremony.words import words
from tui.rehearsal.builders import BUILDERS
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.people import OWNERS, PLAYERS
from tui.rehearsal.prepare import Prepared, prepare, reopen
from tui.rehearsal.uki import build_uki


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "other.efi"
    path.write_bytes(build_uki(efi_program("x86_64"), [(".linux", b"k"), (".cmdline", b"c")]))
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("demo") / "rehearsal", None)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, image: Path) -> Prepared:
    """Prepared on a machine without ssh-keygen, minisign, SoftHSM and apt."""
    folder = tmp_path_factory.mktemp("bare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder))
        return prepare(folder / "rehearsal", image)


@pytest.fixture(params=["prepared", "bare"])
def either(request: pytest.FixtureRequest) -> Prepared:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Prepared)
    return found


def test_the_policy_loads_and_two_owners_signed_it(either: Prepared) -> None:
    data = either.policy.read_bytes()
    policy = policies.load(data)
    signers = set()
    for owner in OWNERS:
        signature = read_sshsig((either.folder / f"policy.toml.{owner}.sshsig").read_bytes())
        signers.add(verify_sshsig(signature, data, "policy@uki-ceremony").fpr)
    assert signers == {owner.key.fpr for owner in policy.owners.keys}
    assert len(signers) == 2
    assert {b.id: b.formats for b in policy.builders} == {b.id: (b.format,) for b in BUILDERS}
    assert len({b.organisation for b in policy.builders}) == 3
    assert len({b.isolation for b in policy.builders}) == 3
    assert {person.id for person in policy.persons} == {player.id for player in PLAYERS}


def test_the_real_ssh_keygen_accepts_the_signatures(either: Prepared, tmp_path: Path) -> None:
    attestations = either.media / "attestations"
    for signer, namespace, signature, message in (
        *(
            (
                either.person_key(owner),
                "policy@uki-ceremony",
                either.folder / f"policy.toml.{owner}.sshsig",
                either.policy,
            )
            for owner in OWNERS
        ),
        (
            either.folder / "builders" / "ci-a",
            "uki-attestation",
            attestations / "ci-a.SHA256SUMS.sig",
            attestations / "ci-a.SHA256SUMS",
        ),
    ):
        allowed = tmp_path / f"{signer.name}.allowed"
        public = signer.with_name(f"{signer.name}.pub").read_text(encoding="ascii")
        allowed.write_text(f"{signer.name} {public}", encoding="ascii")
        command = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", signer.name]
        command += ["-n", namespace, "-s", str(signature)]
        subprocess.run(command, input=message.read_bytes(), check=True, capture_output=True)


def test_the_real_minisign_accepts_alice(either: Prepared) -> None:
    sums = either.media / "attestations" / "alice.sha256"
    public = either.folder / "builders" / "alice.pub"
    command = ["minisign", "-V", "-p", str(public), "-m", str(sums)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "github.com/example/anchor/commit/" in said


def test_sha256sum_accepts_the_sums_on_the_stick(either: Prepared) -> None:
    for name in ("ci-a.SHA256SUMS", "alice.sha256"):
        command = ["sha256sum", "--check", str(either.media / "attestations" / name)]
        subprocess.run(command, cwd=either.media, check=True, capture_output=True)


def judged(prepared: Prepared) -> Verdict:
    files = tuple(
        MediaFile(str(path.relative_to(prepared.media)), path.read_bytes())
        for path in sorted(prepared.media.rglob("*"))
        if path.is_file() and path.name != prepared.image_name
    )
    policy = policies.load(prepared.policy.read_bytes())
    facts = inspect((prepared.media / prepared.image_name).read_bytes(), OPEN_GATES)
    return judge(policy, prepared.image_name, facts, files, datetime.now(UTC))


def test_three_builders_agree_and_the_judge_accepts(either: Prepared) -> None:
    verdict = judged(either)
    assert verdict.verdict is Judgement.ACCEPT, verdict.findings
    assert {row.builder for row in verdict.matrix} == {builder.id for builder in BUILDERS}
    assert {d.disposition for d in verdict.dispositions} == {Standing.COUNTED}
    assert len(verdict.dispositions) == 3
    assert all(finding.severity is Severity.INFO for finding in verdict.findings)


def test_two_builders_do_not_suffice(image: Path, tmp_path: Path) -> None:
    made = prepare(tmp_path / "rehearsal", image)
    (made.media / "attestations" / "bob.intoto.json").unlink()
    assert judged(made).verdict is Judgement.REFUSE


def test_the_demo_image_passes_the_gates_of_its_policy(prepared: Prepared) -> None:
    policy = policies.load(prepared.policy.read_bytes())
    gates = Gates(
        machine=policy.artifact.arch,
        sections=policy.gates.sections,
        overlay=policy.gates.overlay,
        signed_input=policy.gates.signed_input,
        max_bytes=policy.artifact.max_bytes,
    )
    facts = inspect((prepared.media / prepared.image_name).read_bytes(), gates)
    assert facts.accepted, facts.findings
    assert facts.meaning.command_line.startswith("console=")


def test_the_sheet_carries_digest_words_and_pin(either: Prepared) -> None:
    text = either.sheet.read_text(encoding="ascii")
    digest = hashlib.sha256((either.media / either.image_name).read_bytes())
    assert either.image_sha256 == digest.hexdigest()
    assert f"rehearsal PIN: {either.pin}\n" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    rows = re.findall(r"(?m)^ +[0-9]+ ((?: +[A-Za-z]+){4})$", text)
    assert " ".join(rows).split() == list(words(digest.digest()))
    assert digest.hexdigest() in text.replace(" ", "").replace("\n", "")


def test_keys_are_their_owners_alone_and_out_is_left_to_the_ceremony(either: Prepared) -> None:
    for name in (*OWNERS, *(player.id for player in PLAYERS)):
        assert stat.S_IMODE(either.person_key(name).stat().st_mode) == 0o600
    assert not either.out.exists()
    assert all(log.is_dir() and not list(log.iterdir()) for log in either.logs)


def test_a_prepared_folder_is_taken_as_it_is(prepared: Prepared) -> None:
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")}
    assert prepare(prepared.folder, None) == prepared
    assert reopen(prepared.folder) == prepared
    assert {path: path.stat().st_mtime_ns for path in prepared.folder.rglob("*")} == before


def test_with_softhsm_the_key_is_in_a_token_and_otherwise_it_is_said(
    prepared: Prepared, bare: Prepared
) -> None:
    assert bare.machine.read_text(encoding="ascii") == 'module = "rehearsal"\n'
    assert "no PKCS#11 module" in bare.key_source
    assert shutil.which("softhsm2-util")
    assert "libsofthsm2.so" in prepared.machine.read_text(encoding="ascii")
    assert prepared.key_source == "SoftHSM token"
    assert prepared.pin.isdigit()


def test_another_image_gets_a_policy_for_what_it_has(bare: Prepared, image: Path) -> None:
    policy = policies.load(bare.policy.read_bytes())
    assert policy.artifact.names == ("other.efi",)
    assert policy.artifact.arch == "x86_64"
    assert policy.gates.sections == (".cmdline", ".linux")
    assert (bare.media / "other.efi").read_bytes() == image.read_bytes()


def test_a_file_that_is_no_image_is_prepared_for_the_ceremony_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image\n", encoding="ascii")
    made = prepare(tmp_path / "rehearsal", tmp_path / "notes.txt")
    assert policies.load(made.policy.read_bytes()).artifact.names == ("notes.txt",)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(MediaTrouble, match="not an empty folder") as caught:
        prepare(tmp_path, None)
    assert caught.value.rule == "MED-OUTPUT"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_tool_that_fails_is_told_and_the_folder_is_not_taken(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match="ssh-keygen signed nothing") as caught:
        prepare(tmp_path / "rehearsal", image)
    assert caught.value.rule == "KEY-PRIVATE"
    with pytest.raises(MediaTrouble, match="not an empty folder"):
        prepare(tmp_path / "rehearsal", image)


@pytest.mark.parametrize("said", ["", "tomorrow", "-5", "99999999999999999999"])
def test_a_wild_source_date_epoch_does_not_stop_a_rehearsal(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", said)
    assert prepare(tmp_path / "rehearsal", None).image_name == "anchor.efi"


def test_an_image_that_cannot_be_read_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaTrouble, match="No such file"):
        prepare(tmp_path / "rehearsal", tmp_path / "absent.efi")
    assert not (tmp_path / "rehearsal").exists()
