"""What the bytes say that an enrolled key signed, read from those bytes again.

Decides an attestation's claims in the ceremony's own process, by the same pure readers as the
confined child: text and JSON of bounded size, never a stranger's bytes and never a file's
wrapping. The child's answer names the bytes only, so that there is nothing in it that could
be swapped or freshened. Refuses to know signatures: proof.py checked them before.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ceremony.attest import contents, openpgp
from ceremony.attest.attested_nar import fingerprint_claims
from ceremony.attest.dsse import IN_TOTO
from ceremony.attest.enveloped import payload_claims
from ceremony.attest.in_toto_link import Link, link_claims
from ceremony.attest.minisign import comment_claims
from ceremony.attest.nar_media import NarFacts
from ceremony.attest.olpc_json import read_canonical
from ceremony.attest.openpgp_file import read_detached
from ceremony.attest.rebuilderd import rebuild_claims
from ceremony.attest.record import Claims, Proof
from ceremony.errors import Refused, refuse
from ceremony.types import Finding

# What the file says of itself and nobody signs; it can only take a pin away.
_CONTENT_ADDRESSED = re.compile(rb"^CA:", re.MULTILINE)
# RFC 9580 5.2.3: behind the signed fields no unsigned ones, and two bytes of the digest.
_NOTHING_UNSIGNED = bytes(4)


def signed_claims(
    kind: str, proof: Proof, file: bytes, archives: tuple[NarFacts, ...], names: tuple[str, ...]
) -> Claims:
    """Return what a proof's bytes say; Refused (ATT-...) says why they are no attestation.

    `file` is the evidence as it lay on the medium, `archives` what was found of archives apart
    from this reading, `names` the artifact's.
    """
    match kind, proof.parts:
        case (("sshsig" | "signify"), _):
            return contents.claims(proof.content)
        case "minisign", (_, comment, _):
            return comment_claims(contents.claims(proof.content), comment.decode())
        case "openpgp", (signed,):
            return openpgp.claims(proof.content, read_detached(signed + _NOTHING_UNSIGNED))
        case (("dsse" | "in-toto-link" | "rebuilderd"), _):
            found = _document(kind, proof.content)
            if isinstance(found, Finding):
                raise Refused(found)
            return found
        case "narinfo", _:
            by_content = _CONTENT_ADDRESSED.search(file) is not None
            return fingerprint_claims(proof.content, archives, names, by_content=by_content)
        case _:
            raise refuse("ATT-FORMAT", f"{kind} is not read from what was signed")


@lru_cache(maxsize=1)  # an envelope of several signers comes as so many attestations in turn
def _document(kind: str, content: bytes) -> Claims | Finding:
    try:
        match kind:
            case "dsse":
                return payload_claims(IN_TOTO, content)
            case "in-toto-link":
                return link_claims(_link(content))
            case _:
                return rebuild_claims(_link(content))
    except Refused as error:
        return error.findings[0]


def _link(content: bytes) -> Link:
    document = read_canonical(content)
    if not isinstance(document, dict):
        raise refuse("ATT-LINK", "what was signed is no object")
    return document
