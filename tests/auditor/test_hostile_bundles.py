"""A stranger's files where a bundle is expected: a verdict or a refusal, bounded, no traceback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from auditor import forging

ROOT = Path(__file__).resolve().parents[2]
AUDITOR = ROOT / "transcripts" / "auditor.py"
HAPPY = ROOT / "transcripts" / "golden" / "happy" / "bundle"


def audited(*arguments: Path | str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-I", AUDITOR, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HAPPY, tmp_path / "bundle"))


def a_link(bundle: Path) -> None:
    (bundle / "checkpoint.txt").rename(bundle.parent / "elsewhere")
    (bundle / "checkpoint.txt").symlink_to(bundle.parent / "elsewhere")


def a_linked_folder(bundle: Path) -> None:
    (bundle / "in").rename(bundle.parent / "in")
    (bundle / "in").symlink_to(bundle.parent / "in")


def a_pipe(bundle: Path) -> None:
    (bundle / "transcript.jsonl").unlink()
    os.mkfifo(bundle / "transcript.jsonl")


def a_socket(bundle: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(bundle / "s"))


def a_name_with_a_newline(bundle: Path) -> None:
    (bundle / "a\nb").write_bytes(b"")


def a_name_that_is_not_utf8(bundle: Path) -> None:
    (Path(os.fsdecode(os.fsencode(bundle) + b"/\xff"))).write_bytes(b"")


def deep_folders(bundle: Path) -> None:
    (bundle / "/".join("d" * 20)).mkdir(parents=True)


def a_sparse_terabyte(bundle: Path) -> None:
    with (bundle / "anchor.signed.efi").open("r+b") as file:
        file.truncate(2**40)


BAD_FOLDERS: list[Callable[[Path], None]] = [
    a_link, a_linked_folder, a_pipe, a_socket, a_name_with_a_newline, a_name_that_is_not_utf8,
    deep_folders, a_sparse_terabyte,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD_FOLDERS, ids=lambda spoil: spoil.__name__)
def test_what_is_no_bundle_differs(spoil: Callable[[Path], None], bundle: Path) -> None:
    spoil(bundle)
    status, said, complained = audited(bundle)
    assert (status, complained) == (1, "")
    assert said.startswith("refuse TRN-BUNDLE: ")
    assert said.endswith("DIFFERS\n")


NONSENSE = {
    "nothing": b"",
    "a line feed": b"\n",
    "NUL": b"\0" * 1000 + b"\n",
    "Latin-1": b"\xe4\n",
    "brackets": b"[" * 10**6 + b"\n",
    "objects": b'{"a":' * 10**5 + b"\n",
    "digits": b"1" * 10**6 + b"\n",
    "a string without an end": b'"' + b"x" * 10**6 + b"\n",
    "a lone surrogate": b'"\\ud800"\n',
    "more digits than 64 bits": b"123456789012345678901\n",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_a_transcript_of_nonsense_is_never_reproduced(data: bytes, bundle: Path) -> None:
    (bundle / "transcript.jsonl").write_bytes(data)
    status, said, complained = audited(bundle)
    assert (status, complained) == (1, "")
    assert said.endswith(("FORGED\n", "DIFFERS\n"))


def test_a_line_of_a_gigabyte_is_not_held_in_memory(bundle: Path) -> None:
    with (bundle / "transcript.jsonl").open("r+b") as file:
        file.truncate(10**9)
    limit = "import resource, sys, runpy; resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2)"
    run = f"{limit}; sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", run, AUDITOR, bundle],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "a line of more than" in done.stdout
    assert done.stdout.endswith("FORGED\n")


@pytest.mark.parametrize("member", ["policy", "signatures"])
def test_a_file_in_an_unknown_encoding_is_no_traceback(member: str, bundle: Path) -> None:
    files = {"transcript.jsonl": (bundle / "transcript.jsonl").read_bytes()}
    values = forging.values_of(files)
    blob = values[1]["body"][member]
    (blob[0] if member == "signatures" else blob)["encoding"] = "base32"
    made = forging.relinked(files, values)
    (bundle / "transcript.jsonl").write_bytes(made["transcript.jsonl"])
    status, said, _ = audited(bundle)
    assert (status, "unknown encoding" in said) == (1, True)


def test_what_cannot_be_read_gives_no_verdict(tmp_path: Path) -> None:
    status, said, complained = audited(tmp_path / "nowhere")
    assert (status, said) == (3, "")
    assert complained.startswith("auditor.py: no result: ")
    status, said, _ = audited(HAPPY, tmp_path)
    assert (status, said) == (3, "")


def test_wrong_usage_is_2() -> None:
    assert audited()[0] == 2
    assert audited("--no-such-option", HAPPY)[0] == 2


def test_text_from_the_bundle_is_escaped(bundle: Path) -> None:
    (bundle / "\u202eevil").write_bytes(b"")
    assert "\\u202eevil" in audited(bundle)[1]
