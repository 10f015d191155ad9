"""token init: a new key inside a token, and its certificate or a request for one.

For a rehearsal it makes a SoftHSM token in a new folder; for a key holder's first day it uses
the one token that a URI names. Nothing on the token and no file is ever overwritten. The key
never leaves the token: the certificate is signed inside, and looked at with the ceremony's
own preflight before this command says that all is well.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets as chance
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ceremony.errors import TokenTrouble, refuse
from ceremony.pin_length import LEAST_PIN, MOST_PIN
from ceremony.practice import PRACTICE_NAME
from ceremony.preflight import preflight
from ceremony.show import escaped
from ceremony.types import Mode
from hsm import uri as uris
from hsm.binding import Binding, read_binding
from hsm.child import Child, TokenRefused
from hsm.issuing import request_for, self_signed
from hsm.minting import KINDS, Minted, Wanted, mint
from hsm.provision import make_rehearsal_token
from hsm.token import Pkcs11Token
from tui import token_words
from tui.building.writing import require_room, write_new
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put
from tui.commands.token import binding_of, token_named
from tui.pin_prompt import ask_pin
from tui.sbsigntools.secrets import Secrets

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}")
ID = re.compile(r"(?:[0-9a-f]{2}){1,32}")
PIN = re.compile(rb"[ -~]{%d,%d}" % (LEAST_PIN, MOST_PIN))
PIN_FORM = f"a PIN is {LEAST_PIN} to {MOST_PIN} printable ASCII characters"
KEEP_SECONDS = 30.0
MOST_DAYS = 20000
MOST_TOKEN = 2**18  # bytes; what SoftHSM writes of a token with one key, with room to spare
MOST_PEM = 2**14  # bytes; a certificate or a request with room to spare


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("uri", metavar="URI", nargs="?", help="the token the key is made on")
    parser.add_argument("--machine", type=Path, help="the machine binding; else SoftHSM is sought")
    parser.add_argument("--softhsm", metavar="DIR", type=Path, help="make a SoftHSM token there")
    parser.add_argument("--output", type=file_alone, required=True, help="where the PEM file goes")
    parser.add_argument("--csr", action="store_true", help="write a request, no certificate")
    parser.add_argument("--kind", choices=tuple(KINDS), default="rsa2048")
    parser.add_argument("--label", default="uki", help="the key's label")
    parser.add_argument("--id", default="", help="the key's id in hex; else drawn by chance")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--subject", default="CN=UKI signer", help="whose it is, RFC 4514")
    whose.add_argument("--rehearsal", action="store_true", help="a key that signs rehearsals only")
    parser.add_argument("--days", type=int, default=3650, help="how long the certificate holds")
    parser.add_argument("--pin-fd", type=int, help="a descriptor to read the PIN from")


def run(options: argparse.Namespace) -> Exit:
    """Make the key, write the file, look at the key as a ceremony will."""
    if bool(options.uri) == bool(options.softhsm):
        raise refuse("KEY-URI", "name a token by its URI, or a new folder with --softhsm")
    if os.path.lexists(options.output):
        raise refuse("MED-OUTPUT", f"{escaped(str(options.output))} is there already")
    if not 1 <= options.days <= MOST_DAYS:
        raise refuse("KEY-CERT-DATES", f"--days is 1 to {MOST_DAYS}")
    if options.csr and options.rehearsal:
        text = "a key says itself that it is for rehearsals: it gets a certificate, not a request"
        raise refuse("APP-PRACTICE", text)
    require_room(options.output.parent, MOST_PEM)
    secrets = Secrets(options.pin_fd)
    if options.softhsm:
        return _softhsm(options, secrets)
    return _on_token(options, secrets)


def _softhsm(options: argparse.Namespace, secrets: Secrets) -> Exit:
    if options.csr or options.kind not in ("rsa2048", "rsa3072", "rsa4096"):
        raise refuse("KEY-URI", "a SoftHSM token for practice gets an RSA key and a certificate")
    require_room(_standing(options.softhsm), MOST_TOKEN)
    pin = _new_pin(secrets)
    start = datetime.now(UTC) - timedelta(minutes=5)
    last = start + timedelta(days=options.days)
    bits = KINDS[options.kind].bits
    try:
        made = make_rehearsal_token(
            options.softhsm, pin.decode("ascii"), not_before=start, not_after=last, bits=bits
        )
    finally:
        pin[:] = bytes(len(pin))
    write_new(options.softhsm, {"machine.toml": made.binding_toml.encode()})
    write_new(options.output.parent, {options.output.name: made.certificate_pem})
    put(f"made      a SoftHSM token in {escaped(str(options.softhsm), 4096)}: for practice only")
    put(f"binding   {escaped(str(options.softhsm / 'machine.toml'), 4096)}")
    certificate = x509.load_pem_x509_certificate(made.certificate_pem)
    return _told(options, read_binding(made.binding_toml.encode()), made.uri, certificate)


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there already."""
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


