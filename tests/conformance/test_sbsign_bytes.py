"""The real sbsign under a frozen clock is the oracle: its files and ours are byte-equal."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pe.images import CODE, MOMENT, Part, Signer, kernel, pe_image, pem, signer, uki, uki_parts

from ceremony.errors import Refused
from ceremony.pe.attach import attach
from ceremony.pe.cms import read_signed_data
from ceremony.pe.sign import SigningPlan, assemble, plan, plan_ecdsa
from ceremony.pe.verify import verify

TOOLS = ("sbsign", "sbverify", "faketime")
STUBS = Path("/usr/lib/systemd/boot/efi")
FROZEN = MOMENT.strftime("%Y-%m-%d %H:%M:%S")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS),
    reason="sbsigntool and faketime are not installed",
)


def run(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "TZ": "UTC"}
    return subprocess.run(words, capture_output=True, check=False, env=environment)


@dataclass(frozen=True)
class Bench:
    """A folder with an image, a signer and added certificates, in the forms sbsign reads."""

    folder: Path
    image: bytes
    by: Signer
    chain: tuple[bytes, ...]

    def sbsign(self, *options: str) -> bytes:
        source, output = self.folder / "in.efi", self.folder / "out"
        source.write_bytes(self.image)
        key, certificate = self.by.write(self.folder, "by")
        added: list[str | Path] = []
        if self.chain:
            bundle = self.folder / "chain.pem"
            bundle.write_text("".join(pem(der) for der in self.chain))
            added = ["--addcert", bundle]
        done = run(
            *("faketime", "-f", FROZEN, "sbsign", *options, "--key", key, "--cert", certificate),
            *(*added, "--output", output, source),
        )
        assert done.returncode == 0, done.stderr
        return output.read_bytes()

    def ours(self) -> tuple[SigningPlan, bytes, bytes]:
        planned = plan(self.image, self.by.certificate, self.chain, MOMENT)
        made = assemble(self.image, planned, self.by.sign(planned.attributes))
        return planned, b"".join(made.pieces()), made.cms

    def check(self) -> bytes:
        """Sign both ways, compare file and detached PKCS#7, have every verifier look."""
        _, signed, cms = self.ours()
        assert signed == self.sbsign()
        assert cms == self.sbsign("--detached")
        assert verify(signed, self.by.certificate) == ()
        path = self.folder / "ours.efi"
        path.write_bytes(signed)
        done = run("sbverify", "--cert", self.folder / "by.pem", path)
        assert done.returncode == 0, done.stderr
        return signed


@pytest.fixture(scope="module")
def alice() -> Signer:
    return signer("alice")


@pytest.fixture(scope="module")
def bob() -> Signer:
    return signer("bob")


@pytest.mark.skipif(not STUBS.is_dir(), reason="systemd-boot-efi is not installed")
def test_the_distributions_own_images(alice: Signer, tmp_path: Path) -> None:
    images = [*STUBS.glob("*.efi.stub"), *STUBS.glob("*.efi")]
    assert images
    for path in images:
        Bench(tmp_path, path.read_bytes(), alice, ()).check()


@pytest.mark.skipif(
    not STUBS.is_dir() or shutil.which("objcopy") is None,
    reason="systemd-boot-efi or binutils are not installed",
)
def test_a_uki_that_objcopy_made_from_the_stub(alice: Signer, tmp_path: Path) -> None:
    (stub,) = STUBS.glob("linux[xa]*.efi.stub")
    options: list[str | Path] = []
    for number, part in enumerate(p for p in uki_parts() if p.name not in (".text", ".sbat")):
        if part.name == ".sdmagic":
            continue
        (tmp_path / part.name).write_bytes(part.content)
        address = 0x1000000 + 0x100000 * number
        options += ["--add-section", f"{part.name}={tmp_path / part.name}"]
        options += ["--change-section-vma", f"{part.name}={address:#x}"]
    done = run("objcopy", *options, stub, tmp_path / "uki.efi")
    assert done.returncode == 0, done.stderr
    Bench(tmp_path, (tmp_path / "uki.efi").read_bytes(), alice, ()).check()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i386", "arm"])
def test_a_uki_of_every_machine(machine: str, alice: Signer, tmp_path: Path) -> None:
    Bench(tmp_path, uki(machine), alice, ()).check()


@pytest.mark.parametrize("extra", range(1, 9))
def test_every_overlay_length_modulo_eight(extra: int, alice: Signer, tmp_path: Path) -> None:
    image = pe_image(uki_parts(), overlay=b"o" * extra)
    Bench(tmp_path, image, alice, ()).check()


