"""close: the checkpoint covers every line, people sign it, stock tools agree."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import rehearsing
from killing import run_and_die
from marks import accepts, refuses

from ceremony.engine import Rules, fold, step
from ceremony.errors import OutOfOrder, Refused
from ceremony.events import Aborted, Excepted
from ceremony.ingest.reading import read_folder
from ceremony.states import Close
from transcripts.files import make_folder
from transcripts.replay import Verdict
from tui import ssh_keys
from tui.commands.rehearse import places_of
from tui.faces import Closing
from tui.plain import PlainFace
from tui.publishing import Publisher
from tui.rehearsal.prepare import Prepared
from tui.rehearsal.script import ScriptFace
from tui.wiring import hold


@accepts("TRN-COUNTERSIGNATURE", "TRN-LOG")
def test_ssh_keygen_verifies_what_the_witnesses_signed(finished: Prepared) -> None:
    for person in ("ines", "ed"):
        allowed = finished.folder / "allowed"
        public = (finished.folder / f"people/{person}.pub").read_text()
        allowed.write_text(f"{person} {public}")
        signature = finished.out / f"checkpoint.{person}.sshsig"
        done = subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", person,
             "-n", "transcript@uki-ceremony", "-s", signature],
            input=(finished.out / "checkpoint.txt").read_bytes(),
            capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@accepts("MED-WRITE")
def test_what_a_pulled_medium_held_is_restored_where_its_folder_is_made_again(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was lacking was looked for before the folder was made, and refused as missing."""

    def pulled(folder: Path) -> None:
        folder.rename(folder.with_name("pulled"))
        make_folder(folder)

    monkeypatch.setattr("tui.publishing.make_folder", pulled)
    ended = rehearsing.held(prepared)
    assert set(ended.witnesses) == {"ines", "ed"}
    assert rehearsing.replayed(prepared).verdict is Verdict.REPRODUCED
    assert {one.name for one in prepared.out.iterdir()} > {
        one.name for one in prepared.folder.joinpath("pulled").iterdir()
    }


def test_sha256sum_checks_the_bundle(finished: Prepared) -> None:
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=finished.out,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_both_logs_are_the_transcript(finished: Prepared) -> None:
    whole = (finished.out / "transcript.jsonl").read_bytes()
    assert [log.joinpath("transcript.jsonl").read_bytes() for log in finished.logs] == [whole] * 2


class NobodySigns(ScriptFace):
    def countersign(self, closing: object) -> str | None:
        return None


@refuses("TRN-COUNTERSIGNATURE")
def test_too_few_witnesses_is_signed_but_not_released(prepared: Prepared) -> None:
    ended = hold(rehearsing.places_of(prepared), NobodySigns(prepared.sheet))
    assert (ended.closed.outcome, ended.released, ended.needed) == ("ok", False, 2)
    found = rehearsing.replayed(prepared)
    assert (found.verdict, [f.rule for f in found.findings]) == (
        "INCOMPLETE",
        ["TRN-COUNTERSIGNATURE"],
    )


def test_the_same_command_comes_back_for_late_witnesses(prepared: Prepared) -> None:
    hold(rehearsing.places_of(prepared), NobodySigns(prepared.sheet))
    before = (prepared.out / "transcript.jsonl").read_bytes()
    assert rehearsing.held(prepared).released
    assert (prepared.out / "transcript.jsonl").read_bytes() == before
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    with pytest.raises(Refused, match="TRN-LOG"):
        rehearsing.held(prepared)


@refuses("TRN-COUNTERSIGNATURE")
@pytest.mark.parametrize(
    "fault", ["namespace", "text", "stranger", "administrator", "garbage", "mistyped"]
)
def test_a_countersignature_that_does_not_hold(prepared: Prepared, fault: str) -> None:
    said: list[str] = []

    class Offers(ScriptFace):
        offered = False

        def countersign(self, closing: Closing) -> str | None:
            if self.offered:
                return None
            self.offered = True
            text = closing.head.text if fault != "text" else closing.head.text + b"x"
            name = {"stranger": "owner-1", "administrator": "carol"}.get(fault, "ed")
            namespace = "file" if fault == "namespace" else "transcript@uki-ceremony"
            data = ssh_keys.sign(prepared.person_key(name), namespace, text)
            path = prepared.folder / "offered.sig"
            path.write_bytes(b"\x00" if fault == "garbage" else data)
            return str(path) + ("x" if fault == "mistyped" else "")

        def tell(self, news: object) -> None:
            if isinstance(news, tuple):
                said.extend(f.rule for f in news)

    ended = hold(rehearsing.places_of(prepared), Offers(prepared.sheet))
    assert ended.witnesses == ()
    if fault == "administrator":  # kept, and not counted towards the witnesses
        assert (prepared.out / "checkpoint.carol.sshsig").exists()
        assert said == []
    else:
        assert said == ["MED-PATH" if fault == "mistyped" else said[0]]
        assert not list(prepared.out.glob("checkpoint.*.sshsig"))


