"""Sigstore bundles verified by the `sigstore` package, from bytes, offline.

Decides nothing itself: certificate chain, SCT, log inclusion, times, signature and identity
are the package's. It is given the pinned trusted root and never its own, and makes no
connection. Refuses to know policies. Import it through ceremony.ingest.sigstore only.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootFile

from ceremony.attest.sigstore import RULE
from ceremony.errors import refuse

# What the package's readers load at first use: a confined process can load nothing any more.
for _name in ("ascii", "latin-1", "utf-16-be", "utf-32-be", "idna"):
    codecs.lookup(_name)

MOST_ROOT_BYTES = 1 << 20
MOST_TEXT = 160


class PackageVerifier:
    """The Verifier that ceremony.attest.sigstore asks for."""

    def verify(
        self, trusted_root: bytes, bundle: bytes, signer: tuple[str, str], content: bytes | None
    ) -> tuple[str, bytes]:
        """Return payload type and payload, ("", b"") for a signature of `content`."""
        if len(trusted_root) > MOST_ROOT_BYTES:
            raise refuse(RULE, f"the trusted root has more than {MOST_ROOT_BYTES} bytes")
        identity, issuer = signer
        who = Identity(identity=identity, issuer=issuer)
        # A parser of other people, fed with hostile bytes: whatever it raises, the bundle is
        # not verified.
        try:
            verifier = _verifier(trusted_root)
            parsed = Bundle.from_json(bundle)
            if content is None:
                return verifier.verify_dsse(parsed, who)
            verifier.verify_artifact(content, parsed, who)
        except Exception:  # noqa: BLE001 - for the reason above
            # Its words are recorded nowhere: they change with its version, and a replay compares.
            raise refuse(RULE, "the package sigstore does not verify it") from None
        return "", b""


@lru_cache(maxsize=8)
def _verifier(trusted_root: bytes) -> Verifier:
    return Verifier(trusted_root=TrustedRoot(TrustedRootFile.from_json(trusted_root)))
