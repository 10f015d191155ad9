"""What a no of the token at C_Sign means: no signature was made, or nobody knows."""

from __future__ import annotations

from ceremony.token import SignResult
from hsm.child import TokenRefused
from hsm.uses import Uses

# Codes of C_Sign that say that no signature was made. Any other may come from a lost token,
# for which modules have no common code, so its outcome is unknown.
_NO_SIGNATURE = frozenset(
    {
        "DataInvalid",
        "DataLenRange",
        "FunctionCancelled",
        "FunctionRejected",
        "KeySizeRange",
        "KeyTypeInconsistent",
        "MechanismInvalid",
        "MechanismParamInvalid",
        "PinExpired",
        "PinIncorrect",
        "PinLocked",
        "UserNotLoggedIn",
    }
)


def failed(rule: str, text: str) -> SignResult:
    """Return that there is no signature, and why."""
    return SignResult("failed", rule=rule, text=text)


def refused_by(token: TokenRefused, uses: Uses) -> SignResult:
    """Sort a no: an answer that rules a signature out, or one that a lost token may give."""
    if token.rule != "KEY-LOST":
        return failed(token.rule, token.text)
    if token.code in _NO_SIGNATURE:
        return failed("KEY-REFUSED", token.text)
    return SignResult("unknown", rule="KEY-LOST", text=uses.said(token.text))
