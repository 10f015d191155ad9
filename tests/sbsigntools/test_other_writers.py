"""What other tools write and read: names on one line, options as getopt takes them, ECDSA."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from marks import accepts, refuses
from pe.images import MOMENT, VECTORS, Signer, read_vector, signer, uki
from sbsigntools.desk import TIME, Desk, is_refusal
from sbsigntools.odd_cms import NULL, Odd, attached, odd_cms, seq

from ceremony.errors import Refused
from ceremony.pe.entries import entry_findings
from ceremony.pe.oneline import oneline
from ceremony.pe.sweep import sweep
from tui.commands import dispatch
from tui.sbsigntools import sbattach, sbsign, sbverify

EC_PUBLIC_KEY = seq(bytes.fromhex("06072a8648ce3d0201"), NULL)
DSA = seq(bytes.fromhex("06072a8648ce380401"))  # id-dsa of X9.57
_X520 = (*range(3, 14), *range(15, 19), 20, *range(41, 47), 51, 54, 65, 72, *range(97, 101))
SHORT_NAMES = (
    *(f"2.5.4.{number}" for number in _X520),
    *(f"0.9.2342.19200300.100.1.{number}" for number in (1, 3, 25)),
    *(f"1.2.840.113549.1.9.{number}" for number in (1, 2, 8, 20)),
    *(f"1.3.6.1.4.1.311.60.2.1.{number}" for number in (1, 2, 3)),
    "1.2.3.4.5",
)
PER_NAME = 6  # sbverify cuts what is longer than 160 characters


@dataclass(frozen=True)
class Part:
    """One relative name of a certificate's name, and what it is called on one line."""

    attributes: tuple[tuple[str, str, _ASN1Type], ...]
    text: str


UTF8 = _ASN1Type.UTF8String
NAMES = {
    "escapes": Part(
        (("2.5.4.3", 'a/b+c=d,e\\f"\x1b[31m', UTF8),), '/CN=a\\/b\\+c=d,e\\f"\\x1B[31m'
    ),
    "not-ascii": Part((("2.5.4.10", "Grün\x7f", UTF8),), "/O=Gr\\xC3\\xBCn\\x7F"),
    "two-octets": Part((("2.5.4.3", "é", _ASN1Type.BMPString),), "/CN=\\x00\\xE9"),
    "several": Part((("2.5.4.3", "a", UTF8), ("2.5.4.10", "b", UTF8)), "/CN=a+O=b"),
}


