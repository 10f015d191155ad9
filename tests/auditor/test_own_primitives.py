"""The auditor's own keys, images and TOML, each held against another implementation."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pe.images import CODE, DATA, Part, Signer, pe_image, signer, uki
from pe.shapes import Block, Shape

from ceremony.attest.ssh_wire import mpint, string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.pe.attach import attach
from ceremony.pe.sign import assemble, encode, plan, plan_ecdsa
from transcripts import auditor

ROOT = Path(__file__).resolve().parents[2]
POLICIES = sorted([
    *(ROOT / "docs" / "examples").glob("*.toml"),
    *(ROOT / "transcripts" / "golden").glob("*/bundle/policy.toml"),
])  # fmt: skip
SPACE, MESSAGE = "transcript@uki-ceremony", b"uki-ceremony/00/rehearsal\n1\nAAAA=\n"
KINDS = {
    "ed25519": (), "ecdsa-256": ("-b", "256"), "ecdsa-384": ("-b", "384"),
    "ecdsa-521": ("-b", "521"),
    "rsa-2048": ("-b", "2048"), "rsa-3072": ("-b", "3072"),
}  # fmt: skip


def refused(armoured: bytes, message: bytes = MESSAGE, space: str = SPACE) -> bool:
    try:
        auditor.ssh_signer(armoured, message, space)
    except auditor.Bad:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_of_ssh_keygen_holds_and_no_other(kind: str, tmp_path: Path) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("ssh-keygen is not installed")
    words = ["-q", "-t", kind.split("-", maxsplit=1)[0], *KINDS[kind], "-N", ""]
    subprocess.run([program, *words, "-f", tmp_path / "k"], check=True)
    for extra in ((), ("-O", "hashalg=sha256")):
        made = subprocess.run(
            [program, "-q", "-Y", "sign", "-f", tmp_path / "k", "-n", SPACE, *extra],
            input=MESSAGE,
            capture_output=True,
            check=True,
        ).stdout
        key = auditor.ssh_signer(made, MESSAGE, SPACE)
        public = auditor._ssh_line((tmp_path / "k.pub").read_text("ascii"))
        assert key.identity == public.identity
        assert refused(made, MESSAGE + b"\n")
        assert refused(made, space="policy@uki-ceremony")
        lines = made.splitlines(keepends=True)
        assert refused(lines[0] + b"\n" + b"".join(lines[1:]))
        assert refused(made[:-1])
        blob = auditor.strict_base64(b"".join(lines[1:-1]).replace(b"\n", b"").decode())
        for place in range(4, len(blob), 37):
            bad = b64encode(blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :])
            rows = [bad[i : i + 70] for i in range(0, len(bad), 70)]
            assert refused(b"\n".join([lines[0].rstrip(), *rows, lines[-1]])), place


def security_key(flags: int, curve: str) -> bytes:
    """Return what a FIDO key signs (PROTOCOL.u2f), by a key that is none."""
    application = b"ssh:"
    data = signed_data(SPACE, MESSAGE)
    rest = bytes([flags]) + (7).to_bytes(4, "big")
    signed = hashlib.sha256(application).digest() + rest + hashlib.sha256(data).digest()
    if curve == "ed25519":
        kind, private = b"sk-ssh-ed25519@openssh.com", Ed25519PrivateKey.generate()
        public = string(kind) + string(private.public_key().public_bytes_raw())
        value = string(private.sign(signed))
    else:
        kind, other = b"sk-ecdsa-sha2-nistp256@openssh.com", ec.generate_private_key(ec.SECP256R1())
        numbers = other.public_key().public_numbers()
        point = b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        public = string(kind) + string(b"nistp256") + string(point)
        r, s = decode_dss_signature(other.sign(signed, ec.ECDSA(hashes.SHA256())))
        value = string(mpint(r) + mpint(s))
    return armor(public + string(application), SPACE, string(kind) + value + rest, "sha512")


@pytest.mark.parametrize("curve", ["ed25519", "nistp256"])
def test_a_security_key_must_have_been_touched(curve: str) -> None:
    assert auditor.ssh_signer(security_key(1, curve), MESSAGE, SPACE).application == b"ssh:"
    assert refused(security_key(0, curve))


def test_ed25519_takes_no_second_form_of_a_signature() -> None:
    key = Ed25519PrivateKey.generate()
    public, value = key.public_key().public_bytes_raw(), key.sign(MESSAGE)
    assert auditor.ed25519_fits(public, MESSAGE, value)
    malleable = int.from_bytes(value[32:], "little") + auditor.ORDER
    assert not auditor.ed25519_fits(public, MESSAGE, value[:32] + malleable.to_bytes(32, "little"))
    assert not auditor.ed25519_fits(public, MESSAGE, value[:-1])


def test_rsa_of_too_few_bits_is_no_key() -> None:
    with pytest.raises(auditor.Bad):
        auditor.rsa_key((1 << 2046) + 1, 65537)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.parent.name + path.name)
def test_a_policy_reads_as_tomllib_reads_it(path: Path) -> None:
    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else value

    text = path.read_text("utf-8")
    assert auditor.Toml(text).read() == plain(tomllib.loads(text))
    auditor.Policy(path.read_bytes())


@pytest.mark.parametrize(
    "text",
    [
        "a = \"\"\"\nx\\\n   y\\u00e4 \"\" z\"\"\"\nb = ''''q''''\n",
        "a = [1, # one\n 2,\n]\nb = { c = 'd', \"e f\" = [] }\n",
        "[a.b]\nc = -1\n[[a.d]]\n[[a.d]]\n[a.d.e]\nf = 1_000\n",
        'a = "\\t\\\\\\"" # comment\r\n\r\n[t]',
        "a = ''''''\nb = \"\"\n",
    ],
)
def test_the_forms_that_it_knows_mean_the_same(text: str) -> None:
    assert auditor.Toml(text).read() == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = 1.5", "a = 1e5", "a = inf", "a.b = 1", "a = 07:32:00", "a = 0x10", "a = 1 b = 2",
        "a = 1\na = 2", "[a]\n[a]", "a = 'x", 'a = "\\q"', "a", "= 1", "a = [1 2]", "[a", "a = ",
        "a = {b = 1", "a = \x00", "a = 1\n[a]\n[a.b]\n", "a = " + "[" * 40 + "]" * 40,
        "a = trueish", "a = 2026-01-01T00:00:00", "a = +",
        "a = 1__0", 'a = "\\ud800"', "[[a]]\n[a]",
    ],
)  # fmt: skip
def test_any_other_form_cannot_be_judged(text: str) -> None:
    with pytest.raises(auditor.CannotJudge):
        auditor.Toml(text).read()


SHAPES = {
    "a UKI": uki(),
    "AArch64": uki("aarch64"),
    "PE32": pe_image((Part(".text", b"\x31\xc0\xc3", CODE), Part("x", b"1", DATA)), "i386"),
    "an overlay of 13 bytes": pe_image((Part(".text", b"\x31\xc0\xc3", CODE),), overlay=b"o" * 13),
    "many sections": Shape(blocks=tuple(Block("x", 700 + i) for i in range(9)), overlay=3).write(),
    "more than one chunk": pe_image(
        (Part(".text", b"\x31\xc0\xc3", CODE),), overlay=bytes(range(256)) * 9000 + b"odd"
    ),
}
WHEN = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def alice() -> Signer:
    return signer("alice")


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_is_signed_to_the_same_bytes(shape: str, alice: Signer, tmp_path: Path) -> None:
    image = SHAPES[shape]
    once = signed_and_audited(image, alice, tmp_path / "once")
    twice = signed_and_audited(once, signer("bob", padding_bytes=3), tmp_path / "twice")
    assert len(twice) > len(once)


def signed_and_audited(image: bytes, by: Signer, folder: Path) -> bytes:
    """Sign with the code of a ceremony, check with the auditor's; then change each of its parts."""
    folder.mkdir()
    planned = plan(image, by.certificate, (by.certificate,), WHEN)
    signature = by.sign(planned.attributes)
    cms = encode(planned, signature)
    made = b"".join(assemble(image, planned, signature).pieces())
    unsigned = auditor.Image(written(folder / "a", image))
    digest = unsigned.authenticode()
    assert digest.hex() == planned.authenticode.hex
    assert auditor.signed_attributes(digest, "2026-11-22T03:04:05Z") == planned.attributes
    certificates = [by.certificate, by.certificate]
    assert auditor.pkcs7(digest, certificates, planned.attributes, signature) == cms
    auditor.check_pkcs7(cms, digest, certificates)
    auditor.check_attached(unsigned, cms, written(folder / "b", made))
    layout = unsigned.layout
    places = [0, layout.checksum_at, layout.directory_at, layout.end - 1, len(made) - 1]
    for place in places:
        bad = made[:place] + bytes([made[place] ^ 0x10]) + made[place + 1 :]
        with pytest.raises(auditor.Bad):
            auditor.check_attached(unsigned, cms, written(folder / "b", bad))
    for bad in (made[:-1], made + b"\0"):
        with pytest.raises(auditor.Bad):
            auditor.check_attached(unsigned, cms, written(folder / "b", bad))
    for place in range(0, len(cms), 41):
        flipped = cms[:place] + bytes([cms[place] ^ 1]) + cms[place + 1 :]
        with pytest.raises(auditor.Bad):
            auditor.check_pkcs7(flipped, digest, certificates)
    return made


