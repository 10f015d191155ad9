"""Reading the signed policy: TOML to frozen dataclasses, every fault named with its line.

Decides whether bytes are a policy that can be met, whether enough owners signed them, and
whether a moment is inside its window. Refuses to know attestations and images.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import replace
from datetime import datetime

from ceremony import (
    policy_checks,
    policy_components,
    policy_keys,
    policy_parts,
    policy_release,
    policy_syntax,
)
from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.clock import minute_text
from ceremony.errors import Refused, refuse
from ceremony.policy_model import (
    MOST_BUILDERS,
    MOST_PERSONS,
    MOST_POLICY_BYTES,
    POLICY_NAMESPACE,
    SCHEMA,
    MachineTopics,
    Outputs,
    Policy,
    ReadBackRule,
    Roles,
    Threshold,
)
from ceremony.policy_people import Builder, Person
from ceremony.policy_tables import MOST_NUMBER, Faults, Table
from ceremony.show import escaped
from ceremony.types import Digest, DigestKind, Finding, MediaFile, Severity

__all__ = ["MachineTopics", "Person", "Policy", "Roles", "check_owners", "check_window", "load"]

MOST_LINE_CHARACTERS = 16384
MOST_LINE_DOTS = 64
MOST_SIGNATURES = 256
_PLACE = re.compile(r"line [0-9]+, column [0-9]+")


def load(data: bytes) -> Policy:
    """Return the policy, or Refused with one POL- finding for every fault."""
    text = _text(data)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse("POL-TOML", f"the policy is no TOML: {_placed(error, text)}") from None
    faults = Faults(text)
    root = Table("", values, faults)
    if root.text("schema", "") != SCHEMA:
        place = f"schema (line {faults.line('', 'schema')})"
        said = escaped(root.text("schema", "")) or "missing"
        raise refuse("POL-SCHEMA", f'{place}: it is {said}, not "{SCHEMA}"')
    policy = _policy(root, Digest(DigestKind.FILE_SHA256, hashlib.sha256(data).digest()))
    root.end()
    if not faults.findings:
        policy_checks.check(policy, faults)
    if faults.findings:
        raise Refused(*faults.findings)
    return replace(policy, source=data)


def _placed(error: ValueError | RecursionError, text: str) -> str:
    """Return what is wrong where; tomllib's own words are another Python's no more."""
    if why := policy_syntax.reason(text):
        return why
    if isinstance(error, RecursionError):
        return "it nests too deep (line 1 and on)"
    found = _PLACE.search(str(error))
    return f"look at {found[0]}" if found else f"look up to line {len(text.split(chr(10)))}"


def _text(data: bytes) -> str:
    """POL-SIZE: what bounds the work of a TOML parser."""
    if len(data) > MOST_POLICY_BYTES:
        raise refuse("POL-SIZE", f"the policy has more than {MOST_POLICY_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        text = f"the policy is not UTF-8 (line {number})"
        raise refuse("POL-TOML", text, error.start) from None
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_LINE_CHARACTERS or line.count(".") > MOST_LINE_DOTS:
            raise refuse(
                "POL-SIZE",
                f"line {number} has more than {MOST_LINE_CHARACTERS} characters"
                f" or more than {MOST_LINE_DOTS} dots",
            )
    return text


def _policy(root: Table, digest: Digest) -> Policy:
    tables = {
        name: root.table(name, required=name in _REQUIRED) for name in (*_REQUIRED, *_OPTIONAL)
    }
    version = policy_release.version(root)
    algorithms = policy_parts.algorithms(tables["algorithms"])
    policy = Policy(
        sha256=digest,
        policy_id=root.name_text("policy_id"),
        sequence=root.integer("sequence", 1, MOST_NUMBER),
        valid_from=root.moment("valid_from"),
        expires=root.moment("expires"),
        owners=policy_parts.owners(tables["owners"]),
        artifact=policy_parts.artifact(tables["artifact"]),
        inputs=policy_parts.inputs(tables["inputs"]),
        quorum=policy_parts.quorum(tables["quorum"]),
        groups=policy_parts.group_list(tables["groups"]),
        dissent=policy_parts.dissent(tables["dissent"]),
        time=policy_parts.times(tables["time"]),
        algorithms=algorithms,
        sunset=policy_parts.sunset(tables["algorithms"], algorithms),
        gates=policy_parts.gates(tables["gates"]),
        signer=policy_parts.signer(tables["signer"]),
        roles=policy_parts.roles(tables["roles"]),
        approvals=policy_parts.approvals(tables["approvals"]),
        countersignatures=_threshold(tables["countersignatures"]),
        machine=policy_parts.machine(tables["machine"]),
        read_back=ReadBackRule(tables["read_back"].integer("words", 4, 32, 6)),
        outputs=Outputs(tables["outputs"].flag("unsigned", default=True)),
        persons=tuple(policy_parts.person(table) for table in root.tables("person", MOST_PERSONS)),
        builders=_builders(root),
        revoked=tuple(
            policy_parts.revoked(table)
            for table in root.tables("revoked", policy_parts.MOST_REVOKED)
        ),
        version=version,
        ledger=policy_release.ledger(root, version),
        components=policy_components.components(root),
    )
    for table in tables.values():
        table.end()
    return policy


_REQUIRED = ("owners", "artifact", "quorum", "signer", "roles")
_OPTIONAL = (
    *("inputs", "groups", "dissent", "time", "algorithms", "gates", "approvals"),
    *("countersignatures", "machine", "read_back", "outputs"),
)


def _threshold(table: Table) -> Threshold:
    return Threshold(table.integer("threshold", 1, MOST_PERSONS, 1))


def _builders(root: Table) -> tuple[Builder, ...]:
    builders: list[Builder] = []
    above = 0
    for table in root.tables("builder", MOST_BUILDERS):
        builders.append(policy_keys.builder(table, above))
        above += table.count("key")
    return tuple(builders)


def check_owners(
    policy: Policy, data: bytes, signatures: tuple[MediaFile, ...]
) -> tuple[Finding, ...]:
    """POL-OWNERS: `threshold` distinct owner keys signed exactly these policy bytes.

    `signatures` are the SSHSIG files found beside the policy. Keys are counted, not files.
    """
    owners = {owner.key.fpr: owner.comment or owner.key.fpr for owner in policy.owners.keys}
    signed: set[str] = set()
    faults: list[str] = []
    if len(signatures) > MOST_SIGNATURES:
        faults.append(f"only the first {MOST_SIGNATURES} of {len(signatures)} files were read")
    for file in sorted(signatures, key=lambda f: (f.path, f.data))[:MOST_SIGNATURES]:
        try:
            signature = read_sshsig(file.data)
            key = verify_sshsig(signature, data, POLICY_NAMESPACE)
        except Refused as error:
            faults.append(f"{escaped(file.path)}: {error.findings[0].text}")
            continue
        if not signature.touched:
            faults.append(f"{escaped(file.path)}: the security key was not touched")
        elif key.fpr in owners:
            signed.add(key.fpr)
        else:
            faults.append(f"{escaped(file.path)}: the key {key.fpr} is no owner's")
    enough = len(signed) >= policy.owners.threshold
    severity = Severity.WARN if enough else Severity.REFUSE
    missing = [escaped(name) for fpr, name in owners.items() if fpr not in signed]
    who = ", ".join(escaped(name) for fpr, name in owners.items() if fpr in signed) or "nobody"
    count = f"{len(signed)} of {policy.owners.threshold} owner signatures fit, by {who}"
    head = count if enough else f"{count}; missing: {', '.join(missing)}"
    return (
        Finding("POL-OWNERS", Severity.INFO if enough else Severity.REFUSE, head),
        *(Finding("POL-OWNERS", severity, fault) for fault in faults),
    )


def check_window(policy: Policy, now: datetime) -> tuple[Finding, ...]:
    """POL-WINDOW: `now` (aware) is in [valid_from, expires)."""
    if policy.valid_from <= now < policy.expires:
        return ()
    window = f"{minute_text(policy.valid_from)} to {minute_text(policy.expires)} UTC"
    text = f"the policy is valid from {window}, the ceremony's time is {minute_text(now)} UTC"
    return (Finding("POL-WINDOW", Severity.REFUSE, text),)
