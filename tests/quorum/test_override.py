"""Setting a veto aside: by enough distinct persons of the policy, with a reason, or not at all."""

from __future__ import annotations

import pytest
from marks import accepts, refuses
from quorum.casebook import TRIO
from quorum.release import OTHER, Release, judged

from ceremony.codec import decode, encode
from ceremony.errors import Refused
from ceremony.quorum import MOST_REASON, Judgement, Verdict, apply_override
from ceremony.types import Severity

WHY = "dan built with a stale cache, see the ceremony's notes"


@pytest.fixture
def vetoed(release: Release) -> Verdict:
    verdict = judged(release.policy(), (*release.all(*TRIO), *release.attest("dan", OTHER)))
    assert verdict.verdict is Judgement.OVERRIDE_NEEDED
    return verdict


@accepts("QRM-OVERRIDE")
def test_two_persons_set_a_veto_aside_and_it_stays_told(release: Release, vetoed: Verdict) -> None:
    verdict = apply_override(vetoed, ("carol", "ines"), f" {WHY} ", release.policy())
    assert verdict.verdict is Judgement.ACCEPT
    assert (verdict.operators, verdict.reason) == (("carol", "ines"), WHY)
    severities = {finding.rule: finding.severity for finding in verdict.findings}
    assert severities["QRM-DISSENT"] is Severity.WARN
    assert severities["QRM-OVERRIDE"] is Severity.WARN
    assert severities["QRM-THRESHOLD"] is Severity.INFO  # only the veto's own grade changes
    assert verdict.dispositions == vetoed.dispositions
    assert decode(Verdict, encode(verdict)) == verdict


@refuses("QRM-OVERRIDE")
@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        (("carol",), WHY),
        (("carol", "carol"), WHY),
        (("carol", "dan"), WHY),
        ((), WHY),
        (("carol", "ines"), " \n"),
        (("carol", "ines"), "x" * (2 * MOST_REASON + 1)),
    ],
)
def test_a_veto_stays(
    release: Release, vetoed: Verdict, operators: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(Refused, match="QRM-OVERRIDE"):
        apply_override(vetoed, operators, reason, release.policy())


def test_nothing_but_a_veto_can_be_set_aside(release: Release) -> None:
    short = judged(release.policy(), (*release.all("ann", "bob"), *release.attest("dan", OTHER)))
    assert short.verdict is Judgement.REFUSE
    with pytest.raises(Refused, match="no veto"):
        apply_override(short, ("carol", "ines"), WHY, release.policy())


def test_a_veto_of_another_policy_cannot_be_set_aside(release: Release, vetoed: Verdict) -> None:
    other = release.policy(dissent={"override": {"operators": 1}})
    with pytest.raises(Refused, match="of this policy"):
        apply_override(vetoed, ("carol",), WHY, other)
