"""Every way in which a policy can be wrong: the rule, the place that is named, the change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from quorum.casebook import keys_of, rows
from quorum.release import KIM, NOW, Release, base64_text, certificate
from quorum.ssh_authority import Making
from quorum.toml_text import Table
from quorum.tool_keys import BareKey

from ceremony.keys import parse_ssh_line

Change = Callable[[Release, Table], object]


def section(tables: Table, name: str) -> Table:
    found = tables.setdefault(name, {})
    assert isinstance(found, dict)
    return found


def people(tables: Table) -> list[Table]:
    found = tables["person"]
    assert isinstance(found, list)
    return found


def part(tables: Table, **changes: object) -> None:
    """Add two components, the second with `changes`."""
    one: Table = {"id": "kernel", "names": ["vmlinuz"], "threshold": 2}
    two: Table = {"id": "bay0", "names": ["bay0", "bin/bay0"], "threshold": 1, **changes}
    tables["component"] = [one, two]


# Before the year 1 in UTC.
EARLIEST = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))


def many(prefix: str) -> list[str]:
    return [f"{prefix}{number}" for number in range(65)]


def crowded(release: Release, tables: Table) -> None:
    """Enrol so many builders that the weak votes among them cannot be searched."""
    (eve,) = rows(release.tables("eve"))
    (key,) = keys_of(release.tables("eve"), 0)
    for number in range(20):
        public = BareKey(Ed25519PrivateKey.generate()).line
        name = f"b{number}"
        more = {"id": name, "persons": [name], "key": [key | {"public": public}]}
        rows(tables).append(eve | more)
    section(tables, "quorum")["weak_votes_max"] = 10


def twice() -> Table:
    return {"certificate": certificate() * 2}


def of_version_4() -> str:
    """Return a certificate with an X.509 version that does not exist: the library's own error."""
    der = x509.load_pem_x509_certificate(certificate().encode()).public_bytes(Encoding.DER)
    wrong = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1)
    text = base64.encodebytes(wrong).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def of_no_text(unused: int) -> str:
    """Return a certificate whose common name is a BIT STRING, whole or with unused bits of none.

    The library finds it when the name is read, with two kinds of error.
    """
    der = x509.load_pem_x509_certificate(certificate().encode()).public_bytes(Encoding.DER)
    name = b"\x0c\x07release"
    assert der.count(name) == 2, "issuer and subject"
    wrong = der.replace(name, b"\x03\x07" + bytes([unused]) + b"elease")
    text = base64.encodebytes(wrong).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def signed_by(**changes: object) -> Change:
    return lambda _, tables: section(tables, "signer").update(changes)


def grouped(tables: Table, rule: str) -> None:
    tables["groups"] = {"core": ["ann", "bob"]}
    section(tables, "quorum")["rule"] = rule


def diverse(tables: Table, **minima: int) -> None:
    section(tables, "quorum")["distinct"] = dict(minima)


def one_key(release: Release) -> Table:
    return {"type": "ssh", "public": release.keys["ann"].line + " again"}


def rewrapped(release: Release, tables: Table) -> None:
    """Enrol dan's RSA key a second time, as PEM, for ann."""
    dan = next(b for b in release.policy().builders if b.id == "dan")
    (key,) = dan.keys
    public = base64_text(key.key.spki)
    rows(tables).sort(key=lambda builder: builder["id"] != "dan")
    keys_of(tables, 1).append(keys_of(tables, 1)[0] | {"type": "spki", "public": public})


def owner_twice(release: Release, tables: Table) -> None:
    line = release.owners[0].line
    section(tables, "owners")["keys"] = [line, line + " under another name"]


def authority(tables: Table, **changes: object) -> None:
    """Make ann's key an authority's, with `changes`."""
    keys_of(tables, 0)[0].update({"type": "ssh-ca", "principals": ["ann"]} | changes)


def certified_line(release: Release, tables: Table) -> None:
    """Enrol a certificate where an authority's key belongs."""
    blob = base64.b64encode(Making().blob).decode()
    authority(tables, public=f"ssh-ed25519-cert-v01@openssh.com {blob}")


