"""judge: a quorum, or nothing; every dissent is on the record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import rehearsing

from ceremony.engine import Rules, begin, step
from ceremony.engine.order import Differs
from ceremony.events import Ack, Decided, Outcome
from ceremony.questions import MOST_CHARACTERS
from transcripts.auditor import audit
from tui import attesting
from tui.rehearsal.prepare import Prepared


def attestations(prepared: Prepared) -> list[str]:
    return sorted(path.name for path in (prepared.media / "attestations").iterdir())


def verdict(prepared: Prepared) -> dict[str, object]:
    facts = rehearsing.decisions(prepared, "judge.verdict")[0].facts
    assert isinstance(facts, dict)
    return dict(facts)


def dispositions(prepared: Prepared) -> dict[str, str]:
    found = json.loads(json.dumps(verdict(prepared)["dispositions"]))
    return {row["file"].rsplit("/", 1)[-1]: row["disposition"] for row in found}


def test_three_formats_three_builders_one_answer(finished: Prepared) -> None:
    assert attestations(finished) == [
        "alice.sha256",
        "alice.sha256.minisig",
        "bob.intoto.json",
        "ci-a.SHA256SUMS",
        "ci-a.SHA256SUMS.sig",
    ]
    assert verdict(finished)["verdict"] == "ACCEPT"
    assert list(dispositions(finished).values()).count("counted") == 3


def test_an_image_that_differs_from_the_attested_one(prepared: Prepared) -> None:
    (prepared.media / "anchor.efi").write_bytes(rehearsing.tiny_uki(b"2"))
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert any(rule.startswith("QRM-") for rule in rehearsing.refused_rules(ended))
    assert "sign.intent" not in rehearsing.names(prepared)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_two_builders_where_three_are_needed(prepared: Prepared) -> None:
    (prepared.media / "attestations/bob.intoto.json").unlink()
    ended = rehearsing.held(prepared)
    assert "QRM-THRESHOLD" in rehearsing.refused_rules(ended)
    assert rehearsing.replayed(prepared).outcome == "refused"


def test_a_tampered_attestation_is_not_counted_and_is_kept(prepared: Prepared) -> None:
    sums = prepared.media / "attestations/ci-a.SHA256SUMS"
    sums.write_bytes(sums.read_bytes() + b"# note x\n")
    ended = rehearsing.held(prepared)
    assert "QRM-THRESHOLD" in rehearsing.refused_rules(ended)
    assert dispositions(prepared)["ci-a.SHA256SUMS.sig"] in ("malformed", "not-counted")
    assert (prepared.out / "in/attestations/ci-a.SHA256SUMS").read_bytes() == sums.read_bytes()


def test_garbage_on_the_stick_changes_nothing(prepared: Prepared) -> None:
    for number in range(50):
        (prepared.media / f"g{number}.sig").write_bytes(bytes([number]) * 99)
    (prepared.media / "attestations/\x1b[2J.json").write_bytes(b'{"payloadType": ')
    assert rehearsing.held(prepared).released


def dissent(prepared: Prepared) -> None:
    """Let alice attest another image for the same inputs, instead of this one."""
    rehearsing.edit_policy(
        prepared,
        ("threshold = 3\nrule", "threshold = 2\nrule"),
        ("1 of core, 2 of external", "1 of core, 1 of external"),
        ("organisation = 3, isolation = 3", "organisation = 2, isolation = 2"),
    )
    comment = (prepared.media / "attestations/alice.sha256.minisig").read_text("utf-8")
    words = dict(w.split(":", 1) for w in comment.split() if w.startswith(("flake_lock:",)))
    commit = comment.split("/commit/")[1].split()[0]
    claim = attesting.Claim(
        builder="alice",
        name="anchor.efi",
        sha256="ab" * 32,
        pins=(("flake_lock", words["flake_lock"]), ("git_commit", commit)),
        made=datetime.now(UTC) - timedelta(hours=1),
        source="github.com/example/anchor",
    )
    files = attesting.minisign(claim, prepared.folder / "builders/alice")
    for name, data in files.items():
        (prepared.media / "attestations" / name).write_bytes(data)


def test_a_verified_dissent_stops_it_although_two_agree(prepared: Prepared) -> None:
    dissent(prepared)
    rehearsing.edit_policy(
        prepared, ("[gates]", "[dissent]\noverride = { operators = 0 }\n\n[gates]")
    )
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.REFUSED
    assert "QRM-DISSENT" in rehearsing.refused_rules(ended)
    assert "dissent" in dispositions(prepared).values()


def test_named_operators_may_override_and_their_reasons_stand(prepared: Prepared) -> None:
    dissent(prepared)
    rehearsing.edit_policy(
        prepared, ("[gates]", "[dissent]\noverride = { operators = 2 }\n\n[gates]")
    )
    ended = rehearsing.held(prepared, {"judge.override": ("seen and understood",) * 2})
    assert ended.released
    acks = [e for e in rehearsing.events(prepared) if e.name == "judge.override"]
    assert len({a.person for a in acks if isinstance(a, Ack)}) == 2
    (after,) = rehearsing.decisions(prepared, "judge.override_verdict")
    assert isinstance(after.facts, dict)
    assert "seen and understood" in str(after.facts["reason"])
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


def test_the_longest_reasons_of_five_operators_are_taken(prepared: Prepared) -> None:
    """Found by reading: five answers of 500 characters were more than the 2,000 of all."""
    dissent(prepared)
    rehearsing.edit_policy(
        prepared, ("[gates]", "[dissent]\noverride = { operators = 5 }\n\n[gates]")
    )
    reasons = tuple(str(number) * MOST_CHARACTERS for number in range(5))
    assert rehearsing.held(prepared, {"judge.override": reasons}).released
    (after,) = rehearsing.decisions(prepared, "judge.override_verdict")
    assert isinstance(after.facts, dict)
    assert all(reason in str(after.facts["reason"]) for reason in reasons)
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"
    assert audit(str(prepared.out), None).verdict == "REPRODUCED"


def test_a_script_never_overrides_a_veto(prepared: Prepared) -> None:
    dissent(prepared)
    ended = rehearsing.held(prepared)
    assert ended.closed.outcome is Outcome.ABORTED
    assert rehearsing.refused_rules(ended) == {"APP-ABORT"}
    assert rehearsing.replayed(prepared).verdict == "REPRODUCED"


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.OVERRIDE_NEEDED])
def test_a_forged_verdict_is_not_taken(finished: Prepared, outcome: Outcome) -> None:
    image = (finished.out / "anchor.efi").read_bytes()
    rules = Rules({(finished.image_sha256): image})
    state = begin()
    for event in rehearsing.events(finished):
        if event.name == "judge.verdict" and isinstance(event, Decided):
            forged = replace(event, outcome=outcome, facts={})
            with pytest.raises(Differs):
                step(state, forged, rules)
            return
        state, _ = step(state, event, rules)
