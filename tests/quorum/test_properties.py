"""What must hold of every set of files: the five promises in the head of quorum.py."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from quorum.casebook import ELSEWHERE, loaded, rows
from quorum.ledger_lines import entry, head_of, ledger
from quorum.release import BUILDERS, COMMIT, IMAGE, LOCK, NOW, OTHER, Release, facts, pair, sha256
from quorum.tool_keys import SshKey

from ceremony.attest.gather import gather, read
from ceremony.codec import decode, encode
from ceremony.policy import Policy
from ceremony.quorum import Verdict, judge
from ceremony.types import MediaFile

NAMES = tuple(row[0] for row in BUILDERS)
SAME = {"git_commit": COMMIT}
LOCKED = {"git_commit": COMMIT, "flake_lock": sha256(LOCK)}
VERSIONED = {"git_commit": COMMIT, "version": "1.10.0"}
IDLE = {"git_commit": COMMIT, "retracts": "sha256:" + "ab" * 32}  # takes back what is not here
PINS: tuple[dict[str, str], ...] = (
    *(SAME, {}, ELSEWHERE, LOCKED, {"flake_lock": sha256(LOCK)}, VERSIONED, IDLE),
)
BOOK = ledger(None, entry("1.9.0", OTHER))
LEDGER_FILE = MediaFile("ledger.jsonl", BOOK)
LOCK_FILE = MediaFile("flake.lock", LOCK)
Said = tuple[str, bytes, int]
property_test = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def policies(release: Release) -> tuple[Policy, ...]:
    two = {"threshold": 2}
    shared = release.tables(*NAMES, quorum=two)
    rows(shared)[1] |= {"shares_with": ["ann"]}
    grouped = release.tables(
        *NAMES,
        quorum={
            "threshold": 2,
            "weak_votes_max": 1,
            "rule": "all(1 of core, any(1 of rest, 2 of far))",
            "distinct": {"isolation": 2},
        },
        groups={"core": ["ann", "bob"], "rest": ["bob", "cat"], "far": ["dan", "eve", "fay"]},
    )
    versioned = release.tables(
        *NAMES, quorum=two, version={"source": ["statement", "minisign-comment"]}
    )
    versioned["sequence"] = 2
    both = {"must_agree": ["git_commit", "flake_lock"], "flake_lock_file": "flake.lock"}
    return (
        release.policy(*NAMES),
        release.policy(*NAMES, quorum={"threshold": 2, "weak_votes_max": 2}),
        release.policy(*NAMES, quorum=two, inputs={"must_agree": []}),
        release.policy(*NAMES, quorum={"threshold": 2, "weak_votes_max": 1}, inputs=both),
        loaded(shared),
        loaded(grouped),
        loaded(versioned),
    )


def said(image: bytes | None = None) -> st.SearchStrategy[Said]:
    images = st.sampled_from((IMAGE, IMAGE, IMAGE, OTHER)) if image is None else st.just(image)
    return st.tuples(st.sampled_from(NAMES), images, st.sampled_from((0, 0, 1, 2, 3, 4, 5, 5, 6)))


def files_of(release: Release, answers: list[Said]) -> tuple[MediaFile, ...]:
    folders = (f"{name}-{sha256(image)[:4]}-{pins}" for name, image, pins in answers)
    return (
        LOCK_FILE,
        LEDGER_FILE,
        *(
            file
            for (name, image, pins), folder in zip(answers, folders, strict=True)
            for file in release.attest(name, image, PINS[pins], folder=folder)
        ),
    )


def judged(policy: Policy, files: tuple[MediaFile, ...]) -> Verdict:
    return judge(policy, "anchor.efi", facts(), files, NOW, ledger_head=head_of(BOOK))


def compatible(pins: dict[str, str], verdict: Verdict) -> bool:
    key = dict(verdict.inputs)
    return all(key.get(name, value) == value for name, value in pins.items())


answers = st.lists(said(), max_size=7)
dissenting = st.tuples(
    st.sampled_from(("ann", "dan", "fay")), st.just(b"a third image"), st.integers(0, 6)
)
agreeing = st.lists(said(IMAGE), min_size=2, max_size=6)
policy_number = st.integers(0, 6)


@property_test
@given(answers, policy_number, st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    order: random.Random,
) -> None:
    files = list(files_of(release, answers))
    verdict = judged(policies[number], tuple(files))
    order.shuffle(files)
    assert judged(policies[number], tuple(files)) == verdict
    assert decode(Verdict, encode(verdict)) == verdict


@property_test
@given(answers, policy_number, st.lists(st.integers(0, 20), max_size=4))
def test_copies_change_nothing(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    twice: list[int],
) -> None:
    files = files_of(release, answers)
    verdict = judged(policies[number], files)
    chosen = [files[n % len(files)] for n in twice]
    assert judged(policies[number], (*files, *chosen)) == verdict
    copies = tuple(MediaFile(f"stick-2/{file.path}", file.data) for file in chosen)
    again = judged(policies[number], (*files, *copies))
    assert (again.verdict, again.votes, again.weak) == (
        verdict.verdict,
        verdict.votes,
        verdict.weak,
    )


def spoiled(file: MediaFile, at: int, byte: int) -> MediaFile:
    place = at % len(file.data)
    data = file.data[:place] + bytes([byte]) + file.data[place + 1 :]
    # in a folder of its own, or as the copy that a second stick has under the same path
    return MediaFile(f"spoiled/{at}/{file.path}" if at % 2 else file.path, data)


BEGINS = (
    b"",
    BOOK,
    b"-----BEGIN SSH SIGNATURE-----\n",
    b"untrusted comment: ",
    b'{"payloadType": "',
)
NAMED = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "x.minisig",
    "x.intoto.json",
    "x",
    "ledger.jsonl",
    "jail-metadata.txt",
    "ann-0f82-0/SHA256SUMS.b",
)
noise = st.builds(
    lambda name, begin, rest: MediaFile(f"noise/{name}", begin + rest),
    st.sampled_from(NAMED),
    st.sampled_from(BEGINS),
    st.binary(max_size=80),
)


@property_test
@given(agreeing, policy_number, st.data())
def test_garbage_never_turns_accept_into_refuse(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    data: st.DataObject,
) -> None:
    garbage = data.draw(st.lists(noise, max_size=5))
    files = files_of(release, answers)
    assume(judged(policies[number], files).verdict == "ACCEPT")
    for file in data.draw(st.lists(st.sampled_from(files), max_size=5)):
        changed = spoiled(file, data.draw(st.integers(0, 5000)), data.draw(st.integers(0, 255)))
        assume(changed.data != file.data)
        garbage.append(changed)
    assert judged(policies[number], (*files, *garbage)).verdict == "ACCEPT"


@property_test
@given(agreeing, policy_number, said(IMAGE))
def test_one_more_agreeing_vote_never_turns_accept_into_refuse(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    more: Said,
) -> None:
    verdict = judged(policies[number], files_of(release, answers))
    assume(verdict.verdict == "ACCEPT" and compatible(PINS[more[2]], verdict))
    again = judged(policies[number], files_of(release, [*answers, more]))
    assert again.verdict == "ACCEPT"
    assert again.votes >= verdict.votes


@property_test
@given(agreeing, policy_number, said(OTHER))
def test_one_proved_dissent_on_the_same_inputs_always_stops_accept(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    other: Said,
) -> None:
    verdict = judged(policies[number], files_of(release, answers))
    assume(verdict.verdict == "ACCEPT" and compatible(PINS[other[2]], verdict))
    again = judged(policies[number], files_of(release, [*answers, other]))
    assert again.verdict == "OVERRIDE_NEEDED"


@property_test
@given(agreeing, policy_number, dissenting)
def test_a_dissent_that_its_own_principal_takes_back_stops_nothing(
    release: Release,
    policies: tuple[Policy, ...],
    answers: list[Said],
    number: int,
    said: Said,
) -> None:
    files = files_of(release, answers)
    verdict = judged(policies[number], files)
    key = release.keys[said[0]]
    assert isinstance(key, SshKey)
    dissent = files_of(release, [said])
    content = f"# retracts sha256:{sha256(dissent[-1].data)}\n".encode()
    at = (said[0], content)
    if at not in release.made:
        release.made[at] = pair("back/SHA256SUMS", content, key.sign(content))
    both = judged(policies[number], (*files, *dissent, *release.made[at]))
    assert both.verdict == verdict.verdict
    assert (both.votes, both.weak) == (verdict.votes, verdict.weak)
    assert "QRM-RETRACTED" in {d.rule for d in both.dispositions} or not dissents(
        policies[number], (*files, *dissent)
    )


def dissents(policy: Policy, files: tuple[MediaFile, ...]) -> bool:
    return any(d.rule == "QRM-DISSENT" for d in judged(policy, files).dispositions)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_bytes_make_gather_or_read_raise(release: Release, data: st.DataObject) -> None:
    whole = files_of(release, [(name, IMAGE, 0) for name in NAMES])
    files = data.draw(st.lists(noise, max_size=4))
    for file in data.draw(st.lists(st.sampled_from(whole), min_size=1, max_size=4)):
        changed = bytearray(file.data)
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(changed)))
            changed[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        files.append(MediaFile(file.path, bytes(changed)))
    policy = release.policy(*NAMES)
    for evidence in gather(tuple(files)):
        assert read(evidence, policy)
