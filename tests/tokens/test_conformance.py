"""One set of tests for every real token: found, judged, signed with, refused, pulled, resumed."""

from __future__ import annotations

from datetime import UTC, datetime

from tokens.brought import Brought

from ceremony.preflight import preflight
from ceremony.types import Mode, refusals


def test_preflight_before_and_after_login(brought: Brought) -> None:
    token = brought.token()
    rsa = brought.certificates["rsa"]
    before = token.probe(rsa)
    findings = preflight(before, rsa, datetime.now(UTC), Mode.PRODUCTION)
    assert not refusals(findings)
    after = token.login(brought.typed())
    assert after.outcome == "ok"
    assert after.evidence is not None
    print(brought.name, findings, after.evidence)
    findings = preflight(after.evidence, rsa, datetime.now(UTC), Mode.PRODUCTION)
    assert not refusals(findings)
    result = token.sign(brought.request())
    assert result.outcome == "signed", result
    token.close()
