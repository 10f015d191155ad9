"""Replay: any byte changed anywhere in a bundle never says REPRODUCED."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from functools import partial

import pytest
import rehearsing
from forging import Bundle, rechained, resummed
from marks import accepts, refuses

from ceremony.codec import Json
from ceremony.events import Ack
from ceremony.ingest.reading import read_folder as read_bundle
from transcripts.log import read_log
from transcripts.replay import Replayed, Verdict, replay
from tui.rehearsal.prepare import Prepared

FLIPS = 12  # a file, at fixed pseudo-random places, besides its first and last byte


@pytest.fixture
def bundle(finished: Prepared) -> Bundle:
    return read_bundle(finished.out)


@accepts(
    "TRN-LINE", "TRN-CHAIN", "TRN-EVENT", "TRN-ORDER", "TRN-DECISION", "TRN-CLOSE",
    "TRN-CHECKPOINT", "TRN-COUNTERSIGNATURE", "TRN-BUNDLE", "TRN-IMAGE", "TRN-RULESET",
)  # fmt: skip
def test_an_honest_bundle_is_reproduced(bundle: Bundle) -> None:
    found = replay(bundle)
    assert (found.verdict, found.findings, found.outcome) == (Verdict.REPRODUCED, (), "ok")
    assert (found.witnesses, found.needed, found.mode) == (("ed", "ines"), 2, "rehearsal")


@refuses("TRN-BUNDLE")
def test_a_flipped_byte_in_any_file_is_noticed(bundle: Bundle) -> None:
    chance = random.Random(20261122)
    for name, data in bundle.items():
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(FLIPS))}
        for place in places:
            flipped = bytearray(data)
            flipped[place] ^= 1 << chance.randrange(8)
            found = replay({**bundle, name: bytes(flipped)})
            assert found.verdict is not Verdict.REPRODUCED, (name, place)


def test_a_flipped_byte_is_noticed_although_the_sums_are_made_to_fit(bundle: Bundle) -> None:
    chance = random.Random(19700101)
    for name, data in bundle.items():
        if name == "SHA256SUMS":
            continue
        for _ in range(FLIPS):
            flipped = bytearray(data)
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            found = replay(resummed({**bundle, name: bytes(flipped)}))
            assert found.verdict is not Verdict.REPRODUCED, name


@refuses("TRN-BUNDLE")
def test_one_flipped_file_is_one_finding(bundle: Bundle) -> None:
    for name in ("anchor.p7", "policy.toml", "in/attestations/bob.intoto.json"):
        for mend in (dict, resummed):
            found = replay(mend({**bundle, name: bundle[name][:-1] + b"\x7f"}))
            (finding,) = found.findings
            assert (found.verdict, finding.rule) == (Verdict.DIFFERS, "TRN-BUNDLE")
            assert name in finding.text
    gone = {n: data for n, data in bundle.items() if n != "anchor.p7"}
    for files in (gone, {**bundle, "extra.txt": b"x"}):
        found = replay(files)
        assert (found.verdict, len(found.findings)) == (Verdict.DIFFERS, 1), found.findings


@refuses("TRN-BUNDLE")
def test_a_missing_or_added_file_is_noticed(bundle: Bundle) -> None:
    for name in bundle:
        rest = {n: d for n, d in bundle.items() if n != name}
        assert replay(rest).verdict is not Verdict.REPRODUCED, name
        if name != "SHA256SUMS":
            assert replay(resummed(rest)).verdict is not Verdict.REPRODUCED, name
    found = replay(resummed({**bundle, "extra.txt": b"x"}))
    assert (found.verdict, found.findings[0].rule) == (Verdict.DIFFERS, "TRN-BUNDLE")


def _shorten(count: int, values: list[dict[str, Json]]) -> None:
    del values[count:]


@refuses("TRN-CLOSE")
def test_truncated_at_every_line_is_never_reproduced(bundle: Bundle) -> None:
    lines = bundle["transcript.jsonl"].splitlines(keepends=True)
    for count in range(len(lines)):
        cut = b"".join(lines[:count])
        alone = replay({"transcript.jsonl": cut})
        assert alone.verdict is Verdict.INCOMPLETE, count
        assert "TRN-BUNDLE" in {f.rule for f in alone.findings}
        shortened = rechained(bundle, partial(_shorten, max(count, 1)))
        assert replay(shortened).verdict is not Verdict.REPRODUCED


@refuses("TRN-LINE")
def test_truncated_at_any_byte_is_never_reproduced(bundle: Bundle) -> None:
    whole = bundle["transcript.jsonl"]
    for cut in range(1, len(whole), 997):
        found = replay(resummed({**bundle, "transcript.jsonl": whole[:-cut]}))
        assert found.verdict is not Verdict.REPRODUCED
    torn = read_log(whole[:-1])
    assert torn.torn
    assert torn.fault is None


def body(values: list[dict[str, Json]], name: str) -> dict[str, Json]:
    found = next(value for value in values if value["event"] == name)["body"]
    assert isinstance(found, dict)
    return found


def forged(bundle: Bundle, change: Callable[[list[dict[str, Json]]], None]) -> Replayed:
    return replay(rechained(bundle, change))


def relabelled(values: list[dict[str, Json]]) -> None:
    body(values, "open.begin")["mode"] = "production"


def dropped(name: str) -> Callable[[list[dict[str, Json]]], None]:
    return lambda values: values.remove(next(v for v in values if v["event"] == name))


def changed(name: str, member: str, value: Json) -> Callable[[list[dict[str, Json]]], None]:
    return lambda values: body(values, name).__setitem__(member, value)


@refuses("TRN-ORDER", "TRN-DECISION", "TRN-CHECKPOINT", "TRN-EVENT")
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (relabelled, {"TRN-DECISION", "TRN-COUNTERSIGNATURE"}),
        (dropped("judge.verdict"), {"TRN-ORDER"}),
        (dropped("inventory.seen"), {"TRN-ORDER"}),
        (dropped("sign.intent"), {"TRN-ORDER"}),
        (dropped("read_back.words"), {"TRN-ORDER"}),
        (changed("judge.verdict", "outcome", "refused"), {"TRN-DECISION"}),
        (changed("judge.verdict", "facts", None), {"TRN-DECISION"}),
        (changed("inspect.verdict", "findings", []), {"TRN-DECISION"}),
        (changed("sign.time", "wall", "2026-11-22T00:00:00Z"), {"TRN-DECISION"}),
        (changed("read_back.drawn", "positions", [1, 2, 3, 4, 5, 6]), {"TRN-SHOWN"}),
        (changed("open.clock", "wall", "2026-11-21T00:00:00Z"), {"TRN-DECISION"}),
        (changed("inspect.meaning", "person", "kim"), {"TRN-ORDER"}),
        (changed("inspect.meaning", "answer", "yes"), {"TRN-ORDER"}),
        (changed("sign.approve", "person", "ines"), {"TRN-ORDER"}),
        (changed("open.begin", "ruleset", "0"), {"TRN-RULESET"}),
        (changed("seal.outputs", "files", []), {"TRN-DECISION"}),
    ],
)
def test_a_forger_who_holds_a_copy_and_mends_every_digest(
    bundle: Bundle, change: Callable[[list[dict[str, Json]]], None], rules: set[str]
) -> None:
    found = forged(bundle, change)
    assert found.verdict is not Verdict.REPRODUCED
    assert rules & {finding.rule for finding in found.findings}


@accepts("TRN-SHOWN")
def test_what_every_answer_was_given_to_is_recomputed(bundle: Bundle) -> None:
    lines = [line.event for line in read_log(bundle["transcript.jsonl"]).lines]
    acks = [event for event in lines if isinstance(event, Ack)]
    assert len(acks) > 9
    assert all(ack.shown for ack in acks)
    assert replay(bundle).verdict is Verdict.REPRODUCED


@refuses("TRN-SHOWN")
def test_a_screen_that_showed_something_else_differs_and_the_answer_is_named(
    bundle: Bundle,
) -> None:
    lines = [line.event for line in read_log(bundle["transcript.jsonl"]).lines]
    for place, event in enumerate(lines):
        if isinstance(event, Ack):
            for other in ([], [*event.shown, "And one line more."], ["x", *event.shown[1:]]):
                found = forged(bundle, lambda v, p=place, o=other: v[p]["body"].update(shown=o))  # type: ignore[misc]
                assert found.first is not None, event.name
                assert (found.first.line, found.first.rule) == (place, "TRN-SHOWN"), event.name
                assert found.first.path.startswith("body.shown"), event.name
                said = [f.text for f in found.findings if f.rule == "TRN-SHOWN"]
                assert said[0].startswith(f"event {place + 1}, {event.name}: body.shown")


@refuses("TRN-COUNTERSIGNATURE")
def test_words_that_were_never_said_break_only_the_peoples_signatures(bundle: Bundle) -> None:
    """What no rule recomputes (who spoke when) is held by the countersigned head alone."""

    def told_otherwise(values: list[dict[str, Json]]) -> None:
        stamp = values[3]["time"]
        assert isinstance(stamp, dict)
        stamp["wall"] = "2020-01-01T00:00:00Z"

    found = forged(bundle, told_otherwise)
    assert found.verdict is Verdict.FORGED
    assert {f.rule for f in found.findings} == {"TRN-COUNTERSIGNATURE"}


@refuses("TRN-CHECKPOINT")
def test_a_transcript_of_another_ceremony(
    bundle: Bundle, finished: Prepared, prepared: Prepared
) -> None:
    rehearsing.held_later(prepared, finished)
    other = read_bundle(prepared.out)
    for name in ("transcript.jsonl", "checkpoint.txt", "checkpoint.ed.sshsig", "anchor.p7"):
        found = replay(resummed({**bundle, name: other[name]}))
        assert found.verdict is not Verdict.REPRODUCED, name


@refuses("TRN-COUNTERSIGNATURE")
def test_one_person_signing_in_two_names(bundle: Bundle) -> None:
    twice = {**bundle, "checkpoint.ed.sshsig": bundle["checkpoint.ines.sshsig"]}
    found = replay(resummed(twice))
    assert (found.verdict, found.witnesses) == (Verdict.FORGED, ("ines",))


@refuses("TRN-IMAGE")
def test_without_the_unsigned_image_it_must_be_given(prepared: Prepared) -> None:
    rehearsing.edit_policy(prepared, ("[machine]", "[outputs]\nunsigned = false\n\n[machine]"))
    rehearsing.held(prepared)
    files = read_bundle(prepared.out)
    found = replay(files)
    assert (found.verdict, found.findings[0].rule) == (Verdict.INCOMPLETE, "TRN-IMAGE")
    image = (prepared.media / "anchor.efi").read_bytes()
    assert replay(files, image).verdict == "REPRODUCED"
    other = rehearsing.tiny_uki(b"2")
    found = replay(files, other)
    (finding,) = found.findings
    assert (found.verdict, finding.rule) == (Verdict.INCOMPLETE, "TRN-IMAGE")
    assert "is another one" in finding.text
    assert "not here" not in finding.text
    assert all(hashlib.sha256(data).hexdigest() in finding.text for data in (image, other))


@refuses("TRN-IMAGE")
def test_an_image_that_is_not_the_one_in_the_bundle_is_named_with_both_digests(
    bundle: Bundle,
) -> None:
    other = rehearsing.tiny_uki(b"2")
    found = replay(bundle, other)
    (finding,) = found.findings
    assert (found.verdict, finding.rule) == (Verdict.DIFFERS, "TRN-IMAGE")
    both = (bundle["anchor.efi"], other)
    assert all(hashlib.sha256(data).hexdigest() in finding.text for data in both)


@refuses("TRN-IMAGE")
def test_a_signed_image_that_was_exchanged_with_all_sums_mended(bundle: Bundle) -> None:
    data = bytearray(bundle["anchor.signed.efi"])
    data[-9] ^= 1
    found = replay(resummed({**bundle, "anchor.signed.efi": bytes(data)}))
    assert (found.verdict, found.findings[0].rule) == (Verdict.DIFFERS, "TRN-IMAGE")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\x00" * 100,
        b"{}\n",
        b"[" * 10**6,
        b"x" * 10**6 + b"\n",
        "ä\n".encode("latin-1"),
    ],
)
def test_nonsense_is_a_verdict_and_no_traceback(data: bytes) -> None:
    assert replay({"transcript.jsonl": data}).verdict is not Verdict.REPRODUCED


def test_an_empty_folder_is_incomplete() -> None:
    assert replay({}).verdict is Verdict.INCOMPLETE
