"""The PKCS#11 token as the engine sees it: probe, log in, sign, close.

Decides which of the child's answers may be believed and what a failure left behind: every
signature is verified here, outside the process that made it, before anybody gets it. It
refuses to judge key, certificate and PIN counters; that is `ceremony.preflight`. A PIN goes
to one token once; after any failure the process is given up and the next call starts a
fresh one, on which nobody is logged in.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from typing import ClassVar

from ceremony.errors import OutOfOrder, TokenTrouble, refuse
from ceremony.preflight import mechanism_for, spki_sha256
from ceremony.token import (
    LoginResult,
    Mandate,
    PinState,
    Possession,
    SignRequest,
    SignResult,
    TokenEvidence,
)
from hsm.binding import Binding
from hsm.child import Child, ChildLost, Desk, TokenRefused
from hsm.evidence import octets, read_evidence, text
from hsm.module import measure_module
from hsm.signature import to_be_signed, verified
from hsm.target import Target, target_of
from hsm.uri import parse

CHALLENGE = re.compile(rb"uki-ceremony preflight:.{32}", re.DOTALL)
_NO_MANDATE = Mandate(plan="", policy="", attributes="", approvals=())

# What can be typed; a PIN that cannot be one is never sent, since some tokens count it.
_PIN = re.compile(rb"[ -~]{1,255}")

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


class Pkcs11Token:
    """The one token that fits a binding and a URI, for commands outside of ceremonies."""

    DESK: ClassVar[Desk] = "signing"

    def __init__(self, binding: Binding, uri: str) -> None:
        if binding.policy_sha256 and self.DESK == "signing":
            text = "the machine binding pins a policy: its token signs in ceremonies only"
            raise refuse("APP-POLICY", text)
        self._binding = binding
        self._uri = parse(uri)
        self._child: Child | None = None
        self._library: dict[str, object] = {}
        self._target: Target | None = None
        self._evidence: TokenEvidence | None = None
        self._logged_in = False
        self._possession: Possession = "not-tried"

    def probe(self, certificate: bytes) -> TokenEvidence:
        """Look for the certificate's key (PEM or DER) and return what is seen, without a PIN.

        Raises Refused KEY-CERT-FORM, or TokenTrouble: KEY-MODULE, KEY-CHILD, KEY-TOKEN, or
        KEY-URI where the URI names another label or id than the key bears.
        """
        target = target_of(certificate)
        if self._target is not None and self._target.certificate != target.certificate:
            self._discard()
        self._target = target
        return self._look(target)

    def login(self, pin: bytearray) -> LoginResult:
        """Try the PIN once, prove possession of the key, and look at the private key again.

        `pin` is overwritten whatever happens. An empty one asks for the PIN on the token's own
        reader where it has one. Raises TokenTrouble (KEY-CHILD, KEY-REFUSED, KEY-POSSESSION);
        whether the token counted a try is then not known.
        """
        try:
            if self._target is None or self._logged_in:
                raise OutOfOrder("a login follows a probe, and one is enough")
            evidence = self._evidence or self._look(self._target)
            return self._login(self._target, evidence, pin)
        finally:
            pin[:] = bytes(len(pin))

    def sign(self, request: SignRequest) -> SignResult:
        """Sign the request's digest once; a signature is returned only when it verifies."""
        target = self._target
        if target is None:
            raise OutOfOrder("signing follows a probe and a login")
        if unfit := self._unfit(target, request):
            return unfit
        try:
            signature = self._signature(target, request)
        except TokenRefused as refused:
            self._discard()
            return _refused(refused)
        except TokenTrouble as lost:
            self._discard()
            return SignResult("unknown", rule=lost.rule, text=lost.text)
        if signature is None:
            self._discard()
            return _failed("KEY-SIGNATURE", "what the token returned is no signature by the key")
        return SignResult("signed", signature.hex())

    def close(self) -> None:
        """End the child process; the token is logged out with it."""
        if self._child is not None:
            self._child.close()
        self._discard()

    def _unfit(self, target: Target, request: SignRequest) -> SignResult | None:
        """Return why the token is not even asked, if so."""
        if request.spki_sha256 != spki_sha256(target.key):
            return _failed("KEY-MATCH", "the request is for another key")
        if request.mechanism != mechanism_for(target.key):
            return _failed("KEY-MECHANISM", f"{request.mechanism} does not fit the key")
        if not self._logged_in:
            return _failed("KEY-LOST", "nobody is logged in; the token was asked nothing")
        return None

    def _look(self, target: Target) -> TokenEvidence:
        digest = measure_module(self._binding.module)
        try:
            child = self._child or self._started()
            answer = child.ask(
                "probe", self._binding.limits.probe, uri=self._uri.token, **target.fields
            )
            evidence = read_evidence(
                {**answer, **self._library},
                module_path=str(self._binding.module),
                module_sha256=digest,
                sandbox=self._binding.sandbox.described if self._binding.sandbox else "none",
                key=target.key,
                stage="after-login" if self._logged_in else "before-login",
                possession=self._possession,
            )
            self._check_uri(evidence)
        except TokenTrouble:
            self._discard()
            raise
        self._evidence = evidence
        return evidence

    def _started(self) -> Child:
        limit = self._binding.limits.start
        self._child = child = Child(self.DESK, self._binding)
        self._library = child.ask(
            "load",
            limit,
            module=str(self._binding.module),
            policy_sha256=self._binding.policy_sha256,
        )
        return child

    def _check_uri(self, evidence: TokenEvidence) -> None:
        for key in evidence.keys:
            if key.found_as != "private key":
                continue
            for name, named, borne in (
                ("object", self._uri.label, key.label),
                ("id", self._uri.id, key.id),
            ):
                if named is not None and named != borne:
                    text = f"the policy's URI names another {name} than the key bears: {borne}"
                    raise TokenTrouble("KEY-URI", text)

    def _login(self, target: Target, seen: TokenEvidence, pin: bytearray) -> LoginResult:
        reader = seen.protected_path and not pin
        if not reader and not _PIN.fullmatch(pin):
            return LoginResult("cancelled", seen.pin_state)
        child = self._child
        if child is None:
            raise OutOfOrder("a login follows a probe")
        limits = self._binding.limits
        try:
            child.send_pin(pin)
            answer = child.ask(
                "login",
                limits.reader if reader else limits.login,
                length=len(pin),
                reader=int(reader),
                **target.fields,
            )
            outcome = text(answer, "outcome")
        except TokenTrouble as trouble:
            self._discard()
            said = f"{trouble.text}; whether the PIN try was counted is unknown"
            raise TokenTrouble(trouble.rule, said) from None
        if outcome == "ok":
            self._logged_in = True
            return LoginResult("ok", "ok", self._proved(target))
        self._discard()
        state = self._pin_state(target)
        if outcome == "locked":
            return LoginResult("locked", "locked")
        return LoginResult("cancelled" if outcome == "cancelled" else "wrong-pin", state)

    def _pin_state(self, target: Target) -> PinState:
        try:
            return self._look(target).pin_state
        except TokenTrouble:
            return "unknown"

    def _proved(self, target: Target) -> TokenEvidence:
        """Return the evidence after login, with a challenge signed where one key can sign."""
        evidence = self._look(target)
        private = [key for key in evidence.keys if key.found_as == "private key"]
        if len(private) != 1 or private[0].attribute("SIGN") != "true":
            return evidence
        try:
            signature = self._challenged(target)
        except ChildLost:
            self._discard()
            raise
        except TokenRefused as refused:
            self._discard()
            raise TokenTrouble("KEY-POSSESSION", f"no challenge signed: {refused.text}") from None
        if signature is None:
            self._discard()
            raise TokenTrouble("KEY-POSSESSION", "the signed challenge does not verify")
        self._possession = "proved"
        return self._look(target)

    def _challenged(self, target: Target) -> bytes | None:
        """Return the signature of a challenge that the child drew, if it verifies."""
        answer = self._asked("challenge", mechanism=mechanism_for(target.key))
        challenge = octets(answer, "challenge")
        if not CHALLENGE.fullmatch(challenge):
            return None
        digest = hashlib.sha256(challenge).digest()
        return verified(target.key, digest, octets(answer, "signature"))

    def _signature(self, target: Target, request: SignRequest) -> bytes | None:
        """Return the request's signature, if it verifies; the ceremony's desk judges it first."""
        digest, mandate = bytes.fromhex(request.digest), request.mandate or _NO_MANDATE
        answer = self._asked(
            "sign",
            mechanism=mechanism_for(target.key),
            data=to_be_signed(target.key, digest).hex(),
            **asdict(mandate),
        )
        return verified(target.key, digest, octets(answer, "signature"))

    def _asked(self, op: str, **fields: object) -> dict[str, object]:
        if self._child is None:
            raise ChildLost("KEY-CHILD", "the process with the token's module is gone")
        return self._child.ask(op, self._binding.limits.sign, **fields)

    def _discard(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None
        self._evidence = None
        self._logged_in = False
        self._possession = "not-tried"


class CeremonyToken(Pkcs11Token):
    """The token of a ceremony: its process signs only what key holders approved."""

    DESK: ClassVar[Desk] = "ceremony"


def _failed(rule: str, text: str) -> SignResult:
    return SignResult("failed", rule=rule, text=text)


def _refused(refused: TokenRefused) -> SignResult:
    """Sort a no: an answer that rules a signature out, or one that a lost token may give."""
    if refused.rule != "KEY-LOST":
        return _failed(refused.rule, refused.text)
    if refused.code in _NO_SIGNATURE:
        return _failed("KEY-REFUSED", refused.text)
    return SignResult("unknown", rule="KEY-LOST", text=refused.text)