def shared_authority(release: Release, tables: Table) -> None:
    """Enrol one authority for two builders, with a principal each."""
    authority(tables)
    keys_of(tables, 1)[0].update(keys_of(tables, 0)[0] | {"principals": ["bob"]})


def voided(tables: Table, **entry: object) -> None:
    """Revoke some certificates of an authority."""
    tables["revoked"] = [{"fpr": "sha256:" + "ab" * 32, "since": NOW} | entry]


def each(*changes: Change) -> Change:
    return lambda release, tables: [change(release, tables) for change in changes]


def unable(tables: Table, *numbers: int, **window: object) -> None:
    """Change the keys of some builders, so that fewer than three are left who can vote."""
    for number in numbers:
        keys_of(tables, number)[0].update(window)


def revoked_builders(release: Release, tables: Table, **entry: object) -> None:
    """Revoke the keys of ann and bob."""
    builders = release.policy().builders
    fprs = [key.key.fpr for builder in builders[:2] for key in builder.keys]
    tables["revoked"] = [{"fpr": fpr, "since": NOW, "mode": "all"} | entry for fpr in fprs]


def apart(tables: Table) -> None:
    """Two builders whose keys end before those of the two others begin."""
    tables["time"] = {"max_age": "1d"}
    unable(tables, 0, 1, to=NOW - timedelta(days=10))
    unable(tables, 2, 3, **{"from": NOW + timedelta(days=10)})


def only(tables: Table, wanted: str, *numbers: int) -> None:
    """Take one format alone from some builders."""
    for number in numbers:
        rows(tables)[number]["formats"] = [wanted]


def kim_is_revoked(_release: Release, tables: Table) -> None:
    """Revoke the one key of the one key holder."""
    fpr = parse_ssh_line(KIM)[0].fpr
    tables["revoked"] = [{"fpr": fpr, "since": NOW, "mode": "after"}]


