"""seal: what is put out reads back; every role speaks; the log ends with its close line."""

from __future__ import annotations

import hashlib

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony import bundle
from ceremony.events import Outcome, OutputFile, OutputsWritten
from ceremony.ports import Report
from ceremony.types import MediaFile
from transcripts import store
from tui.rehearsal.prepare import Prepared


@accepts("TRN-BUNDLE", "TRN-IMAGE", "APP-AGREE")
def test_what_is_in_the_bundle(finished: Prepared) -> None:
    names = {p.relative_to(finished.out).as_posix() for p in finished.out.rglob("*") if p.is_file()}
    assert names == {
        "anchor.efi",
        "anchor.signed.efi",
        "anchor.p7",
        "transcript.jsonl",
        "checkpoint.txt",
        "checkpoint.ines.sshsig",
        "checkpoint.ed.sshsig",
        "policy.toml",
        "policy.toml.owner-1.sshsig",
        "policy.toml.owner-2.sshsig",
        "in/attestations/alice.sha256",
        "in/attestations/alice.sha256.minisig",
        "in/attestations/bob.intoto.json",
        "in/attestations/ci-a.SHA256SUMS",
        "in/attestations/ci-a.SHA256SUMS.sig",
        "in/flake.lock",
        "SHA256SUMS",
    }


def test_the_outputs_were_read_back_from_the_disk(finished: Prepared) -> None:
    (written,) = [e for e in rehearsing.events(finished) if isinstance(e, OutputsWritten)]
    for file in written.files:
        data = (finished.out / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)


@refuses("APP-AGREE")
def test_one_who_does_not_agree_keeps_it_from_release(prepared: Prepared) -> None:
    ended = rehearsing.held(prepared, {"seal.statement": ("do not agree: the door was open",)})
    assert ended.closed.outcome is Outcome.DISPUTED
    assert not ended.released
    assert rehearsing.refused_rules(ended) == {"APP-AGREE"}
    assert "the door was open" in ended.closed.why[0].text
    assert rehearsing.replayed(prepared).outcome == "disputed"


@refuses("MED-WRITE")
def test_an_output_that_reads_back_differently_is_noticed(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, damage = store.BundleFolder._read_back, [True]

    def damaged(self: store.BundleFolder, name: str, report: Report) -> OutputFile:
        path = self.folder / name
        if damage and name.endswith(".signed.efi"):
            damage.clear()
            data = bytearray(path.read_bytes())
            data[100] ^= 1
            path.write_bytes(data)
        return whole(self, name, report)

    monkeypatch.setattr(store.BundleFolder, "_read_back", damaged)
    assert rehearsing.held(prepared).released
    outcomes = [d.outcome for d in rehearsing.decisions(prepared, "seal.verdict")]
    assert outcomes == [Outcome.REFUSED, Outcome.OK]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_the_unsigned_image_is_left_out_when_the_policy_says_so(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[outputs]\nunsigned = false\n\n[machine]"))
    assert rehearsing.held(prepared).released
    assert not (prepared.out / "anchor.efi").exists()
    assert rehearsing.replayed(prepared).verdict == "INCOMPLETE"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("anchor.efi", "anchor.signed.efi"),
        ("result/anchor.efi", "anchor.signed.efi"),
        ("../../etc/passwd", "passwd.signed.efi"),
        ("-rf.efi", "image.signed.efi"),
        ("\x1b[2J.efi", "image.signed.efi"),
        ("transcript.jsonl", "image.signed.efi"),
        ("flashbox-l1_2026-06-29.322227.efi", "flashbox-l1_2026-06-29.322227.signed.efi"),
    ],
)
def test_names_of_outputs_are_plain(path: str, name: str) -> None:
    assert bundle.signed_name(path) == name


@pytest.mark.parametrize(
    "path", ["../up", "/etc/passwd", "a/../b", ".hidden", "a//b", "x/" * 20 + "y", "a\nb", "ä"]
)
def test_a_hostile_path_is_replaced_by_its_digest(path: str) -> None:
    names = bundle.medium_names((MediaFile(path, b"data"), MediaFile("a/b.sig", b"")))
    assert names[path] == "in-by-digest/" + hashlib.sha256(b"data").hexdigest()
    assert names["a/b.sig"] == "in/a/b.sig"


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/B.sig", "A/b.sig"), ("x", "x/y"), ("x", "X./y"), ("name", "name."), ("d" * 64, "D" * 64)],
)
def test_paths_that_could_meet_on_a_fat_medium_are_kept_apart(one: str, other: str) -> None:
    files = (MediaFile(one, b"1"), MediaFile(other, b"2"))
    names = bundle.medium_names(files)
    assert len({name.casefold() for name in names.values()}) == 2
    assert all(name.startswith("in-by-digest/") for name in names.values())
