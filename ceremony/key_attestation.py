"""Whether a device's own certificate proves where the signing key was made.

Decides over certificates that lie on the token or in files that the policy names: one speaks
of the signing key, a path of issuers leads from it to a root that the policy pins, all are in
their dates, and what it says is that the key was made inside. Only then is the key's grade
"proved by attestation chain". Files of other forms are kept and told as unverified. It
refuses to know how certificates are fetched. The order of certificates decides nothing.
Source: RFC 5280, 6.1, without names and policies, which no vendor constrains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from ceremony.clock import day_text
from ceremony.distinguished_name import dn_text
from ceremony.errors import Refused
from ceremony.preflight import read_certificate, signing_key, spki_sha256
from ceremony.show import escaped
from ceremony.token import Grade
from ceremony.types import Finding, MediaFile, Severity
from ceremony.yubico_attestation import Statement, speaks, statement

PROVED: Grade = "proved by attestation chain"
ASSERTED: Grade = "asserted by module"
MOST_CERTIFICATES = 64
MOST_ABOVE = 6  # issuers above an attestation certificate
MOST_FILE_BYTES = 256 * 1024
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"

Path: TypeAlias = tuple[x509.Certificate, ...]  # from the one that speaks to a root
Spoken: TypeAlias = tuple[Statement, Path | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that the policy names: verified as certificates, or unverified and kept."""

    path: str
    size: int
    sha256: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Attested:
    """What is known of the key's birth: the grade, the device's words, the path, the files.

    `chain` are the SHA-256 of certificates from the one that speaks to the root.
    """

    grade: Grade
    device: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    chain: tuple[str, ...] = ()
    root: str = ""
    files: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Demands:
    """What the policy says: pinned roots (PEM), files on the medium, and how grave a gap is."""

    roots: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    missing: Severity = Severity.WARN


def judge_attestation(
    certificate: bytes,
    on_token: tuple[bytes, ...],
    files: tuple[MediaFile, ...],
    demands: Demands,
    now: datetime,
) -> tuple[Attested, tuple[Finding, ...]]:
    """Return what is known of the birth of the certificate's key at `now`, and the findings.

    `on_token` are DER certificates that the token shows.
    """
    try:
        spki = spki_sha256(signing_key(read_certificate(certificate)))
    except Refused:
        return Attested(ASSERTED), ()  # KEY-CERT-FORM says why elsewhere
    judging = _Judging(spki, demands, now)
    kept = tuple(judging.files(files))
    pool = [*on_token[:MOST_CERTIFICATES], *judging.brought][:MOST_CERTIFICATES]
    found = judging.spoken(_read(pool))
    if found is None:
        return Attested(ASSERTED, files=kept), (*judging.findings, *judging.demanded(""))
    said, path = found
    proved = path is not None and judging.stands(said, path)
    chain = tuple(_sha256(one) for one in path or ())
    root = escaped(dn_text(path[-1].subject)) if path else ""
    grade: Grade = PROVED if proved else ASSERTED
    words = f"{said.device}: {', '.join(f'{name} {text}' for name, text in said.facts)}"
    attested = Attested(grade, said.device, said.facts, chain, root, kept)
    return attested, (*judging.findings, *judging.demanded(words if proved else ""))


