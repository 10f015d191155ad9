"""attest --verify: what a builder is told about an attestation before it leaves the house."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rehearsing
from commands.builder_desk import Desk, Done, laid_out
from marks import refuses

from tui.rehearsal.prepare import Prepared


@pytest.fixture
def desk(prepared: Prepared, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    return laid_out(tmp_path, capfd)


def pins(prepared: Prepared) -> tuple[str, ...]:
    """Return the pins that the rehearsal's builders give."""
    comment = (prepared.media / "attestations/alice.sha256.minisig").read_text("utf-8")
    commit = comment.split("/commit/")[1].split()[0]
    lock = str(prepared.media / "flake.lock")
    return ("--pin", f"git_commit={commit}", "--flake-lock", lock)


def attest(desk: Desk, prepared: Prepared, *words: str, builder: str = "ci-a") -> None:
    key = prepared.folder / "builders" / builder
    who = ("--builder", builder, "--key", key, "--output", desk.out)
    done = desk.run("attest", prepared.media / "anchor.efi", *who, *words)
    assert done.status == 0, done.err


def verify(desk: Desk, prepared: Prepared, *words: str | Path) -> Done:
    policy = ("--policy", prepared.policy)
    return desk.run("attest", "--verify", *(words or (desk.out,)), *policy)


@pytest.mark.parametrize("builder", ["ci-a", "alice", "bob"])
def test_what_would_count_is_said_to_count(desk: Desk, prepared: Prepared, builder: str) -> None:
    attest(desk, prepared, *pins(prepared), builder=builder)
    done = verify(desk, prepared)
    assert (done.status, done.out.splitlines()[-1]) == (0, "COUNTS"), done.out
    assert f"of {builder}: would count" in done.out
    image = ("--image", prepared.media / "anchor.efi")
    assert verify(desk, prepared, desk.out, *image).status == 0
    assert verify(desk, prepared, *desk.out.iterdir(), prepared.media / "flake.lock").status == 0
    found = json.loads(verify(desk, prepared, desk.out, "--json").out)
    assert (found["verdict"], found["rules"]) == ("counts", [])
    assert found["attestations"][0]["counts"] is True


def test_a_policys_own_signatures_are_not_among_the_votes(desk: Desk, prepared: Prepared) -> None:
    """On one medium with the attestations each was "not counted" (ATT-NAMESPACE)."""
    attest(desk, prepared, *pins(prepared))
    for path in prepared.folder.glob("policy.toml*"):
        (desk.out / path.name).write_bytes(path.read_bytes())
    done = verify(desk, prepared)
    assert (done.status, ".sshsig" in done.out) == (0, False), done.out
    renamed = desk.out / "policy.toml.owner-1.sshsig"
    renamed.rename(desk.out / "policy.toml.owner-1.sig")
    done = verify(desk, prepared)
    assert (done.status, "ATT-NAMESPACE" in done.out) == (1, True), done.out


def test_another_image_would_be_a_dissent(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared, *pins(prepared))
    other = desk.folder / "anchor.efi"
    other.write_bytes(rehearsing.tiny_uki(b"2"))
    done = verify(desk, prepared, desk.out, "--image", other)
    assert (done.status, "QRM-DISSENT" in done.out) == (1, True)
    assert "--twice" in done.out


@refuses("QRM-PINS")
def test_missing_pins_are_named_with_what_to_run(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared)
    done = verify(desk, prepared)
    assert (done.status, done.out.splitlines()[-1]) == (1, "DOES NOT COUNT")
    assert "QRM-PINS" in done.out
    assert "next: attest again: uki-ceremony attest IMAGE --builder ci-a" in done.out
    assert "(pins that must be there: flake_lock, git_commit)" in done.out


@refuses("QRM-WEAK")
def test_a_container_without_its_image_is_told_what_to_run(desk: Desk, prepared: Prepared) -> None:
    """The advice was --source DIR, which does not help."""
    text = prepared.policy.read_text("utf-8")
    policy = desk.folder / "policy.toml"
    policy.write_text(text.replace('isolation = "nix-sandbox"', 'isolation = "podman"'), "utf-8")
    assert policy.read_text("utf-8") != text
    key = prepared.folder / "builders/ci-a"
    who = ("--builder", "ci-a", "--key", key, "--isolation", "podman", *pins(prepared))
    image = prepared.media / "anchor.efi"
    done = desk.run("attest", image, *who, "--output", desk.out)
    assert (done.status, "weak without --pin base_image" in done.err) == (0, True)
    said = desk.run("attest", "--verify", desk.out, "--policy", policy).out
    assert "does not say the digest of the container image" in said
    assert "--pin base_image=sha256:HEX" in said
    assert "podman image inspect --format '{{.Digest}}' IMAGE" in said
    full = desk.folder / "full"
    full.mkdir()
    digest = ("--pin", f"base_image=sha256:{'a' * 64}")
    done = desk.run("attest", image, *who, *digest, "--output", full)
    assert (done.status, "note" in done.err) == (0, False)
    done = desk.run("attest", "--verify", full, "--policy", policy)
    assert (done.status, "counted" in done.out) == (0, True), done.out


@refuses("QRM-CLAIM")
def test_a_stated_isolation_that_is_not_enrolled(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared, *pins(prepared), "--isolation", "docker")
    done = verify(desk, prepared)
    assert (done.status, "QRM-CLAIM" in done.out) == (1, True)
    assert "--isolation nix-sandbox" in done.out


