"""The policy's small tables and its lists of people and builders, each read on its own.

Decides what one table says. Refuses to know how tables depend on each other: that is
policy_checks.py.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from functools import partial

from ceremony import groups, keys, policy_keys
from ceremony import policy_model as model
from ceremony import policy_people as people
from ceremony.errors import Refused
from ceremony.key_attestation import Demands
from ceremony.pe.revocation import read_revocations
from ceremony.pin_parts import LEAST_SHARES, MOST_SHARES, PinEntry
from ceremony.policy_signer import Signer, one_certificate
from ceremony.policy_tables import MOST_NUMBER, Table
from ceremony.quorum_rules import Group, QuorumRule
from ceremony.show import escaped
from ceremony.types import Severity

REPORT_OR_REFUSE = ("refuse", "report")
MOST_GROUPS = 256
MOST_REVOKED = 4096
MOST_WORDS = 32
MOST_DBX_TEXT = 1 << 17
PIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
SERIAL = re.compile(r"[1-9][0-9]{0,19}")
MOST_SERIAL = (1 << 64) - 1
NEVER = ("sha1", "md5", "dsa")  # no policy can allow these; it may say so
MOST_SUNSETS = 64


def owners(table: Table) -> model.Owners:
    """Read [owners]: the threshold and the OpenSSH key lines."""
    return model.Owners(
        table.integer("threshold", 1, policy_keys.MOST_KEYS), _ssh_keys(table, "keys")
    )


def artifact(table: Table) -> model.ArtifactRule:
    """Read [artifact]: exact names, architecture, size."""
    names = table.texts("names")
    if not names:
        table.fault("POL-VALUE", "names", "at least one name is wanted")
    arch = table.text("arch")
    if arch not in ("x86_64", "aarch64"):
        table.fault("POL-VALUE", "arch", "x86_64 or aarch64 is wanted")
    return model.ArtifactRule(names, arch, table.integer("max_bytes", 1, MOST_NUMBER))


def inputs(table: Table) -> model.Inputs:
    """Read [inputs]: which pins must agree and what a missing one means."""
    pins = table.texts("must_agree", ())
    for pin in pins:
        if not PIN_NAME.fullmatch(pin):
            table.fault("POL-VALUE", "must_agree", f"{escaped(pin)} is no name of a pin")
    lock = table.name_text("flake_lock_file", "")
    if lock and "flake_lock" not in pins:
        table.fault("POL-VALUE", "flake_lock_file", "needs flake_lock in must_agree")
    missing = table.choice("missing", model.Missing, model.Missing.WEAK)
    return model.Inputs(tuple(sorted(pins)), missing, lock)


def quorum(table: Table) -> QuorumRule:
    """Read [quorum]: threshold, rule, weak votes, diversity minima."""
    rule = table.text("rule", "")
    tree: groups.QuorumTree | None = None
    if rule:
        try:
            tree = groups.parse(rule)
        except Refused as error:
            table.fault("POL-RULE", "rule", error.findings[0].text)
    minima = table.table("distinct")
    distinct = tuple(
        (name, minima.integer(name, 1, policy_keys.MOST_KEYS))
        for name in people.DIVERSITY
        if minima.has(name)
    )
    minima.end()
    return QuorumRule(
        threshold=table.integer("threshold", 1, model.MOST_BUILDERS),
        rule=rule,
        tree=tree,
        weak_votes_max=table.integer("weak_votes_max", 0, model.MOST_BUILDERS, 0),
        distinct=distinct,
    )


def group_list(table: Table) -> tuple[Group, ...]:
    """Read [groups]: lists of builder ids by name."""
    return tuple(Group(name, table.texts(name)) for name in table.items(MOST_GROUPS))


def dissent(table: Table) -> model.DissentRule:
    """Read [dissent]: a verified other answer on the same inputs is always a veto."""
    same = table.text("same_inputs", "veto")
    if same != "veto":
        table.fault("POL-VALUE", "same_inputs", 'only "veto" is possible')
    override = table.table("override")
    # The default of the table as a whole is two operators; an override table must say its own.
    operators = override.integer("operators", 0, model.MOST_PERSONS, 2)
    if not override.flag("reason", default=True):
        override.fault("POL-VALUE", "reason", "only true is possible")
    override.end()
    return model.DissentRule(
        same_inputs=same,
        other_inputs=table.severity("other_inputs", "report", options=REPORT_OR_REFUSE),
        unverified=table.severity("unverified", "report", options=("report",)),
        override=model.OverrideRule(operators),
    )


def times(table: Table) -> model.TimeRule:
    """Read [time]: ages and clock differences in seconds."""
    return model.TimeRule(
        max_age=table.seconds("max_age", "45d"),
        future_skew=table.seconds("future_skew", "10m"),
        max_drift=table.seconds("max_drift", "5m"),
        untimed=table.choice("untimed", model.Untimed, model.Untimed.ALLOW),
    )


def algorithms(table: Table) -> tuple[str, ...]:
    """Read [algorithms].sign: names of the list, RSA with any least size in bits."""
    names = table.texts("sign", model.ALGORITHMS)
    for name in names:
        if name not in model.ALGORITHMS and not keys.RSA_RULE.fullmatch(name):
            table.fault(
                "POL-VALUE", "sign", f"{escaped(name)} is none of {', '.join(model.ALGORITHMS)}"
            )
    return names


def sunset(table: Table, names: tuple[str, ...]) -> tuple[tuple[str, datetime], ...]:
    """Read [algorithms].sunset and .deny: when a name of `sign` ends, and what never served."""
    table.among("deny", NEVER, ())
    ends = table.table("sunset")
    read = []
    for name in ends.items(MOST_SUNSETS):
        if name not in names:
            ends.fault("POL-VALUE", name, f"{escaped(name)} is not in [algorithms].sign")
        read.append((name, ends.moment(name)))
    return tuple(sorted(read))


def gates(table: Table) -> model.Gates:
    """Read [gates]: what the image must and must not carry."""
    return model.Gates(
        sections=table.texts("sections", model.SECTIONS),
        overlay=table.severity("overlay", "refuse", options=REPORT_OR_REFUSE),
        signed_input=table.severity("signed_input", "refuse", options=REPORT_OR_REFUSE),
    )


def signer(table: Table) -> Signer:
    """Read [signer]: PKCS#11 URI, certificate, chain, dbx, and how the PIN is typed."""
    uri = table.text("uri")
    if uri and not uri.startswith("pkcs11:"):
        table.fault("POL-VALUE", "uri", "a PKCS#11 URI begins with pkcs11:")
    certificate = table.text("certificate", most=1 << 16)
    chain = table.texts("chain", ())
    for key, text in (("certificate", certificate), *(("chain", text) for text in chain)):
        named = key == "certificate"
        if text and not table.is_open(key, text) and not one_certificate(text, named=named):
            table.fault("POL-CERTIFICATE", key, "exactly one PEM certificate is wanted")
    ecdsa = table.flag("ecdsa", default=False)
    pin = table.choice("pin", PinEntry, PinEntry.WHOLE)
    shares = table.integer("pin_shares", 0, MOST_SHARES, 0)
    if pin is PinEntry.SHARES and shares < LEAST_SHARES:
        why = f"with shares a number from {LEAST_SHARES} to {MOST_SHARES} is wanted"
        table.fault("POL-VALUE", "pin_shares", why)
    elif pin is not PinEntry.SHARES and table.has("pin_shares"):
        table.fault("POL-VALUE", "pin_shares", 'only where pin = "shares"')
    return Signer(uri, certificate, chain, _dbx(table), ecdsa, pin, shares, _attestation(table))


