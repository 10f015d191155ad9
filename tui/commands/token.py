"""token [URI]: what a module and its tokens show without a PIN, and what would be refused.

The same preflight as in a ceremony, before any PIN: for the certificate that is given, for
the policy's, or for every certificate that lies on a token.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from ceremony import policy as policies
from ceremony.errors import Refused, TokenTrouble, refuse
from ceremony.key_attestation import (
    MOST_FILE_BYTES,
    Attested,
    Demands,
    judge_attestation,
)
from ceremony.pe.certificate import Certificate, read_certificate, sha256
from ceremony.pe.revocation import MOST_DBX_BYTES
from ceremony.policy_model import MOST_POLICY_BYTES, Policy
from ceremony.practice import require_machine
from ceremony.preflight import preflight
from ceremony.signer_chain import judge_chain
from ceremony.types import Finding, MediaFile, Mode, Severity
from hsm import uri as uris
from hsm.binding import Binding, find_module, read_binding, read_outside
from hsm.hidden import explained
from hsm.present import ShownToken, show_tokens
from hsm.token import Pkcs11Token
from tui import token_words
from tui.commands import Exit
from tui.commands.findings import put, put_json
from tui.sbsigntools.certificates import read_certificates, read_small
from tui.tokens import MOST_BINDING


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("uri", metavar="URI", nargs="?", help="only the token that it names")
    parser.add_argument("--machine", type=Path, help="the machine binding; else SoftHSM is sought")
    parser.add_argument("--policy", type=Path, help="take URI, certificate, chain and dbx from it")
    parser.add_argument("--cert", type=Path, help="the key's certificate, and its chain")
    parser.add_argument("--dbx", type=Path, help="what must not revoke them")
    parser.add_argument(
        "--attestation", metavar="FILE", type=Path, action="append", help="the key's attestation"
    )
    parser.add_argument(
        "--attestation-root", metavar="FILE", type=Path, action="append", help="a root to pin"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: a URI or "", certificate and chain (DER) or none, a dbx or b"".

    `demands` and `files` are what the key's birth is to be proved with; `machine` is what a
    ceremony would say of binding and policy together.
    """

    uri: str
    certificates: tuple[bytes, ...]
    dbx: bytes
    demands: Demands
    files: tuple[MediaFile, ...]
    machine: tuple[Finding, ...] = ()


def run(options: argparse.Namespace) -> Exit:
    """Look and report; 1 where every key that was looked for would be refused."""
    wanted = _wanted(options)
    binding = binding_of(options.machine)
    shown = show_tokens(binding)
    tokens = tuple(token for token in shown.tokens if _named(token, wanted.uri))
    if not tokens:
        text = f"none of {len(shown.tokens)} tokens fits the URI" if wanted.uri else "no token"
        raise TokenTrouble(*explained("tokens", "KEY-TOKEN", text, binding))
    looked = tuple((token, tuple(_judge(binding, token, wanted))) for token in tokens)
    if options.json:
        put_json(token_words.as_json(shown, looked))
    else:
        put(*token_words.lines(shown, looked))
    return Exit.REFUSED if token_words.verdict(looked) == "refused" else Exit.YES


def binding_of(path: Path | None) -> Binding:
    """Return the binding in a file, or the first module found; Refused KEY-MODULE, KEY-BINDING.

    It may leave open what it is for, and a policy that it pins is left out: that guards
    signing, and nothing is signed here.
    """
    if path is not None:
        return replace(read_outside(read_small(path, MOST_BINDING)), policy_sha256="")
    module = find_module()
    if module is None:
        raise refuse("KEY-MODULE", "no PKCS#11 module was found; name one with --machine FILE")
    return Binding(module)


