"""Real rehearsals for tests: prepared once a session with a tiny bootable UKI, then copied.

Everything in them is real (ssh-keygen, minisign, SoftHSM); only the kernel is a tiny EFI
program, so that a whole ceremony takes a second.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ceremony.clock import wall_text
from ceremony.events import Decided, Event, TimeFixed
from ceremony.ingest.reading import read_folder as read_bundle
from ceremony.policy_model import POLICY_NAMESPACE
from ceremony.practice import PRACTICE_NAME
from ceremony.preflight import SigningKey
from ceremony.types import Mode
from hsm.binding import read_binding
from hsm.child import Child
from hsm.issuing import self_signed
from hsm.minting import KINDS, Wanted, mint
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

PINNED = 'policy_sha256 = "{sha256}"\n'
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
    """Return the places of the same folders as a production ceremony, with a key for it."""
    if prepared.key_source == "SoftHSM token":
        take_key(prepared)
        bind(prepared, PINNED)
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


def take_ecdsa(prepared: Prepared, kind: str = "p256") -> ec.EllipticCurvePublicKey:
    """Make a key of a curve in the rehearsal's token; let the policy name and take it."""
    key = take_key(prepared, kind, PRACTICE_NAME)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    edit_policy(prepared, ("[signer]\n", "[signer]\necdsa = true\n"))
    return key


def take_key(
    prepared: Prepared, kind: str = "rsa2048", name: str = "UKI signer", label: str = "taken"
) -> SigningKey:
    """Make a key in the rehearsal's token, certified for itself; let the policy name it."""
    binding = read_binding(prepared.machine.read_bytes())
    child = Child("minting", binding)
    wanted = Wanted((("token", "rehearsal"),), KINDS[kind], label, "ec")
    now = datetime.now(UTC)
    try:
        minted = mint(child, binding.module, wanted, bytearray(prepared.pin.encode()))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        days = timedelta(days=90)
        certificate = self_signed(minted.key, minted.ask, subject, now - days, now + days)
    finally:
        child.close()
    name_certificate(prepared, certificate.public_bytes(Encoding.PEM))
    edit_policy(prepared, ("object=uki;", f"object={label};"))
    return minted.key


def name_certificate(prepared: Prepared, pem: bytes) -> None:
    """Let the policy name this certificate."""
    policy = prepared.policy.read_text("utf-8")
    start, end = policy.index("-----BEGIN CERT"), policy.index("-----END CERT")
    edit_policy(prepared, (policy[start:end], pem.decode("ascii").partition("-----END CERT")[0]))


def refused_rules(ended: Ended) -> set[str]:
    """Return the rule ids that ended a ceremony."""
    return {finding.rule for finding in ended.closed.why}


def replayed(prepared: Prepared) -> Replayed:
    """Replay the rehearsal's bundle."""
    return replay(read_bundle(prepared.out))


def bind(prepared: Prepared, line: str) -> None:
    """Let the binding say with this line what it is for; {sha256} is the policy's."""
    digest = hashlib.sha256(prepared.policy.read_bytes()).hexdigest()
    said = prepared.machine.read_text("utf-8").splitlines(keepends=True)
    kept = "".join(one for one in said if not one.startswith(("policy_sha256", "rehearsal")))
    prepared.machine.write_text(line.replace("{sha256}", digest) + kept, "utf-8")
