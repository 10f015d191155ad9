"""Checksum files agree with sha256sum and its relatives; caps and strictness."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of
from quorum.release import sha256

from ceremony.attest.sums import looks_like_sums, read_sums
from ceremony.errors import Refused

DIGEST = "a" * 64


@accepts("ATT-SUMS", "ATT-TWICE", "ATT-PIN")
@pytest.mark.parametrize("options", [[], ["--binary"], ["--tag"]])
def test_the_real_sha256sum_writes_what_is_read(tmp_path: Path, options: list[str]) -> None:
    for name in ("anchor.efi", "with space (1).efi", "\u00e4.efi"):
        (tmp_path / name).write_bytes(name.encode())
    names = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run(
        ["sha256sum", *options, *names], cwd=tmp_path, capture_output=True, check=True
    )
    claims = read_sums(done.stdout)
    found = {artifact.name: artifact.digest("sha256") for artifact in claims.artifacts}
    assert found == {name: sha256(name.encode()) for name in names}


def test_an_escaped_name_of_the_real_tool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\nb").write_bytes(b"x")
    done = subprocess.run(["sha256sum", "a\nb"], cwd=tmp_path, capture_output=True, check=True)
    with pytest.raises(Refused, match="escaped name"):
        read_sums(done.stdout)


def test_pins_come_from_comment_lines_and_the_lock_file() -> None:
    text = (
        f"# built in one go, twice\n# git_commit {'c' * 40}\n# image_id anchor\n#\n#x y\n"
        f"# timestamp 1700000000\n# os freebsd\n{DIGEST}  anchor.efi\n{'b' * 64}  src/flake.lock\n"
    )
    claims = read_sums(text.encode())
    assert claims.pins == (
        ("flake_lock", "b" * 64),
        ("git_commit", "c" * 40),
        ("image_id", "anchor"),
    )
    assert claims.self_claims == (("os", "freebsd"),)
    assert claims.time is not None
    assert claims.time.isoformat() == "2023-11-14T22:13:20+00:00"


def test_other_digests_of_tagged_lines_belong_to_the_same_artifact() -> None:
    text = f"SHA256 (x) = {DIGEST}\nSHA512 (x) = {'b' * 128}\n"
    (artifact,) = read_sums(text.encode()).artifacts
    assert artifact.digests == (("sha256", DIGEST), ("sha512", "b" * 128))


@accepts("ATT-SUMS")
@pytest.mark.parametrize("tool", ["sha384sum", "sha512sum"])
def test_the_real_tools_tags_name_longer_digests(tmp_path: Path, tool: str) -> None:
    (tmp_path / "anchor.efi").write_bytes(b"x")
    for options in (["--tag"], []):
        command = [tool, *options, "anchor.efi"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        if options:
            (artifact,) = read_sums(done.stdout).artifacts
            assert artifact.digest(tool.removesuffix("sum")) == done.stdout.decode().split()[-1]
        else:
            with pytest.raises(Refused, match="--tag"):
                read_sums(done.stdout)


@accepts("ATT-SUMS")
def test_the_forms_of_freebsd_name_the_same_file() -> None:
    for line in (f"SHA256 (a b) = {DIGEST}", f"{DIGEST} a b", f"{DIGEST} *a b", f"{DIGEST}  a b"):
        (artifact,) = read_sums(f"{line}\n".encode()).artifacts
        assert (artifact.name, artifact.digest("sha256")) == ("a b", DIGEST)


@refuses("ATT-SUMS", "ATT-TWICE", "ATT-PIN")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "ATT-SUMS"),
        ("\n", "ATT-SUMS"),
        (f"{DIGEST}  x", "ATT-SUMS"),
        (f"{DIGEST}  x\r\n", "ATT-SUMS"),
        (f"{DIGEST}\tx\n", "ATT-SUMS"),
        (f"{DIGEST}  \n", "ATT-SUMS"),
        (f"{DIGEST}\n", "ATT-SUMS"),
        (f" {DIGEST}  x\n", "ATT-SUMS"),
        (f"{DIGEST}  x\x7f\n", "ATT-SUMS"),
        (f"{DIGEST}  x\u200b\n", "ATT-SUMS"),
        (f"{DIGEST}  x\u202e\n", "ATT-SUMS"),
        (f"{DIGEST}  x\u2028\n", "ATT-SUMS"),
        (f"{'A' * 64}  x\n", "ATT-SUMS"),
        (f"{'a' * 63}  x\n", "ATT-SUMS"),
        (f"{'a' * 65}  x\n", "ATT-SUMS"),
        ("\uff11" * 64 + "  x\n", "ATT-SUMS"),
        (f"SHA256 (x) = {'a' * 63}\n", "ATT-SUMS"),
        (f"SHA512 (x) = {DIGEST}\n", "ATT-SUMS"),
        (f"SHA1 (x) = {'a' * 40}\n", "ATT-SUMS"),
        (f"MD5 (x) = {'a' * 32}\n", "ATT-SUMS"),
        (f"{DIGEST}  x\n-----BEGIN PGP SIGNATURE-----\n", "ATT-SUMS"),
        (f"{DIGEST}  x\n" + "#\n" * 10_000, "ATT-SUMS"),
        (f"{DIGEST}  {'x' * 4096}\n", "ATT-SUMS"),
        ("#" * (1 << 20) + "\n", "ATT-SUMS"),
        (f"{DIGEST}  x\n{DIGEST} *x\n", "ATT-TWICE"),
        (f"SHA256 (x) = {DIGEST}\n{DIGEST}  x\n", "ATT-TWICE"),
        (f"\ufeff{DIGEST}  x\n", "ATT-SUMS"),
        (f"{DIGEST}  x\0\n", "ATT-SUMS"),
        (f"\\{DIGEST}  a\\nb\n", "ATT-SUMS"),
        (f"SHA384 (x) = {'a' * 95}\n", "ATT-SUMS"),
        (f"SHA512 (x) = {'A' * 128}\n", "ATT-SUMS"),
        (f"SHA512t256 (x) = {DIGEST}\n", "ATT-SUMS"),
        (f"SHA256 (x)= {DIGEST}\n", "ATT-SUMS"),
        (f"{'a' * 96}  x\n", "ATT-SUMS"),
        (f"{'a' * 128}  x\n", "ATT-SUMS"),
        (f"SHA512 (x) = {'b' * 128}\nSHA512 (x) = {'b' * 128}\n", "ATT-TWICE"),
        (f"{DIGEST}  flake.lock\n{'b' * 64}  a/flake.lock\n", "ATT-PIN"),
        ("# git_commit main\n", "ATT-PIN"),
    ],
)
def test_what_is_not_plain_is_refused(text: str, rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        read_sums(text.encode())


def test_names_of_checksum_files() -> None:
    yes = (
        *("SHA256SUMS", "a/b/x.SHA256SUMS", "x.sha256", "x.sha256sum", "SHA256SUMS.txt"),
        *("x.sha512", "SHA512SUMS", "a/SHA256", "CHECKSUM.SHA256-FreeBSD-14.1-RELEASE-amd64"),
    )
    no = (
        *("SHA256SUMS/x", "x.sha1", "x.sha256.minisig", "sha256", "SHA256.sig", "SHA1"),
        *("SHA256SUMS.asc", "x.SHA256SUMS.ann.sig", "CHECKSUM.SHA256-FreeBSD.asc"),
    )
    assert all(map(looks_like_sums, yes))
    assert not any(map(looks_like_sums, no))


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_are_refused(noise: bytes) -> None:
    assert rule_of(read_sums, DIGEST.encode() + noise + b"\n")[:4] in ("", "ATT-")
