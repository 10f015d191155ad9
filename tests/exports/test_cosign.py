"""cosign on both forms of a summary: it takes the image's, and no other image, key or kind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from exports.publishing import PRODUCTION, export, keys, other_key
from marks import accepts

KIND = "https://slsa.dev/verification_summary/v1"
# An empty root: with none given cosign fetches one from the network.
ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


@accepts("TRN-EXPORT")
@pytest.mark.parametrize("form", ["dsse", "sigstore"])
@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_cosign_verifies_what_was_exported(tmp_path: Path, kind: str, form: str) -> None:
    program = shutil.which("cosign") or pytest.skip("cosign is not installed")
    key, public = keys(tmp_path, kind)
    summary, root = tmp_path / "summary", tmp_path / "root.json"
    assert export(PRODUCTION, key, summary, "--form", form) == 0
    root.write_text(ROOT)
    given = {
        "dsse": ("--signature", summary),
        "sigstore": ("--new-bundle-format", "--trusted-root", root, "--bundle", summary),
    }

    def verified(image: str, by: Path) -> bool:
        words = (program, "verify-blob-attestation", *given[form], "--key", by, "--type", KIND)
        line = [*map(str, words), "--insecure-ignore-tlog", str(PRODUCTION / image)]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(line, capture_output=True, check=False, env=environment)
        return done.returncode == 0

    assert verified("anchor.signed.efi", public)
    assert not verified("anchor.efi", public)
    assert not verified("anchor.signed.efi", other_key(tmp_path, kind))
