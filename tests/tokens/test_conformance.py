"""One set of tests for every real token: found, judged, signed with, refused, pulled, resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from marks import refuses
from tokens.brought import WRONG_PIN, Brought

from ceremony.errors import TokenTrouble
from ceremony.preflight import preflight
from ceremony.types import Mode, Severity, refusals
from hsm.present import show_tokens
from hsm.token import Pkcs11Token

# What else the preflight of the RSA key says, by token; nothing of it refuses.
SAID = {
    "softhsm": {"KEY-SOFTWARE"},
    "nss": {"KEY-LOCAL"},  # NSS says it of every key, also of those it made itself
}
STEPS = ("probe", "login", "sign")


@contextmanager
def at_hand(
    brought: Brought, kind: str = "rsa", *, logged_in: bool = False
) -> Iterator[Pkcs11Token]:
    """Return the token found again by its certificate, and perhaps logged in."""
    token = brought.token()
    try:
        token.probe(brought.certificates[kind])
        if logged_in:
            assert token.login(brought.typed(), use=brought.again()).outcome == "ok"
        yield token
    finally:
        token.close()


def test_each_key_is_judged_without_a_pin_and_signs_after_it(brought: Brought) -> None:
    for kind, certificate in brought.certificates.items():
        now = datetime.now(UTC)
        with at_hand(brought, kind) as token:
            before = token.probe(certificate)
            said = preflight(before, certificate, now, Mode.PRODUCTION)
            assert {f.rule for f in refusals(said)} == ({"KEY-SIZE"} if kind == "ec" else set())
            login = token.login(brought.typed(), use=brought.again())
            assert (login.outcome, login.pin_state) == ("ok", "ok")
            assert login.evidence is not None
            said = preflight(login.evidence, certificate, now, Mode.PRODUCTION)
            expected = SAID.get(brought.name, set()) | ({"KEY-SIZE"} if kind == "ec" else set())
            assert {finding.rule for finding in said} == expected
            assert login.evidence.possession == "proved"
            assert login.evidence.module_sha256 in dict(login.evidence.libraries).values()
            for _ in range(2):
                assert token.sign(brought.request(kind), brought.again()).outcome == "signed"


def test_each_certificate_is_shown_with_its_token(brought: Brought) -> None:
    shown = show_tokens(brought.binding)
    ours = [token for token in shown.tokens if token.objects]
    assert len(ours) == 1
    assert ours[0].fault == ""
    seen = {one.certificate for one in ours[0].objects}
    assert set(brought.certificates.values()) <= seen
    assert brought.uri.split(";")[0] == ours[0].uri.split(";")[0]


@refuses("KEY-PIN-WRONG", "KEY-PIN-LOCKED")
def test_each_wrong_pin_is_sent_once_and_the_third_locks(brought: Brought) -> None:
    rsa = brought.certificates["rsa"]
    states = []
    with at_hand(brought) as token:
        for count in (1, 2, 3):
            refused = token.login(brought.typed(WRONG_PIN))
            # A module may say with the last try that it was the last.
            assert refused.outcome in (("wrong-pin", "locked") if count == 3 else ("wrong-pin",))
            states.append(refused.pin_state)
            assert token.probe(rsa).stage == "before-login"
            if brought.card:
                assert brought.card.verifies == count
        assert tuple(states) == brought.flags
        found = preflight(token.probe(rsa), rsa, datetime.now(UTC), Mode.PRODUCTION)
        locked = brought.flags[2] == "locked"
        assert ("KEY-PIN-LOCKED" in {f.rule for f in refusals(found)}) == locked
        right = token.login(brought.typed(), use=brought.again())
        assert right.outcome == ("locked" if brought.locks else "ok")
        assert token.sign(brought.request(), brought.again()).outcome == (
            "failed" if brought.locks else "signed"
        )


def test_a_right_pin_after_a_wrong_one_is_taken_and_sets_the_counter_back(brought: Brought) -> None:
    with at_hand(brought) as token:
        assert token.login(brought.typed(WRONG_PIN)).outcome == "wrong-pin"
        token.probe(brought.certificates["rsa"])
        assert token.login(brought.typed(), use=brought.again()).outcome == "ok"
        assert token.sign(brought.request(), brought.again()).outcome == "signed"
    with at_hand(brought) as token:
        assert token.probe(brought.certificates["rsa"]).pin_state == "ok"


def test_an_empty_pin_and_one_that_cannot_be_typed_reach_no_token(brought: Brought) -> None:
    with at_hand(brought) as token:
        for pin in (b"", b"\xff\xff", b"12\n34"):
            token.probe(brought.certificates["rsa"])
            assert token.login(bytearray(pin)).outcome == "cancelled"
        assert token.probe(brought.certificates["rsa"]).pin_state == "ok"
    if brought.card:
        assert brought.card.verifies == 0


@pytest.mark.parametrize("step", STEPS)
@refuses("KEY-TOKEN", "KEY-LOST", "KEY-REFUSED", "KEY-MODULE")
def test_a_token_pulled_before_a_step_is_put_back_and_signs(brought: Brought, step: str) -> None:
    rsa = brought.certificates["rsa"]
    token = brought.token()
    acts: dict[str, Callable[[], object]] = {
        "probe": lambda: token.probe(rsa),
        "login": lambda: token.login(brought.typed(), use=brought.again()).outcome,
        "sign": lambda: token.sign(brought.request(), brought.again()),
    }
    for name in STEPS[: STEPS.index(step)]:
        acts[name]()
    brought.pull()
    said = _tried(acts[step])
    brought.insert()
    token.close()
    if step == "probe":
        assert said in ("KEY-TOKEN", "KEY-MODULE")
    elif brought.notices:
        assert said == ("KEY-REFUSED" if step == "login" else "unknown KEY-LOST")
    else:
        assert said in ("ok", "signed ")
    with at_hand(brought, logged_in=True) as again:
        assert again.sign(brought.request(), brought.again()).outcome == "signed"


def _tried(act: Callable[[], object]) -> str:
    try:
        result = act()
    except TokenTrouble as trouble:
        return trouble.rule
    outcome = getattr(result, "outcome", result)
    return f"{outcome} {getattr(result, 'rule', '')}" if outcome is not result else str(result)


@pytest.mark.parametrize("ended", ["wrong-pin", "lost"])
def test_a_process_that_failed_leaves_nobody_logged_in(brought: Brought, ended: str) -> None:
    with at_hand(brought, logged_in=ended == "lost") as token:
        if ended == "lost":
            brought.pull()
            token.sign(brought.request(), brought.again())
            brought.insert()
        else:
            token.login(brought.typed(WRONG_PIN))
    asked = (brought.card.verifies, brought.card.signatures) if brought.card else ()
    with at_hand(brought) as token:
        assert token.sign(brought.request(), brought.again()).outcome == "failed"
    if brought.card:
        assert (brought.card.verifies, brought.card.signatures) == asked


def test_what_a_token_lacks_is_lacking(brought: Brought) -> None:
    with at_hand(brought) as token:
        offered = token.probe(brought.certificates["rsa"]).mechanisms
        assert "CKM_RSA_PKCS" in offered
        assert ("CKM_ECDSA" in offered) == ("ec" in brought.certificates)


def test_evidence_is_asserted_by_the_module_and_says_which(brought: Brought) -> None:
    with at_hand(brought, logged_in=True) as token:
        seen = token.probe(brought.certificates["rsa"])
    assert seen.grade == "asserted by module"
    (key,) = seen.keys
    assert key.always_authenticate == (brought.card is not None)
    wanted = {"SENSITIVE": "true", "EXTRACTABLE": "false", "SIGN": "true"}
    assert wanted.items() <= dict(key.attributes).items()
    found = preflight(seen, brought.certificates["rsa"], datetime.now(UTC), Mode.PRODUCTION)
    assert all(finding.severity is not Severity.REFUSE for finding in found)
