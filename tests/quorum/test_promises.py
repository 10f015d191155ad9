"""The five promises of quorum.py over policies and votes of every kind, drawn without keys' cost.

test_properties.py holds them on real signatures under a few policies; what is read there is
drawn here, so that each run sees thousands of judgements.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quorum.elections import COMMITS, DIGESTS, LOCKS, Election, Pins
from quorum.release import BASE, Release, sha256

from ceremony.attest.record import Attestation, Reading
from ceremony.policy import Policy
from ceremony.policy_model import Missing
from ceremony.quorum import Judgement, Verdict, apply_override

ROUNDS = 6  # judgements' sets of votes under one policy
promise = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
seeds = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def base(release: Release) -> Policy:
    return release.policy(quorum={"threshold": 1})


def voted(election: Election) -> list[Reading]:
    """Return some votes, most of them alike in most elections, and retractions of a few."""
    draw = election.draw
    alike = draw.choice((0.0, 0.7, 0.9))
    votes = [
        election.vote(DIGESTS[0], election.good_pins())
        if draw.random() < alike
        else election.vote()
        for _ in range(draw.randint(1, 8))
    ]
    taken_back = [vote for vote in votes if draw.random() < 0.08]
    who = [draw.choice((None, election.anybody())) for _ in taken_back]
    return [*votes, *map(election.retraction, taken_back, who)]


def counted(verdict: Verdict) -> tuple[str, int, int, tuple[tuple[str, str], ...]]:
    return verdict.verdict, verdict.votes, verdict.weak, verdict.inputs


def same_inputs(election: Election, verdict: Verdict, *, every: bool) -> Pins:
    """Return pins that say nothing else than the verdict's inputs, all of them or some."""
    lock = {"flake_lock": LOCKS[0]} if election.policy.inputs.flake_lock_file else {}
    pins = {"git_commit": COMMITS[0], "flake_lock": LOCKS[0]} | dict(verdict.inputs) | lock
    pins["base_image"] = BASE
    return {name: pins[name] for name in pins if every or election.draw.random() < 0.8}


@promise
@given(seeds)
def test_order_names_and_other_bytes_change_nothing(base: Policy, seed: int) -> None:
    election = Election(random.Random(seed), base)
    for _ in range(ROUNDS):
        votes = voted(election)
        verdict = election.judged(votes)
        shuffled = election.draw.sample(votes, len(votes))
        assert election.judged(shuffled) == verdict
        renamed: list[Reading] = [
            replace(vote, file=f"z{election.draw.random()}") for vote in votes
        ]
        assert counted(election.judged(renamed)) == counted(verdict)
        for vote in votes[:2]:
            assert isinstance(vote, Attestation)
            again = replace(vote, file="again", sha256=sha256(vote.file.encode()))
            assert counted(election.judged([*votes, again])) == counted(verdict)


@promise
@given(seeds)
def test_noise_and_agreement_never_turn_accept_into_refuse(base: Policy, seed: int) -> None:
    election = Election(random.Random(seed), base)
    for _ in range(ROUNDS):
        votes = voted(election)
        verdict = election.judged(votes)
        if verdict.verdict is not Judgement.ACCEPT:
            continue
        noise = [election.noise() for _ in range(election.draw.randint(1, 4))]
        assert election.judged([*votes, *noise]).verdict is Judgement.ACCEPT
        vote = election.vote(DIGESTS[0], same_inputs(election, verdict, every=False))
        more = election.judged([*votes, vote])
        assert more.verdict is Judgement.ACCEPT, more.findings
        assert more.votes >= verdict.votes


@promise
@given(seeds)
def test_a_dissent_always_stops_accept_until_its_principal_takes_it_back(
    base: Policy, seed: int
) -> None:
    election = Election(random.Random(seed), base)
    policy = election.policy
    may = policy.dissent.override.operators > 0
    stopped = Judgement.OVERRIDE_NEEDED if may else Judgement.REFUSE
    for _ in range(ROUNDS):
        votes = voted(election)
        verdict = election.judged(votes)
        by = election.anybody()
        if verdict.verdict is not Judgement.ACCEPT or by[1].fpr in policy.revocations:
            continue
        every = policy.inputs.missing is Missing.REJECT
        dissent = election.vote(DIGESTS[1], same_inputs(election, verdict, every=every), by)
        vetoed = election.judged([*votes, dissent])
        assert vetoed.verdict is stopped
        if may:
            allowed = apply_override(vetoed, ("carol", "ines"), "seen by both", policy)
            assert (allowed.verdict, allowed.votes) == (Judgement.ACCEPT, vetoed.votes)
        if mate := election.mate(dissent):
            back = election.retraction(dissent, mate)
            assert counted(election.judged([*votes, dissent, back])) == counted(verdict)


def test_the_elections_are_of_every_kind(base: Policy) -> None:
    """A generator that hardly ever accepts would hold every promise above."""
    seen: dict[str, int] = {}
    kinds: set[str] = set()
    for seed in range(60):
        election = Election(random.Random(seed), base)
        policy = election.policy
        kinds |= {"weak"} if policy.quorum.weak_votes_max else set()
        kinds |= {"groups"} if policy.quorum.tree else set()
        kinds |= {"distinct"} if policy.quorum.distinct else set()
        kinds |= {"revoked"} if policy.revoked else set()
        kinds |= {"components"} if policy.components else set()
        kinds |= {"version"} if policy.version else set()
        kinds |= {"lock"} if policy.inputs.flake_lock_file else set()
        for _ in range(ROUNDS):
            verdict = election.judged(voted(election))
            seen[verdict.verdict] = seen.get(verdict.verdict, 0) + 1
            kinds |= {f"disposition {d.disposition} {d.rule}" for d in verdict.dispositions}
            kinds |= {"merged"} if any(len(p.builders) > 1 for p in verdict.principals) else set()
    assert seen[Judgement.ACCEPT] >= 60, seen
    assert seen[Judgement.OVERRIDE_NEEDED] >= 10, seen
    assert {"weak", "groups", "distinct", "revoked", "components", "version", "lock"} <= kinds
    assert {"merged", "disposition weak QRM-PINS", "disposition weak QRM-BASE-IMAGE"} <= kinds
    assert {"disposition dissent QRM-DISSENT", "disposition duplicate QRM-PRINCIPAL"} <= kinds
    assert {f"disposition not-counted {rule}" for rule in BARRED} <= kinds


BARRED = (
    *("QRM-INPUTS", "QRM-LOCK", "QRM-OTHER-INPUTS", "QRM-WEAK", "QRM-REVOKED", "QRM-RETRACTED"),
    *("QRM-COMPONENT", "QRM-PINS"),
)