@refuses("TRN-COUNTERSIGNATURE")
def test_one_person_who_signs_twice_at_close_hears_it_and_counts_once(prepared: Prepared) -> None:
    heard: list[str] = []
    offers = ["carol", "carol", "ed", "ed", "ines", None]
    counts: list[int] = []

    class Twice(ScriptFace):
        def countersign(self, closing: Closing) -> str | None:
            counts.append(len(closing.signed))
            who = offers[len(counts) - 1]
            if who is None:
                return None
            path = prepared.folder / f"offer-{len(counts)}.sig"
            key = prepared.person_key(who)
            path.write_bytes(ssh_keys.sign(key, "transcript@uki-ceremony", closing.head.text))
            return str(path)

        def tell(self, news: object) -> None:
            if isinstance(news, tuple):
                heard.extend(f"{f.rule}: {f.text}" for f in news)

    ended = hold(rehearsing.places_of(prepared), Twice(prepared.sheet))
    assert (counts, ended.witnesses) == ([0, 0, 0, 1, 1, 2], ("ed", "ines"))
    assert [line.split(";")[0] for line in heard] == [
        f"TRN-COUNTERSIGNATURE: {who} has signed this checkpoint already, and counts once"
        for who in ("carol", "ed")
    ]
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@refuses("TRN-LOG")
def test_a_closed_ceremony_is_not_begun_again(finished: Prepared) -> None:
    before = hashlib.sha256((finished.out / "SHA256SUMS").read_bytes()).digest()
    with pytest.raises(Refused) as refused:
        rehearsing.held(finished)
    assert refused.value.findings[0].rule == "TRN-LOG"
    assert hashlib.sha256((finished.out / "SHA256SUMS").read_bytes()).digest() == before


@refuses("TRN-LOG")
def test_a_rehearsals_logs_are_not_resumed_in_production(prepared: Prepared) -> None:
    run_and_die(prepared, "after", "10")
    with pytest.raises(Refused) as refused:
        hold(rehearsing.production(prepared), PlainFace(0, io.StringIO()))
    assert refused.value.findings[0].rule == "TRN-LOG"


def test_a_script_never_answers_in_production(prepared: Prepared) -> None:
    with pytest.raises(OutOfOrder, match="rehearsals only"):
        hold(rehearsing.production(prepared), ScriptFace(prepared.sheet))


def test_nothing_is_legal_after_the_close_line(finished: Prepared) -> None:
    events = tuple(rehearsing.events(finished))
    rules = Rules({finished.image_sha256: (finished.out / "anchor.efi").read_bytes()})
    closed = fold(events, rules)
    for event in (*events, Aborted("ed", "late"), Excepted("ed", "a", "b", "c")):
        with pytest.raises(OutOfOrder):
            step(closed, event, rules)


@pytest.fixture
def late(finished: Prepared, tmp_path: Path) -> Callable[[], tuple[str, ...]]:
    """Return how to publish the finished transcript into a folder "late"."""
    rules = Rules({finished.image_sha256: (finished.out / "anchor.efi").read_bytes()})
    state = fold(tuple(rehearsing.events(finished)), rules)
    head = rehearsing.replayed(finished).head
    assert head is not None
    assert isinstance(state, Close)
    signers = places_of(finished).signers
    publisher = Publisher(tmp_path / "late", rehearsing.script(finished), signers, rules.contents)
    transcript = (finished.out / "transcript.jsonl").read_bytes()
    return lambda: publisher.publish(transcript, head, state)


@accepts("TRN-BUNDLE", "MED-WRITE")
def test_outputs_that_are_gone_after_the_close_line_are_made_again(
    finished: Prepared, tmp_path: Path, late: Callable[[], tuple[str, ...]]
) -> None:
    assert len(late()) == 2
    assert read_folder(tmp_path / "late") == read_folder(finished.out)


@refuses("TRN-BUNDLE", "TRN-IMAGE")
def test_a_bundle_whose_output_was_changed_is_never_sealed(
    tmp_path: Path, late: Callable[[], tuple[str, ...]]
) -> None:
    late()
    (tmp_path / "late/SHA256SUMS").unlink()
    signed = bytearray((tmp_path / "late/anchor.signed.efi").read_bytes())
    signed[-1] ^= 1
    (tmp_path / "late/anchor.signed.efi").write_bytes(signed)
    with pytest.raises(Refused):
        late()
    assert not (tmp_path / "late/SHA256SUMS").exists()
