"""Countersignatures: SSHSIG over checkpoint.txt by people, counted by person and never by key.

Namespace transcript@uki-ceremony. A file is checkpoint.<person>.sshsig; its key must be one
that the policy gives that person. The administrator's signature is kept, and is not counted.
Any stock ssh-keygen -Y verify gives the same answer (OpenSSH PROTOCOL.sshsig).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.errors import Refused, refuse
from ceremony.policy import Policy
from ceremony.show import escaped
from ceremony.types import Finding, Severity
from transcripts.checkpoint import NAMESPACE

PREFIX = "checkpoint."
SUFFIX = ".sshsig"
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Countersigned:
    """Who signed the checkpoint, in whose name, and what is wrong with the rest."""

    witnesses: tuple[str, ...]
    administrator: bool
    findings: tuple[Finding, ...]


def file_name(person: str) -> str:
    """Return the name of a person's countersignature in the bundle."""
    return f"{PREFIX}{person}{SUFFIX}"


def is_countersignature(name: str) -> bool:
    """Tell whether a file of a bundle is a countersignature by its name."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def person_in(name: str) -> str:
    """Return the person that a countersignature's file name names."""
    return name.removeprefix(PREFIX).removesuffix(SUFFIX)


def check_one(policy: Policy, person: str, data: bytes, checkpoint: bytes) -> None:
    """Return if `data` is this person's signature over `checkpoint`; Refused otherwise."""
    keys = {named.key.fpr for p in policy.persons if p.id == person for named in p.keys}
    if not keys:
        raise refuse("TRN-COUNTERSIGNATURE", f"the policy gives {escaped(person)} no key")
    if len(data) > MOST_BYTES:
        raise refuse("TRN-COUNTERSIGNATURE", f"over {MOST_BYTES:,} bytes")
    signature = read_sshsig(data)
    key = verify_sshsig(signature, checkpoint, NAMESPACE)
    if key.is_security_key and not signature.touched:
        raise refuse("TRN-COUNTERSIGNATURE", "the security key was not touched")
    if key.fpr in policy.revocations:  # be it from a moment on: an SSHSIG says no time
        raise refuse("TRN-COUNTERSIGNATURE", f"the key {key.fpr} is revoked")
    if key.fpr not in keys:
        text = f"the key is {_owner(policy, key.fpr)}, not one of {escaped(person)}'s"
        raise refuse("TRN-COUNTERSIGNATURE", text)


def already(person: str) -> Refused:
    """Return what is said to a person whose good signature is there."""
    text = f"{escaped(person)} has signed this checkpoint already, and counts once; "
    return refuse("TRN-COUNTERSIGNATURE", f"{text}{escaped(file_name(person))} stays as it is")


def person_of(policy: Policy, fpr: str) -> str:
    """Return the id of the person that a key belongs to, "" where it is nobody's."""
    found = (p.id for p in policy.persons if any(named.key.fpr == fpr for named in p.keys))
    return next(found, "")


def _owner(policy: Policy, fpr: str) -> str:
    owner = person_of(policy, fpr)
    return f"{escaped(owner)}'s" if owner else f"nobody's in the policy ({fpr})"


def count(policy: Policy, files: Mapping[str, bytes], checkpoint: bytes) -> Countersigned:
    """TRN-COUNTERSIGNATURE: distinct persons other than the administrator signed."""
    witnesses, findings, administrator = [], [], False
    for name in sorted(files):
        person = person_in(name)
        try:
            check_one(policy, person, files[name], checkpoint)
        except Refused as error:
            text = f"{escaped(name, 60)}: {error.findings[0].text}"
            findings.append(Finding("TRN-COUNTERSIGNATURE", Severity.REFUSE, text))
            continue
        if person == policy.roles.administrator:
            administrator = True
        else:
            witnesses.append(person)
    return Countersigned(tuple(witnesses), administrator, tuple(findings))
