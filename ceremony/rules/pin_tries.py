"""What a refusal cost: whether a PIN try was spent on the token, for each rule about it.

Decides only the sentence that goes with a rule's refusal. A rule that is judged before any PIN
is sent, or after a right one, costs none; what a process or token left unsaid is not guessed.
"""

from __future__ import annotations

NONE = "no try was spent."
ONE = "one try was spent."
UNKNOWN = "one typed just now may have been counted; the token's counter is shown before the next."
NO_MORE = "no try is left to spend."
# An answer that is lost may hide a wrong PIN only where one was typed for this very use.
UNLESS_TYPED = "no try was spent, unless the PIN was typed for this very use; look at its tries."

_SENTENCES: dict[str, tuple[str, ...]] = {
    NONE: (
        *("KEY-BINDING", "KEY-URI", "KEY-MODULE", "KEY-SANDBOX", "KEY-TOKEN", "KEY-EXISTS"),
        *("KEY-MATCH", "KEY-SENSITIVE", "KEY-EXTRACTABLE", "KEY-SIGN", "KEY-SIZE"),
        *("KEY-MECHANISM", "KEY-CERT-FORM", "KEY-CERT-DATES", "KEY-CERT-EKU", "KEY-CERT-USAGE"),
        *("KEY-CERT-CHAIN", "KEY-CERT-REVOKED", "KEY-PIN-ENTRY", "KEY-POSSESSION"),
        *("KEY-REHEARSAL", "KEY-SIGNATURE", "KEY-PIN-USE", "KEY-PIN-PAD", "KEY-PIN-FINAL"),
    ),
    ONE: ("KEY-PIN-WRONG",),
    UNKNOWN: ("KEY-CHILD", "KEY-REFUSED"),
    NO_MORE: ("KEY-PIN-LOCKED",),
    UNLESS_TYPED: ("KEY-LOST",),
}
_BY_RULE = {rule: said for said, rules in _SENTENCES.items() for rule in rules}


def pin_try(rule: str) -> str:
    """Return what a refusal by this rule cost, "" for a rule that no PIN stands behind."""
    return _BY_RULE.get(rule, "")
