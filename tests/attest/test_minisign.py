"""minisign signatures agree with the real minisign, both ways; both signatures are checked."""

from __future__ import annotations

import base64
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of
from quorum.release import COMMIT, STAMP
from quorum.tool_keys import MinisignKey

from ceremony.attest.minisign import (
    TRUSTED,
    UNTRUSTED,
    read_comment,
    read_minisign,
    verify_minisign,
    write_minisign,
)
from ceremony.errors import Refused
from ceremony.keys import from_ed25519, parse_minisign

MESSAGE = b"0123456789abcdef  anchor.efi\n"
COMMENT = f"timestamp:{STAMP}\tgithub.com/acme/anchor/commit/{COMMIT}"


@accepts("ATT-MINISIGN", "ATT-SIGNATURE")
@pytest.mark.parametrize("legacy", [(), ("-l",)])
def test_what_minisign_signs_verifies(minisign_key: MinisignKey, legacy: tuple[str, ...]) -> None:
    key, key_id = parse_minisign(minisign_key.line)
    signature = read_minisign(minisign_key.sign(MESSAGE, COMMENT, *legacy))
    assert signature.algorithm == (b"Ed" if legacy else b"ED")
    assert signature.key_id == key_id.hex()
    assert signature.trusted_comment == COMMENT
    verify_minisign(signature, MESSAGE, key)


@refuses("ATT-SIGNATURE")
def test_changed_bytes_comments_and_algorithms_do_not_fit(minisign_key: MinisignKey) -> None:
    key, _ = parse_minisign(minisign_key.line)
    data = minisign_key.sign(MESSAGE, COMMENT)
    fields = base64.b64decode(data.split(b"\n")[1])
    relabelled = base64.b64encode(b"Ed" + fields[2:])
    for changed, message in (
        (data, MESSAGE + b"\n"),
        (data.replace(COMMIT.encode(), b"e" * 40), MESSAGE),
        (data.replace(data.split(b"\n")[1], relabelled), MESSAGE),
    ):
        with pytest.raises(Refused, match="ATT-SIGNATURE"):
            verify_minisign(read_minisign(changed), message, key)


