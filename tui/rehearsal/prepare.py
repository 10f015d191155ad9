"""Lay out a rehearsal's folder: media, policy, people, builders, token, sheet.

    in/            the stick that comes in: the image and its attestations
    policy.toml    and policy.toml.owner-1.sshsig, policy.toml.owner-2.sshsig
    people/ builders/   throw-away keys        machine.toml, token/   the key
    log-a/ log-b/  the two transcripts' places paper-sheet.txt        sheet P
`out/` and `approvals/` are not made: the ceremony makes them. A folder that was prepared
is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ceremony.content import Content, InMemory, Stored, pieces_of
from ceremony.errors import MediaTrouble, TokenTrouble
from ceremony.pe.digest import file_sha256
from ceremony.pe.headers import HEAD_BYTES
from ceremony.pe.inspect import OPEN_GATES, inspect
from ceremony.policy_model import POLICY_NAMESPACE
from hsm.provision import make_rehearsal_token
from hsm.soft import REHEARSAL_CERTIFICATE_PEM, REHEARSAL_PIN, REHEARSAL_URI
from tui import ssh_keys
from tui.attesting import Claim
from tui.commands.files import copy_image
from tui.rehearsal.builders import attest_all, make_builders
from tui.rehearsal.image import make_demo_image
from tui.rehearsal.parts import default_cache, running_architecture
from tui.rehearsal.people import OWNERS, make_people
from tui.rehearsal.policy_text import MOST_BYTES, SECTIONS, Demands, policy_text
from tui.rehearsal.sheet import SheetFacts, sheet_text
from tui.rehearsal.uki import NotAStub, architecture, section_names

NOTE = "rehearsal.json"
EPOCH = 1793491200  # 2026-11-01: the demo image's time where SOURCE_DATE_EPOCH says no other
MOST_EPOCH = 0xFFFFFFFF  # cpio's times have 32 bits
REHEARSAL_MODULE = 'module = "rehearsal"\n'
PIN_DIGITS = 6
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The image of a rehearsal: its file name, its bytes, where they are from, and for what."""

    name: str
    content: Content
    description: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder ready for a rehearsal: what is in it, and the PIN that stands on the sheet."""

    folder: Path
    image_name: str
    image_sha256: str
    image_source: str
    key_source: str
    pin: str

    @property
    def media(self) -> Path:
        """The stick that comes in."""
        return self.folder / "in"

    @property
    def policy(self) -> Path:
        """The policy; its signatures lie beside it."""
        return self.folder / "policy.toml"

    @property
    def logs(self) -> tuple[Path, Path]:
        """The two places of the transcript."""
        return self.folder / "log-a", self.folder / "log-b"

    @property
    def out(self) -> Path:
        """Where the bundle will be; not made yet."""
        return self.folder / "out"

    @property
    def approvals(self) -> Path:
        """Where the ceremony puts the plan that key holders sign; not made yet."""
        return self.folder / "approvals"

    @property
    def machine(self) -> Path:
        """The machine binding: which PKCS#11 module, or "rehearsal"."""
        return self.folder / "machine.toml"

    @property
    def sheet(self) -> Path:
        """Sheet P."""
        return self.folder / "paper-sheet.txt"

    def person_key(self, person: str) -> Path:
        """Return a person's private SSH key file."""
        return self.folder / "people" / person


def prepare(folder: Path, image: Path | None, bits: int = 2048) -> Prepared:
    """Prepare `folder` with `image`, or with the demo image; `bits` is the RSA key's size.

    Raises MediaTrouble where the folder holds something else or the image cannot be read. What
    is laid out in part is taken away again, so that the same command can be given once more.
    """
    folder = folder.absolute()
    if (folder / NOTE).is_file():
        return _the_same(reopen(folder), image)
    stood = folder.exists()
    if stood and (not folder.is_dir() or any(folder.iterdir())):
        raise MediaTrouble("MED-OUTPUT", f"{folder} is not an empty folder")
    chosen, demands = _image(image)
    try:
        return _lay_out(folder, chosen, demands, bits)
    except (OSError, subprocess.SubprocessError) as error:
        _take_away(folder, itself=not stood)
        raise MediaTrouble("MED-WRITE", f"the rehearsal cannot be laid out: {error}") from error


def _take_away(folder: Path, *, itself: bool) -> None:
    """Empty a folder that was empty before; remove it where it was not there."""
    for path in [*folder.iterdir()] if folder.is_dir() else []:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if itself:
        shutil.rmtree(folder, ignore_errors=True)


def _the_same(prepared: Prepared, image: Path | None) -> Prepared:
    """MED-OUTPUT: a folder that was prepared with one image rehearses no other."""
    if image is not None:
        digest = file_sha256(copy_image(Path(os.path.realpath(image)))).hex
        if digest != prepared.image_sha256:
            what = f"{prepared.folder} holds a rehearsal of {prepared.image_name}"
            text = f"{what} with another SHA-256 than {image}; without --image it goes on"
            raise MediaTrouble("MED-OUTPUT", text)
    return prepared


