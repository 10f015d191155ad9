"""export vsa: the verification summary of a released image, signed with the publisher's key."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ceremony.attest.dsse import IN_TOTO, pae, write_envelope
from ceremony.errors import refuse
from ceremony.policy_model import MOST_POLICY_BYTES, Policy
from ceremony.show import escaped
from ceremony.types import Mode
from transcripts.exports import vsa
from transcripts.exports.sigstore_bundle import sigstore_bundle
from transcripts.exports.source import RULE, released
from tui import identity, private_keys
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put
from tui.exporting import places

DSSE, SIGSTORE = "dsse", "sigstore"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument(
        "--key", metavar="K", type=Path, required=True, help="Ed25519 or ECDSA, PEM or OpenSSH"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=file_alone, required=True, help="a new file"
    )
    parser.add_argument(
        "--form",
        choices=(DSSE, SIGSTORE),
        default=DSSE,
        help="a DSSE envelope (.intoto.jsonl), or the same in a Sigstore bundle (.sigstore.json)",
    )
    parser.add_argument(
        "--policy", metavar="P", type=Path, help="the policy that it must have been judged by"
    )
    parser.add_argument("--verifier-id", metavar="URI", default="", help="who vouches for it")
    parser.add_argument("--resource-uri", metavar="URI", default="", help="where the image is")
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")


def run(options: argparse.Namespace) -> Exit:
    """Write a summary that says PASSED; TRN-EXPORT where the ceremony did not release."""
    places.require_new(options.output, options.bundle)
    source = places.read_sealed(options.bundle, options.image)
    ended = released(source)
    if options.policy:
        _check_policy(ended.policy, options.policy)
    tool = identity.tool_version().split(" ", 1)[1]
    names = vsa.Names(tool, options.verifier_id, options.resource_uri)
    payload = vsa.payload(source, ended, names)
    private = private_keys.read(options.key)
    if isinstance(private, RSAPrivateKey):
        text = "a summary is signed by Ed25519 or ECDSA: readers do not agree on RSA's padding"
        raise refuse("KEY-PRIVATE", text)
    key = private_keys.public(private)
    signature = private_keys.sign(private, pae(IN_TOTO, payload))
    if options.form == SIGSTORE:
        data = sigstore_bundle(IN_TOTO, payload, signature, key.identity.value)
    else:
        data = write_envelope(IN_TOTO, payload, ((key.fpr, signature),))
    places.write(options.output, data)
    policy = ended.policy
    put(
        f"image     {ended.signed.name}  sha256 {ended.signed.sha256}",
        f"policy    {policy.policy_id} {policy.sequence}  sha256 {policy.sha256.hex}",
        f"levels    {', '.join(vsa.levels(source, ended))}",
        f"signed by {key.fpr}",
        f"wrote     {escaped(str(options.output), 4096)}",
    )
    if source.mode is not Mode.PRODUCTION:
        put("REHEARSAL: the summary says so as its verifier and as its only level.")
    return Exit.YES


def _check_policy(policy: Policy, path: Path) -> None:
    """TRN-EXPORT: a bundle made by strangers under a policy of theirs is reproduced too."""
    digest = hashlib.sha256(places.read_small(path, MOST_POLICY_BYTES)).hexdigest()
    if digest != policy.sha256.hex:
        text = f"the ceremony was judged by the policy {policy.sha256.hex[:16]}, not {digest[:16]}"
        raise refuse(RULE, text)