@refuses("QRM-NAME")
def test_a_name_that_the_policy_does_not_know(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared, *pins(prepared), "--name", "other.efi")
    done = verify(desk, prepared)
    assert (done.status, "QRM-NAME" in done.out, "--name anchor.efi" in done.out) == (1, True, True)


@refuses("QRM-ENROLLED")
def test_a_key_that_nobody_enrolled(desk: Desk, prepared: Prepared) -> None:
    who = ("--builder", "ci-a", "--key", desk.ssh(), "--output", desk.out)
    assert desk.run("attest", prepared.media / "anchor.efi", *who, *pins(prepared)).status == 0
    done = verify(desk, prepared)
    assert (done.status, "QRM-ENROLLED" in done.out) == (1, True)
    assert "send the owners your public key" in done.out


@refuses("ATT-SIGNATURE", "ATT-ALONE", "ATT-UNSIGNED")
def test_files_that_were_changed_or_parted(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared, *pins(prepared))
    sums, signature = desk.out / "ci-a.SHA256SUMS", desk.out / "ci-a.SHA256SUMS.sig"
    parted = {"ATT-ALONE": signature, "ATT-UNSIGNED": sums}
    for rule, file in parted.items():
        for done in (verify(desk, prepared, file), desk.run("attest", "--verify", file)):
            assert (done.status, rule in done.out, "next:" in done.out) == (1, True, True)
    sums.write_text(sums.read_text("utf-8").replace("clean", "x") + "# more x\n", "utf-8")
    for done in (verify(desk, prepared), desk.run("attest", "--verify", desk.out)):
        assert (done.status, "ATT-SIGNATURE" in done.out, "next:" in done.out) == (1, True, True)
    assert f"{signature}: NOT VERIFIED: changed after signing, or signed by another" in done.out
    assert done.out.splitlines()[-1] == "NOT VERIFIED"


@pytest.mark.parametrize("builder", ["ci-a", "alice", "bob"])
@pytest.mark.parametrize("left", [0, 60])
def test_a_file_that_is_cut_off_or_empty_is_to_be_copied_again(
    desk: Desk, prepared: Prepared, builder: str, left: int
) -> None:
    attest(desk, prepared, *pins(prepared), builder=builder)
    cut = max(desk.out.iterdir(), key=lambda path: (path.suffix in (".sig", ".minisig"), path))
    cut.write_bytes(cut.read_bytes()[:left])
    for done in (verify(desk, prepared), desk.run("attest", "--verify", desk.out)):
        said = done.out.partition(str(cut))[2]
        assert (done.status, "copy it again" in said) == (1, True), done.out
        assert ("the file is empty" in said) is (left == 0)
    assert f"{cut}: NOT VERIFIED" in done.out


@refuses("ATT-SIGNATURE")
@pytest.mark.parametrize("builder", ["ci-a", "alice", "bob"])
def test_without_a_policy_a_key_is_checked(desk: Desk, prepared: Prepared, builder: str) -> None:
    attest(desk, prepared, *pins(prepared), builder=builder)
    own = prepared.folder / "builders" / f"{builder}.pub"
    done = desk.run("attest", "--verify", desk.out, "--key", own)
    assert (done.status, "signed by" in done.out) == (0, True), done.out
    assert ": its signature fits" in done.out
    assert done.out.splitlines()[-1] == "READ, NOT JUDGED"
    other = Path(f"{desk.minisign() if builder == 'alice' else desk.ssh()}.pub")
    done = desk.run("attest", "--verify", desk.out, "--key", other)
    assert (done.status, "ATT-SIGNATURE" in done.out) == (1, True)


def test_nothing_to_verify(desk: Desk, prepared: Prepared) -> None:
    done = verify(desk, prepared)
    assert (done.status, "no attestation is here" in done.out) == (1, True)
    done = verify(desk, prepared, desk.folder / "nothing")
    assert (done.status, "MED-PATH" in done.err) == (3, True)
    junk = desk.out / "junk\x1b[2J.txt"
    junk.write_bytes(b"\xff" * 100)
    done = verify(desk, prepared)
    assert (done.status, "ATT-FORMAT" in done.out, "\x1b" in done.out) == (1, True, False)


@pytest.mark.parametrize("judged", [True, False], ids=["policy", "alone"])
def test_a_link_in_the_folder_is_said_to_be_passed_over(
    desk: Desk, prepared: Prepared, *, judged: bool
) -> None:
    """A folder with a link in place of a signature was told to hold no attestation at all."""
    attest(desk, prepared, *pins(prepared))
    link = desk.out / "ci-a.SHA256SUMS.sig"
    link.rename(desk.folder / "real.sig")
    link.symlink_to(desk.folder / "real.sig")
    done = verify(desk, prepared) if judged else desk.run("attest", "--verify", desk.out)
    assert done.status == 1
    assert "MED-SPECIAL: ci-a.SHA256SUMS.sig is a link, not a regular file" in done.err


def test_a_private_key_is_no_public_key(desk: Desk, prepared: Prepared) -> None:
    attest(desk, prepared, *pins(prepared))
    done = desk.run("attest", "--verify", desk.out, "--key", prepared.folder / "builders/ci-a")
    assert (done.status, "ATT-KEY" in done.err) == (1, True)
