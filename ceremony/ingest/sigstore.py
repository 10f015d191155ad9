"""The part that verifies Sigstore bundles, where the extra `sigstore` is installed.

Decides only whether it is there. Impure, hence here and not in ceremony/attest/: the import
reads files. What it answers depends on the bytes it is given alone: ceremony.attest.sigstore
takes the validity periods, which it would hold against the machine's clock, off the root.
Ask before the process confines itself. Refuses to know policies and what a bundle says.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import cast

from ceremony.attest.sigstore import EXTRA, Verifier
from ceremony.errors import refuse


class _Late:
    """The verifier, loaded when the first bundle asks for it: most ceremonies have none."""

    def verify(
        self, trusted_root: bytes, bundle: bytes, signer: tuple[str, str], content: bytes | None
    ) -> tuple[str, bytes]:
        """Verify as the package does; ATT-SIGSTORE where it cannot be loaded after all."""
        verifier = sigstore_verifier()
        if verifier is None:
            raise refuse("ATT-SIGSTORE", EXTRA)
        return verifier.verify(trusted_root, bundle, signer, content)


def late_verifier() -> Verifier | None:
    """Return a verifier that is loaded at its first use, None where the extra is not there."""
    return _Late() if find_spec("sigstore") else None


def sigstore_verifier() -> Verifier | None:
    """Return the verifier, None where the extra is not installed."""
    try:
        package = import_module("ceremony.ingest.sigstore_package")
    except ImportError:
        return None
    return cast("Verifier", package.PackageVerifier())
