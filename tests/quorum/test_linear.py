"""What judging does grows with what is on the medium and no faster: operations are counted."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from quorum.release import COMMIT, IMAGE, NOW, Release, facts, sha256, statement
from quorum.tool_keys import BareKey

from ceremony.attest import strict_json
from ceremony.blobs import from_blob
from ceremony.ingest.media import FolderMedia
from ceremony.keys import PublicKey
from ceremony.policy import Policy
from ceremony.quorum import judge

P = ParamSpec("P")
R = TypeVar("R")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def lay_out(folder: Path, release: Release, count: int) -> Path:
    """Write so many distinct envelopes of cat, and a stranger's beside each."""
    folder.mkdir()
    cat, stranger = release.keys["cat"], release.keys["eve"]
    assert isinstance(cat, BareKey)
    assert isinstance(stranger, BareKey)
    for number in range(count):
        pins = {"git_commit": COMMIT, "round": f"{number:05}"}
        payload = statement(sha256(IMAGE), "anchor.efi", pins, finished=NOW - timedelta(days=2))
        (folder / f"{number:05}.intoto.json").write_bytes(cat.envelope(payload))
        (folder / f"{number:05}.more.intoto.json").write_bytes(stranger.envelope(payload))
    return folder


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count calls of the system for files, their bytes, and checks of signatures."""
    found: Counter[str] = Counter()
    thread = threading.get_ident()

    def watched(name: str, really: Callable[P, R]) -> Callable[P, R]:
        def counted(*args: P.args, **more: P.kwargs) -> R:
            ours = threading.get_ident() == thread  # pytest's own threads read and write too
            found[name] += ours
            answer = really(*args, **more)
            found["bytes"] += len(answer) if ours and isinstance(answer, bytes) else 0
            return answer

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "fstat", "stat", "lstat", "read", "close"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        patch.setattr(PublicKey, "verify", watched("verify", PublicKey.verify))
        patch.setattr(strict_json, "loads", watched("parsed", strict_json.loads))
        yield found


def cost(folder: Path, policy: Policy) -> Counter[str]:
    """Return what it costs to read a medium and to judge it."""
    with counting() as found:
        media, _ = FolderMedia(folder, folder).read(("anchor.efi",), 1 << 20, lambda _: None)
        files = tuple(from_blob(blob) for blob in media.files)
        verdict = judge(policy, "anchor.efi", facts(), files, NOW)
    assert len(verdict.dispositions) == len(files)
    assert [row.answer for row in verdict.matrix if row.builder == "cat"] == ["match"]
    return found


def held_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_twice_as_many_attestations_cost_twice_as_much(release: Release, tmp_path: Path) -> None:
    policy = release.policy()
    least = cost(lay_out(tmp_path / "0", release, 1), policy)
    one = cost(lay_out(tmp_path / "1", release, 41), policy)
    two = cost(lay_out(tmp_path / "2", release, 81), policy)
    for number, found in enumerate((least, one, two)):  # one ECDSA signature in 128 is shorter
        found["bytes"] -= held_in(tmp_path / f"{number}")
    assert {name: two[name] - one[name] for name in two} == {
        name: one[name] - least[name] for name in one
    }


def test_a_file_is_opened_once_read_once_and_its_signature_checked_once(
    release: Release, tmp_path: Path
) -> None:
    policy = release.policy()
    least = cost(lay_out(tmp_path / "0", release, 1), policy)
    many = cost(lay_out(tmp_path / "1", release, 51), policy)
    more = {name: many[name] - least[name] for name in many}
    held = held_in(tmp_path / "1") - held_in(tmp_path / "0")
    # Without a keyid every bare key of the policy is tried, for a stranger's signature all of them.
    assert 0 < least["verify"] <= 2 * len(policy.bare_keys)
    # The status of a file is asked for before and after it is read.
    assert {name: number for name, number in more.items() if number} == {
        **dict.fromkeys(("open", "read", "close"), 100),
        "fstat": 200,
        "bytes": held,
        "verify": 50 * least["verify"],
        "parsed": 200,
    }