def _wanted(options: argparse.Namespace) -> Wanted:
    uri, dbx = options.uri or "", b""
    certificates: tuple[bytes, ...] = ()
    demands = Demands()
    machine: tuple[Finding, ...] = ()
    if options.policy:
        policy = policies.load(read_small(options.policy, MOST_POLICY_BYTES))
        machine, signer = _on_machine(options.machine, policy), policy.signer
        texts = (signer.certificate, *signer.chain)
        uri, dbx, demands = uri or signer.uri, signer.dbx, signer.attestation
        certificates = tuple(
            load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER) for text in texts
        )
    if options.cert:
        certificates = read_certificates(options.cert)
    if options.dbx:
        dbx = read_small(options.dbx, MOST_DBX_BYTES)
    if uri:
        uris.parse(uri)
    return Wanted(uri, certificates, dbx, *_attestation(options, demands), machine)


def _on_machine(path: Path | None, policy: Policy) -> tuple[Finding, ...]:
    """Return what a ceremony under this policy would refuse in the binding."""
    if path is None:
        return ()
    try:
        binding = read_binding(read_small(path, MOST_BINDING))
        mode = Mode.REHEARSAL if binding.rehearsal else Mode.PRODUCTION
        require_machine(mode, policy, binding.policy_sha256)
    except Refused as refused:
        return refused.findings
    return ()


def _attestation(
    options: argparse.Namespace, demands: Demands
) -> tuple[Demands, tuple[MediaFile, ...]]:
    """Return the demands with the roots and files that were named; the medium is not here."""
    named: list[Path] = options.attestation or []
    files = tuple(MediaFile(str(path), read_small(path, MOST_FILE_BYTES)) for path in named)
    roots = [
        _pem(der) for path in options.attestation_root or () for der in read_certificates(path)
    ]
    names = tuple(file.path for file in files)
    return Demands((*demands.roots, *roots), names, demands.missing), files


def _pem(der: bytes) -> str:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii")


def _named(token: ShownToken, uri: str) -> bool:
    """Say whether a URI names this token, as far as that is seen from outside."""
    if not uri:
        return True
    facts = {
        "token": token.label,
        "serial": token.serial,
        "model": token.model,
        "manufacturer": token.manufacturer,
        "slot-description": token.slot,
    }
    return all(facts.get(name, text) == text for name, text in uris.parse(uri).token)


def token_named(binding: Binding, uri: str) -> ShownToken:
    """Return the one token that a URI names, as it shows itself; TokenTrouble KEY-TOKEN."""
    found = [one for one in show_tokens(binding).tokens if not one.fault and _named(one, uri)]
    if len(found) != 1:
        raise TokenTrouble("KEY-TOKEN", f"{len(found)} tokens fit the URI, not one")
    return found[0]


def _judge(binding: Binding, token: ShownToken, wanted: Wanted) -> Iterator[token_words.Judged]:
    if token.fault:
        return
    given = wanted.certificates[:1]
    ders = given or tuple(one.certificate for one in token.objects if one.certificate)
    for der in dict.fromkeys(ders):
        yield _judged(binding, token, wanted, der)


def _judged(binding: Binding, token: ShownToken, wanted: Wanted, der: bytes) -> token_words.Judged:
    now = datetime.now(UTC)
    evidence, attested = None, Attested("asserted by module")
    try:
        certificate = read_certificate(der)
        looking = Pkcs11Token(binding, wanted.uri or token.uri)
        try:
            evidence = looking.probe(der)
        finally:
            looking.close()
        findings = preflight(evidence, der, now, Mode.PRODUCTION)
        findings += judge_chain(der, wanted.certificates[1:], wanted.dbx, now)
        shown = tuple(bytes.fromhex(one) for one in evidence.attestation)
        attested, more = judge_attestation(der, shown, wanted.files, wanted.demands, now)
        findings += (*more, *wanted.machine)
        subject = certificate.subject
    except TokenTrouble as trouble:
        findings = (Finding(trouble.rule, Severity.REFUSE, trouble.text),)
        subject = _subject(der)
    except Refused as refused:
        findings, subject = refused.findings, _subject(der)
    return token_words.Judged(subject, sha256(der).hex(), evidence, findings, attested)


def _subject(der: bytes) -> str:
    try:
        found: Certificate = read_certificate(der)
    except Refused:
        return "(a certificate that cannot be read)"
    return found.subject
