"""The keys that sign attestations, by the real tools: files, agents, locked ones, wrong ones."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands.builder_desk import SECONDS, Desk, command, laid_out, process, tool
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from marks import accepts, refuses
from tokens.daemons import answers

SECRET = "correct horse"  # of throw-away keys
Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    return laid_out(tmp_path, capfd)


def fits(desk: Desk, public: Path) -> bool:
    """Say whether attest --verify finds what was written signed by this public key."""
    done = desk.run("attest", "--verify", desk.out, "--key", public)
    return done.status == 0 and "signed by" in done.out


@accepts("KEY-PRIVATE", "MED-FOLDER", "ATT-BUILDER")
@pytest.mark.parametrize(
    "options",
    [("-t", "ed25519"), ("-t", "ecdsa", "-b", "384"), ("-t", "rsa", "-b", "3072")],
    ids=" ".join,
)
def test_an_ssh_key(desk: Desk, options: tuple[str, ...]) -> None:
    key = desk.ssh(*options)
    assert desk.attest(key=key).status == 0
    assert fits(desk, Path(f"{key}.pub"))
    signature, content = desk.out / "ann.SHA256SUMS.sig", desk.out / "ann.SHA256SUMS"
    allowed = desk.folder / "allowed"
    allowed.write_text(f"ann {Path(f'{key}.pub').read_text('ascii')}", "ascii")
    words = ["-Y", "verify", "-f", allowed, "-I", "ann", "-n", "uki-attestation", "-s", signature]
    with content.open("rb") as stdin:
        subprocess.run([tool("ssh-keygen"), *words], stdin=stdin, check=True)
    subprocess.run(["sha256sum", "-c", "--ignore-missing", content], cwd=desk.folder, check=True)


def test_a_minisign_key(desk: Desk) -> None:
    key = desk.minisign()
    assert desk.attest(key=key).status == 0
    assert fits(desk, Path(f"{key}.pub"))
    words = ["-V", "-p", f"{key}.pub", "-m", desk.out / "ann.sha256"]
    subprocess.run([tool("minisign"), *words], check=True, capture_output=True)


def write(desk: Desk, key: Private, secret: str = "", *, old: bool = False) -> Path:
    lock = BestAvailableEncryption(secret.encode()) if secret else NoEncryption()
    form = PrivateFormat.TraditionalOpenSSL if old else PrivateFormat.PKCS8
    path = desk.folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, form, lock))
    spki = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (desk.folder / "key.pub").write_bytes(key.public_key().public_bytes(*spki))
    return path


@pytest.mark.parametrize(
    "key",
    [
        Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 3072),
    ],
    ids=["ed25519", "p256", "p384", "p521", "rsa"],
)
def test_a_pem_key(desk: Desk, key: Private) -> None:
    assert desk.attest(key=write(desk, key)).status == 0
    assert fits(desk, desk.folder / "key.pub")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    socket = tmp_path / "agent"
    words = [tool("ssh-agent"), "-D", "-a", str(socket)]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 10
    while not answers(socket):
        assert time.monotonic() < limit
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield socket
    running.terminate()
    running.wait()


def ask(folder: Path) -> dict[str, str]:
    """Return an environment in which OpenSSH asks a program for the passphrase."""
    program = folder / "askpass"
    program.write_text(f"#!/bin/sh\necho '{SECRET}'\n", "ascii")
    program.chmod(0o755)
    return {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}


@pytest.mark.parametrize("half", ["ssh", "ssh.pub"])
def test_a_locked_ssh_key_in_an_agent(desk: Desk, agent: Path, half: str) -> None:
    key = desk.ssh(secret=SECRET)
    env = os.environ | ask(desk.folder)
    subprocess.run([tool("ssh-add"), "-q", key], env=env, check=True)
    done = process(
        *("attest", desk.image, "--builder", "ann", "--key", desk.folder / half),
        *("--output", desk.out),
        env={"SSH_AUTH_SOCK": str(agent)},
    )
    assert done.status == 0, done.err
    assert fits(desk, Path(f"{key}.pub"))


@refuses("KEY-PRIVATE")
def test_locked_keys_without_a_terminal_say_what_to_do(desk: Desk) -> None:
    keys = {
        "ssh-add": desk.ssh(secret=SECRET),
        "needs a terminal": desk.minisign(SECRET),
        "no terminal": write(desk, Ed25519PrivateKey.generate(), SECRET),
        "there is no terminal": write(
            desk, rsa.generate_private_key(65537, 2048), SECRET, old=True
        ),
    }
    for hint, key in keys.items():
        words = ("--builder", "ann", "--key", key, "--output", desk.out)
        done = process("attest", desk.image, *words)
        assert (done.status, "KEY-PRIVATE" in done.err, hint in done.err) == (3, True, True), (
            done.err
        )
        assert "Traceback" not in done.err
        assert not any(desk.out.iterdir())


def at_terminal(answer: str, *words: str | Path) -> tuple[int, str]:
    """Run the program on a terminal and type one answer when it asks."""
    line = command(*words)
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.execv(line[0], line)
    said, typed, limit = "", False, time.monotonic() + SECONDS
    while time.monotonic() < limit:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
        if "passphrase of" in said and not typed:
            os.write(terminal, answer.encode() + b"\n")
            typed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), said


def test_a_locked_pem_key_asks_on_the_terminal(desk: Desk) -> None:
    key = write(desk, ec.generate_private_key(ec.SECP256R1()), SECRET)
    words = ("attest", desk.image, "--builder", "ann", "--key", key, "--output", desk.out)
    status, said = at_terminal("wrong", *words)
    assert (status, "KEY-PRIVATE" in said, any(desk.out.iterdir())) == (1, True, False)
    status, said = at_terminal(SECRET, *words)
    assert (status, SECRET in said) == (0, False), said
    assert fits(desk, desk.folder / "key.pub")


@refuses("KEY-PRIVATE")
@pytest.mark.parametrize("content", [None, b"", b"\0" * 100, b"-----BEGIN CERTIFICATE-----\n"])
def test_a_key_that_is_missing_or_none(desk: Desk, content: bytes | None) -> None:
    key = desk.folder / "key"
    if content is not None:
        key.write_bytes(content)
    done = desk.attest(key=key)
    assert (done.status, "KEY-PRIVATE" in done.err, any(desk.out.iterdir())) == (
        3 if content is None else 1,
        True,
        False,
    )
    assert "next:" in done.err


def test_without_minisign_its_keys_are_not_used(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = desk.minisign()
    monkeypatch.setenv("PATH", str(desk.folder))
    done = desk.attest(key=key)
    assert (done.status, "KEY-PRIVATE: minisign is not installed" in done.err) == (3, True)


# What is written stands whole, or not at all


def test_nothing_is_written_over(desk: Desk) -> None:
    assert desk.attest().status == 0
    before = {path.name: path.read_bytes() for path in desk.out.iterdir()}
    again = desk.attest()
    assert (again.status, "MED-OUTPUT" in again.err) == (1, True)
    assert {path.name: path.read_bytes() for path in desk.out.iterdir()} == before
    (desk.out / "ann.SHA256SUMS").unlink()
    assert desk.attest().status == 1, "its signature stands there still"
    (desk.out / "ann.SHA256SUMS.sig").unlink()
    (desk.out / "ann.SHA256SUMS.sig").symlink_to(desk.folder / "elsewhere")
    assert desk.attest().status == 1, "a dangling link is there too"
    assert not (desk.folder / "elsewhere").exists()


@refuses("MED-WRITE")
def test_a_full_disk_leaves_nothing(desk: Desk) -> None:
    pins = tuple(word for n in range(40) for word in ("--pin", f"p{n}={'x' * 250}"))
    words = ("attest", desk.image, "--builder", "ann", "--key", desk.ssh(), "--output", desk.out)
    done = process(*words, *pins, limit=8)
    assert (done.status, "MED-WRITE" in done.err, "Traceback" in done.err) == (3, True, False)
    assert list(desk.out.iterdir()) == []
    assert process(*words, *pins).status == 0


@refuses("MED-FOLDER")
@pytest.mark.parametrize("kind", ["nothing", "a file"])
def test_no_folder_is_made_for_an_output(desk: Desk, kind: str) -> None:
    desk.out.rmdir()
    if kind == "a file":
        desk.out.write_text("a file\n", "utf-8")
    done = desk.attest(key=desk.folder / "a key that nobody was asked for")
    assert (done.status, "MED-FOLDER" in done.err, "mkdir -p" in done.err) == (3, True, True)
    assert desk.out.is_dir() is False


def test_killed_when_a_file_is_to_get_its_name_leaves_nothing(desk: Desk) -> None:
    die = "import os; os.link = lambda *_, **__: os.kill(os.getpid(), 9); "
    words = ("attest", desk.image, "--builder", "ann", "--key", desk.ssh(), "--output", desk.out)
    assert process(*words, before=die).status == -9
    assert list(desk.out.iterdir()) == []
    assert process(*words).status == 0


def test_where_files_cannot_be_nameless_they_are_renamed(desk: Desk) -> None:
    """FAT, as on sticks: open(2) with O_TMPFILE says that it is not supported."""
    fat = (
        "import os, errno; real = os.open\n"
        "def opened(path, flags, *a, **k):\n"
        "    if flags & os.O_TMPFILE == os.O_TMPFILE:\n"
        "        raise OSError(errno.EOPNOTSUPP, 'no')\n"
        "    return real(path, flags, *a, **k)\n"
        "os.open = opened\n"
    )
    words = ("attest", desk.image, "--builder", "ann", "--key", desk.ssh(), "--output", desk.out)
    done = process(*words, before=fat)
    assert done.status == 0, done.err
    names = sorted(path.name for path in desk.out.iterdir())
    assert names == ["ann.SHA256SUMS", "ann.SHA256SUMS.sig"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("x",),
        ("x", "--builder", "b"),
        ("x", "y", "--builder", "b", "--key", "k"),
        ("x", "--builder", "b", "--key", "k", "--artifact", "a"),
        ("x", "--builder", "b", "--key", "k", "--policy", "p"),
        ("--verify",),
        ("--verify", "--twice", "x"),
        ("--twice", "--builder", "b", "--key", "k"),
        ("--twice", "--builder", "b", "--key", "k", "--artifact", "a"),
        ("--twice", "--builder", "b", "--key", "k", "--artifact", "a", "--hours", "0", "--", "c"),
        ("x", "--builder", "b", "--key", "k", "--dirty", "perhaps"),
    ],
)
def test_wrong_usage(desk: Desk, words: tuple[str, ...]) -> None:
    done = desk.run("attest", *words)
    assert (done.status, "usage:" in done.err) == (2, True)


@refuses("ATT-BUILDER")
@pytest.mark.parametrize("builder", ["../x", "a/b", "", "-x", "a\x1b"])
def test_a_builders_id_that_is_no_file_name(desk: Desk, builder: str) -> None:
    words = ("attest", desk.image, f"--builder={builder}", "--key", desk.ssh())
    done = desk.run(*words, "--output", desk.out)
    assert (done.status, "ATT-BUILDER" in done.err, any(desk.out.iterdir())) == (1, True, False)
