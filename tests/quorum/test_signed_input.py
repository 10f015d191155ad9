"""An image that is signed already: votes are of what it was before, where a policy admits it."""

from __future__ import annotations

import hashlib
import json
import struct
from functools import partial
from pathlib import Path

import pytest
from marks import accepts, refuses
from pe.images import MOMENT, signer, uki
from pe.signing_tools import Tools
from quorum.casebook import TRIO, envelope, provenance
from quorum.ledger_lines import entry, head_of, ledger, releasing
from quorum.release import COMMIT, NOW, OTHER, Release, sha256
from quorum.toml_text import Table

from ceremony.pe.headers import read_header
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.pe.sign import assemble, plan
from ceremony.pe.unsigned import further_digests
from ceremony.policy import Policy
from ceremony.quorum import Judged, Verdict, examine, judge
from ceremony.types import ImageFacts, MediaFile, Severity

ADMITS: dict[str, Table] = {"gates": {"signed_input": "report", "overlay": "report"}}


def signed(image: bytes) -> bytes:
    by = signer("before")
    planned = plan(image, by.certificate, (), MOMENT)
    return b"".join(assemble(image, planned, by.sign(planned.attributes)).pieces())


def facts(image: bytes) -> ImageFacts:
    return inspect(image, OPEN_GATES)


def judged(policy: Policy, files: tuple[MediaFile, ...], image: bytes) -> Verdict:
    further = partial(further_digests, image)
    return judge(policy, "anchor.efi", facts(image), files, NOW, further=further)


def with_checksum(image: bytes, value: int) -> bytes:
    header, _ = read_header(image[:4096])
    assert header is not None
    changed = bytearray(image)
    struct.pack_into("<I", changed, header.checksum_at, value)
    return bytes(changed)


def listing(release: Release, image: bytes, sha512: str) -> MediaFile:
    digests = {"sha256": sha256(image), "sha512": sha512}
    subject = [{"name": "anchor.efi", "digest": digests}]
    return envelope(release, json.dumps(provenance(subject=subject)).encode())


@accepts("QRM-SIGNED")
@refuses("QRM-SIGNED")
def test_the_policy_says_whether_a_signed_image_is_judged_at_all(release: Release) -> None:
    image, files = signed(uki()), release.all(*TRIO, image=uki())
    verdict = judged(release.policy(**ADMITS), files, image)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)
    assert verdict.image_sha256.hex == sha256(image)
    assert [(f.rule, f.severity) for f in verdict.findings] == [
        ("QRM-SIGNED", Severity.WARN),
        ("QRM-THRESHOLD", Severity.INFO),
    ]
    assert judged(release.policy(), files, image).verdict == "REFUSE"
    plain = judged(release.policy(), files, uki())
    assert plain.verdict == "ACCEPT"
    assert "QRM-SIGNED" not in {f.rule for f in plain.findings}


def test_sbsign_and_a_second_signature_change_nothing(release: Release, tmp_path: Path) -> None:
    once = Tools(tmp_path).sbsign(uki(), signer("one"))
    for image in (once, signed(once)):
        verdict = judged(release.policy(**ADMITS), release.all(*TRIO, image=uki()), image)
        assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)


def test_a_vote_for_the_signed_file_is_none_and_told_why(release: Release) -> None:
    image = signed(uki())
    files = (*release.all(*TRIO, image=uki()), *release.attest("dan", image))
    verdict = judged(release.policy(**ADMITS), files, image)
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)
    (dan,) = [d for d in verdict.dispositions if d.builder == "dan"]
    assert (dan.disposition, dan.rule) == ("not-counted", "QRM-SIGNED")
    assert "dan: it is of the file with its signatures" in " ".join(
        f.text for f in verdict.findings if f.rule == "QRM-SIGNED"
    )


@pytest.mark.parametrize("tail", range(9))
def test_an_end_that_a_signer_aligned_is_found_again(release: Release, tail: int) -> None:
    image = uki() + b"\1"[:tail] + bytes(max(tail - 2, 0)) + b"\1"[: tail - 1]
    files = release.all(*TRIO, image=image)
    verdict = judged(release.policy(**ADMITS), files, signed(image))
    assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)


def test_zeros_at_the_end_may_have_been_the_signers(release: Release) -> None:
    image = uki() + b"\1" + bytes(3)
    for form in (image, image + bytes(2), image + bytes(4), uki() + b"\1"):
        verdict = judged(release.policy(**ADMITS), release.all(*TRIO, image=form), signed(image))
        assert (verdict.verdict, verdict.votes) == ("ACCEPT", 3)
    shorter = judged(release.policy(**ADMITS), release.all(*TRIO, image=uki()), signed(image))
    assert shorter.verdict == "REFUSE"


def test_a_checksum_of_zero_as_it_stands_or_right_may_have_been_there(release: Release) -> None:
    image = signed(uki())
    right = 0
    candidates = {form.hex for form in facts(image).unsigned}
    for value in (0, *struct.unpack_from("<I", image, checksum_at(image))):
        assert sha256(with_checksum(uki(), value)) in candidates
    right = pe_checksum(uki())
    assert sha256(with_checksum(uki(), right)) in candidates
    assert len(candidates) == 3
    assert sha256(with_checksum(uki(), right ^ 1)) not in candidates


def checksum_at(image: bytes) -> int:
    header, _ = read_header(image[:4096])
    assert header is not None
    return header.checksum_at


def pe_checksum(image: bytes) -> int:
    """Return the CheckSum as ImageHlp computes it, word by word."""
    plain = with_checksum(image, 0)
    total = 0
    for (word,) in struct.iter_unpack("<H", plain + bytes(len(plain) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(plain)


def test_what_is_listed_besides_must_be_of_the_same_form(release: Release) -> None:
    image = signed(uki())
    right = hashlib.sha512(uki()).hexdigest()
    other = hashlib.sha512(with_checksum(uki(), pe_checksum(uki()))).hexdigest()
    for sha512, standing in ((right, "counted"), (other, "malformed")):
        file = listing(release, uki(), sha512)
        verdict = judged(release.policy(**ADMITS), (file,), image)
        assert [d.disposition for d in verdict.dispositions] == [standing]


def test_another_image_is_dissent_all_the_same(release: Release) -> None:
    files = (*release.all(*TRIO, image=uki()), *release.attest("dan", OTHER))
    verdict = judged(release.policy(**ADMITS), files, signed(uki()))
    assert verdict.verdict == "OVERRIDE_NEEDED"
    changed = bytearray(signed(uki()))
    changed[2000] ^= 1
    assert (
        judged(release.policy(**ADMITS), release.all(*TRIO, image=uki()), bytes(changed)).votes == 0
    )


def test_the_ledger_knows_the_image_before_it_was_signed(release: Release) -> None:
    policy = releasing(release, tables=ADMITS)
    pins = {"git_commit": COMMIT, "version": "1.10.0"}
    files = tuple(f for name in ("ann", "dan") for f in release.attest(name, uki(), pins))
    for first, rule in ((uki(), "QRM-RESIGN"), (OTHER, "QRM-REUSE")):
        book = ledger(policy, entry("1.10.0", first))
        there = (*files, MediaFile("ledger.jsonl", book))
        found: Judged = examine(
            policy, "anchor.efi", facts(signed(uki())), there, NOW, ledger_head=head_of(book)
        )
        assert rule in {finding.rule for finding in found.verdict.findings}