def _attestation(table: Table) -> Demands:
    """Read how the key's birth is to be proved: roots, files on the medium, how grave a gap is."""
    roots = table.texts("attestation_roots", ())
    for text in roots:
        if not table.is_open("attestation_roots", text) and not one_certificate(text, named=True):
            why = "exactly one PEM certificate is wanted"
            table.fault("POL-CERTIFICATE", "attestation_roots", why)
    files = table.texts("attestation_files", ())
    missing = table.severity("attestation", "report", options=REPORT_OR_REFUSE)
    if missing is Severity.REFUSE and not roots:
        why = "a proof that is demanded needs attestation_roots"
        table.fault("POL-VALUE", "attestation", why)
    return Demands(roots, files, missing)


def _dbx(table: Table) -> bytes:
    """Read signer.dbx: base64 of EFI signature lists, line breaks allowed."""
    text = table.text("dbx", "", most=MOST_DBX_TEXT)
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        if data:
            read_revocations(data)
    except ValueError:
        table.fault("POL-VALUE", "dbx", "base64 of a dbx is wanted")
        return b""
    except Refused as refused:
        table.fault("POL-VALUE", "dbx", refused.findings[0].text)
        return b""
    return data


def roles(table: Table) -> model.Roles:
    """Read [roles]: person ids."""
    return model.Roles(
        administrator=table.name_text("administrator"),
        internal_witness=table.name_text("internal_witness"),
        external_witness=table.name_text("external_witness"),
        key_holders=table.texts("key_holders"),
    )