def _on_token(options: argparse.Namespace, secrets: Secrets) -> Exit:
    wanted = _wanted(options)
    subject = _practice() if options.rehearsal else _subject(options.subject)
    binding = binding_of(options.machine)
    token = token_named(binding, options.uri)
    child = Child("minting", binding)
    try:
        pin = ask_pin(secrets, token.label, token.pin_state)
        if not PIN.fullmatch(pin):
            raise refuse("KEY-PIN-ENTRY", PIN_FORM)
        minted = mint(child, binding.module, wanted, pin)
        if options.csr:
            request = request_for(minted.key, minted.ask, subject)
            data = request.public_bytes(Encoding.PEM)
            write_new(options.output.parent, {options.output.name: data})
            put(f"request   {escaped(str(options.output), 4096)}, signed by the new key")
            put(f"key       {options.kind}, label {wanted.label}, id {wanted.id}")
            put("Have your CA issue a certificate for it, then: uki-ceremony token --cert FILE")
            return Exit.YES
        start = datetime.now(UTC) - timedelta(minutes=5)
        last = start + timedelta(days=options.days)
        certificate = self_signed(minted.key, minted.ask, subject, start, last)
        write_new(
            options.output.parent,
            {options.output.name: certificate.public_bytes(Encoding.PEM)},
        )
        _keep(child, wanted, certificate)
    finally:
        child.close()
    return _told(options, binding, _uri(minted, wanted, options.uri), certificate)


def _wanted(options: argparse.Namespace) -> Wanted:
    key_id = options.id or chance.token_hex(8)
    if not LABEL.fullmatch(options.label) or not ID.fullmatch(key_id):
        text = "a label is 1 to 32 letters, digits, blank, dot, dash, underscore; an id is hex"
        raise refuse("KEY-URI", text)
    return Wanted(uris.parse(options.uri).token, KINDS[options.kind], options.label, key_id)


def _subject(text: str) -> x509.Name:
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError:
        name = x509.Name([])
    if not list(name):
        raise refuse("KEY-CERT-FORM", f"{escaped(text)} is no name as RFC 4514 writes it")
    return name


def _practice() -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PRACTICE_NAME)])


def _new_pin(secrets: Secrets) -> bytearray:
    pin = secrets.ask("New PIN of the token (not shown): ")
    if not PIN.fullmatch(pin):
        raise refuse("KEY-PIN-ENTRY", PIN_FORM)
    if secrets.descriptor is None and secrets.ask("The same PIN again (not shown): ") != pin:
        raise refuse("KEY-PIN-ENTRY", "the two PINs differ")
    return pin


def _keep(child: Child, wanted: Wanted, certificate: x509.Certificate) -> None:
    """Put the certificate beside its key; a token that keeps none is told, not refused."""
    try:
        child.ask(
            "keep",
            KEEP_SECONDS,
            label=wanted.label,
            id=wanted.id,
            subject=certificate.subject.public_bytes().hex(),
            issuer=certificate.issuer.public_bytes().hex(),
            serial=_der_integer(certificate.serial_number).hex(),
            certificate=certificate.public_bytes(Encoding.DER).hex(),
        )
    except TokenRefused as refused:
        put(f"The token does not keep the certificate itself ({refused.code}); the file does.")


def _der_integer(number: int) -> bytes:
    """Return a positive number of at most 20 octets (RFC 5280, 4.1.2.2) as DER."""
    octets = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(octets)]) + octets


def _uri(minted: Minted, wanted: Wanted, named: str) -> str:
    path = [part for part in named.partition(":")[2].partition("?")[0].split(";") if part]
    kept = [part for part in path if part.partition("=")[0] not in ("object", "type", "id")]
    identity = "".join(f"%{wanted.id[at : at + 2]}" for at in range(0, len(wanted.id), 2))
    serial = [] if any(part.startswith("serial=") for part in kept) else _serial(minted)
    return f"pkcs11:{';'.join([*kept, *serial])};id={identity};type=private"


def _serial(minted: Minted) -> list[str]:
    plain = re.fullmatch(r"[A-Za-z0-9]+", minted.serial)
    return [f"serial={minted.serial}"] if plain else []


def _told(
    options: argparse.Namespace, binding: Binding, uri: str, certificate: x509.Certificate
) -> Exit:
    der = certificate.public_bytes(Encoding.DER)
    put(f"wrote     {escaped(str(options.output), 4096)}")
    put(f"URI       {uri}", "          (signer.uri and signer.certificate of a policy)")
    token = Pkcs11Token(binding, uri)
    try:
        evidence = token.probe(der)
    except TokenTrouble as trouble:
        put(f"The key cannot be found again: {trouble.rule}: {trouble.text}")
        return Exit.TROUBLE
    finally:
        token.close()
    findings = preflight(evidence, der, datetime.now(UTC), Mode.PRODUCTION)
    subject = escaped(certificate.subject.rfc4514_string())
    judged = token_words.Judged(subject, "", evidence, findings)
    put(*token_words.judged_lines(judged))
    return Exit.REFUSED if judged.refused else Exit.YES