def written(path: Path, data: bytes) -> auditor.File:
    path.write_bytes(data)
    return auditor.read_file(str(path))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_an_ecdsa_signature_is_judged_too(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    by, image = signer("ec", curve=curve), uki()
    planned = plan_ecdsa(image, by.certificate, (), WHEN)
    signature = by.sign(planned.attributes)
    cms = encode(planned, signature)
    made = b"".join(attach(image, cms).pieces())
    unsigned = auditor.Image(written(tmp_path / "a", image))
    auditor.check_pkcs7(cms, unsigned.authenticode(), [by.certificate])
    auditor.check_attached(unsigned, cms, written(tmp_path / "b", made))
    other = signer("ec", curve=curve)
    with pytest.raises(auditor.Bad):
        auditor.check_pkcs7(cms, unsigned.authenticode(), [other.certificate])


def test_no_certificate_is_needed_to_refuse_what_is_none() -> None:
    for data in (b"", b"\x30\x00", b"\x30\x80\x00\x00", b"\x30\x03\x30\x01\x30"):
        with pytest.raises(auditor.Bad):
            auditor.read_certificate(data)
        with pytest.raises(auditor.Bad):
            auditor.read_pkcs7(data)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 100, 300])
def test_no_head_of_an_image_is_a_traceback(size: int) -> None:
    whole = uki()
    with pytest.raises(auditor.Bad):
        auditor.read_layout(whole[:size], size)
    year = timedelta(days=365)
    with pytest.raises(auditor.Bad):
        auditor.signed_attributes(bytes(32), f"{WHEN + 30 * year:%Y-%m-%dT%H:%M:%SZ}")