class _Judging:
    """One judgement: what is looked for, and what was found to say."""

    def __init__(self, spki: str, demands: Demands, now: datetime) -> None:
        self._spki = spki
        self._demands = demands
        self._now = now
        self._roots = _read([text.encode() for text in demands.roots])
        self.findings: list[Finding] = []
        self.brought: list[bytes] = []

    def _gap(self, rule: str, text: str) -> None:
        self.findings.append(Finding(rule, self._demands.missing, text))

    def files(self, files: tuple[MediaFile, ...]) -> Iterator[Kept]:
        """KEY-ATTEST-KEPT: every file that the policy names is there; others are kept as told."""
        there = {file.path: file.data for file in files}
        for name in self._demands.files:
            if name not in there:
                self._gap("KEY-ATTEST-KEPT", f"{escaped(name)} is not on the medium")
                continue
            data = there[name]
            ders = _certificates(data)
            digest = hashlib.sha256(data).hexdigest()
            if ders:
                self.brought += ders
            else:
                text = f"{escaped(name)}, SHA-256 {digest[:16]}...: unverified, kept"
                self.findings.append(Finding("KEY-ATTEST-KEPT", Severity.INFO, text))
            yield Kept(escaped(name), len(data), digest, bool(ders))

    def spoken(self, pool: list[x509.Certificate]) -> Spoken | None:
        """Return what is said of this key and the path to a root, None where nothing is said."""
        speaking = [one for one in pool if speaks(one)]
        leaves = [one for one in speaking if _spki(one) == self._spki]
        if not leaves:
            if speaking:
                text = f"{len(speaking)} attestations are here, all of other keys"
                self._gap("KEY-ATTEST-KEY", text)
            return None
        best: Spoken | None = None
        for leaf in leaves:
            try:
                said = statement(leaf)
            except Refused as refused:
                self._gap("KEY-ATTEST-FORM", refused.findings[0].text)
                continue
            path = self._path(leaf, pool)
            if best is None or (best[1] is None and path):
                best = said, path
        if best and best[1] is None:
            text = "no path of issuers leads from the attestation to a root that the policy pins"
            self._gap("KEY-ATTEST-CHAIN", text if self._roots else "the policy pins no root")
        return best

    def _path(self, leaf: x509.Certificate, pool: list[x509.Certificate]) -> Path | None:
        """KEY-ATTEST-CHAIN: return the shortest path from `leaf` to a root.

        Every certificate is tried below each other once, so the work is bounded by the pool.
        """
        paths: list[Path] = [(leaf,)]
        left = [one for one in (*self._roots, *pool) if one != leaf]
        while paths:
            below = paths.pop(0)
            above = [one for one in left if _issued(one, below)]
            for issuer in above:
                if issuer in self._roots:
                    return (*below, issuer)
            left = [one for one in left if one not in above]
            if len(below) < MOST_ABOVE:
                paths += [(*below, issuer) for issuer in above]
        return None

    def stands(self, said: Statement, path: Path) -> bool:
        """KEY-ATTEST-DATES, KEY-ATTEST-ORIGIN: the path is in its dates, the key born inside."""
        outside = [
            one
            for one in path
            if not one.not_valid_before_utc <= self._now <= one.not_valid_after_utc
        ]
        for one in outside:
            days = f"{day_text(one.not_valid_before_utc)} to {day_text(one.not_valid_after_utc)}"
            name = escaped(dn_text(one.subject))
            self._gap("KEY-ATTEST-DATES", f"{name} is valid from {days} only")
        if not said.born_inside:
            facts = dict(said.facts)
            text = f"origin {facts.get('origin')}, capabilities {facts.get('capabilities')}"
            self._gap("KEY-ATTEST-ORIGIN", f"the key was not made inside, or may leave: {text}")
        return not outside and said.born_inside

    def demanded(self, proved: str) -> Iterator[Finding]:
        """KEY-ATTEST-GRADE: a proof is told; where the policy demands one, a gap is refused."""
        if proved:
            yield Finding("KEY-ATTEST-GRADE", Severity.INFO, f"{PROVED}: {proved}")
        elif self._demands.missing is Severity.REFUSE:
            text = "the policy demands a proof of the key's birth, and there is none"
            yield Finding("KEY-ATTEST-GRADE", Severity.REFUSE, text)


def _issued(issuer: x509.Certificate, below: Path) -> bool:
    """Say whether `issuer` signed below[-1] as a CA that may have this many CAs below it.

    A key that a device speaks of is a user's, whatever its certificate says of CAs: what it
    signs is the user's word and not the device's.
    """
    if speaks(issuer):
        return False
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    # RFC 5280, 4.2.1.9: intermediate certificates that may follow, the last one not counted.
    if not basic.ca or (basic.path_length is not None and len(below) - 1 > basic.path_length):
        return False
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.key_cert_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        below[-1].verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def relevant(ders: tuple[bytes, ...], most: int = 16) -> tuple[bytes, ...]:
    """Return the certificates on a token that speak of keys, and the CAs beside them."""
    read = _read(list(ders[:MOST_CERTIFICATES]))
    speaking = [one for one in read if speaks(one)]
    above = [one for one in read if not speaks(one) and _is_ca(one)]
    chosen = [*speaking, *above] if speaking else []
    return tuple(one.public_bytes(Encoding.DER) for one in chosen[:most])


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _read(encoded: list[bytes]) -> list[x509.Certificate]:
    """Return the certificates that can be read, each once; others can prove nothing."""
    found: list[x509.Certificate] = []
    for one in encoded:
        try:
            read = read_certificate(one)
        except Refused:
            continue
        if read not in found:
            found.append(read)
    return found


def _certificates(data: bytes) -> list[bytes]:
    """Return the certificates in a file, PEM blocks or one DER; none for any other file."""
    if len(data) > MOST_FILE_BYTES:
        return []
    begun = data.split(_PEM_BEGIN)[1 : MOST_CERTIFICATES + 1]
    blocks = [_PEM_BEGIN + one.partition(_PEM_END)[0] + _PEM_END + b"\n" for one in begun]
    read = _read(blocks or [data])
    return [one.public_bytes(Encoding.DER) for one in read]


def _spki(certificate: x509.Certificate) -> str:
    return spki_sha256(signing_key(certificate))


def _sha256(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
