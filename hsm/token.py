"""The PKCS#11 token as the engine sees it: probe, log in, sign, close.

Decides which of the child's answers may be believed and what a failure left behind: every
signature is verified here, outside the process that made it, before anybody gets it. It
refuses to judge key, certificate and PIN counters; that is `ceremony.preflight`. A PIN goes
to one token once, and a key that asks for it at every use has people asked anew (hsm.uses).
After any failure the process is given up and the next call starts a
fresh one, on which nobody is logged in.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from typing import ClassVar

from ceremony.errors import OutOfOrder, TokenTrouble, refuse
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_uses import PinUse, UsePin, nobody
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
from hsm.offering import offered
from hsm.outcome import failed, refused_by
from hsm.signature import to_be_signed, verified
from hsm.target import Target, target_of
from hsm.uri import check_key, parse
from hsm.uses import TYPEABLE, UNKNOWN_TRY, Uses

CHALLENGE = re.compile(rb"uki-ceremony preflight:.{32}", re.DOTALL)
_NO_MANDATE = Mandate(plan="", policy="", attributes="", approvals=())


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
        self._uses = Uses()
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

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Give the process one part of the PIN, and overwrite it here; return why it is none.

        Raises TokenTrouble (KEY-CHILD, KEY-PIN-SLIP39); no PIN try is counted.
        """
        try:
            if self._target is None or (self._logged_in and not self._uses.typed):
                raise OutOfOrder("a part of a PIN follows a probe, or is asked for a use")
            if self._child is None:
                self._look(self._target)
            return offered(self._child, typed, part, self._binding.limits.login)
        except TokenTrouble:
            self._discard()
            raise
        finally:
            typed[:] = bytes(len(typed))

    def login(
        self,
        pin: bytearray,
        entry: PinEntry = PinEntry.WHOLE,
        use: UsePin = nobody,
        *,
        keep: bool = False,
    ) -> LoginResult:
        """Try the PIN once, prove possession of the key, and look at the private key again.

        `pin` is overwritten whatever happens. An empty one asks for the PIN on the token's own
        reader where it has one. Where the key asks for it at every use, `use` is asked for that of
        the test signature; `keep` leaves it in the token's process until the one signature, for a
        PIN that nobody types. Raises TokenTrouble: KEY-CHILD, KEY-REFUSED, KEY-POSSESSION (a try
        may have been counted); KEY-PIN-USE, -FINAL, -LOCKED (no PIN was sent for the test).
        """
        try:
            if self._target is None or self._logged_in:
                raise OutOfOrder("a login follows a probe, and one is enough")
            evidence = self._evidence or self._look(self._target)
            self._uses = Uses(evidence.pin_state, entry, keep or entry is PinEntry.SHARES)
            return self._login(self._target, evidence, pin, use)
        finally:
            pin[:] = bytes(len(pin))

    def sign(self, request: SignRequest, use: UsePin = nobody) -> SignResult:
        """Sign the request's digest once; a signature is returned only when it verifies.

        `use` is asked for the PIN where the key asks for it at every use.
        """
        target, uses = self._target, self._uses
        if target is None:
            raise OutOfOrder("signing follows a probe and a login")
        if unfit := self._unfit(target, request):
            return unfit
        try:
            pin = uses.pin(PinUse.SIGNATURE, lambda: self._look(target).pin_state, use)
        except TokenTrouble as trouble:
            self._discard()
            return failed(trouble.rule, trouble.text)
        try:
            signature = self._signature(target, request, pin)
        except TokenRefused as refused:
            self._discard()
            return refused_by(refused, uses)
        except TokenTrouble as lost:
            self._discard()
            return SignResult("unknown", rule=lost.rule, text=uses.said(lost.text))
        if signature is None:
            self._discard()
            return failed("KEY-SIGNATURE", "what the token returned is no signature by the key")
        return SignResult("signed", signature.hex())

    def close(self) -> None:
        """End the child process; the token is logged out with it."""
        if self._child:
            self._child.close()
        self._discard()

    def _unfit(self, target: Target, request: SignRequest) -> SignResult | None:
        """Return why the token is not even asked, if so."""
        if request.spki_sha256 != spki_sha256(target.key):
            return failed("KEY-MATCH", "the request is for another key")
        if request.mechanism != mechanism_for(target.key):
            return failed("KEY-MECHANISM", f"{request.mechanism} does not fit the key")
        if not self._logged_in:
            return failed("KEY-LOST", "nobody is logged in; the token was asked nothing")
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
            check_key(self._uri, evidence)
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

    def _login(
        self, target: Target, seen: TokenEvidence, pin: bytearray, use: UsePin
    ) -> LoginResult:
        whole = self._uses.entry is PinEntry.WHOLE
        reader = seen.protected_path and whole and not pin
        if whole and not reader and not TYPEABLE.fullmatch(pin):
            return LoginResult("cancelled", seen.pin_state)
        child = self._child
        if child is None:
            raise OutOfOrder("a login follows a probe")
        limits = self._binding.limits
        try:
            answer = child.ask(
                "login",
                limits.reader if reader else limits.login,
                length=child.send_pin(pin),
                reader=int(reader),
                parts="" if whole else self._uses.entry,
                keep=int(self._uses.kept),
                **target.fields,
            )
            outcome = text(answer, "outcome")
        except TokenTrouble as trouble:
            self._discard()
            if trouble.rule == "KEY-TOKEN":  # another token, which did not hear the PIN
                raise
            raise TokenTrouble(trouble.rule, f"{trouble.text}; {UNKNOWN_TRY}") from None
        if outcome == "ok":
            self._logged_in = True
            return self._proved(target, use)
        self._discard()
        if outcome == "locked":
            return LoginResult("locked", "locked")
        state = self._pin_state(target)
        return LoginResult("cancelled" if outcome == "cancelled" else "wrong-pin", state)

    def _pin_state(self, target: Target) -> PinState:
        try:
            return self._look(target).pin_state
        except TokenTrouble:
            return "unknown"

    def _proved(self, target: Target, use: UsePin) -> LoginResult:
        """Return the login with its evidence, a challenge signed where one key can sign."""
        evidence = self._look(target)
        private = [key for key in evidence.keys if key.found_as == "private key"]
        self._uses.asks = evidence.always_authenticate
        padded = self._uses.asks and evidence.protected_path  # KEY-PIN-PAD, says preflight
        if padded or len(private) != 1 or private[0].attribute("SIGN") != "true":
            return LoginResult("ok", "ok", evidence)
        try:
            signature = self._challenged(target, use)
        except TokenRefused as refused:
            self._discard()
            return self._uses.untested(refused, lambda: self._pin_state(target))
        except BaseException:  # also what a person did instead of typing the PIN
            self._discard()
            raise
        if signature is None:
            self._discard()
            raise TokenTrouble("KEY-POSSESSION", "the signed challenge does not verify")
        self._possession = "proved"
        return LoginResult("ok", "ok", self._look(target))

    def _challenged(self, target: Target, use: UsePin) -> bytes | None:
        """Return the signature of a challenge that the child drew, if it verifies."""
        pin = self._uses.pin(PinUse.TEST, lambda: self._look(target).pin_state, use)
        answer = self._asked("challenge", pin, mechanism=mechanism_for(target.key))
        challenge = octets(answer, "challenge")
        if not CHALLENGE.fullmatch(challenge):
            return None
        digest = hashlib.sha256(challenge).digest()
        return verified(target.key, digest, octets(answer, "signature"))

    def _signature(self, target: Target, request: SignRequest, pin: bytearray) -> bytes | None:
        """Return the request's signature, if it verifies; the ceremony's desk judges it first."""
        digest, mandate = bytes.fromhex(request.digest), request.mandate or _NO_MANDATE
        answer = self._asked(
            "sign",
            pin,
            mechanism=mechanism_for(target.key),
            data=to_be_signed(target.key, digest).hex(),
            **asdict(mandate),
        )
        return verified(target.key, digest, octets(answer, "signature"))

    def _asked(self, op: str, pin: bytearray, **fields: object) -> dict[str, object]:
        """Ask for one use of the key, with the PIN for it where one was typed."""
        try:
            if self._child is None:
                raise ChildLost("KEY-CHILD", "the process with the token's module is gone")
            limit, length = self._binding.limits.sign, self._child.send_pin(pin) if pin else 0
            return self._child.ask(op, limit, length=length, parts=self._uses.parts, **fields)
        finally:
            pin[:] = bytes(len(pin))

    def _discard(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None
        self._evidence = None
        self._logged_in = False
        self._possession = "not-tried"
