"""Replay and the stand-alone auditor give the same verdict on every damaged and forged bundle.

Where they may differ is written down below, with the reason, and nowhere else. The families run
as a fixed sample; `make agree` runs all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import rehearsing
from auditor import forging
from auditor.forging import Bundle, Keys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from ceremony.ingest.reading import read_folder
from transcripts.auditor import audit
from transcripts.replay import replay
from tui.rehearsal.prepare import Prepared

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
KINDS = sorted(path.name for path in GOLDEN.iterdir())
EVERYTHING = os.environ.get("UKI_CEREMONY_MUTATIONS") == "all"

# Changes that only replay sees, because it judges again. All witnesses must have signed the
# change: anybody else is stopped by the countersignatures, and both say FORGED.
ONLY_REPLAY = (
    (r".*_verdict|.*\.verdict|sign\.preflight|close\.transcript", r"findings.*", "their words"),
    (r"open\.policy_verdict", r"facts.*", "what a refused policy would have meant"),
    (r"inventory\.machine|inventory\.verdict", r".*", "the machine's rules"),
    (r"ingest\.media", r"(manifest|problems|archives|image).*", "the medium's rules"),
    (r"inspect\.verdict", r"facts.*", "what the image means and holds"),
    (r"judge\.verdict", r"facts.*", "the quorum"),
    (r"judge\.override_verdict", r"findings.*", "which of them the veto was"),
    (r"sign\.(token|login|room)", r".*", "the token's and the media's fitness"),
    (r"verify\.second", r"tool|text", "the words of the other implementation"),
    (r".*", r"shown.*", "the words on the screen"),
    (r"read_back\.drawn", r"positions.*", "the places on a screen whose words were wrong anyway"),
    (r"ceremony\.abort", r"person|reason", "the words of the close line's finding"),
)


def step(sampled: int) -> int:
    return 1 if EVERYTHING else sampled


class Desk:
    """A folder that bundles are laid out in, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there: Bundle = {}

    def both(self, files: Bundle) -> tuple[str, str]:
        """Return what replay and the auditor say of a bundle."""
        self._folder.mkdir(exist_ok=True)
        for name in self._there.keys() - files.keys():
            (self._folder / name).unlink()
        for name, data in files.items():
            if self._there.get(name) != data:
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self._there = files
        return str(replay(files).verdict), audit(str(self._folder), None).verdict

    def differences(self, family: Iterable[tuple[str, Bundle]]) -> dict[str, tuple[str, str]]:
        """Return what they do not agree on, by name; no family may be empty."""
        judged = {name: self.both(files) for name, files in family}
        assert judged
        return {name: said for name, said in judged.items() if len(set(said)) > 1}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture
def bundle(finished: Prepared) -> Bundle:
    return read_folder(finished.out)


@pytest.fixture
def keys(finished: Prepared) -> Keys:
    return people_of(finished)


def people_of(prepared: Prepared) -> Keys:
    made = {}
    for path in (prepared.folder / "people").iterdir():
        if not path.suffix:
            key = load_ssh_private_key(path.read_bytes(), None)
            assert isinstance(key, Ed25519PrivateKey)
            made[path.name] = key
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_they_agree_on_a_damaged_example(kind: str, desk: Desk) -> None:
    files = read_folder(GOLDEN / kind / "bundle")
    assert desk.differences(forging.damaged(files, step(17))) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_they_agree_on_lines_that_a_forger_moved(kind: str, desk: Desk) -> None:
    files = read_folder(GOLDEN / kind / "bundle")
    moved = [*forging.moved(files, step(13))]
    assert desk.differences(moved) == {}
    strangers = ((name, forging.resigned(made, {})) for name, made in moved)
    assert desk.differences(strangers) == {}


def test_they_agree_on_what_a_forger_with_a_purpose_makes(
    bundle: Bundle, keys: Keys, desk: Desk, finished: Prepared, prepared: Prepared
) -> None:
    rehearsing.held_later(prepared, finished)
    other = read_folder(prepared.out)
    for name, files in forging.forged(bundle, other, keys):
        by_replay, by_auditor = desk.both(files)
        assert by_auditor != "REPRODUCED", name
        assert by_replay == by_auditor, name


def test_they_agree_on_lines_that_all_witnesses_moved(
    bundle: Bundle, keys: Keys, desk: Desk
) -> None:
    moved = forging.moved(bundle, step(2))
    assert desk.differences((name, forging.resigned(made, keys)) for name, made in moved) == {}


def test_only_judging_again_sees_what_all_witnesses_changed(
    bundle: Bundle, keys: Keys, desk: Desk
) -> None:
    changed = forging.changed(bundle, step(7))
    family = ((name, forging.resigned(made, keys)) for name, made in changed)
    for name, said in desk.differences(family).items():
        event, path = name.split(" (")[0].split(" ")
        assert said == ("DIFFERS", "REPRODUCED"), (name, said)
        assert any(
            re.fullmatch(events, event) and re.fullmatch(paths, path)
            for events, paths, _ in ONLY_REPLAY
        ), name


@pytest.fixture
def imageless(prepared: Prepared) -> Bundle:
    rehearsing.edit_policy(prepared, ("[machine]", "[outputs]\nunsigned = false\n\n[machine]"))
    rehearsing.held(prepared)
    return read_folder(prepared.out)


def test_a_forged_order_behind_a_missing_image_is_forged_for_both(
    imageless: Bundle, prepared: Prepared, desk: Desk
) -> None:
    keys = people_of(prepared)
    assert desk.both(imageless) == ("INCOMPLETE", "INCOMPLETE")
    family = [*forging.moved(imageless, step(3))]
    signed = [(name, forging.resigned(made, keys)) for name, made in family]
    assert desk.differences(signed) == {}
    behind = [name for name, made in signed if "FORGED" in desk.both(made)]
    assert len(behind) > len(signed) // 2


def test_what_all_witnesses_changed_behind_a_missing_image(
    imageless: Bundle, prepared: Prepared, desk: Desk
) -> None:
    keys = people_of(prepared)
    changed = forging.changed(imageless, step(7))
    family = ((name, forging.resigned(made, keys)) for name, made in changed)
    for name, said in desk.differences(family).items():
        event, path = name.split(" (")[0].split(" ")
        assert said == ("DIFFERS", "INCOMPLETE"), (name, said)
        assert any(
            re.fullmatch(events, event) and re.fullmatch(paths, path)
            for events, paths, _ in ONLY_REPLAY
        ), name


@pytest.mark.skipif(not EVERYTHING, reason="UKI_CEREMONY_MUTATIONS=all, as make agree sets it")
@pytest.mark.parametrize("kind", ["misheard", "disputed", "refused"])
def test_they_agree_on_every_change_in_other_ceremonies(
    kind: str, prepared: Prepared, keys: Keys, desk: Desk
) -> None:
    instead: dict[str, dict[str, tuple[str, ...]]] = {
        "misheard": {
            "read_back.words": ("aardvark adroitness absurd adviser accrue aftermath",),
            "pin": ("000000000",),
            "open.clock_read": ("2020-01-01 00:00",),
        },
        "disputed": {"seal.statement": ("do not agree: the door was open",)},
    }
    if kind == "refused":
        (prepared.media / "attestations/bob.intoto.json").unlink()
    rehearsing.held(prepared, instead.get(kind))
    files = read_folder(prepared.out)
    test_they_agree_on_lines_that_all_witnesses_moved(files, keys, desk)
    test_only_judging_again_sees_what_all_witnesses_changed(files, keys, desk)