FAULTS: list[tuple[str, str, Change]] = [
    ("POL-UNKNOWN", "[quorum].treshold", lambda _, t: section(t, "quorum").update(treshold=3)),
    ("POL-UNKNOWN", "media", lambda _, t: t.update(media={"x": 1})),
    ("POL-UNKNOWN", "[version].x", lambda _, t: t.update(version={"x": 1})),
    ("POL-UNKNOWN", "[ledger].x", lambda _, t: t.update(ledger={"x": 1})),
    ("POL-UNKNOWN", "[builder 2].speed", lambda _, t: rows(t)[1].update(speed=1)),
    ("POL-UNKNOWN", "[builder.key 3].x", lambda _, t: keys_of(t, 2)[0].update(x=1)),
    ("POL-VALUE", "reason", lambda _, t: section(t, "dissent").update(override={"reason": False})),
    ("POL-UNKNOWN", "reasons", lambda _, t: t.update(dissent={"override": {"reasons": True}})),
    (
        "POL-PUBLIC-KEY",
        "[builder.key 1].fpr",
        lambda _, t: keys_of(t, 0)[0].update(fpr="sha256:AB"),
    ),
    (
        *("POL-PUBLIC-KEY", "[builder.key 2].fpr"),
        lambda _, t: keys_of(t, 1)[0].update(fpr="sha256:" + "ab" * 32),
    ),
    ("POL-PUBLIC-KEY", "no ssh-rsa", lambda _, t: keys_of(t, 0)[0].update(type="ssh-rsa")),
    ("POL-VALUE", "[builder.key 1].type", lambda _, t: keys_of(t, 0)[0].update(type="ssh-dss")),
    ("POL-UNKNOWN", "mood", lambda _, t: section(t, "quorum").update(distinct={"mood": 1})),
    ("POL-MISSING", "sequence", lambda _, t: t.pop("sequence")),
    ("POL-MISSING", "signer", lambda _, t: t.pop("signer")),
    ("POL-MISSING", "[builder 1].isolation", lambda _, t: rows(t)[0].pop("isolation")),
    ("POL-MISSING", "has no key", lambda _, t: rows(t)[0].pop("key")),
    ("POL-VALUE", "[quorum].threshold", lambda _, t: section(t, "quorum").update(threshold=0)),
    ("POL-VALUE", "[quorum].threshold", lambda _, t: section(t, "quorum").update(threshold=True)),
    ("POL-VALUE", "[quorum].threshold", lambda _, t: section(t, "quorum").update(threshold="3")),
    ("POL-VALUE", "[owners].threshold", lambda _, t: section(t, "owners").update(threshold=-1)),
    ("POL-VALUE", "policy_id", lambda _, t: t.update(policy_id="")),
    ("POL-VALUE", "policy_id", lambda _, t: t.update(policy_id="a\x1b[2J")),
    ("POL-VALUE", "sequence", lambda _, t: t.update(sequence=2**53)),
    ("POL-VALUE", "valid_from", lambda _, t: t.update(valid_from="2026-11-01")),
    ("POL-VALUE", "[artifact].names", lambda _, t: section(t, "artifact").update(names=[])),
    ("POL-VALUE", "[artifact].names", lambda _, t: section(t, "artifact").update(names=[1])),
    ("POL-VALUE", "[artifact].names", lambda _, t: section(t, "artifact").update(names=[""])),
    ("POL-VALUE", "expires", lambda _, t: t.update(expires=EARLIEST)),
    ("POL-VALUE", "person", lambda _, t: people(t).extend([{"id": "x"}] * 256)),
    ("POL-VALUE", "[groups]", lambda _, t: t.update(groups={f"g{n}": ["ann"] for n in range(257)})),
    ("POL-VALUE", "[owners].keys", lambda _, t: section(t, "owners").update(keys=many("k"))),
    ("POL-VALUE", "weak_votes_max", crowded),
    ("POL-VALUE", "[artifact].arch", lambda _, t: section(t, "artifact").update(arch="riscv")),
    ("POL-VALUE", "must_agree", lambda _, t: section(t, "inputs").update(must_agree=["Git"])),
    ("POL-VALUE", "flake_lock", lambda _, t: section(t, "inputs").update(flake_lock_file="l")),
    ("POL-VALUE", "missing", lambda _, t: section(t, "inputs").update(missing="fine")),
    ("POL-VALUE", "same_inputs", lambda _, t: section(t, "dissent").update(same_inputs="report")),
    ("POL-VALUE", "unverified", lambda _, t: section(t, "dissent").update(unverified="refuse")),
    ("POL-VALUE", "max_age", lambda _, t: t.update(time={"max_age": "45"})),
    ("POL-VALUE", "max_age", lambda _, t: t.update(time={"max_age": "-1d"})),
    ("POL-VALUE", "sign", lambda _, t: t.update(algorithms={"sign": ["sha1"]})),
    ("POL-VALUE", "deny", lambda _, t: t.update(algorithms={"deny": ["ed25519"]})),
    ("POL-VALUE", "rsa", lambda _, t: t.update(algorithms={"sunset": {"rsa-2048": NOW}})),
    ("POL-VALUE", "ed25519", lambda _, t: t.update(algorithms={"sunset": {"ed25519": 1}})),
    ("POL-VALUE", "overlay", lambda _, t: t.update(gates={"overlay": "ignore"})),
    ("POL-VALUE", "words", lambda _, t: t.update(read_back={"words": 3})),
    ("POL-VALUE", "unsigned", lambda _, t: t.update(outputs={"unsigned": 1})),
    ("POL-VALUE", "quorum", lambda _, t: t.update(quorum=[1])),
    ("POL-VALUE", "person", lambda _, t: t.update(person={"id": "x"})),
    ("POL-VALUE", "isolation", lambda _, t: rows(t)[0].update(isolation="vm")),
    ("POL-VALUE", "formats", lambda _, t: rows(t)[0].update(formats=["pgp"])),
    ("POL-VALUE", "type", lambda _, t: keys_of(t, 0)[0].update(type="pgp")),
    ("POL-VALUE", "uri", lambda _, t: section(t, "signer").update(uri="file:x")),
    ("POL-VALUE", "fpr", lambda _, t: t.update(revoked=[{"fpr": "sha256:AB", "since": NOW}])),
    ("POL-PERIOD", "expires", lambda _, t: t.update(expires=t["valid_from"])),
    (
        "POL-PERIOD",
        "[builder.key 1].to",
        lambda _, t: keys_of(t, 0)[0].update(to=NOW - timedelta(days=301)),
    ),
    ("POL-TWICE", "names", lambda _, t: section(t, "artifact").update(names=["a", "a"])),
    ("POL-TWICE", "[builder 2]", lambda _, t: rows(t)[1].update(id="ann")),
    ("POL-TWICE", "[person 2]", lambda _, t: people(t)[1].update(id="carol")),
    ("POL-PUBLIC-KEY", "[builder.key 1]", lambda _, t: keys_of(t, 0)[0].update(public="ssh-x A")),
    ("POL-PUBLIC-KEY", "[owners].keys", lambda _, t: section(t, "owners").update(keys=["x"])),
    ("POL-MEMBERS", "[groups].core", lambda _, t: t.update(groups={"core": ["zoe"]})),
    ("POL-MEMBERS", "[quorum].rule", lambda _, t: section(t, "quorum").update(rule="1 of core")),
    ("POL-RULE", "[quorum].rule", lambda _, t: section(t, "quorum").update(rule="all(1 of)")),
    (
        *("POL-THRESHOLD", "5 votes wanted, the builders are 4 principals"),
        lambda _, t: section(t, "quorum").update(threshold=5),
    ),
    (
        *("POL-THRESHOLD", "3 votes wanted, the builders are 2 principals"),
        lambda _, t: rows(t)[0].update(shares_with=["bob", "cat"]),
    ),
    ("POL-THRESHOLD", "if every builder agreed", lambda _, t: grouped(t, "3 of core")),
    (
        *("POL-THRESHOLD", "5 different organisation values wanted, 4 can be had"),
        lambda _, t: diverse(t, organisation=5),
    ),
    ("POL-THRESHOLD", "1 different os values wanted, 0", lambda _, t: diverse(t, os=1)),
    (
        *("POL-THRESHOLD", "there are 2 persons with a key"),
        each(
            lambda _, t: people(t)[2].pop("keys"),
            lambda _, t: t.update(countersignatures={"threshold": 3}),
        ),
    ),
    ("POL-THRESHOLD", "is revoked", revoked_builders),
    (
        *("POL-THRESHOLD", "is over"),
        lambda r, t: revoked_builders(r, t, mode="after", since=NOW - timedelta(days=66)),
    ),
    (
        *("POL-THRESHOLD", "begins later"),
        lambda _, t: unable(t, 0, 1, **{"from": NOW + timedelta(days=61)}),
    ),
    ("POL-THRESHOLD", "is over", lambda _, t: unable(t, 0, 1, to=NOW - timedelta(days=65))),
    ("POL-THRESHOLD", "no moment", lambda _, t: apart(t)),
    ("POL-THRESHOLD", "signs a format", lambda _, t: only(t, "minisign", 0, 2)),
    ("POL-THRESHOLD", "signs a format", lambda _, t: only(t, "signify", 0, 2)),
    (
        *("POL-THRESHOLD", "signs a format"),
        each(
            lambda _, t: only(t, "narinfo", 0, 1),
            lambda _, t: section(t, "inputs").update(missing="reject"),
        ),
    ),
    (
        *("POL-THRESHOLD", "signs a format"),
        each(
            lambda _, t: only(t, "rebuilderd", 0, 2),
            lambda _, t: t.update(time={"untimed": "refuse"}),
        ),
    ),
    ("POL-THRESHOLD", "2 of 3 principals", lambda _, t: only(t, "narinfo", 0, 1)),
    (
        *("POL-THRESHOLD", "no ecdsa-p256-sha256"),
        lambda _, t: t.update(algorithms={"sign": ["ed25519"]}),
    ),
    (
        *("POL-THRESHOLD", "no ecdsa-p256-sha256"),
        lambda r, t: t.update(
            algorithms={
                "sign": ["ed25519", "ecdsa-p256-sha256"],
                "sunset": {"ecdsa-p256-sha256": NOW - timedelta(days=21)},
            }
        ),
    ),
    (
        *("POL-THRESHOLD", "[quorum].rule"),
        each(
            lambda _, t: grouped(t, "2 of core"),
            lambda _, t: section(t, "quorum").update(threshold=2),
            lambda _, t: unable(t, 0, to=NOW - timedelta(days=65)),
        ),
    ),
    (
        *("POL-THRESHOLD", "[quorum].distinct"),
        each(
            lambda _, t: diverse(t, organisation=4),
            lambda _, t: unable(t, 0, to=NOW - timedelta(days=65)),
        ),
    ),
    ("POL-THRESHOLD", "[owners]", lambda _, t: section(t, "owners").update(threshold=4)),
    ("POL-THRESHOLD", "[approvals]", lambda _, t: t.update(approvals={"threshold": 2})),
    ("POL-THRESHOLD", "[approvals]", lambda _, t: people(t)[3].pop("keys")),
    ("POL-THRESHOLD", "[approvals]", kim_is_revoked),
    (
        *("POL-THRESHOLD", "[approvals]"),
        lambda _, t: (
            section(t, "roles").update(key_holders=["kim", "carol"])
            or t.update(approvals={"threshold": 2})
        ),
    ),
    ("POL-VALUE", "by", lambda _, t: t.update(approvals={"by": "voice"})),
    ("POL-THRESHOLD", "[countersig", lambda _, t: t.update(countersignatures={"threshold": 4})),
    ("POL-THRESHOLD", "[dissent]", lambda _, t: t.update(dissent={"override": {"operators": 5}})),
    ("POL-ROLES", "administrator", lambda _, t: section(t, "roles").update(administrator="zoe")),
    ("POL-ROLES", "internal", lambda _, t: section(t, "roles").update(internal_witness="carol")),
    ("POL-ROLES", "external", lambda _, t: section(t, "roles").update(external_witness="ines")),
    ("POL-ROLES", "key_holders", lambda _, t: section(t, "roles").update(key_holders=["carol"])),
    ("POL-ROLES", "key_holders", lambda _, t: section(t, "roles").update(key_holders=["kim", "z"])),
    ("POL-CERTIFICATE", "certificate", lambda _, t: section(t, "signer").update(certificate="x")),
    (
        "POL-CERTIFICATE",
        "certificate",
        lambda _, t: section(t, "signer").update(twice()),
    ),
    ("POL-VALUE", "dbx", lambda _, t: section(t, "signer").update(dbx="not base64")),
    ("POL-VALUE", "dbx", lambda _, t: section(t, "signer").update(dbx="AAAA")),
    ("POL-CERTIFICATE", "chain", lambda _, t: section(t, "signer").update(chain=["x"])),
    (
        "POL-CERTIFICATE",
        "certificate",
        lambda _, t: section(t, "signer").update(certificate=of_version_4()),
    ),
    ("POL-CERTIFICATE", "certificate", signed_by(certificate=of_no_text(0))),
    ("POL-CERTIFICATE", "certificate", signed_by(certificate=of_no_text(9))),
    ("POL-CERTIFICATE", "certificate", signed_by(certificate=f"\u00e4\n{certificate()}")),
    ("POL-CERTIFICATE", "chain", signed_by(chain=[f"\u00e4\n{certificate()}"])),
    ("POL-CERTIFICATE", "attestation_roots", signed_by(attestation_roots=[of_no_text(0)])),
    ("POL-KEY-TWICE", "ann and bob", lambda r, t: keys_of(t, 1)[0].update(one_key(r))),
    ("POL-KEY-TWICE", "ann", lambda r, t: keys_of(t, 0).append(keys_of(t, 0)[0] | one_key(r))),
    ("POL-KEY-TWICE", "dan and ann", rewrapped),
    ("POL-KEY-TWICE", "[owners]", owner_twice),
    ("POL-KEY-TWICE", "ines", lambda _, t: people(t)[0].update(keys=people(t)[1]["keys"])),
    ("POL-UNKNOWN", "[component 2].x", lambda _, t: part(t, x=1)),
    ("POL-UNKNOWN", "[component 2.distinct].mood", lambda _, t: part(t, distinct={"mood": 1})),
    ("POL-MISSING", "[component 1].id", lambda _, t: t.update(component=[{"names": ["a"]}])),
    ("POL-MISSING", "[component 1].names", lambda _, t: t.update(component=[{"id": "a"}])),
    ("POL-VALUE", "component", lambda _, t: t.update(component={"id": "a"})),
    ("POL-VALUE", "component", lambda _, t: t.update(component=[{"id": "a"}] * 33)),
    ("POL-VALUE", "[component 2].names", lambda _, t: part(t, names=[])),
    ("POL-VALUE", "[component 2].section", lambda _, t: part(t, section=".ninechar")),
    ("POL-VALUE", "[component 2].section", lambda _, t: part(t, section=".\u00e4")),
    ("POL-VALUE", "[component 2].threshold", lambda _, t: part(t, threshold=0)),
    ("POL-TWICE", "[component 2]", lambda _, t: part(t, id="kernel")),
    ("POL-RULE", "[component 2].rule", lambda _, t: part(t, rule="1 off core")),
    ("POL-MEMBERS", "[component 2].rule", lambda _, t: part(t, rule="1 of core")),
    ("POL-THRESHOLD", "[component 2].threshold", lambda _, t: part(t, threshold=5)),
    ("POL-THRESHOLD", "[component 2].distinct", lambda _, t: part(t, distinct={"os": 1})),
    ("POL-COMPONENT", "is a name of the image", lambda _, t: part(t, names=["anchor.efi"])),
    ("POL-COMPONENT", "of kernel too", lambda _, t: part(t, names=["vmlinuz"])),
    ("POL-COMPONENT", "no place for a version", lambda _, t: part(t, names=["a-{version}"])),
    ("POL-SCHEMA", "schema", lambda _, t: t.update(schema="uki-ceremony/policy/2")),
    ("POL-SCHEMA", "schema", lambda _, t: t.pop("schema")),
    (
        "POL-MISSING",
        "[builder.key 1].principals",
        lambda _, t: keys_of(t, 0)[0].update(type="ssh-ca"),
    ),
    ("POL-VALUE", "[builder.key 1].principals", lambda _, t: authority(t, principals=[])),
    ("POL-TWICE", "[builder.key 1].principals", lambda _, t: authority(t, principals=["a", "a"])),
    ("POL-UNKNOWN", "[builder.key 1].principals", lambda _, t: authority(t, type="ssh")),
    ("POL-PUBLIC-KEY", "[builder.key 1].public", certified_line),
    ("POL-KEY-TWICE", "ann and bob", shared_authority),
    ("POL-VALUE", "[builder.key 1].touch", lambda _, t: authority(t, touch="maybe")),
    ("POL-VALUE", "touch (line", lambda _, t: keys_of(t, 0)[0].update(touch="optional")),
    ("POL-VALUE", "[revoked 1].serials", lambda _, t: voided(t, serials=["0"])),
    ("POL-VALUE", "[revoked 1].serials", lambda _, t: voided(t, serials=[7])),
    ("POL-VALUE", "serials (line", lambda _, t: voided(t, serials=[str(1 << 64)])),
    ("POL-VALUE", "[revoked 1].serials", lambda _, t: voided(t, serials=[])),
    ("POL-VALUE", "[revoked 1].key_ids", lambda _, t: voided(t, key_ids=[])),
]