def approvals(table: Table) -> model.ApprovalRule:
    """Read [approvals]: how many key holders, and by signature or by a typed word."""
    return model.ApprovalRule(
        threshold=table.integer("threshold", 1, model.MOST_PERSONS, 1),
        by=table.choice("by", model.Approving, model.Approving.SIGNATURE),
    )


def machine(table: Table) -> model.MachineTopics:
    """Read [machine]: how grave network, swap and block devices are."""
    return model.MachineTopics(
        network=table.severity("network", "refuse", options=REPORT_OR_REFUSE),
        swap=table.severity("swap", "refuse", options=REPORT_OR_REFUSE),
        block_devices=table.severity("block_devices", "refuse", options=REPORT_OR_REFUSE),
    )


def person(table: Table) -> people.Person:
    """Read [[person]]: someone with a role."""
    read = people.Person(
        id=table.name_text("id"),
        name=table.name_text("name"),
        organisation=table.name_text("organisation", ""),
        keys=_ssh_keys(table, "keys", ()),
    )
    table.end()
    return read


def revoked(table: Table) -> people.Revoked:
    """Read [[revoked]]: a key whose signatures are void, or some of an authority's certificates."""
    fpr = table.text("fpr")
    if fpr and not FINGERPRINT.fullmatch(fpr):
        table.fault("POL-VALUE", "fpr", "sha256: and 64 lower-case hex digits are wanted")
    mode = table.choice("mode", people.Revocation, people.Revocation.ALL)
    serials, key_ids = table.texts("serials", ()), table.texts("key_ids", ())
    for serial in serials:
        # ssh-keygen numbers a certificate 0 where nobody gives it a number.
        if not SERIAL.fullmatch(serial) or int(serial) > MOST_SERIAL:
            why = f'{escaped(serial)} is no serial as "4711": 1 to {MOST_SERIAL}'
            table.fault("POL-VALUE", "serials", why)
    numbers = tuple(int(serial) for serial in serials if SERIAL.fullmatch(serial))
    read = people.Revoked(fpr, table.moment("since"), mode, numbers, key_ids)
    for key in ("serials", "key_ids"):
        if table.has(key) and read.whole:
            table.fault("POL-VALUE", key, "an empty list would void the whole authority")
    table.end()
    return read


def _ssh_keys(
    table: Table, key: str, default: tuple[str, ...] | None = None
) -> tuple[people.NamedKey, ...]:
    lines = table.texts(key, default)
    if len(lines) > policy_keys.MOST_KEYS:
        table.fault("POL-VALUE", key, f"more than {policy_keys.MOST_KEYS} keys")
        return ()
    read = (
        policy_keys.readable(table, key, partial(keys.parse_ssh_line, line), f"key {number}: ")
        for number, line in enumerate(lines, 1)
        if not table.is_open(key, line)
    )
    return tuple(people.NamedKey(*pair) for pair in read if pair is not None)