def named(desk: Desk, *parts: tuple[tuple[str, str, _ASN1Type], ...]) -> x509.Name:
    """Give alice a certificate of this name, which issued itself."""
    name = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(x509.ObjectIdentifier(kind), value, form)
                 for kind, value, form in part]
            )
            for part in parts
        ]
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(7)
        .not_valid_before(MOMENT - timedelta(days=1))
        .not_valid_after(MOMENT + timedelta(days=1))
        .public_key(desk.alice.key.public_key())
        .sign(desk.alice.key, hashes.SHA256())
    )
    desk.path("alice.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return name


def listed(desk: Desk) -> str:
    """Sign, and return the list that the real sbverify makes too."""
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert done.returncode == 0, done.stderr
    done = desk.run("sbverify", "--list", "signed.efi")
    assert done.returncode == 0, done.stderr
    if theirs := shutil.which("sbverify"):
        made = subprocess.run([theirs, "--list", desk.signed], capture_output=True, check=True)
        assert done.stdout == made.stdout.decode()
    return done.stdout


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_is_listed_as_sbverify_lists_it(kind: str, desk: Desk) -> None:
    part = NAMES[kind]
    named(desk, part.attributes, (("2.5.4.6", "DE", _ASN1Type.PrintableString),))
    assert f" - subject: {part.text}/C=DE\n" in listed(desk)


def test_every_short_name_is_openssls(desk: Desk) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    for at in range(0, len(SHORT_NAMES), PER_NAME):
        some = SHORT_NAMES[at : at + PER_NAME]
        name = named(desk, *(((kind, "XX", UTF8),) for kind in some))
        words = "openssl x509 -in alice.pem -noout -subject -nameopt compat"
        done = subprocess.run(words.split(), cwd=desk.folder, capture_output=True, check=True)
        assert done.stdout.decode().strip() == f"subject={oneline(name.public_bytes())}"


@pytest.mark.parametrize("der", [b"\x30\x02\x31\x05", b"\x04\x01", b"\x30\x04\x31\x02\x05\x00"])
def test_what_is_no_name_is_a_value_error_or_a_refusal(der: bytes) -> None:
    with pytest.raises((ValueError, Refused)):
        oneline(der)


@pytest.mark.parametrize(
    "words",
    [
        ("--output", "-odd", "--d", "image.efi"),
        ("-do-odd", "image.efi"),
        ("--o=-odd", "--det", "--", "image.efi"),
        ("image.efi", "-dvo", "-odd"),
        ("-o", "-odd", "--deta", "--time", TIME, "image.efi"),
    ],
)
def test_options_are_read_as_getopt_long_reads_them(words: tuple[str, ...], desk: Desk) -> None:
    done = desk.sbsign(*words)
    assert done.returncode == 0, done.stderr
    made = desk.path("-odd").read_bytes()
    assert made == desk.theirs("--detached", "image.efi").read_bytes()


def test_only_what_sbsigntools_has_is_cut_short(desk: Desk) -> None:
    desk.sbsign("--output", "signed.efi", "image.efi")
    assert desk.run("sbattach", "--d", "out.p7", "signed.efi").returncode == 0
    assert desk.run("sbattach", "--ver", "signed.efi").stdout.startswith("uki-sbattach ")
    done = desk.run("sbverify", "--c", "alice.pem", "--d=out.p7", "image.efi")
    assert (done.returncode, done.stdout) == (0, "Signature verification OK\n")
    for words in (("--db", "alice.pem"), ("--machin", "alice.pem"), ("--ver",), ("--key",)):
        assert is_refusal(desk.sbsign("--output", "second.efi", "image.efi", *words))
    assert not desk.path("second.efi").exists()


@pytest.mark.parametrize("command", [sbsign, sbverify, sbattach], ids=lambda c: c.__name__)
def test_the_grammar_knows_every_option_of_the_help_text(command: object) -> None:
    name = command.__name__.rpartition(".")[2]  # type: ignore[attr-defined] # a module
    grammar = command.GRAMMAR  # type: ignore[attr-defined] # as above
    known = {f"--{long.rstrip('=')}" for long in (*grammar.long, *grammar.own)}
    known |= {f"-{short}" for short in grammar.short.replace(":", "")}
    parser = dispatch._parser(name, command)  # type: ignore[arg-type] # as above
    assert known == {word for action in parser._actions for word in action.option_strings}


def test_behind_two_dashes_stand_no_options(desk: Desk) -> None:
    assert desk.run("sbverify", "image.efi", "--list").returncode == 0
    assert is_refusal(desk.run("sbverify", "--list", "--", "image.efi", "--verbose"), "--verbose")


@refuses("MED-SAME")
def test_sbsign_detached_never_replaces_its_image(desk: Desk) -> None:
    before = desk.image.read_bytes()
    desk.path("link.efi").symlink_to("image.efi")
    desk.path("hard.efi").hardlink_to(desk.image)
    for name in ("image.efi", "link.efi", "hard.efi"):
        assert is_refusal(desk.sbsign("--detached", "--output", name, "image.efi"), "MED-SAME")
    assert desk.image.read_bytes() == before


@accepts("SIG-ALGORITHM")
@refuses("SIG-ALGORITHM")
def test_ecdsa_by_the_name_of_the_key_is_read_and_signed_again(desk: Desk) -> None:
    carol: Signer = signer("carol", curve=ec.SECP256R1())
    carol.write(desk.folder, "carol")
    image = uki()
    made = attached(image, odd_cms(image, carol, Odd(algorithm=EC_PUBLIC_KEY)))
    desk.image.write_bytes(made)
    assert desk.run("sbverify", "--cert", "carol.pem", "image.efi").returncode == 0
    assert desk.sbsign("--output", "signed.efi", "image.efi").returncode == 0
    (entry,) = sweep(attached(image, odd_cms(image, carol, Odd(algorithm=DSA)))).entries
    found = entry_findings(entry, sweep(image).authenticode)
    assert [f.rule for f in found] == ["SIG-ALGORITHM"]


@accepts("PE-FILE-ALIGNMENT", "PE-SECTION-NAME", "PE-SUBSYSTEM")
@refuses("PE-FILE-ALIGNMENT", "PE-SECTION-NAME", "PE-SUBSYSTEM")
@pytest.mark.parametrize(
    "defect", ["section-name-long-form", "subsystem-driver", "file-alignment-256"]
)
def test_shim_drivers_and_small_alignments_are_signed_with_a_warning(
    defect: str, desk: Desk
) -> None:
    vector = read_vector(VECTORS / f"{defect}.txt")
    desk.image.write_bytes(vector.apply(uki()))
    done = desk.sbsign("--output", "signed.efi", "image.efi")
    assert (done.returncode, f"warn   {vector.rule}" in done.stderr) == (0, True)
    assert desk.signed.read_bytes() == desk.theirs("image.efi").read_bytes()
    assert desk.run("sbverify", "--cert", "alice.pem", "signed.efi").returncode == 0
    assert is_refusal(desk.run("inspect", "image.efi"), f"refuse {vector.rule}")
