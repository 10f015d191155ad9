"""A ceremony that judged a Sigstore bundle, replayed with and without what verifies bundles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import rehearsing
from marks import accepts, refuses
from quorum.release import statement

from ceremony.ingest.reading import read_folder
from ceremony.ingest.sigstore import sigstore_verifier
from transcripts.replay import Verdict, replay
from tui import wiring
from tui.rehearsal.prepare import Prepared

pytest.importorskip("sigstore", reason="the extra `sigstore` (PyPI: sigstore) is not installed")

from attest import sigstore_made
from attest.sigstore_made import IDENTITY, ISSUER, Instance

BUILDER = """
[[builder]]
id = "workflow"
organisation = "Elsewhere"
persons = ["nobody-else"]
isolation = "none"

[[builder.key]]
type = "sigstore"
identity = "{identity}"
issuer = "{issuer}"
trusted_root_sha256 = "sha256:{root}"
from = {start:%Y-%m-%dT%H:%M:%SZ}
to = {end:%Y-%m-%dT%H:%M:%SZ}
"""


@pytest.fixture(scope="module")
def clock() -> Iterator[datetime]:
    now = datetime.now(UTC).replace(microsecond=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sigstore_made, "MADE", now - timedelta(minutes=20))
        yield now


@pytest.fixture
def attested(prepared: Prepared, clock: datetime) -> Prepared:
    """Return a rehearsal with one builder more, whose word is a Sigstore bundle."""
    instance = Instance()
    root = instance.trusted_root()
    text = prepared.policy.read_text("utf-8")
    text += BUILDER.format(
        identity=IDENTITY,
        issuer=ISSUER,
        root=hashlib.sha256(root).hexdigest(),
        start=clock - timedelta(days=1),
        end=clock + timedelta(days=1),
    )
    prepared.policy.write_text(text, "utf-8")
    rehearsing.edit_policy(prepared)
    image = next(prepared.media.glob("*.efi"))
    sums = f"{hashlib.sha256(image.read_bytes()).hexdigest()}  {image.name}\n".encode()
    (prepared.media / "workflow.SHA256SUMS").write_bytes(sums)
    bundle = json.dumps(instance.sign_file(sums)).encode()
    (prepared.media / "workflow.SHA256SUMS.sigstore.json").write_bytes(bundle)
    said = statement(hashlib.sha256(image.read_bytes()).hexdigest(), image.name, {})
    bundle = json.dumps(instance.attest(said)).encode()
    (prepared.media / "workflow.sigstore.json").write_bytes(bundle)
    (prepared.media / "trusted_root.json").write_bytes(root)
    return prepared


def words_of_the_workflow(attested: Prepared) -> list[tuple[str, str]]:
    (decided,) = rehearsing.decisions(attested, "judge.verdict")
    facts = json.loads(json.dumps(decided.facts))
    said = [d for d in facts["dispositions"] if d["builder"] == "workflow"]
    return [(one["disposition"], one["rule"]) for one in said]


@accepts("ATT-SIGSTORE")
@refuses("ATT-SIGSTORE")
def test_a_bundle_counts_in_a_ceremony_and_its_replay_needs_the_extra(attested: Prepared) -> None:
    assert rehearsing.held(attested).released
    words = words_of_the_workflow(attested)
    assert len(words) == 2
    assert not {"ATT-SIGSTORE", "ATT-ROOT"} & {rule for _, rule in words}
    files = read_folder(attested.out)
    assert replay(files, verifier=sigstore_verifier()).verdict is Verdict.REPRODUCED
    without = replay(files)
    assert without.verdict is Verdict.INCOMPLETE
    (fault,) = without.findings
    assert fault.rule == "ATT-SIGSTORE"
    assert "install the extra, sigstore" in fault.text


def test_a_ceremony_held_without_the_extra_replays_with_it(
    attested: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "late_verifier", lambda: None)
    assert rehearsing.held(attested).released
    assert words_of_the_workflow(attested) == [("not-counted", "ATT-SIGSTORE")] * 2
    files = read_folder(attested.out)
    assert replay(files, verifier=sigstore_verifier()).verdict is Verdict.REPRODUCED
    assert replay(files).verdict is Verdict.REPRODUCED
