"""What people are asked while signing: the last look, and what to do when a token fails."""

from __future__ import annotations

from ceremony.events import LoggedIn
from ceremony.pe.certificate import Algorithm
from ceremony.questions import Form, Question
from ceremony.rules.pin_tries import pin_try
from ceremony.rules.register import lookup
from ceremony.show import escaped, grouped
from ceremony.states import Sign
from ceremony.token import PinState, TokenEvidence

_TRIES: dict[PinState, str] = {
    "ok": "the token reports no failed try",
    "count-low": "AT LEAST ONE PIN TRY WAS WRONG",
    "final-try": "THIS IS THE LAST PIN TRY",
    "locked": "THE PIN IS LOCKED",
    "unknown": "the token does not say how many tries are left",
}


def last_look(state: Sign, evidence: TokenEvidence) -> tuple[str, ...]:
    """Return the consequence, in one sentence, before the PIN is typed."""
    label = escaped(evidence.token_label.strip(" "), 32)
    serial = escaped(evidence.token_serial.strip(" "), 24)
    return (
        f"This makes 1 signature with the key on token {label}.",
        "It cannot be unmade.",
        f"Attempt {state.attempt}. PIN: {_TRIES[evidence.pin_state]}.",
        f"Token   {escaped(evidence.token_model.strip(' '), 32)}, serial {serial}",
        f"Module  {escaped(evidence.module_path, 58)}",
        f"        {grouped(evidence.module_sha256[:32])}",
    )


def last_try(state: Sign) -> Question:
    """Ask another role before the last PIN try is spent."""
    return Question(
        name="sign.last_try",
        role="internal witness",
        persons=(state.ready.session.policy.roles.internal_witness,),
        shown=(
            "The token reports that ONE PIN try is left.",
            "A wrong PIN now locks the token.",
            "Another key holder, another token, or an abort are possible.",
        ),
        prompt="Type LAST TRY to let the key holder use it",
        form=Form.CONFIRM,
        word="LAST TRY",
    )


def pin_again(state: Sign, login: LoggedIn) -> Question:
    """Ask whether the PIN is to be tried again; it is never tried by itself."""
    said = {
        "wrong-pin": "KEY-PIN-WRONG: the token refused the PIN; one try was spent.",
        "locked": "KEY-PIN-LOCKED: the token is locked; no PIN is accepted any more.",
        "cancelled": "No PIN was given to the token; no try was spent.",
        "ok": "The key behind the PIN is not fit to sign.",
    }[login.result.outcome]
    return Question(
        name="sign.pin_again",
        role="internal witness",
        persons=(state.ready.session.policy.roles.internal_witness,),
        shown=(
            said,
            f"Its PIN: {_TRIES[login.result.pin_state]}.",
            "Let the key holder look the PIN up before another try.",
        ),
        prompt="Type AGAIN to read the token again and let a PIN be typed",
        form=Form.CONFIRM,
        word="AGAIN",
    )


def again(state: Sign) -> Question:
    """Ask for another try with the token after trouble or a refused preflight."""
    shown = tuple(
        f"{f.severity:<6} {f.rule}: {f.text}"
        for f in (state.decided.findings if state.decided else ())
        if f.severity != "info"
    )
    if state.trouble:
        shown = (f"{state.trouble.rule}: {state.trouble.text}",)
    return Question(
        name="sign.again",
        role="administrator",
        persons=(state.ready.session.policy.roles.administrator,),
        shown=(*shown, "Nothing was signed. Mend what is named, or abort."),
        prompt="Type TOKEN to look for the token again",
        form=Form.CONFIRM,
        word="TOKEN",
    )


def unknown(state: Sign) -> Question:
    """Say what is known of an attempt that gave nothing, and ask for the same plan again."""
    text = "The process ended between intent and result."
    known: tuple[str, ...] = (
        f"The outcome of attempt {state.attempt} is UNKNOWN, not failed:",
        "a signature may have been made that nobody holds.",
    )
    if state.result:
        rule = state.result.result.rule
        text = f"{rule}: {state.result.result.text}"
        if state.result.result.outcome == "failed":
            known = (f"Attempt {state.attempt} gave no usable signature.", *_about_pin(rule))
    return Question(
        name="sign.unknown",
        role="internal witness",
        persons=(state.ready.session.policy.roles.internal_witness,),
        shown=(
            text,
            *known,
            f"The same plan is signed again. {_same_bytes(state)}",
        ),
        prompt=f"Type ATTEMPT to go on with attempt {state.attempt + 1}",
        form=Form.CONFIRM,
        word="ATTEMPT",
    )


def _about_pin(rule: str) -> tuple[str, ...]:
    """Return what a PIN that was asked for the signature cost, and what to do."""
    known = lookup(rule) if rule.startswith("KEY-PIN-") else None
    return (f"PIN: {pin_try(rule)}", f"Next: {known.next}") if known else ()


def _same_bytes(state: Sign) -> str:
    if state.plan and state.plan.algorithm is Algorithm.ECDSA:
        return "With an ECDSA key the bytes differ: two signatures may exist then."
    return "With an RSA key the bytes are the same."
