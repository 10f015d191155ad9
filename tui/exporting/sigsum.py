"""export sigsum-request and sigsum-verify: a checkpoint on its way to a public log and back.

Neither needs a network: the request is carried to a machine that has one, and the proof back.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ceremony import bundle
from ceremony import policy as policies
from ceremony.clock import wall_text
from ceremony.content import octets_of
from ceremony.errors import Refused, refuse
from ceremony.keys import (
    MOST_KEY_BYTES,
    RAW_ED25519_BYTES,
    PublicKey,
    parse_spki,
    parse_ssh_line,
)
from ceremony.show import escaped
from ceremony.types import Mode
from transcripts.exports import sigsum_leaf, sigsum_policy, sigsum_proof
from transcripts.exports.source import Sealed
from tui import private_keys
from tui.commands import Exit
from tui.commands.files import file_alone
from tui.commands.findings import put
from tui.exporting import places

ED25519 = "ed25519"
YEAR_10000 = 253_402_300_800  # seconds; what stands there is a number and no time


def request_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of sigsum-request."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument(
        "--key", metavar="K", type=Path, required=True, help="Ed25519, PEM or OpenSSH"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=file_alone, required=True, help="a new file"
    )
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")


def request(options: argparse.Namespace) -> Exit:
    """Write the add-leaf request for the bundle's checkpoint."""
    places.require_new(options.output, options.bundle)
    source = places.read_sealed(options.bundle, options.image)
    private = private_keys.read(options.key)
    if not isinstance(private, Ed25519PrivateKey):
        raise refuse("KEY-PRIVATE", "sigsum takes Ed25519 keys and no others")
    message = sigsum_leaf.message_of(source.checkpoint)
    raw = private.public_key().public_bytes_raw()
    signature = private_keys.sign(private, sigsum_leaf.signed_data(message))
    places.write(options.output, sigsum_leaf.request(message, signature, raw))
    practice = source.mode is not Mode.PRODUCTION
    put(
        f"head      {source.head.spoken}",
        f"message   {message.hex()}",
        f"submitter {sigsum_leaf.key_hash(raw).hex()}",
        f"wrote     {escaped(str(options.output), 4096)}",
        *(["REHEARSAL: what a public log takes stays there."] if practice else []),
        "Submit it where there is a network: sigsum-submit -p POLICY -o PROOF REQUEST",
    )
    return Exit.YES


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of sigsum-verify."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--proof", metavar="FILE", type=Path, required=True, help="as it came back")
    parser.add_argument(
        "--policy", metavar="FILE", type=Path, required=True, help="sigsum policy: logs, witnesses"
    )
    parser.add_argument(
        "--key",
        metavar="PUB",
        type=Path,
        help="the submitter's public key; without: the persons of the ceremony's policy",
    )
    parser.add_argument("--image", type=Path, help="the unsigned image, if the bundle lacks it")


def verify(options: argparse.Namespace) -> Exit:
    """Say that the checkpoint was logged; TRN-SIGSUM where the proof does not say so."""
    proof = sigsum_proof.read_proof(places.read_small(options.proof, sigsum_proof.MOST_BYTES))
    policy = sigsum_policy.read_policy(places.read_small(options.policy, sigsum_policy.MOST_BYTES))
    given = _public_key(options.key) if options.key else None
    source = places.read_sealed(options.bundle, options.image)
    known = {given: "the key given"} if given else _persons(source)
    submitters = {sigsum_leaf.key_hash(_raw(key)): key for key in known}
    message = sigsum_leaf.message_of(source.checkpoint)
    logged = sigsum_proof.verify(proof, message, submitters, policy)
    put(
        f"logged    {source.head.origin}",
        f"head      {source.head.spoken}",
        f"by        {escaped(known[submitters[logged.submitter]])}",
        f"log       {logged.log.hex()}, leaf {logged.index:,} of {logged.size:,}",
        *(f"witness   {escaped(name, 60)}, {_when(time)}" for name, time in logged.witnesses),
    )
    if not logged.witnesses:
        put("witness   none: the sigsum policy asks for none")
    return Exit.YES


def _persons(source: Sealed) -> dict[PublicKey, str]:
    """Return the keys that may have submitted, and whose they are."""
    try:
        policy = policies.load(octets_of(source.files.get(bundle.POLICY, b"")))
    except Refused:
        text = "the ceremony accepted no policy that names persons; give the key with --key"
        raise refuse(sigsum_policy.RULE, text) from None
    return {
        named.key: person.id
        for person in policy.persons
        for named in person.keys
        if named.key.algorithm == ED25519
    }


def _public_key(path: Path) -> PublicKey:
    """Return an Ed25519 public key, of an OpenSSH line or as PEM."""
    text = places.read_small(path, MOST_KEY_BYTES).decode("utf-8", "replace")
    key = parse_spki(text) if text.startswith("-----BEGIN ") else parse_ssh_line(text)[0]
    if key.algorithm != ED25519:
        raise refuse(sigsum_policy.RULE, f"the submitter's key is {key.algorithm}, not Ed25519")
    return key


def _raw(key: PublicKey) -> bytes:
    return key.spki[-RAW_ED25519_BYTES:]


def _when(time: int) -> str:
    if time >= YEAR_10000:
        return f"{time} s after 1970"
    return wall_text(datetime.fromtimestamp(time, UTC))
