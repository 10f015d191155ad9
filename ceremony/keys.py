"""What a public key is, whatever it came wrapped in.

Decides the one identity of a key, SHA-256 of its canonical DER SubjectPublicKeyInfo, and
whether a raw signature fits. An RSA key as PEM, as DER and as an OpenSSH line is one key.
Refuses to know whose key it is, and never goes by a key id.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ceremony.attest.ssh_wire import WireReader
from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse
from ceremony.show import escaped
from ceremony.types import Digest, DigestKind
from ceremony.verification import Loaded, Scheme, check_of, digest_check_of

__all__ = ["PublicKey", "Scheme"]

RULE = "ATT-KEY"
SIGNATURE_RULE = "ATT-SIGNATURE"

LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 16384
# Tools write 65537, old ones 3 to 257. An exponent as long as the modulus is only there to make
# a thousand signatures cost minutes.
MOST_RSA_EXPONENT = 1 << 24
MOST_KEY_BYTES = 8192
RAW_ED25519_BYTES = 32
ED25519_PRIME = 2**255 - 19
ED25519_Y = (1 << 255) - 1  # an encoded point but the sign of its x coordinate
# RFC 8032 4.2 and RFC 7748 7: the y coordinates of the eight points whose order divides the
# cofactor. Under such a key a signature that anybody can make fits one message in eight, or all.
_ED25519_SMALL = frozenset(
    (
        *(0, 1, ED25519_PRIME - 1),
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    )
)
# RFC 8410 4: the parameters MUST be absent; some tools write an explicit NULL all the same.
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
ED25519_SPKI_WITH_NULL = bytes.fromhex("302c300706032b65700500032100")
MINISIGN_KEY_BYTES = 42
# "rsa>=3072-sha256": at least 3072 bits and a hash no shorter than SHA-256.
RSA_RULE = re.compile(r"rsa>=([1-9][0-9]{3,4})-sha(256|512)")

_CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "secp256r1": ("ecdsa-p256-sha256", ec.SECP256R1()),
    "secp384r1": ("ecdsa-p384-sha384", ec.SECP384R1()),
    "secp521r1": ("ecdsa-p521-sha512", ec.SECP521R1()),
}
_SSH_CURVES = {"nistp256": "secp256r1", "nistp384": "secp384r1", "nistp521": "secp521r1"}


_RSA_STRENGTH = {Scheme.RSA_PKCS1_SHA384: 384, Scheme.RSA_PKCS1_SHA512: 512}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: canonical DER, algorithm, and for a security key its application.

    `algorithm` is a name of the policy's [algorithms].sign, and "rsa-<bits>" for RSA.
    """

    spki: bytes
    algorithm: str
    application: str = ""

    @property
    def identity(self) -> Digest:
        """Return the digest that is this key's only name."""
        return Digest(DigestKind.SPKI_SHA256, hashlib.sha256(self.spki).digest())

    @property
    def fpr(self) -> str:
        """Return the identity as "sha256:" and 64 hex digits."""
        return _fpr(self.spki)

    @property
    def is_security_key(self) -> bool:
        """True for a FIDO key, whose signatures cover flags and a counter too."""
        return self.algorithm.startswith("sk-")

    def allowed_by(self, names: tuple[str, ...], scheme: Scheme) -> bool:
        """Say whether one of the policy's algorithm names covers this key used in `scheme`."""
        if not self.algorithm.startswith("rsa-"):
            return self.algorithm in names
        return _rsa_allowed(int(self.algorithm.removeprefix("rsa-")), names, scheme)

    def verify(self, signature: bytes, message: bytes, scheme: Scheme) -> None:
        """Refuse (ATT-SIGNATURE) unless `signature` (ECDSA: DER) over `message` is this key's."""
        try:
            check = check_of(self.spki, scheme)
            if check is not None:
                check(signature, message)
                return
        except (InvalidSignature, ValueError, OverflowError):
            raise refuse(
                SIGNATURE_RULE, "the signature does not fit this key and content"
            ) from None
        raise refuse(SIGNATURE_RULE, f"a {self.algorithm} key makes no {scheme} signature")

    def verify_digest(self, signature: bytes, digest: bytes, name: str) -> None:
        """Refuse (ATT-SIGNATURE) unless `signature` is this key's over a digest.

        `name` is "sha256", "sha384" or "sha512". RSA is PKCS #1 v1.5; Ed25519 takes the
        digest as its message (RFC 9580 5.2.3.3.2 and 5.2.3.3.3).
        """
        try:
            digest_check_of(self.spki, name)(signature, digest)
        except (InvalidSignature, ValueError, OverflowError):
            raise refuse(
                SIGNATURE_RULE, "the signature does not fit this key and content"
            ) from None


@lru_cache(maxsize=4096)
def _fpr(spki: bytes) -> str:
    return "sha256:" + hashlib.sha256(spki).hexdigest()


@lru_cache(maxsize=256)
def _rsa_allowed(bits: int, names: tuple[str, ...], scheme: Scheme) -> bool:
    strength = _RSA_STRENGTH.get(scheme, 256)
    rules = (RSA_RULE.fullmatch(name) for name in names)
    return any(bits >= int(rule[1]) and strength >= int(rule[2]) for rule in rules if rule)


def _canonical(key: Loaded, algorithm: str, application: str = "") -> PublicKey:
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(spki, algorithm, application)


