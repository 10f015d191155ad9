"""Large files of a bundle: the unsigned image is copied, others are read where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from marks import accepts, refuses

from ceremony.content import octets_of
from ceremony.errors import Refused
from ceremony.ingest.on_disk import OnDisk
from ceremony.ingest.sealed_copy import SealedCopy
from transcripts import files as bundles
from transcripts.files import read_bundle
from transcripts.replay import Verdict, replay
from tui.rehearsal.prepare import Prepared


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of a few bytes be a large one."""
    monkeypatch.setattr(bundles, "LARGE", 64)


@pytest.mark.usefixtures("small")
@accepts("TRN-BUNDLE", "TRN-IMAGE")
def test_a_bundle_of_large_files_is_reproduced(finished: Prepared) -> None:
    files = read_bundle(finished.out)
    kinds = {name: type(file) for name, file in files.items()}
    assert kinds["anchor.efi"] is SealedCopy
    assert kinds["anchor.signed.efi"] is OnDisk
    assert kinds["in/flake.lock"] is OnDisk
    assert {kinds[n] for n in ("transcript.jsonl", "SHA256SUMS", "policy.toml")} == {bytes}
    assert {kind for name, kind in kinds.items() if name.startswith("checkpoint.")} == {bytes}
    assert {n: octets_of(f) for n, f in files.items()} == {
        str(path.relative_to(finished.out)): path.read_bytes()
        for path in finished.out.rglob("*")
        if path.is_file()
    }
    assert replay(files).verdict is Verdict.REPRODUCED


@pytest.mark.usefixtures("small")
def test_what_the_caller_holds_is_not_copied_again(finished: Prepared) -> None:
    held = read_bundle(finished.out, {"anchor.efi"})
    assert type(held["anchor.efi"]) is OnDisk
    assert replay(held).verdict is Verdict.REPRODUCED


@pytest.mark.usefixtures("small")
def test_few_files_are_copied_whatever_they_are_called(finished: Prepared) -> None:
    for number in range(9):
        (finished.out / f"another{number}.efi").write_bytes(bytes(100))
    files = read_bundle(finished.out)
    copied = [name for name, file in files.items() if isinstance(file, SealedCopy)]
    assert len(copied) == bundles.MOST_JUDGED
    assert "anchor.efi" in copied
    assert replay(files).verdict is Verdict.DIFFERS


@refuses("MED-CHANGED")
@pytest.mark.usefixtures("small")
def test_a_signed_image_that_changes_while_it_is_replayed(finished: Prepared) -> None:
    files = read_bundle(finished.out)
    with (finished.out / "anchor.signed.efi").open("ab") as file:
        file.write(b"more")
    with pytest.raises(Refused) as refused:
        replay(files)
    assert refused.value.findings[0].rule == "MED-CHANGED"


@pytest.mark.usefixtures("small")
def test_the_unsigned_image_may_go_away_once_it_was_copied(finished: Prepared) -> None:
    files = read_bundle(finished.out)
    path: Path = finished.out / "anchor.efi"
    path.write_bytes(b"other")
    assert replay(files).verdict is Verdict.REPRODUCED
