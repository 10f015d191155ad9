"""A Sigstore bundle as an attestation: offline, under the root and the identity pinned.

Decides whether the certificate names an enrolled signer, whether the pinned trusted root is
at hand, and reads what was signed once the verifier vouches for it: a Statement, or the
checksum file beside the bundle. The time is the certificate's; the commit that the workflow
ran at is `workflow_commit`, and `git_commit` where nothing else is said. Refuses to know how
a bundle is verified: that is the Verifier's, an optional part that the caller gives; without
it nothing here verifies.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from ceremony.attest.dsse import IN_TOTO
from ceremony.attest.record import Attestation, Claims, Malformed, Pins, Reading, Unverified
from ceremony.attest.sigstore_bundle import AGE_RULE, COUNT_RULE, Bundle, read_bundle
from ceremony.attest.sigstore_key import SigstoreKey, enrolled_signer
from ceremony.attest.sigstore_root import root_between
from ceremony.attest.statement import read_statement
from ceremony.attest.sums import read_sums
from ceremony.errors import Refused, refuse
from ceremony.keys import Scheme
from ceremony.policy_model import Policy
from ceremony.policy_people import Builder, BuilderKey
from ceremony.show import escaped
from ceremony.types import MediaFile

RULE = "ATT-SIGSTORE"
IDENTITY_RULE = "ATT-IDENTITY"
ROOT_RULE = "ATT-ROOT"
SIGSTORE = "sigstore"
EXTRA = "the part that verifies Sigstore bundles is not installed: install the extra, sigstore"
# Well-formed, but not what is counted here.
_NOT_COUNTED = (AGE_RULE, COUNT_RULE)


class Verifier(Protocol):
    """Verifies one bundle from bytes alone; Refused (ATT-SIGSTORE) says why it does not."""

    def verify(
        self, trusted_root: bytes, bundle: bytes, signer: tuple[str, str], content: bytes | None
    ) -> tuple[str, bytes]:
        """Return payload type and payload; ("", b"") where `content` is what is signed.

        `signer` is (identity, issuer), exactly as the certificate must have them.
        """
        ...


def read_sigstore(
    file: MediaFile,
    signed: tuple[MediaFile, ...],
    roots: tuple[MediaFile, ...],
    policy: Policy,
    verifier: Verifier | None,
) -> Reading:
    """Read a bundle; `signed` are files it may be over, `roots` trusted roots at hand."""
    try:
        bundle = read_bundle(file.data)
    except Refused as error:
        fault = error.findings[0]
        if fault.rule in _NOT_COUNTED:
            return Unverified(file.path, SIGSTORE, "", fault.rule, fault.text, None)
        return Malformed(file.path, SIGSTORE, "", fault.rule, fault.text)
    enrolled = _enrolled(bundle, policy)
    if enrolled is None:
        return _stranger(file, bundle, policy)
    builder, key, signer = enrolled
    try:
        root = root_between(_root(signer, roots), bundle.certified, bundle.expires)
        if verifier is None:
            raise refuse(RULE, EXTRA)
        content = _verified(verifier, root, file, bundle, signed)
    except Refused as error:
        fault = error.findings[0]
        says = _says(bundle)
        return Unverified(file.path, SIGSTORE, builder.id, fault.rule, fault.text, says)
    try:
        claims = _claims(bundle, content)
    except Refused as error:
        fault = error.findings[0]
        return Malformed(file.path, SIGSTORE, builder.id, fault.rule, fault.text)
    return Attestation(
        file=file.path,
        format=SIGSTORE,
        sha256=hashlib.sha256(file.data).hexdigest(),
        builder=builder.id,
        key=key.key,
        scheme=Scheme.ECDSA,
        touched=True,
        claims=claims,
    )


def pinned_roots(files: tuple[MediaFile, ...], policy: Policy) -> tuple[MediaFile, ...]:
    """Return the files that some builder's key pins, then one other to report, if there is one.

    However many other roots lie beside them, they cannot crowd out the pinned ones.
    """
    wanted = {
        signer.trusted_root
        for _, key in policy.enrolled.values()
        if (signer := enrolled_signer(key)) is not None
    }
    pinned: dict[str, MediaFile] = {}
    others: list[MediaFile] = []
    for file in files:
        digest = hashlib.sha256(file.data).hexdigest()
        if digest not in wanted:
            others.append(file)
        elif digest not in pinned:
            pinned[digest] = file
    return (*pinned.values(), *others[:1])


def _enrolled(bundle: Bundle, policy: Policy) -> tuple[Builder, BuilderKey, SigstoreKey] | None:
    """Return whom the certificate names; an exact identity goes before one of any tag."""
    found = None
    for fpr in sorted(policy.enrolled):
        builder, key = policy.enrolled[fpr]
        signer = enrolled_signer(key)
        if signer and signer.names(bundle.identity, bundle.issuer):
            if signer.identity == bundle.identity:
                return builder, key, signer
            found = found or (builder, key, signer)
    return found


def _stranger(file: MediaFile, bundle: Bundle, policy: Policy) -> Reading:
    who = f"{escaped(bundle.identity)} by {escaped(bundle.issuer)}"
    text = f"signed by {who}, which belongs to no enrolled builder"
    workflow = bundle.identity.partition("@")[0]
    for builder, key in policy.enrolled.values():
        signer = enrolled_signer(key)
        if signer and signer.identity.partition("@")[0] == workflow:
            text = f"signed by {who}; {builder.id} is {escaped(signer.identity)}"
            text += f" by {escaped(signer.issuer)}"
            break
    return Unverified(file.path, SIGSTORE, "", IDENTITY_RULE, text, _says(bundle))


def _root(signer: SigstoreKey, roots: tuple[MediaFile, ...]) -> bytes:
    for root in roots:
        if hashlib.sha256(root.data).hexdigest() == signer.trusted_root:
            return root.data
    wanted = f"the trusted root that the policy pins, sha256:{signer.trusted_root}, is not here"
    if roots:
        wanted += f"; {escaped(roots[0].path)} is another, older or newer"
    raise refuse(ROOT_RULE, wanted)


def _verified(
    verifier: Verifier, root: bytes, file: MediaFile, bundle: Bundle, signed: tuple[MediaFile, ...]
) -> bytes:
    """Return the bytes that were signed: the payload, or the first file the bundle is over."""
    signer = (bundle.identity, bundle.issuer)
    if bundle.payload is not None:
        answer = verifier.verify(root, file.data, signer, None)
        # Two readers of one file must have read one thing.
        if answer != (bundle.payload_type, bundle.payload):
            raise refuse(RULE, "the verifier found another payload in the bundle")
        return bundle.payload
    fault = refuse("ATT-ALONE", "the file that it signs is not here")
    for number, candidate in enumerate(signed):
        try:
            verifier.verify(root, file.data, signer, candidate.data)
        except Refused as error:
            fault = fault if number else error
        else:
            return candidate.data
    raise fault


def _claims(bundle: Bundle, content: bytes) -> Claims:
    """Return what was signed, with the certificate's own commit and time."""
    if bundle.payload is None:
        said = read_sums(content)
    elif bundle.payload_type != IN_TOTO:
        raise refuse("ATT-PAYLOAD", f"the payload is {escaped(bundle.payload_type)}, not {IN_TOTO}")
    else:
        said = read_statement(content)
    pins = Pins()
    for name, value in (*said.pins, *said.self_claims):
        pins.add(name, value)
    if bundle.commit:
        # Where the workflow itself stood: what it built may be another repository.
        pins.add("workflow_commit", bundle.commit)
        if "git_commit" not in dict(said.pins):
            pins.add("git_commit", bundle.commit)
    return pins.claims(said.artifacts, bundle.certified)


def _says(bundle: Bundle) -> Claims | None:
    try:
        return _claims(bundle, bundle.payload) if bundle.payload is not None else None
    except Refused:
        return None