def from_ed25519(raw: bytes, application: str | None = None) -> PublicKey:
    """Make the key of 32 raw bytes; with an application it is a security key."""
    if len(raw) != RAW_ED25519_BYTES:
        raise refuse(RULE, f"an Ed25519 key has 32 bytes, not {len(raw)}")
    # RFC 8032 5.1.3: a y coordinate of p or more does not decode; it would be a second name.
    y = int.from_bytes(raw, "little") & ED25519_Y
    if y >= ED25519_PRIME:
        raise refuse(RULE, "the Ed25519 key is not in canonical form")
    if y in _ED25519_SMALL:
        raise refuse(RULE, "the Ed25519 key is a point of small order: anybody can sign for it")
    if application is None:
        return PublicKey(ED25519_SPKI + raw, "ed25519")
    return PublicKey(ED25519_SPKI + raw, "sk-ssh-ed25519", application)


def _from_point(curve: str, point: bytes, application: str | None = None) -> PublicKey:
    name, group = _CURVES[curve]
    if point[:1] != b"\x04":
        raise refuse(RULE, "the curve point is not in uncompressed form")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(group, point)
    except ValueError:
        raise refuse(RULE, "the point is not on its curve") from None
    if application is None:
        return _canonical(key, name)
    return _canonical(key, "sk-ecdsa-p256", application)


def _from_loaded(key: object) -> PublicKey:
    match key:
        case Ed25519PublicKey():
            return from_ed25519(key.public_bytes_raw())
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return _canonical(key, _CURVES[key.curve.name][0])
        case rsa.RSAPublicKey():
            if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
                raise refuse(
                    RULE,
                    f"an RSA key of {key.key_size} bits; {LEAST_RSA_BITS} to {MOST_RSA_BITS} serve",
                )
            if key.public_numbers().e > MOST_RSA_EXPONENT:
                raise refuse(RULE, f"an RSA key whose exponent is over {MOST_RSA_EXPONENT}")
            return _canonical(key, f"rsa-{key.key_size}")
        case _:
            raise refuse(RULE, "the key is neither Ed25519, ECDSA P-256/384/521 nor RSA")


def _from_numbers(exponent: int, modulus: int) -> PublicKey:
    if modulus.bit_length() > MOST_RSA_BITS:
        raise refuse(RULE, f"an RSA key of more than {MOST_RSA_BITS} bits")
    try:
        return _from_loaded(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except (ValueError, OverflowError):
        raise refuse(RULE, "the RSA numbers make no key") from None


@lru_cache(maxsize=4096)
def parse_ssh_blob(blob: bytes) -> PublicKey:
    """Read an SSH public key blob (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f)."""
    wire = WireReader(blob, RULE)
    kind = wire.name()
    match kind:
        case "ssh-ed25519":
            key = from_ed25519(wire.string())
        case "sk-ssh-ed25519@openssh.com":
            key = from_ed25519(wire.string(), wire.name())
        case "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521":
            curve = wire.name()
            if not kind.endswith(curve) or curve not in _SSH_CURVES:
                raise refuse(RULE, "the key names two different curves")
            key = _from_point(_SSH_CURVES[curve], wire.string())
        case "sk-ecdsa-sha2-nistp256@openssh.com":
            if wire.name() != "nistp256":
                raise refuse(RULE, "the key names two different curves")
            key = _from_point("secp256r1", wire.string(), wire.name())
        case "ssh-rsa":
            key = _from_numbers(wire.mpint(), wire.mpint())
        case _ if "-cert-v" in kind:
            raise refuse("ATT-CERTIFICATE", f"{escaped(kind)} is a certificate, not a key")
        case _:
            raise refuse(RULE, f"the SSH key type {escaped(kind)} is not known here")
    wire.end()
    return key


def parse_ssh_line(line: str) -> tuple[PublicKey, str]:
    """Read an OpenSSH public key line; return the key and its comment."""
    if len(line) > MOST_KEY_BYTES:
        raise refuse(RULE, f"the line is longer than {MOST_KEY_BYTES} characters")
    words = line.strip().split(" ", 2)
    if len(words) == 1:
        raise refuse(RULE, "an OpenSSH key line is: type, base64, comment")
    blob = decoded(words[1], RULE)
    key = parse_ssh_blob(blob)
    if WireReader(blob, RULE).name() != words[0]:
        raise refuse(RULE, "the key line says another type than its key")
    return key, "".join(words[2:])


def parse_minisign(text: str) -> tuple[PublicKey, bytes]:
    """Read a minisign public key (the .pub's second line); return the key and its 8 byte id."""
    raw = decoded(text.strip(), RULE)
    if len(raw) != MINISIGN_KEY_BYTES or raw[:2] != b"Ed":
        raise refuse(RULE, "a minisign key is 42 bytes that begin with Ed")
    return from_ed25519(raw[10:]), raw[2:10]


def parse_spki(text: str) -> PublicKey:
    """Read a SubjectPublicKeyInfo as PEM or as base64 of its DER."""
    if len(text) > MOST_KEY_BYTES:
        raise refuse(RULE, f"the key is longer than {MOST_KEY_BYTES} characters")
    lines = text.strip().split("\n")
    if lines[0] == "-----BEGIN PUBLIC KEY-----":
        if lines[-1] != "-----END PUBLIC KEY-----":
            raise refuse(RULE, "the PEM has no end line")
        lines = lines[1:-1]
    return parse_spki_der(decoded("".join(lines), RULE))


def parse_spki_der(der: bytes) -> PublicKey:
    """Read a DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7)."""
    for prefix in (ED25519_SPKI, ED25519_SPKI_WITH_NULL):
        if der.startswith(prefix):
            return from_ed25519(der.removeprefix(prefix))
    try:
        return _from_loaded(serialization.load_der_public_key(der))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refuse(RULE, "the bytes are no SubjectPublicKeyInfo of a known key type") from None
