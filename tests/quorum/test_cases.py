"""The numbered cases: real files by real tools, an expected verdict and an expected rule."""

from __future__ import annotations

import pytest
from marks import accepts, refuses
from quorum import (
    cases_components,
    cases_enrolment,
    cases_envelopes,
    cases_formats,
    cases_votes,
)
from quorum.casebook import CASES, Case
from quorum.release import Release, judged

from ceremony.rules import att, qrm

BOOKS = (
    cases_components,
    cases_votes,
    cases_enrolment,
    cases_formats,
    cases_envelopes,
)  # each fills CASES


@accepts(
    "ATT-ALONE",
    "ATT-DIGEST",
    "ATT-DSSE",
    "ATT-FORMAT",
    "ATT-JSON",
    "ATT-MINISIGN",
    "ATT-NAMESPACE",
    "ATT-PAYLOAD",
    "ATT-PIN",
    "ATT-PREDICATE",
    "ATT-SIGNATURE",
    "ATT-SSHSIG",
    "ATT-STATEMENT",
    "ATT-SUMS",
    "ATT-TIME",
    "ATT-TWICE",
    "ATT-UNSIGNED",
    "QRM-ALGORITHM",
    "QRM-CLAIM",
    "QRM-COPY",
    "QRM-DISSENT",
    "QRM-DIVERSITY",
    "QRM-ENROLLED",
    "QRM-FORMAT",
    "QRM-FUTURE",
    "QRM-GROUP",
    "QRM-INPUTS",
    "QRM-LOCK",
    "QRM-NAME",
    "QRM-NEAR-NAME",
    "QRM-ONE-VOTE",
    "QRM-OTHER-INPUTS",
    "QRM-PINS",
    "QRM-PRINCIPAL",
    "QRM-REVOKED",
    "QRM-SPLIT",
    "QRM-STALE",
    "QRM-SUBJECT",
    "QRM-THRESHOLD",
    "QRM-TWO-ANSWERS",
    "QRM-UNTIMED",
    "QRM-UNVERIFIED",
    "QRM-WEAK",
    "QRM-WINDOW",
)
@refuses(
    "ATT-ALONE",
    "ATT-DIGEST",
    "ATT-DSSE",
    "ATT-FORMAT",
    "ATT-JSON",
    "ATT-MINISIGN",
    "ATT-NAMESPACE",
    "ATT-PAYLOAD",
    "ATT-PIN",
    "ATT-PREDICATE",
    "ATT-SIGNATURE",
    "ATT-SSHSIG",
    "ATT-STATEMENT",
    "ATT-SUMS",
    "ATT-TIME",
    "ATT-TWICE",
    "ATT-UNSIGNED",
    "QRM-ALGORITHM",
    "QRM-CLAIM",
    "QRM-COPY",
    "QRM-DISSENT",
    "QRM-DIVERSITY",
    "QRM-ENROLLED",
    "QRM-FORMAT",
    "QRM-FUTURE",
    "QRM-GROUP",
    "QRM-INPUTS",
    "QRM-LOCK",
    "QRM-NAME",
    "QRM-NEAR-NAME",
    "QRM-ONE-VOTE",
    "QRM-OTHER-INPUTS",
    "QRM-PINS",
    "QRM-PRINCIPAL",
    "QRM-REVOKED",
    "QRM-SPLIT",
    "QRM-STALE",
    "QRM-SUBJECT",
    "QRM-THRESHOLD",
    "QRM-TWO-ANSWERS",
    "QRM-UNTIMED",
    "QRM-UNVERIFIED",
    "QRM-WEAK",
    "QRM-WINDOW",
)
@pytest.mark.parametrize("case", CASES, ids=[f"{c.number}-{c.says}" for c in CASES])
def test_case(release: Release, case: Case) -> None:
    policy, files = case.build(release)
    verdict = judged(policy, files)
    told = {d.rule for d in verdict.dispositions} | {f.rule for f in verdict.findings}
    assert (verdict.verdict, verdict.votes) == (case.verdict, case.votes), verdict.findings
    assert case.rule in told
    assert told - {""} <= att.RULES.keys() | qrm.RULES.keys()
    if case.verdict == "ACCEPT" and not case.rule:
        # every vote counts: each rule of the list above lets these files pass
        assert {d.disposition for d in verdict.dispositions} == {"counted"}


def test_every_case_names_rules_of_the_register() -> None:
    assert {case.rule for case in CASES} - {""} <= att.RULES.keys() | qrm.RULES.keys()