def test_what_is_written_here_verifies_in_minisign(tmp_path: Path) -> None:
    private, key_id = Ed25519PrivateKey.generate(), bytes(range(8))
    raw = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    public = base64.b64encode(b"Ed" + key_id + raw).decode()
    data = write_minisign(private, key_id, MESSAGE, COMMENT)
    (tmp_path / "x").write_bytes(MESSAGE)
    (tmp_path / "x.minisig").write_bytes(data)
    command: list[str | Path] = ["minisign", "-V", "-P", public, "-m", tmp_path / "x"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert COMMIT in done.stdout
    verify_minisign(read_minisign(data), MESSAGE, from_ed25519(raw))
    (tmp_path / "x").write_bytes(MESSAGE + b"\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@refuses("ATT-MINISIGN")
@pytest.mark.parametrize(
    ("untrusted", "trusted"),
    [
        (1022 - len(UNTRUSTED), 0),
        (1023 - len(UNTRUSTED), 0),
        (0, 8190 - len(TRUSTED)),
        (0, 8191 - len(TRUSTED)),
    ],
    ids=["longest untrusted", "too long untrusted", "longest trusted", "too long trusted"],
)
@pytest.mark.parametrize("letter", ["c", "\u00e9"], ids=["ascii", "two bytes a letter"])
def test_a_comment_that_minisign_takes_for_too_long_is_refused(
    untrusted: int, trusted: int, letter: str, tmp_path: Path
) -> None:
    """Lengths are bytes of the line, with its "untrusted comment: " or "trusted comment: "."""
    size = len(letter.encode())
    private = Ed25519PrivateKey.generate()
    comment = letter * (trusted // size) + "x" * (trusted % size)
    first, rest = write_minisign(private, bytes(8), MESSAGE, comment).split(b"\n", 1)
    if untrusted:
        first = (UNTRUSTED + letter * (untrusted // size) + "x" * (untrusted % size)).encode()
    assert tool_and_reader_agree(private, first + b"\n" + rest, tmp_path) == (
        len(first) <= 1022 and len(rest.split(b"\n")[1]) <= 8190
    )


@refuses("ATT-MINISIGN")
def test_a_nul_at_which_minisign_takes_a_comment_to_end_is_refused(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    data = write_minisign(private, bytes(8), MESSAGE, COMMENT)
    assert tool_and_reader_agree(private, data, tmp_path)
    assert not tool_and_reader_agree(
        private, data.replace(b"comment: s", b"comment: \0s"), tmp_path
    )


def tool_and_reader_agree(private: Ed25519PrivateKey, data: bytes, folder: Path) -> bool:
    """Return whether minisign verifies it, after the check that the reader says the same."""
    raw = private.public_key().public_bytes_raw()
    public = base64.b64encode(b"Ed" + bytes(8) + raw).decode()
    (folder / "x").write_bytes(MESSAGE)
    (folder / "x.minisig").write_bytes(data)
    command: list[str | Path] = ["minisign", "-V", "-P", public, "-m", folder / "x"]
    good = subprocess.run(command, capture_output=True, check=False).returncode == 0
    with nullcontext() if good else pytest.raises(Refused, match="ATT-MINISIGN"):
        verify_minisign(read_minisign(data), MESSAGE, from_ed25519(raw))
    return good


FIELDS = base64.b64encode(b"ED" + bytes(72)).decode()
OUTER = base64.b64encode(bytes(64)).decode()
GOOD = f"untrusted comment: a\n{FIELDS}\ntrusted comment: b\n{OUTER}\n"


def test_the_parts_make_a_readable_signature() -> None:
    assert read_minisign(GOOD.encode()).trusted_comment == "b"


@refuses("ATT-MINISIGN")
@pytest.mark.parametrize(
    "text",
    [
        *("", GOOD[:-1], GOOD + "\n", GOOD.replace("\n", "\r\n"), GOOD.replace("b\n", "b\r\n")),
        *(GOOD[1:], GOOD.replace("\ntrusted", "\nTrusted"), GOOD.replace(": b", ": " + "b" * 9000)),
        *(GOOD.replace("A=\n", "=\n", 1), GOOD.replace("==\n", "=\n"), "x" * 70000),
        GOOD.replace(FIELDS, base64.b64encode(b"ED" + bytes(71)).decode()),
        GOOD.replace(FIELDS, base64.b64encode(b"RS" + bytes(72)).decode()),
        GOOD.replace(OUTER, base64.b64encode(bytes(63)).decode()),
    ],
)
def test_what_is_no_minisign_signature_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="ATT-MINISIGN"):
        read_minisign(text.encode())


def test_a_signature_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Refused, match="not UTF-8"):
        read_minisign(GOOD.encode().replace(b": b", b": \xff"))


@accepts("ATT-PIN")
def test_the_trusted_comment_gives_pins_and_time() -> None:
    words = f"{COMMENT} flake_lock:{'a' * 64} file:anchor.efi hashed isolation:docker x:y:z"
    claims = read_comment(words).claims(())
    assert claims.pins == (("flake_lock", "a" * 64), ("git_commit", COMMIT), ("x", "y:z"))
    assert claims.time is not None
    assert int(claims.time.timestamp()) == STAMP
    assert claims.self_claims == (("isolation", "docker"),)


@pytest.mark.parametrize(
    "comment",
    [
        f"https://github.com/acme/anchor/commit/{COMMIT}",
        f"git_commit:{COMMIT} github.com/acme/anchor/commit/{COMMIT}",
    ],
)
def test_a_commit_may_be_a_link_or_said_twice_alike(comment: str) -> None:
    assert read_comment(comment).claims(()).pins == (("git_commit", COMMIT),)


@refuses("ATT-PIN")
@pytest.mark.parametrize(
    "comment",
    [
        f"git_commit:{COMMIT} github.com/acme/anchor/commit/{'d' * 40}",
        *("git_commit:main", "flake_lock:abc", "timestamp:yesterday", "isolation:a isolation:b"),
        " ".join(f"pin_{n}:x" for n in range(65)),
    ],
)
def test_a_pin_that_contradicts_or_cannot_be_is_refused(comment: str) -> None:
    with pytest.raises(Refused, match="ATT-PIN"):
        read_comment(comment)


def test_an_unknown_pin_that_contradicts_itself_says_nothing() -> None:
    assert read_comment("colour:red colour:blue size:2").claims(()).pins == (("size", "2"),)


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_any_bytes_parse_or_are_refused(noise: bytes, at: int, cut: int) -> None:
    data = GOOD.encode()
    assert rule_of(read_minisign, data[:at] + noise + data[at + cut :]) in ("", "ATT-MINISIGN")