def test_an_unaligned_last_section(alice: Signer, tmp_path: Path) -> None:
    image = bytearray(pe_image((Part(".text", b"\x31\xc0\xc3", CODE), Part(".linux", kernel()))))
    row = image.index(b".linux")
    size = int.from_bytes(image[row + 16 : row + 20], "little") - 5
    image[row + 8 : row + 12] = image[row + 16 : row + 20] = size.to_bytes(4, "little")
    Bench(tmp_path, bytes(image[:-5]), alice, ()).check()


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_every_size_of_rsa_key(bits: int, tmp_path: Path) -> None:
    Bench(tmp_path, uki(), signer("carol", bits=bits), ()).check()


def test_a_second_and_a_third_signature(alice: Signer, bob: Signer, tmp_path: Path) -> None:
    image = pe_image(uki_parts(), overlay=b"odd")
    for by in (alice, bob, alice):
        image = Bench(tmp_path, image, by, ()).check()


def test_added_certificates_in_order_and_twice(alice: Signer, bob: Signer, tmp_path: Path) -> None:
    one, other = alice.certificate, bob.certificate
    files = {
        Bench(tmp_path, uki(), alice, chain).check()
        for chain in ((other,), (other, one), (one, other), (other, other, one))
    }
    assert len(files) == 4


def test_a_uki_of_some_megabytes(alice: Signer, tmp_path: Path) -> None:
    initrd = b"\x28\xb5\x2f\xfd" + os.urandom(9 << 20)
    Bench(tmp_path, uki(initrd=initrd), alice, ()).check()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_ecdsa_differs_in_the_signature_value_only(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    bench = Bench(tmp_path, uki(), signer("dave", curve=curve), ())
    theirs = bench.sbsign("--detached")
    planned = plan_ecdsa(bench.image, bench.by.certificate, (), MOMENT)
    # Their signature value in our plan gives their file.
    (info,) = read_signed_data(theirs).signers.as_list()
    assert assemble(bench.image, planned, info.signature).cms == theirs


def test_what_sbsign_detached_wrote_is_attached_as_sbsign_would(
    alice: Signer, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, uki(), alice, ())
    assert b"".join(attach(uki(), bench.sbsign("--detached")).pieces()) == bench.sbsign()


def test_sbattach_detaches_our_pkcs7(alice: Signer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, uki(), alice, ())
    _, signed, cms = bench.ours()
    (tmp_path / "ours.efi").write_bytes(signed)
    done = run("sbattach", "--detach", tmp_path / "ours.p7", tmp_path / "ours.efi")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ours.p7").read_bytes() == cms


@pytest.mark.skipif(shutil.which("osslsigncode") is None, reason="osslsigncode is not installed")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i386"])
def test_osslsigncode_verifies_ours(machine: str, alice: Signer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, pe_image(uki_parts(machine), machine, b"odd"), alice, ())
    (tmp_path / "ours.efi").write_bytes(bench.ours()[1])
    (tmp_path / "theirs.efi").write_bytes(bench.sbsign())
    _, certificate = alice.write(tmp_path, "by")
    said = {}
    for name in ("ours", "theirs"):
        file = tmp_path / f"{name}.efi"
        done = run("osslsigncode", "verify", "-CAfile", certificate, "-in", file)
        said[name] = done.stdout.decode().splitlines()
    # Release 2.5 calls sbsign's own files invalid too: what counts is that it sees no difference.
    assert said["ours"] == said["theirs"]
    assert any("checksum" in line for line in said["ours"])
    assert not any("MISMATCH" in line for line in said["ours"])


@pytest.mark.skipif(shutil.which("osslsigncode") is None, reason="osslsigncode is not installed")
def test_a_signature_of_osslsigncode_is_read_and_kept(
    alice: Signer, bob: Signer, tmp_path: Path
) -> None:
    (tmp_path / "in.efi").write_bytes(uki())
    key, certificate = bob.write(tmp_path, "bob")
    done = run(
        *("osslsigncode", "sign", "-h", "sha256", "-certs", certificate, "-key", key),
        *("-in", tmp_path / "in.efi", "-out", tmp_path / "theirs.efi"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = (tmp_path / "theirs.efi").read_bytes()
    # It is a good signature, but not of the form that this project writes.
    assert {f.rule for f in verify(theirs, bob.certificate)} == {"SIG-ATTRIBUTES"}
    Bench(tmp_path, theirs, alice, ()).check()


def test_an_image_that_sbsign_would_zero_extend_is_refused(alice: Signer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, uki()[:-1024], alice, ())
    assert len(bench.sbsign()) > len(bench.image)
    with pytest.raises(Refused) as refused:
        bench.ours()
    assert [f.rule for f in refused.value.findings] == ["PE-SECTION-EOF"]
