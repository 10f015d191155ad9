"""Which token a machine-binding file names, as the engine's Token port.

`module = "rehearsal"` is the embedded practice key: it exists in rehearsal mode only, and
the type of request it takes can only be made there.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from ceremony import policy as policies
from ceremony.errors import Refused, TokenTrouble, refuse
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.pin_uses import UsePin, nobody
from ceremony.practice import require_machine
from ceremony.token import LoginResult, RehearsalRequest, SignRequest, SignResult, TokenEvidence
from ceremony.types import Mode
from hsm.binding import Binding, find_module, read_binding
from hsm.ceremony_token import CeremonyToken
from hsm.soft import RehearsalToken
from tui.given import read_head

MOST_BINDING = 64 * 1024


class BoundToken:
    """The PKCS#11 token of one binding; the policy's URI says which token on it."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._token: CeremonyToken | None = None

    def admit(self, mode: Mode, policy: bytes) -> None:
        """APP-POLICY, APP-PRACTICE: refuse at once what the token's process would refuse at last.

        A policy that is none is not judged here: Open records why.
        """
        try:
            loaded = policies.load(policy)
        except Refused:
            return
        require_machine(mode, loaded, self._binding.policy_sha256)

    def probe(self, certificate: bytes, uri: str) -> TokenEvidence:
        """Start afresh and return what the token shows without a PIN."""
        self.close()
        self._token = CeremonyToken(self._binding, uri)
        return self._token.probe(certificate)

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Give the token's process one part of the PIN; return why it is none."""
        return self._present().offer(typed, part)

    def login(
        self, pin: bytearray, entry: PinEntry = PinEntry.WHOLE, use: UsePin = nobody
    ) -> LoginResult:
        """Log in once with `pin`, which is wiped, or with the parts that were offered."""
        return self._present().login(pin, entry, use)

    def sign(self, request: SignRequest, use: UsePin = nobody) -> SignResult:
        """Have the token sign; `use` is asked where the key asks for its PIN again."""
        return self._present().sign(request, use)

    def close(self) -> None:
        """End the child process, and the login with it."""
        if self._token:
            self._token.close()
            self._token = None

    def _present(self) -> CeremonyToken:
        if self._token is None:
            raise TokenTrouble("KEY-TOKEN", "the token was not probed")
        return self._token


class PracticeToken:
    """The embedded rehearsal key."""

    def __init__(self) -> None:
        self._token = RehearsalToken()

    def admit(self, _mode: Mode, _policy: bytes) -> None:
        """Admit every policy: this key is nowhere but in rehearsals, and signs for itself alone."""

    def probe(self, certificate: bytes, _uri: str) -> TokenEvidence:
        """Forget any login, and return what the practice key says of itself."""
        self._token.close()
        return self._token.probe(certificate)

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Keep one half of the practice PIN."""
        return self._token.offer(typed, part)

    def login(
        self, pin: bytearray, entry: PinEntry = PinEntry.WHOLE, _use: UsePin = nobody
    ) -> LoginResult:
        """Log in with the practice PIN, or the halves of it."""
        return self._token.login(pin, entry)

    def sign(self, request: SignRequest, _use: UsePin = nobody) -> SignResult:
        """Make a practice signature; KEY-REHEARSAL for any other request."""
        if not isinstance(request, RehearsalRequest):
            raise refuse("KEY-REHEARSAL", "the rehearsal key makes no release signature")
        return self._token.sign(request)

    def close(self) -> None:
        """Forget the login."""
        self._token.close()


def open_token(binding: Path | None, mode: Mode) -> BoundToken | PracticeToken:
    """Return the token a binding file names; a rehearsal without one takes the module found."""
    if binding is None and mode is not Mode.REHEARSAL:
        text = (
            "a ceremony needs a machine binding that pins its policy: give it with --machine FILE"
        )
        raise refuse("KEY-BINDING", text)
    if binding is None:
        module = find_module()
        if module is None:
            raise refuse("KEY-MODULE", "no PKCS#11 module was found; name one with --machine FILE")
        return BoundToken(Binding(module, rehearsal=True))
    try:
        data = read_head(binding, MOST_BINDING + 1)
    except OSError as error:
        raise refuse("KEY-BINDING", f"{binding}: {error.strerror}") from None
    if _names_rehearsal(data):
        if mode is not Mode.REHEARSAL:
            raise refuse("KEY-REHEARSAL", f"{binding} names the rehearsal key")
        return PracticeToken()
    return BoundToken(read_binding(data))


def _names_rehearsal(data: bytes) -> bool:
    try:
        return tomllib.loads(data.decode("utf-8")) == {"module": "rehearsal"}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return False