def reopen(folder: Path) -> Prepared:
    """Return what `prepare` made in `folder` earlier."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return Prepared(folder.absolute(), **{name: str(value) for name, value in note.items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        text = f"{folder / NOTE} does not say what was prepared"
        raise MediaTrouble("MED-PATH", text) from error


def _lay_out(folder: Path, chosen: Chosen, demands: Demands, bits: int) -> Prepared:
    """Write everything; the note comes last, so that a folder half made is not taken."""
    now = datetime.now(UTC)
    for name in ("in/attestations", "people", "builders", "log-a", "log-b"):
        (folder / name).mkdir(parents=True)
    people, builders = make_people(folder / "people"), make_builders(folder / "builders")
    signer, pin, key_source = _key(folder, bits, now)
    digest = file_sha256(chosen.content).value

    lock = _lock(chosen)
    files: dict[str, Stored] = {chosen.name: chosen.content, "flake.lock": lock}
    claim = Claim(
        builder="",
        name=chosen.name,
        sha256=_attested(chosen, digest.hex()),
        pins=(
            ("flake_lock", hashlib.sha256(lock).hexdigest()),
            ("git_commit", hashlib.sha1(lock, usedforsecurity=False).hexdigest()),
        ),
        made=now - timedelta(hours=1),
        source="github.com/example/anchor",
    )
    for name, data in attest_all(claim, folder / "builders").items():
        files[f"attestations/{name}"] = data
    for name, stored in files.items():
        with (folder / "in" / name).open("wb") as file:
            file.writelines(pieces_of(stored))

    policy = policy_text(demands, people, builders, signer, now).encode()
    (folder / "policy.toml").write_bytes(policy)
    for owner in OWNERS:
        signature = ssh_keys.sign(folder / "people" / owner, POLICY_NAMESPACE, policy)
        (folder / f"policy.toml.{owner}.sshsig").write_bytes(signature)
    size = len(chosen.content)
    facts = SheetFacts(chosen.name, size, digest, hashlib.sha256(policy).digest(), pin)
    prepared = Prepared(folder, chosen.name, digest.hex(), chosen.description, key_source, pin)
    prepared.sheet.write_text(sheet_text(facts), encoding="ascii")
    note = {name: value for name, value in asdict(prepared).items() if name != "folder"}
    (folder / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return prepared


def _image(path: Path | None) -> tuple[Chosen, Demands]:
    """Return the image and what the policy is to ask of it."""
    if path is None:
        said = os.environ.get("SOURCE_DATE_EPOCH", "")
        epoch = int(said) if said.isdecimal() else EPOCH
        demo = make_demo_image(default_cache(), min(epoch, MOST_EPOCH))
        chosen = Chosen(demo.name, InMemory(demo.data), demo.description, demo.architecture)
        return chosen, Demands(demo.name, demo.architecture)
    copy = copy_image(Path(os.path.realpath(path)))  # a build's result is often behind a link
    head = bytes(copy.part(0, HEAD_BYTES))
    try:
        machine, names = architecture(head), section_names(head)
    except NotAStub:  # it is for the ceremony to refuse it
        machine, names = running_architecture(), ()
    demands = Demands(
        path.name,
        machine,
        tuple(name for name in SECTIONS if names.count(name) == 1),
        overlay="report",
        signed_input="report",
        max_bytes=max(MOST_BYTES, len(copy)),
    )
    return Chosen(path.name, copy, str(path), machine), demands


def _attested(image: Chosen, sha256: str) -> str:
    """Return the SHA-256 that builders attest: of an image signed already, as it was before."""
    forms = inspect(image.content, OPEN_GATES).unsigned
    return forms[0].hex if forms else sha256


def _key(folder: Path, bits: int, now: datetime) -> tuple[tuple[str, str], str, str]:
    """Make the token; return URI and certificate, the PIN, and which key it is."""
    pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
    period = {"not_before": now - DAY, "not_after": now + 365 * DAY}
    try:
        made = make_rehearsal_token(folder / "token", pin, bits=bits, **period)
    except TokenTrouble as error:
        if error.rule != "KEY-MODULE":
            raise
        (folder / "machine.toml").write_text(REHEARSAL_MODULE, encoding="ascii")
        signer = (REHEARSAL_URI, REHEARSAL_CERTIFICATE_PEM.decode("ascii"))
        return signer, REHEARSAL_PIN, "the embedded rehearsal key (no PKCS#11 module here)"
    (folder / "machine.toml").write_text(made.binding_toml, encoding="utf-8")
    return (made.uri, made.certificate_pem.decode("ascii")), pin, "SoftHSM token"


def _lock(image: Chosen) -> bytes:
    """Return the file that pins the build's inputs; here it names what the image is made of."""
    nodes = {"root": {"inputs": {"parts": "parts"}}, "parts": {"locked": image.description}}
    return json.dumps({"nodes": nodes, "root": "root", "version": 7}, indent=2).encode() + b"\n"
