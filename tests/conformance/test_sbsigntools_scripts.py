"""sbsigntools' own test scripts, run unchanged on our three commands.

The scripts are GPL and stay where they are fetched to: scripts/sbsigntools_tests.py. They also
run on the installed sbsign, which shows that a failure is not the arrangement's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pe.images import pe_image, uki, uki_parts

ROOT = Path(__file__).resolve().parents[2]
FETCH = ROOT / "scripts" / "sbsigntools_tests.py"
COMMANDS = ("sbsign", "sbverify", "sbattach")
SCRIPTS = (
    "cert-table-header.sh",
    "detach-remove.sh",
    "reattach-warning.sh",
    "resign-warning.sh",
    "sign-attach-verify.sh",
    "sign-detach-verify.sh",
    "sign-invalidattach-verify.sh",
    "sign-missing-cert.sh",
    "sign-missing-image.sh",
    "sign-missing-key.sh",
    "sign-verify-detached.sh",
    "sign-verify.sh",
    "verify-missing-cert.sh",
    "verify-missing-image.sh",
)
NO_TESTS = {"test-wrapper.sh"}
NEEDED = {
    "cert-table-header.sh": ("openssl", "objdump", "hexdump"),
    "detach-remove.sh": ("objdump",),
}
KEEPS_FAILING = {"sign-verify.sh": "sbverify 0.9.4"}  # it reads no bundle of certificates
SECONDS = 300

# As in sbsigntools' tests/Makefile.am: RSA signer <- EC intermediate <- EC root.
KEYS = """\
set -e
openssl genrsa -out private-key.rsa 2048
for name in int ca; do
    openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:prime256v1 -out $name-key.ec
done
printf '[ca]\\nbasicConstraints = critical, CA:true\\n' >ca.cnf
openssl req -x509 -days 1 -sha256 -subj '/CN=CA Key/' -new -key ca-key.ec -out ca-cert.pem
openssl req -new -subj '/CN=Intermediate Certificate/' -key int-key.ec -out int.req
openssl x509 -req -sha256 -CA ca-cert.pem -CAkey ca-key.ec -in int.req -set_serial 1 -days 1 \\
    -extfile ca.cnf -extensions ca -out int-cert.pem
openssl req -new -subj '/CN=Signer Certificate/' -key private-key.rsa -out signer.req
openssl x509 -req -sha256 -CA int-cert.pem -CAkey int-key.ec -in signer.req -set_serial 1 \\
    -days 1 -out public-cert.pem
"""


@dataclass(frozen=True)
class Suite:
    """The fetched scripts, and what they are about."""

    folder: Path
    data: Path

    def environment(self, commands: dict[str, str], image: str) -> dict[str, str]:
        """Return what the suite's own wrapper exports."""
        return (
            os.environ
            | commands
            | {
                "basedir": str(self.folder),
                "datadir": str(self.data),
                "key": str(self.data / "private-key.rsa"),
                "cert": str(self.data / "public-cert.pem"),
                "intkey": str(self.data / "int-key.ec"),
                "intcert": str(self.data / "int-cert.pem"),
                "cakey": str(self.data / "ca-key.ec"),
                "cacert": str(self.data / "ca-cert.pem"),
                "image": str(self.data / image),
            }
        )

    def run(
        self, script: str, commands: dict[str, str], image: str, folder: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run one script in an empty folder, as the wrapper does."""
        if not (self.folder / script).exists():
            pytest.skip(f"the fetched sbsigntools has no {script}")
        for tool in NEEDED.get(script, ()):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        scratch = folder / "scratch"
        scratch.mkdir()
        return subprocess.run(
            [self.folder / script],
            cwd=scratch,
            env=self.environment(commands, image),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    for tool in ("bash", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        [sys.executable, FETCH], capture_output=True, check=False, text=True, timeout=SECONDS * 3
    )
    if done.returncode != 0:
        assert "Traceback" not in done.stderr, done.stderr
        pytest.skip(done.stderr.strip())
    data = tmp_path_factory.mktemp("sbsigntools")
    made = subprocess.run(
        ["bash", "-c", KEYS], cwd=data, capture_output=True, check=False, text=True, timeout=SECONDS
    )
    assert made.returncode == 0, made.stderr
    (data / "plain.efi").write_bytes(uki())
    # Debian's own EFI stub is such an image: bytes behind the sections, an odd size.
    (data / "odd.efi").write_bytes(pe_image(uki_parts(), overlay=b"an overlay"[:-1]))
    return Suite(Path(done.stdout.splitlines()[0]), data)


@pytest.fixture(scope="session")
def ours() -> dict[str, str]:
    folder = Path(sys.executable).parent
    found = {name: folder / f"uki-{name}" for name in COMMANDS}
    lacking = [path.name for path in found.values() if not path.exists()]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed in this environment")
    return {name: str(path) for name, path in found.items()}


@pytest.fixture(scope="session")
def theirs() -> dict[str, str]:
    found = {name: shutil.which(name) or "" for name in COMMANDS}
    if not all(found.values()):
        pytest.skip("sbsigntool is not installed")
    return found


@pytest.mark.parametrize("image", ["plain.efi", "odd.efi"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_sbsigntools_passes_on_our_commands(
    suite: Suite, ours: dict[str, str], script: str, image: str, tmp_path: Path
) -> None:
    done = suite.run(script, ours, image, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_arrangement_is_right_for_the_real_commands(
    suite: Suite, theirs: dict[str, str], script: str, tmp_path: Path
) -> None:
    version = subprocess.run(
        [theirs["sbverify"], "--version"], capture_output=True, check=True, text=True
    ).stdout.strip()
    done = suite.run(script, theirs, "plain.efi", tmp_path)
    assert (done.returncode != 0) == (KEEPS_FAILING.get(script) == version), done.stdout


@pytest.mark.parametrize(
    "script", [s for s in SCRIPTS if "missing" not in s and "invalid" not in s]
)
def test_a_script_fails_where_the_commands_do(suite: Suite, script: str, tmp_path: Path) -> None:
    failing = dict.fromkeys(COMMANDS, shutil.which("false") or "false")
    assert suite.run(script, failing, "plain.efi", tmp_path).returncode != 0


def test_every_script_of_the_fetched_suite_is_run(suite: Suite) -> None:
    fetched = {path.name for path in suite.folder.glob("*.sh")} - NO_TESTS
    if more := fetched - set(SCRIPTS):
        pytest.skip(f"a newer sbsigntools has scripts that are not run here: {sorted(more)}")
    assert len(fetched) == len(SCRIPTS)
