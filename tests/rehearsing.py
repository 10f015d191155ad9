"""Real rehearsals for tests: prepared once a session with a tiny bootable UKI, then copied.

Everything in them is real (ssh-keygen, minisign, SoftHSM); only the kernel is a tiny EFI
program, so that a whole ceremony takes a second.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ceremony.clock import wall_text
from ceremony.events import Decided, Event, TimeFixed
from ceremony.ingest.reading import read_folder as read_bundle
from ceremony.policy_model import POLICY_NAMESPACE
from ceremony.types import Mode
from transcripts.log import read_log
from transcripts.replay import Replayed, replay
from tui import ssh_keys
from tui.commands.rehearse import places_of
from tui.rehearsal.efi_program import efi_program
from tui.rehearsal.people import OWNERS
from tui.rehearsal.prepare import Prepared, prepare, reopen
from tui.rehearsal.script import ScriptFace
from tui.rehearsal.uki import build_uki
from tui.wiring import Ended, Places, hold

SBAT = b"sbat,1,SBAT Version,sbat,1,https://example.org\ntiny,1,Tiny,tiny,1,https://example.org\n"


def tiny_uki(note: bytes = b"1", architecture: str = "x86_64") -> bytes:
    """Return a UKI of a few kilobytes that the strict parser accepts."""
    return build_uki(
        efi_program(architecture),
        [
            (".osrel", b'ID=tiny\nPRETTY_NAME="Tiny UKI ' + note + b'"\n'),
            (".cmdline", b"console=ttyS0 quiet"),
            (".uname", b"6.1.0-tiny"),
            (".sbat", SBAT),
            (".initrd", b"070701" + b"0" * 104 + note),
            (".linux", efi_program(architecture)),
        ],
    )


def make(folder: Path, name: str = "anchor.efi", architecture: str = "x86_64") -> Prepared:
    """Prepare a rehearsal of the tiny UKI in `folder`."""
    image = folder.parent / f"{folder.name}-{name}"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(tiny_uki(architecture=architecture))
    named = folder.parent / f"{folder.name}-image" / name
    named.parent.mkdir()
    image.replace(named)
    return prepare(folder, named)


def copy(prepared: Prepared, folder: Path) -> Prepared:
    """Copy a prepared (and perhaps finished) rehearsal to `folder`; its token moves along."""
    shutil.copytree(prepared.folder, folder)
    for path in (folder / "machine.toml", *folder.glob("token/*.conf")):
        text = path.read_text("utf-8")
        path.write_text(text.replace(str(prepared.folder), str(folder)), "utf-8")
    return reopen(folder)


def script(prepared: Prepared, instead: Mapping[str, tuple[str, ...]] | None = None) -> ScriptFace:
    """Return the face that answers by the sheet, or by `instead`, silently."""
    return ScriptFace(prepared.sheet, io.StringIO(), instead)


def held(prepared: Prepared, instead: Mapping[str, tuple[str, ...]] | None = None) -> Ended:
    """Hold the rehearsal to its end."""
    return hold(places_of(prepared), script(prepared, instead))


def held_later(prepared: Prepared, before: Prepared) -> Ended:
    """Hold it so that its signature is another one: signatures tell their time in seconds."""
    (fixed,) = (e.wall for e in events(before) if isinstance(e, TimeFixed))
    while wall_text(datetime.now(UTC)) == fixed:
        time.sleep(0.05)
    return held(prepared)


def production(prepared: Prepared) -> Places:
    """Return the places of the same folders as a production ceremony."""
    places = places_of(prepared)
    return Places(
        mode=Mode.PRODUCTION,
        policy=places.policy,
        incoming=places.incoming,
        logs=places.logs,
        out=places.out,
        machine=places.machine,
        approvals=places.approvals,
        signers={},
    )


def events(prepared: Prepared) -> list[Event]:
    """Return the events of the rehearsal's transcript, from its first log."""
    data = (prepared.logs[0] / "transcript.jsonl").read_bytes()
    log = read_log(data)
    assert log.fault is None
    return [line.event for line in log.lines]


def names(prepared: Prepared) -> list[str]:
    """Return the names of the events, in order."""
    return [event.name for event in events(prepared)]


def decisions(prepared: Prepared, name: str) -> list[Decided]:
    """Return the decisions of one name, in order."""
    return [e for e in events(prepared) if isinstance(e, Decided) and e.name == name]


def edit_policy(prepared: Prepared, *changes: tuple[str, str]) -> None:
    """Change the policy's text and let both owners sign it again."""
    text = prepared.policy.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    prepared.policy.write_text(text, "utf-8")
    for owner in OWNERS:
        signature = ssh_keys.sign(prepared.person_key(owner), POLICY_NAMESPACE, text.encode())
        (prepared.folder / f"policy.toml.{owner}.sshsig").write_bytes(signature)


def take_ecdsa(
    prepared: Prepared, curve: ec.EllipticCurve | None = None
) -> ec.EllipticCurvePublicKey:
    """Make a key of a curve, P-256, in the rehearsal's token; let the policy name and take it."""
    curve = curve or ec.SECP256R1()
    binding = tomllib.loads((prepared.folder / "machine.toml").read_text("utf-8"))
    wanted = {
        "module": binding["module"],
        "token": "rehearsal",
        "pin": prepared.pin,
        "label": "ecdsa",
        "curve": curve.name,
    }
    made = subprocess.run(
        [sys.executable, Path(__file__).parent / "hsm/generate_ec.py"],
        input=json.dumps(wanted),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **binding["environment"]},
        check=True,
    )
    point = bytes.fromhex(made.stdout)
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    policy = prepared.policy.read_text("utf-8")
    start, end = policy.index("-----BEGIN CERT"), policy.index("-----END CERT")
    edit_policy(
        prepared,
        (policy[start:end], _certificate(key)),
        ("object=uki;", "object=ecdsa;"),
        ("[signer]\n", "[signer]\necdsa = true\n"),
    )
    return key


def _certificate(key: ec.EllipticCurvePublicKey) -> str:
    name, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said)])
        for said in ("Rehearsal signer (ECDSA)", "Rehearsal authority")
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode("ascii").partition("-----END CERT")[0]


def refused_rules(ended: Ended) -> set[str]:
    """Return the rule ids that ended a ceremony."""
    return {finding.rule for finding in ended.closed.why}


def replayed(prepared: Prepared) -> Replayed:
    """Replay the rehearsal's bundle."""
    return replay(read_bundle(prepared.out))
