"""The embedded rehearsal key: practice where no PKCS#11 module is on the machine.

Everybody has this private key, so a signature by it says nothing. Decides that it signs in
a rehearsal only: `sign` takes a `RehearsalRequest`, a type that cannot be made in production,
and refuses everything else at run time too; preflight refuses its public key by fingerprint
whatever token holds it (KEY-REHEARSAL). The PIN exists to be practised: three tries.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ceremony.errors import OutOfOrder, TokenTrouble
from ceremony.pin_parts import PinEntry, PinPart
from ceremony.preflight import read_certificate, signing_key, spki_sha256
from ceremony.rehearsal_key import REHEARSAL_SPKI_SHA256
from ceremony.token import (
    KeyEvidence,
    LoginResult,
    PinState,
    RehearsalRequest,
    SignResult,
    TokenEvidence,
)
from hsm.signature import verified

REHEARSAL_PIN = "rehearse"
REHEARSAL_URI = "pkcs11:token=rehearsal;object=rehearsal;type=private"
PIN_TRIES = 3

REHEARSAL_CERTIFICATE_PEM = b"""\
-----BEGIN CERTIFICATE-----
MIIDMTCCAhmgAwIBAgIJUkVIRUFSU0FMMA0GCSqGSIb3DQEBCwUAMC0xKzApBgNV
BAMMIlJFSEVBUlNBTCBPTkxZIC0gTk9UIEEgUkVMRUFTRSBLRVkwHhcNMjAwMTAx
MDAwMDAwWhcNNDkxMjMxMjM1OTU5WjAtMSswKQYDVQQDDCJSRUhFQVJTQUwgT05M
WSAtIE5PVCBBIFJFTEVBU0UgS0VZMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIB
CgKCAQEAxlYS4S+FDceUAFaD2NxYU316JhZxqHmvcG+UdG5ahmqUOge3zMoWpYYt
4MxUWBpvDCttCwUTouEAP2CF8mYgl1M1RdY/fJ17ZGCgwNI7FP+x2SGM4wkATcDF
2Lt6DxUKO+mONsJTpTdmcceynPwhzl0ywKWypk9yYONM6jyUY2MX8DYU21Pkk3dh
GF4vwGuiwfATQhAROKn+PIKLIwV98psf/jvv0V8vHi06cTtCGNO96/bd1EVpTPin
DNNhn7dxQVuHrznxXGEZdanvVyM7WMjLXiTcwog2o8rXFVXW5ab4JH4+EqKl1jBU
5PrgZQAiUCd6XSfiPySxX1ys9HzEKQIDAQABo1QwUjAMBgNVHRMBAf8EAjAAMA4G
A1UdDwEB/wQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDAzAdBgNVHQ4EFgQU/cqU
NTUl0lzpg47bbNGoTx1BXNQwDQYJKoZIhvcNAQELBQADggEBADuv8duJFWhbdRfl
s5bhAMsgkbLxqH9lqd1YEaGsNh3mwkkrqvgNURsEQney2iTcLgdsWz1I8Q65FNqF
fQEYLrNdNP+tducW7FedoS94T2JUXwvIrfvCCctNtTGOG3W4WG3DEuxVtODXSR4N
LWc8oU61uKc/csEPRrpp170QmMAcdZtygigzUvHcnw1yyD+Z7pX8sHXhCzvfUfm4
n8Iva1H2JU7+PdpsPAD76M5G5jK3W4BV7d/3sFl0qBLqZjybqbwLNzD9w6bQ7Xbn
+gAk69vLzR0F8Fh2Ynt9D3Rt90LEQOgkPv3pPI2L4DGz3zn97m7Ww+ugPsERGdGe
3h8/X8Y=
-----END CERTIFICATE-----
"""

# Published on purpose; see the module's first lines.
_REHEARSAL_KEY_PEM = b"""\
-----BEGIN PRIVATE KEY-----
MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQDGVhLhL4UNx5QA
VoPY3FhTfXomFnGoea9wb5R0blqGapQ6B7fMyhalhi3gzFRYGm8MK20LBROi4QA/
YIXyZiCXUzVF1j98nXtkYKDA0jsU/7HZIYzjCQBNwMXYu3oPFQo76Y42wlOlN2Zx
x7Kc/CHOXTLApbKmT3Jg40zqPJRjYxfwNhTbU+STd2EYXi/Aa6LB8BNCEBE4qf48
gosjBX3ymx/+O+/RXy8eLTpxO0IY073r9t3URWlM+KcM02Gft3FBW4evOfFcYRl1
qe9XIztYyMteJNzCiDajytcVVdblpvgkfj4SoqXWMFTk+uBlACJQJ3pdJ+I/JLFf
XKz0fMQpAgMBAAECggEAAYmyUh0DDEUjZdCbQMe4nEZz94P4s/nkPTFy9md9UTSA
sLsq7C4W+Ifups2+y64XdVcy3GvY0qGpqv7NxcA6pCG+NIFBncQ/gYWUSYUidc+5
FSTC9GcMobhgcFqdIC0lbACBcfWWHh5XWi4ruYw6RjYydLb0MyuY3fJ1QA23Mta9
hj7njCA40FaANFBiBqC5lXY/3nV5rDRNfgBImPdACrZIY0SL4oD/+1KTDnWSaU4A
OKzYH6g4fkguaHLkgs8PJ//MO73ZGITVRaIjoVZe+E5A+LZKNU/GHM4brCEjv7sB
6yEggeM9wXWLM3a1mdT+N2vAF6L/v9UzotRFPfsCvwKBgQD09k1HrEeW4+NH5qcR
VNGVTs2Ptsht58W8yTgSb4fSxeOjH79opaksbiLBITb27Ec6LjIq/J5w4WHeaB+S
q+ZKWcRHuZ+VfspG/a7JF1Yzqc8kXa4aOL4PW/wnMGXgFo5HDR9Z0HiPfa2XEgnZ
vUsyVakXXKue1MVbWvPx+em/1wKBgQDPRe5HgEWDDjaLI9FPyNdSdNBmeOL8OaWF
Y/Rx28kQCDKcE9Xe4rjfWFs45ZKBpL4ffGmzg27O25cbncAAzuwfERdXs2ZiZc+v
jrINvn+20rbYzvZsFxtMhRKKKN+RncP7qhz/HnB1iqcvKzsMQnw9GVMOQdiCzrtK
PzrEbI0b/wKBgQCA+MDdcJZMmnVKoOTrWhXyn4fZF6pVO0c/y02LX09KqMfeVdPI
PBhi/SWtO1ieDu69ch8VxOWClxeZKocdCQZ5tOODw/aCljvXvq7szy2ii9A03GHT
Cnb+zTZoR7ILlrSYMg+EkR84pTnlJSksi95whOs/EpqFSI8UN0Hi7+qjBwKBgQCy
bSCRrHoqNzH81Ph6FgpFkQlVLPs45Ob3zPPAj9KlWmk2slyJYeKDYSwl7noP4CFK
OW9EeQAKUj3iKAoAqB/bHntZo7WfPsVp+wyLiFGor/t257J5meqGFIfBJy5Ny+HJ
4sbTVwC4LoN8t1o9U35fmk1FGKmo8Q2I/KU6MbfHQQKBgQDLbhTZIexHtAVlnNX9
OrtLP0Q74YM3b+qOceeAKeKsyguXhjX4tu43aZckYiSiYLfnAsjk2K8gFaJeLr6J
BBFNCJZQUndL1GCtVLqzvVGg1k6JVEEPfWgX8BEO2x7SL3KWcyv6TbXw1ctNiysD
Rp+T4G2EaJNclR4GUyb9Sx+wGw==
-----END PRIVATE KEY-----
"""

_PIN_STATES: dict[int, PinState] = {0: "locked", 1: "final-try", 2: "count-low", 3: "ok"}


class RehearsalToken:
    """A token of software alone, with the same port as a PKCS#11 token."""

    def __init__(self) -> None:
        key = load_pem_private_key(_REHEARSAL_KEY_PEM, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the rehearsal key is RSA")
        self._key = key
        self._tries = PIN_TRIES
        self._holds_key = False
        self._probed = False
        self._logged_in = False
        self._halves: tuple[bytearray, ...] = ()

    def probe(self, certificate: bytes) -> TokenEvidence:
        """Describe the rehearsal token, with its key where `certificate` is for it."""
        wanted = spki_sha256(signing_key(read_certificate(certificate)))
        self._holds_key = wanted == REHEARSAL_SPKI_SHA256
        self._probed = True
        return self._evidence()

    def offer(self, typed: bytearray, part: PinPart) -> str:
        """Keep one half of the PIN; there is no process of its own to keep it in."""
        if part.entry is PinEntry.SHARES:
            typed[:] = bytes(len(typed))
            raise TokenTrouble("KEY-PIN-SLIP39", "the embedded rehearsal key takes no shares")
        if part.number == 1:
            self._halves = ()
        self._halves = (*self._halves, bytearray(typed))
        typed[:] = bytes(len(typed))
        return "" if self._halves[-1] else "a half has at least one character"

    def login(self, pin: bytearray, entry: PinEntry = PinEntry.WHOLE) -> LoginResult:
        """Try the PIN once and overwrite it; the third wrong one locks the token."""
        if entry is PinEntry.HALVES:
            pin, self._halves = bytearray().join(self._halves), ()
        try:
            if not self._probed or self._logged_in:
                raise OutOfOrder("a login follows a probe, and one is enough")
            if not pin:
                return LoginResult("cancelled", self._pin_state)
            if self._tries and pin == REHEARSAL_PIN.encode("ascii"):
                self._tries, self._logged_in = PIN_TRIES, True
                return LoginResult("ok", "ok", self._evidence())
            self._tries = max(self._tries - 1, 0)
            return LoginResult("wrong-pin" if self._tries else "locked", self._pin_state)
        finally:
            pin[:] = bytes(len(pin))

    def sign(self, request: RehearsalRequest) -> SignResult:
        """Make a practice signature; anything but a `RehearsalRequest` is a TypeError."""
        if not isinstance(request, RehearsalRequest):
            raise TypeError("the rehearsal key signs rehearsal requests only")
        if request.spki_sha256 != REHEARSAL_SPKI_SHA256 or not self._holds_key:
            return SignResult("failed", rule="KEY-MATCH", text="the request is for another key")
        if request.mechanism != "CKM_RSA_PKCS":
            text = f"{request.mechanism} does not fit the key"
            return SignResult("failed", rule="KEY-MECHANISM", text=text)
        if not self._logged_in:
            return SignResult("failed", rule="KEY-LOST", text="nobody is logged in")
        digest = bytes.fromhex(request.digest)
        answer = self._key.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        signature = verified(self._key.public_key(), digest, answer)
        if signature is None:
            text = "the rehearsal key's signature does not verify"
            return SignResult("failed", rule="KEY-SIGNATURE", text=text)
        return SignResult("signed", signature.hex())

    def close(self) -> None:
        """Log out; wrong tries stay counted."""
        self._logged_in = False

    @property
    def _pin_state(self) -> PinState:
        return _PIN_STATES[self._tries]

    def _evidence(self) -> TokenEvidence:
        key = KeyEvidence(
            label="rehearsal",
            id="01",
            spki_sha256=REHEARSAL_SPKI_SHA256,
            key_type="RSA",
            bits=self._key.key_size,
            found_as="private key",
            attributes=(("SENSITIVE", "false"), ("EXTRACTABLE", "true"), ("SIGN", "true")),
            always_authenticate=False,
        )
        return TokenEvidence(
            module_path="",
            module_sha256="",
            library_manufacturer="uki-ceremony",
            library_description="embedded rehearsal key",
            library_version="",
            cryptoki="",
            slot_id=0,
            slot_description="",
            slot_manufacturer="",
            token_label="rehearsal",  # noqa: S106 - a label
            token_serial="",
            token_model="",
            token_manufacturer="uki-ceremony",  # noqa: S106 - a name
            token_flags=("LOGIN_REQUIRED",),
            mechanisms=("CKM_RSA_PKCS",),
            keys=(key,) if self._holds_key else (),
            pin_state=self._pin_state,
            protected_path=False,
            libraries=(),
            sandbox="none",
            grade="embedded rehearsal key",
            stage="after-login" if self._logged_in else "before-login",
            possession="proved" if self._logged_in and self._holds_key else "not-tried",
        )
