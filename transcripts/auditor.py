"""The stand-alone auditor: judges a bundle with Python 3.9 and nothing else.

    python3 -I auditor.py [--json] BUNDLE [IMAGE]

A second implementation of docs/spec, in a form of its own and importing nothing of uki-ceremony,
so that a fault of ours has to be made twice. It is one long file on purpose: it is read from top to
bottom once, printed, carried to any machine and run there.

It checks lines and chain, checkpoint, countersignatures, legal order, persons and counts, plan
and intent, Authenticode digest, PKCS#7, attachment and every file's digest. A refusal is
believed; what was accepted is checked. It refuses to know whether policy, machine, medium,
image contents, quorum and token deserved to be accepted: `uki-ceremony replay` does.
"""

from __future__ import annotations

import argparse
import base64
import errno
import hashlib
import json
import os
import re
import stat
import struct
import sys
from collections import Counter
from datetime import datetime, timezone
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    NoReturn,
    Optional,
    Tuple,
)

FORMAT, RULESET = "uki-ceremony/transcript/1", "1"
MOST_FILES, MOST_FOLDERS_DEEP = 50_000, 16
MOST_BYTES = 4 * 2**30  # all files of a bundle together
MOST_LINES, MOST_LINE, MOST_DEPTH = 1_000_000, 48 * 2**20, 40
MOST_INTEGER = 2**53 - 1
MOST_SIGNATURE = 64 * 1024
MOST_APPROVAL = 16 * 1024
MOST_POLICY = 2**20
MOST_PKCS7 = 2**20
MOST_ANSWER = 500
MOST_FINDINGS = 64
CHUNK = 2**20
HEX64 = re.compile(r"[0-9a-f]{64}")

# --------------------------------------------------------------------------- verdict and faults

FORGED, DIFFERS, INCOMPLETE, REPRODUCED = "FORGED", "DIFFERS", "INCOMPLETE", "REPRODUCED"
VERDICTS = (FORGED, DIFFERS, INCOMPLETE, REPRODUCED)  # the worst one names the result
EXIT = {FORGED: 1, DIFFERS: 1, INCOMPLETE: 4, REPRODUCED: 0}


class Fault(Exception):
    """One thing that does not hold: the verdict it leads to, the rule, the fact."""

    def __init__(self, verdict: str, rule: str, text: str) -> None:
        super().__init__(text)
        self.verdict, self.rule, self.text = verdict, rule, text


class Bad(Exception):
    """A byte string that is not what it should be; the caller says what follows from that."""


def shown(text: str, most: int = 100) -> str:
    """Return text from outside as printable ASCII of a bounded length."""
    cut = text[: most + 1]
    plain = "".join(
        c if " " <= c <= "~" and c != "\\" else c.encode("unicode_escape", "replace").decode()
        for c in cut[:most]
    )
    return plain + "..." if len(cut) > most else plain


def strict_base64(text: str) -> bytes:
    """Return the bytes of a base64 text that has its one spelling (RFC 4648)."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Bad("not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise Bad("base64 in another spelling than its one")
    return data


# ------------------------------------------------------------------------------------ the bundle


class File(NamedTuple):
    """A regular file that was read once from beginning to end."""

    path: str
    size: int
    sha256: str


def open_regular(path: str) -> BinaryIO:
    """Open a regular file; Bad for a link, pipe, device or folder, which is never waited for."""
    flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise Bad("a link, which is not followed") from None
        raise Bad("cannot be opened: %s" % error.strerror) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Bad("not a regular file")
    return file


def chunks(path: str) -> Iterator[bytes]:
    """Yield the bytes of a regular file."""
    with open_regular(path) as file:
        while True:
            chunk = file.read(CHUNK)
            if not chunk:
                return
            yield chunk


def read_file(path: str) -> File:
    """Hash a regular file of at most MOST_BYTES."""
    whole = hashlib.sha256()
    size = 0
    for chunk in chunks(path):
        whole.update(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise Bad("more than %d bytes" % MOST_BYTES)
    return File(path, size, whole.hexdigest())


def list_folder(folder: str) -> List[Tuple[str, str, int]]:
    """Return (name in the bundle, path, size) of every file below a folder, sorted."""
    found: List[Tuple[str, str, int]] = []
    waiting = [(folder, "", 0)]
    entries = 0
    while waiting:
        inside, prefix, depth = waiting.pop()
        with os.scandir(inside) as scan:
            for entry in scan:
                entries += 1
                name = prefix + entry.name
                if entries > MOST_FILES:
                    raise Bad("more than %d files and folders" % MOST_FILES)
                if not all(" " <= c < "\x7f" or c > "\x9f" for c in entry.name) or not is_utf8(
                    name
                ):
                    raise Bad("%s: a name with bytes that no name may have" % shown(name))
                if entry.is_dir(follow_symlinks=False):
                    if depth == MOST_FOLDERS_DEEP:
                        raise Bad(
                            "%s: more than %d folders deep" % (shown(name), MOST_FOLDERS_DEEP)
                        )
                    waiting.append((entry.path, name + "/", depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    found.append((name, entry.path, entry.stat(follow_symlinks=False).st_size))
                else:
                    raise Bad("%s is not a regular file or a folder" % shown(name))
    return sorted(found)


def is_utf8(name: str) -> bool:
    """Tell whether a name, as the system gave it, is UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_bundle(folder: str) -> Dict[str, File]:
    """Hash every file of the bundle; Bad where it is no bundle."""
    listed = list_folder(folder)
    if sum(size for _, _, size in listed) > MOST_BYTES:
        raise Bad("the files together have more than %d bytes" % MOST_BYTES)
    files = {}
    for name, path, _ in listed:
        try:
            files[name] = read_file(path)
        except Bad as bad:
            raise Bad("%s: %s" % (shown(name), bad)) from None
    return files


def small_file(file: File, most: int) -> bytes:
    """Return the bytes of a file that cannot be large."""
    if file.size > most:
        raise Bad("more than %d bytes" % most)
    return b"".join(chunks(file.path))


def is_countersignature(name: str) -> bool:
    """Tell whether a file is a countersignature by its name."""
    return name.startswith("checkpoint.") and name.endswith(".sshsig")


def take_left_over(files: Dict[str, File]) -> Iterator[Fault]:
    """docs/spec/bundle.md: take out what a late countersigning leaves where it is broken off."""
    for name in sorted(files):
        whole = name[: -len(".part")]
        if name.endswith(".part") and (whole == "SHA256SUMS" or is_countersignature(whole)):
            del files[name]
            text = "%s: a late countersigning was broken off" % shown(name)
            yield Fault(INCOMPLETE, "TRN-BUNDLE", text)


def sums_text(files: Dict[str, File]) -> bytes:
    """Return what SHA256SUMS must be over these files."""
    names = sorted(name for name in files if name != "SHA256SUMS")
    return "".join("%s  %s\n" % (files[name].sha256, name) for name in names).encode("utf-8")


def check_sums(files: Dict[str, File]) -> Iterator[Fault]:
    """docs/spec/bundle.md: SHA256SUMS names every other file, by its digest, in one form."""
    if "SHA256SUMS" not in files:
        yield Fault(INCOMPLETE, "TRN-BUNDLE", "SHA256SUMS is missing")
        return
    wanted = sums_text(files)
    try:
        stated = small_file(files["SHA256SUMS"], 64 * 2**20)
    except Bad as bad:
        yield Fault(DIFFERS, "TRN-BUNDLE", "SHA256SUMS: %s" % bad)
        return
    if stated == wanted:
        return
    listed = stated.decode("utf-8", "replace").split("\n")
    there = wanted.decode("utf-8").split("\n")
    named = {line[66:] for line in listed}
    late = {name for name in files if is_countersignature(name) and name not in named}
    if late and stated == sums_text({name: files[name] for name in files if name not in late}):
        for name in sorted(late):
            text = "%s: SHA256SUMS does not list it yet" % shown(name)
            yield Fault(INCOMPLETE, "TRN-BUNDLE", text)
        return
    for name in sorted({line[66:] for line in set(listed) ^ set(there)})[:8]:
        text = "%s: not as SHA256SUMS lists it" % (shown(name) or "a line")
        yield Fault(DIFFERS, "TRN-BUNDLE", text)
    if set(listed) == set(there):
        yield Fault(DIFFERS, "TRN-BUNDLE", "SHA256SUMS is not in its one form")


# ------------------------------------------------------------------------- lines, chain and tree


class Event(NamedTuple):
    """One line's event, after every check that a line alone can be put to."""

    seq: int
    name: str
    kind: str
    body: Dict[str, Any]
    lines_before: int
    root_before: bytes


def parse_line(line: bytes) -> Any:
    """Return the value of one line; Bad unless the bytes are its RFC 8785 form."""
    if len(line) > MOST_LINE:
        raise Bad("a line of more than %d bytes" % MOST_LINE)
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        if _depth(value) > MOST_DEPTH:
            raise Bad("nested deeper than %d" % MOST_DEPTH)
        again = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        ).encode("utf-8")
    except (ValueError, RecursionError):
        raise Bad("not JSON of the kind that a line holds") from None
    if again != line:
        raise Bad("not the RFC 8785 form of its value")
    return value


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Bad("a member stands twice")
    if not all(name.isascii() for name in members):
        raise Bad("a member name is not ASCII")
    return members


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MOST_INTEGER:
        raise Bad("an integer beyond 2^53-1")
    return int(text)


def _no_number(_text: str) -> NoReturn:
    raise Bad("a number that is no integer")


def _depth(value: Any) -> int:
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    return 1 + max((_depth(item) for item in inner), default=0)


class Tree:
    """RFC 6962: leaf = H(0 || line), node = H(1 || left || right); appended line by line."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: List[Tuple[int, bytes]] = []  # (leaves, hash) of complete subtrees

    def append(self, line: bytes) -> None:
        """Take one more line."""
        self.size += 1
        leaves, node = 1, hashlib.sha256(b"\0" + line).digest()
        while self._whole and self._whole[-1][0] == leaves:
            left = self._whole.pop()[1]
            leaves, node = leaves * 2, hashlib.sha256(b"\1" + left + node).digest()
        self._whole.append((leaves, node))

    def root(self) -> bytes:
        """Return the root over the lines so far."""
        if not self._whole:
            return hashlib.sha256().digest()
        node = self._whole[-1][1]
        for _, left in reversed(self._whole[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


# docs/spec/events.md, as text: a name, then its members, indented and separated by semicolons.
# A type is str, int, bool or any; [T] an array; T? a T or null; =a|b one of these words; (T,T) an
# array of exactly these; anything else is a shape's name.
_SHAPES = """
Stamp
    mono_ns int; boot str; wall str
Ack
    role str; person str; shown [str]; answer str
Decided
    outcome =ok|refused|override-needed|aborted|disputed; findings [Finding]; facts any
Finding
    rule str; severity =refuse|warn|info; text str; offset int?
Blob
    path str; encoding str; content str
BlockDevice
    name str; size int; removable bool; read_only bool; mounts [str]
Interface
    name str; state str; hardware bool
KeyEvidence
    label str; id str; spki_sha256 str; key_type str; bits int;
    found_as =private key|public key|certificate; attributes [(str,str)]; always_authenticate bool
LoginResult
    outcome =ok|wrong-pin|locked|cancelled; pin_state =ok|count-low|final-try|locked|unknown;
    evidence TokenEvidence?
Machine
    kernel str; architecture str; boot_id str; time_zone str; secure_boot str; lockdown str;
    interfaces [Interface]?; radios [str]?; swap [str]?; block_devices [BlockDevice]?
ManifestEntry
    path str; size int; sha256 str
Nar
    size int; sha256 str; files [NarFile]; links [str]
NarFacts
    path str; nar Nar?; fault Finding?
NarFile
    path str; size int; sha256 str
OutputFile
    name str; size int; sha256 str
SignResult
    outcome =signed|unknown|failed; signature str; rule str; text str
TokenEvidence
    module_path str; module_sha256 str; library_manufacturer str; library_description str;
    library_version str; cryptoki str; slot_id int; slot_description str; slot_manufacturer str;
    token_label str; token_serial str; token_model str; token_manufacturer str; token_flags [str];
    mechanisms [str]; keys [KeyEvidence]; pin_state =ok|count-low|final-try|locked|unknown;
    protected_path bool; libraries [(str,str)]; sandbox str;
    grade =asserted by module|embedded rehearsal key|proved by attestation chain;
    stage =before-login|after-login; possession =proved|not-tried; attestation [str]
"""
_EVENTS = """
observe open.begin
    format str; ceremony str; mode =rehearsal|production; ruleset str; steps [str]; tool str;
    tool_sha256 str; python str; logs [str]; previous_head str?
observe open.policy
    policy Blob; signatures [Blob]
observe open.clock
    wall str
observe inventory.machine
    machine Machine
observe ingest.media
    source str; mount str; manifest [ManifestEntry]; image ManifestEntry?; image_again str;
    files [Blob]; archives [NarFacts]; problems [Finding]
observe ingest.failed
    rule str; text str
observe read_back.drawn
    positions [int]
observe sign.token
    evidence TokenEvidence
observe sign.trouble
    rule str; text str
observe sign.room
    output_free int; log_free [int]; output_empty bool
observe sign.time
    wall str
effect sign.login
    persons [str]; result LoginResult
effect sign.intent
    attempt int; authenticode str; spki_sha256 str; mechanism str; signing_time str;
    attributes str; plan_sha256 str
effect sign.result
    attempt int; result SignResult
observe verify.second
    tool str; answer str; text str
effect seal.intent
    files [OutputFile]
effect seal.outputs
    files [OutputFile]
effect seal.failed
    rule str; text str
exception ceremony.exception
    person str; expected str; happened str; decided str
exception ceremony.abort
    person str; reason str
exception ceremony.lock
    person str; seconds int
observe ceremony.recovered
    lines int; head str; torn [str]; repaired [str]; tool str; tool_sha256 str
"""
_DECISIONS = """
open.policy_verdict open.clock_verdict inventory.verdict ingest.verdict inspect.verdict
judge.verdict judge.override_verdict read_back.verdict sign.preflight sign.plan
sign.login_verdict verify.verdict verify.second_verdict seal.verdict close.transcript
"""
Members = Dict[str, str]
TYPES = {"str": str, "int": int, "bool": bool, "list": list}


def read_members(text: str) -> Dict[str, Members]:
    """Return the members of each name in one of the two tables above."""
    found: Dict[str, Members] = {}
    for entry in re.findall(r"^(\S.*)\n((?: .*\n)+)", text, re.MULTILINE):
        members = " ".join(entry[1].split()).split("; ")
        pairs = [(member.split(" ", 1)[0], member.split(" ", 1)[1]) for member in members]
        found[entry[0]] = dict(pairs)
    return found


SHAPES = read_members(_SHAPES)
EVENTS: Dict[str, Tuple[str, Members]] = {}  # name: kind and members
for _heading, _members in read_members(_EVENTS).items():
    _kind, _name = _heading.split()
    EVENTS[_name] = (_kind, _members)
for _name in _DECISIONS.split():
    EVENTS[_name] = ("decide", SHAPES["Decided"])


class Question(NamedTuple):
    """docs/spec/events.md: whom an acknowledgement asks, and the form of the answer."""

    role: str
    form: str  # "=WORD" exactly this word; "time", "words", "statement" or "reason"


QUESTIONS = {
    "open.roles": Question("internal witness", "=PRESENT"),
    "open.clock_read": Question("internal witness", "time"),
    "inventory.seen": Question("internal witness", "=SEEN"),
    "inventory.again": Question("administrator", "=SCAN"),
    "ingest.removed": Question("administrator", "=REMOVED"),
    "ingest.again": Question("administrator", "=READ"),
    "inspect.meaning": Question("external witness", "=UNDERSTOOD"),
    "judge.ledger": Question("", "=CONFIRMED"),
    "judge.override": Question("operator", "reason"),
    "judge.seen": Question("external witness", "=COUNTED"),
    "read_back.words": Question("witness", "words"),
    "sign.again": Question("administrator", "=TOKEN"),
    "sign.approve": Question("key holder", "approval"),
    "sign.time_stands": Question("internal witness", "statement"),
    "sign.last_try": Question("internal witness", "=LAST TRY"),
    "sign.pin_again": Question("internal witness", "=AGAIN"),
    "sign.unknown": Question("internal witness", "=ATTEMPT"),
    "verify.seen": Question("internal witness", "=VERIFIED"),
    "seal.again": Question("administrator", "=WRITE"),
    "seal.rotation": Question("internal witness", "statement"),
    "seal.statement": Question("", "statement"),
    "ceremony.resume": Question("internal witness", "=RESUME"),
}
for _name in QUESTIONS:
    EVENTS[_name] = ("ack", SHAPES["Ack"])


def check_shape(value: Any, wanted: str, where: str) -> None:
    """Bad unless `value` has the shape `wanted`, as the tables spell it."""
    if wanted.endswith("?"):
        if value is not None:
            check_shape(value, wanted[:-1], where)
    elif wanted.startswith("["):
        check_shape(value, "list", where)
        for item in value:
            check_shape(item, wanted[1:-1], where)
    elif wanted.startswith("("):
        kinds = wanted[1:-1].split(",")
        if not isinstance(value, list) or len(value) != len(kinds):
            raise Bad("%s is not an array of %d" % (where, len(kinds)))
        for item, kind in zip(value, kinds):
            check_shape(item, kind, where)
    elif wanted.startswith("="):
        if value not in wanted[1:].split("|"):
            raise Bad("%s is none of %s" % (where, wanted[1:]))
    elif wanted in SHAPES:
        check_members(value, SHAPES[wanted], where)
        check_hex(value, wanted, where)
    elif wanted != "any" and type(value) is not TYPES[wanted]:
        raise Bad("%s is not of type %s" % (where, wanted))


HEX_BYTES = re.compile(r"(?:[0-9a-f]{2})+")


def check_hex(value: Dict[str, Any], shape: str, where: str) -> None:
    """Bad unless signature and attestations are bytes in hex; "signed" has a signature."""
    texts: List[str] = value["attestation"] if shape == "TokenEvidence" else []
    if shape == "SignResult":
        texts = [value["signature"]] * (value["outcome"] == "signed" or bool(value["signature"]))
        if len(texts) != (value["outcome"] == "signed") or len(value["signature"]) > 2 * 4096:
            raise Bad("%s: a signature exactly when signed, of at most 4096 bytes" % where)
    if not all(HEX_BYTES.fullmatch(text) for text in texts):
        raise Bad("%s: not bytes in lower-case hex" % where)


def check_members(value: Any, members: Dict[str, str], where: str) -> None:
    """Bad unless `value` is an object with exactly these members."""
    if not isinstance(value, dict) or set(value) != set(members):
        raise Bad("%s has not exactly the members %s" % (where, ", ".join(sorted(members))))
    for name, wanted in members.items():
        check_shape(value[name], wanted, "%s.%s" % (where, name))


ENVELOPE = {
    "body": "any",
    "ceremony": "str",
    "event": "str",
    "kind": "str",
    "prev": "str",
    "seq": "int",
    "time": "Stamp",
}


class Lines:
    """The lines of a transcript: an iterator of events that ends at the first bad line.

    `fault` says why it ended early, `torn` how many bytes stand behind the last line feed.
    """

    def __init__(self, path: Optional[str]) -> None:
        self.tree = Tree()
        self.fault: Optional[Fault] = None
        self.torn = 0
        self.ceremony = self.mode = ""
        self._path = path
        self._before: Optional[Dict[str, Any]] = None
        self._link = "0" * 64

    def __iter__(self) -> Iterator[Event]:
        """Yield each event once its line holds."""
        if self._path is None:
            return
        with open_regular(self._path) as file:
            for place in range(MOST_LINES + 1):
                raw = file.readline(MOST_LINE + 2)
                if raw and not raw.endswith(b"\n") and len(raw) <= MOST_LINE:
                    self.torn = len(raw)
                if not raw or self.torn:
                    return
                try:
                    event = self._read(raw[:-1] if raw.endswith(b"\n") else raw, place)
                except Fault as fault:
                    self.fault = fault
                    return
                yield event

    def _read(self, raw: bytes, place: int) -> Event:
        def forged(rule: str, text: str) -> Fault:
            return Fault(FORGED, rule, "event %d: %s" % (place + 1, text))

        if place == MOST_LINES:
            raise forged("TRN-LINE", "more than %d lines" % MOST_LINES)
        try:
            value = parse_line(raw)
        except Bad as bad:
            raise forged("TRN-LINE", str(bad)) from None
        try:
            check_members(value, ENVELOPE, "envelope")
            kind, members = EVENTS.get(value["event"], ("none", {}))
            check_shape(value["kind"], "=" + kind, "the kind of " + shown(value["event"], 40))
            check_members(value["body"], members, value["event"])
        except Bad as bad:
            raise forged("TRN-EVENT", str(bad)) from None
        if value["seq"] != place or value["prev"] != self._link:
            raise forged("TRN-CHAIN", "it does not follow the line before it")
        if not re.fullmatch(r"[0-9a-f]{32}", value["ceremony"]):
            raise forged("TRN-CEREMONY", "the ceremony id is not 32 hex digits")
        self._check_follows(value, forged)
        event = Event(place, value["event"], kind, value["body"], self.tree.size, self.tree.root())
        self._before = {"ceremony": value["ceremony"], "time": value["time"]}
        self._link = hashlib.sha256(raw).hexdigest()
        self.tree.append(raw)
        return event

    def _check_follows(self, value: Dict[str, Any], forged: Callable[[str, str], Fault]) -> None:
        before = self._before
        if before is None:
            begun = value["body"]
            if value["event"] != "open.begin" or begun["ceremony"] != value["ceremony"]:
                raise forged("TRN-CEREMONY", "the first line begins no ceremony, or another one")
            self.ceremony, self.mode = value["ceremony"], begun["mode"]
            return
        if before["ceremony"] != value["ceremony"]:
            raise forged("TRN-CEREMONY", "it belongs to another ceremony")
        same_boot = before["time"]["boot"] == value["time"]["boot"]
        if same_boot and value["time"]["mono_ns"] < before["time"]["mono_ns"]:
            raise forged("TRN-TIME", "the monotonic clock ran backwards")


# ------------------------------------------------------------------------ words and checkpoint

# P. Juola and P. Zimmermann, the PGP word list, 1996: even places, then odd places.
EVEN_WORDS = """
aardvark absurd accrue acme adrift adult afflict ahead aimless Algol allow alone ammo ancient
apple artist assume Athens atlas Aztec baboon backfield backward banjo beaming bedlamp beehive
beeswax befriend Belfast berserk billiard bison blackjack blockade blowtorch bluebird bombast
bookshelf brackish breadline breakup brickyard briefcase Burbank button buzzard cement chairlift
chatter checkup chisel choking chopper Christmas clamshell classic classroom cleanup clockwork
cobra commence concert cowbell crackdown cranky crowfoot crucial crumpled crusade cubic dashboard
deadbolt deckhand dogsled dragnet drainage dreadful drifter dropper drumbeat drunken Dupont
dwelling eating edict egghead eightball endorse endow enlist erase escape exceed eyeglass eyetooth
facial fallout flagpole flatfoot flytrap fracture framework freedom frighten gazelle Geiger glitter
glucose goggles goldfish gremlin guidance hamlet highchair hockey indoors indulge inverse involve
island jawbone keyboard kickoff kiwi klaxon locale lockup merit minnow miser Mohawk mural music
necklace Neptune newborn nightbird Oakland obtuse offload optic orca payday peachy pheasant
physique playhouse Pluto preclude prefer preshrunk printer prowler pupil puppy python quadrant
quiver quota ragtime ratchet rebirth reform regain reindeer rematch repay retouch revenge reward
rhythm ribcage ringbolt robust rocker ruffled sailboat sawdust scallion scenic scorecard Scotland
seabird select sentence shadow shamrock showgirl skullcap skydive slingshot slowdown snapline
snapshot snowcap snowslide solo southward soybean spaniel spearhead spellbind spheroid spigot
spindle spyglass stagehand stagnate stairway standard stapler steamship sterling stockman stopwatch
stormy sugar surmount suspense sweatband swelter tactics talon tapeworm tempest tiger tissue tonic
topmost tracker transit trauma treadmill Trojan trouble tumor tunnel tycoon uncut unearth unwind
uproot upset upshot vapor village virus Vulcan waffle wallet watchword wayside willow woodlark Zulu
""".split()
ODD_WORDS = """
adroitness adviser aftermath aggregate alkali almighty amulet amusement antenna applicant Apollo
armistice article asteroid Atlantic atmosphere autopsy Babylon backwater barbecue belowground
bifocals bodyguard bookseller borderline bottomless Bradbury bravado Brazilian breakaway Burlington
businessman butterfat Camelot candidate cannonball Capricorn caravan caretaker celebrate cellulose
certify chambermaid Cherokee Chicago clergyman coherence combustion commando company component
concurrent confidence conformist congregate consensus consulting corporate corrosion councilman
crossover crucifix cumbersome customer Dakota decadence December decimal designing detector
detergent determine dictator dinosaur direction disable disbelief disruptive distortion document
embezzle enchanting enrollment enterprise equation equipment escapade Eskimo everyday examine
existence exodus fascinate filament finicky forever fortitude frequency gadgetry Galveston getaway
glossary gossamer graduate gravity guitarist hamburger Hamilton handiwork hazardous headwaters
hemisphere hesitate hideaway holiness hurricane hydraulic impartial impetus inception indigo inertia
infancy inferno informant insincere insurgent integrate intention inventive Istanbul Jamaica Jupiter
leprosy letterhead liberty maritime matchmaker maverick Medusa megaton microscope microwave
midsummer millionaire miracle misnomer molasses molecule Montana monument mosquito narrative nebula
newsletter Norwegian October Ohio onlooker opulent Orlando outfielder Pacific pandemic Pandora
paperweight paragon paragraph paramount passenger pedigree Pegasus penetrate perceptive performance
pharmacy phonetic photograph pioneer pocketful politeness positive potato processor provincial
proximate puberty publisher pyramid quantity racketeer rebellion recipe recover repellent replica
reproduce resistor responsive retraction retrieval retrospect revenue revival revolver sandalwood
sardonic Saturday savagery scavenger sensation sociable souvenir specialist speculate stethoscope
stupendous supportive surrender suspicious sympathy tambourine telephone therapist tobacco tolerance
tomorrow torpedo tradition travesty trombonist truncated typewriter ultimate undaunted underfoot
unicorn unify universe unravel upcoming vacancy vagabond vertigo Virginia visitor vocalist voyager
warranty Waterloo whimsical Wichita Wilmington Wyoming yesteryear Yucatan
""".split()


def spoken(data: bytes) -> List[str]:
    """Return one word a byte: from the list of even places, of odd places, and so on."""
    return [(ODD_WORDS if i % 2 else EVEN_WORDS)[byte] for i, byte in enumerate(data)]


def head_words(root: bytes) -> str:
    """Return the six words that people wrote down for this head."""
    return " ".join(spoken(root[:6]))


def checkpoint_text(lines: Lines) -> bytes:
    """Return what checkpoint.txt must be for these lines."""
    root = base64.b64encode(lines.tree.root()).decode("ascii")
    text = "uki-ceremony/%s/%s\n%d\n%s\n" % (lines.ceremony, lines.mode, lines.tree.size, root)
    return text.encode("ascii")


def check_checkpoint(files: Dict[str, File], lines: Lines) -> Iterator[Fault]:
    """docs/spec/transcript.md: the checkpoint is over exactly these lines of this ceremony."""
    if "checkpoint.txt" not in files:
        yield Fault(INCOMPLETE, "TRN-CHECKPOINT", "checkpoint.txt is missing")
        return
    try:
        stated = small_file(files["checkpoint.txt"], 512)
    except Bad as bad:
        yield Fault(FORGED, "TRN-CHECKPOINT", "checkpoint.txt: %s" % bad)
        return
    if not is_checkpoint(stated):
        yield Fault(FORGED, "TRN-CHECKPOINT", "checkpoint.txt is not in its one form")
    elif lines.ceremony and stated != checkpoint_text(lines):
        text = "checkpoint.txt states another head than that of these %d lines" % lines.tree.size
        yield Fault(FORGED, "TRN-CHECKPOINT", text)


def is_checkpoint(data: bytes) -> bool:
    """Tell whether the bytes are the one form of some head."""
    form = (
        rb"[\x00-\x09\x0b-\x7f]*\n(?:0|-?[1-9][0-9]{0,80})\n[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\n"
    )
    return re.fullmatch(form, data) is not None


# -------------------------------------------------------------------------- the policy, as TOML


class CannotJudge(Exception):
    """The policy is written in a way that this small reader does not know."""


_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?![0-9A-Za-z_.:+-])")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_FOLDED = re.compile(r"[ \t]*\n[ \t\n]*")
_CODE = re.compile(r"u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class Toml:
    """The part of TOML 1.0 that policies use: no floats, local times, dotted keys in tables."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", self._text):
            raise CannotJudge("a control character")
        self._at = 0
        self._depth = 0
        self._headed: set[Tuple[str, ...]] = set()

    def read(self) -> Dict[str, Any]:
        """Return the whole document."""
        root: Dict[str, Any] = {}
        table = root
        while True:
            self._skip(_BLANK)
            if self._at == len(self._text):
                return root
            if self._peek("["):
                table = self._header(root)
            else:
                self._pair(table)
            self._end_of_line()

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise CannotJudge("line %d: %s" % (line, what))

    def _need(self, text: str) -> None:
        if not self._take(text):
            self._fail("%s is expected" % text)

    def _end_of_line(self) -> None:
        found = _REST.match(self._text, self._at)
        if not found:
            self._fail("something behind the value")
        self._at = found.end()

    def _key(self) -> str:
        self._skip(_SPACE)
        if self._peek('"') or self._peek("'"):
            key = self._string()
        else:
            found = _KEY.match(self._text, self._at)
            if not found:
                self._fail("a key is expected")
            self._at = found.end()
            key = found.group()
        self._skip(_SPACE)
        return key

    def _header(self, root: Dict[str, Any]) -> Dict[str, Any]:
        many = self._take("[[")
        if not many:
            self._need("[")
        path = [self._key()]
        while self._take("."):
            path.append(self._key())
        self._need("]]" if many else "]")
        table: Any = root
        for key in path[:-1]:
            table = table.setdefault(key, {})
            table = table[-1] if isinstance(table, list) and table else table
            if not isinstance(table, dict):
                self._fail("a table inside a value")
        last = path[-1]
        added: Dict[str, Any] = {}
        if many:
            items = table.setdefault(last, [])
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                self._fail("a table inside a value")
            items.append(added)
            return added
        if last in table:
            self._fail("a table that stands twice")
        table[last] = added
        return added

    def _pair(self, table: Dict[str, Any]) -> None:
        key = self._key()
        if not self._take("="):
            self._fail("= is expected")
        self._skip(_SPACE)
        if key in table:
            self._fail("a key that stands twice")
        table[key] = self._value()

    def _value(self) -> Any:
        self._depth += 1
        if self._depth > 16:
            self._fail("nested too deep")
        try:
            return self._plain_value()
        finally:
            self._depth -= 1

    def _plain_value(self) -> Any:
        if self._peek('"') or self._peek("'"):
            return self._string()
        if self._take("["):
            return self._array()
        if self._take("{"):
            return self._inline_table()
        for word, value in (("true", True), ("false", False)):
            if self._take(word):
                return value
        found = _MOMENT.match(self._text, self._at)
        if found:
            self._at = found.end()
            return found.group()
        found = _INTEGER.match(self._text, self._at)
        if not found or len(found.group()) > 17:
            self._fail("a value that policies do not use")
        self._at = found.end()
        return int(found.group())

    def _array(self) -> List[Any]:
        items: List[Any] = []
        while True:
            self._skip(_BLANK)
            if self._take("]"):
                return items
            items.append(self._value())
            self._skip(_BLANK)
            if not self._peek("]"):
                self._need(",")

    def _inline_table(self) -> Dict[str, Any]:
        table: Dict[str, Any] = {}
        self._skip(_SPACE)
        if self._take("}"):
            return table
        while True:
            self._pair(table)
            self._skip(_SPACE)
            if self._take("}"):
                return table
            self._need(",")

    def _string(self) -> str:
        quote = next(mark for mark in ('"""', "'''", '"', "'") if self._take(mark))
        long = len(quote) == 3
        if long:
            self._take("\n")
        parts: List[str] = []
        while not self._peek(quote):
            if self._at == len(self._text) or (not long and self._peek("\n")):
                self._fail("a string without its end")
            if quote[0] == '"' and self._take("\\"):
                parts.append(self._escape(quote))
            else:
                parts.append(self._text[self._at])
                self._at += 1
        self._at += len(quote)
        while long and len(parts) < MOST_POLICY and self._take(quote[0]):
            parts.append(quote[0])  # up to two quotes may stand before the closing three
        return "".join(parts)

    def _escape(self, quote: str) -> str:
        folded = _FOLDED.match(self._text, self._at)
        if folded and len(quote) == 3:
            self._at = folded.end()
            return ""
        code = _CODE.match(self._text, self._at)
        if code:
            self._at = code.end()
            number = int(code.group(1) or code.group(2), 16)
            if number > 0x10FFFF or 0xD800 <= number < 0xE000:
                self._fail("no character has this number")
            return chr(number)
        letter = self._text[self._at : self._at + 1]
        if letter not in _ESCAPES or not letter:
            self._fail("an escape that TOML does not have")
        self._at += 1
        return _ESCAPES[letter]


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Policy:
    """What the auditor needs of docs/spec/policy.md; CannotJudge where it is not there."""

    def __init__(self, data: bytes) -> None:
        try:
            root = Toml(data.decode("utf-8")).read()
        except UnicodeDecodeError:
            raise CannotJudge("it is not UTF-8") from None
        self.sha256 = hashlib.sha256(data).hexdigest()
        owners, roles = _table(root, "owners"), _table(root, "roles")
        self.owners = [_ssh_line(line) for line in _texts(owners, "keys")]
        self.owners_needed = _number(owners, "threshold", None)
        self.policy_id, self.sequence = _text(root, "policy_id"), root.get("sequence")
        self.valid_from, self.expires = _moment(root, "valid_from"), _moment(root, "expires")
        drift = re.fullmatch(
            r"([0-9]{1,9})([smhdw])", _text(_table(root, "time"), "max_drift", "5m")
        )
        if not drift:
            raise CannotJudge("max_drift is not a duration")
        self.max_drift = int(drift.group(1)) * SECONDS[drift.group(2)]
        self.administrator = _text(roles, "administrator")
        self.internal_witness = _text(roles, "internal_witness")
        self.external_witness = _text(roles, "external_witness")
        self.key_holders = _texts(roles, "key_holders")
        self.persons = {_text(p, "id"): _text(p, "name") for p in _tables(root, "person")}
        self.keys = {
            _text(p, "id"): {_ssh_line(line).identity for line in _texts(p, "keys", ())}
            for p in _tables(root, "person")
        }
        approvals = _table(root, "approvals")
        self.approvals = _number(approvals, "threshold", 1)
        self.typed = approvals.get("by", "signature") == "typed"
        self.revoked = {_text(entry, "fpr") for entry in _tables(root, "revoked")}
        self.approvers = [p for p in self.key_holders if p != self.administrator]
        self.countersignatures = _number(_table(root, "countersignatures"), "threshold", 1)
        self.words = _number(_table(root, "read_back"), "words", 6)
        self.unsigned = _table(root, "outputs").get("unsigned", True) is not False
        override = _table(_table(root, "dissent"), "override")
        self.operators = _number(override, "operators", 2)
        greater = _table(root, "version").get("rule", "strictly-greater") == "strictly-greater"
        self.ledger = "ledger" in root or ("version" in root and greater)
        signer = _table(root, "signer")
        self.certificate = _pem(_text(signer, "certificate"))
        self.chain = [_pem(text) for text in _texts(signer, "chain", ())]
        self.ecdsa = signer.get("ecdsa", False) is True
        parts = {"whole": 1, "halves": 2, "shares": _number(signer, "pin_shares", 0)}
        self.pin_parts = parts.get(_text(signer, "pin", "whole"), 0)
        self.pin_shared = _text(signer, "pin", "whole") == "shares"
        self.attested = bool(_texts(signer, "attestation_files", ()))


def _table(root: Dict[str, Any], name: str) -> Dict[str, Any]:
    found = root.get(name, {})
    if not isinstance(found, dict):
        raise CannotJudge("%s is not a table" % name)
    return found


def _tables(root: Dict[str, Any], name: str) -> List[Dict[str, Any]]:
    found = root.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise CannotJudge("%s is not a list of tables" % name)
    return found


def _moment(table: Dict[str, Any], name: str) -> datetime:
    """Return an offset date-time, or the midnight UTC of a date."""
    text = _text(table, name).upper().replace("Z", "+00:00")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CannotJudge("%s is not a moment" % name) from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _text(table: Dict[str, Any], name: str, default: Optional[str] = None) -> str:
    found = table.get(name, default)
    if not isinstance(found, str):
        raise CannotJudge("%s is not a text" % name)
    return found


def _texts(table: Dict[str, Any], name: str, default: Optional[Tuple[()]] = None) -> List[str]:
    found = table.get(name, default)
    if not isinstance(found, (list, tuple)) or not all(isinstance(item, str) for item in found):
        raise CannotJudge("%s is not a list of texts" % name)
    return list(found)


def _number(table: Dict[str, Any], name: str, default: Optional[int]) -> int:
    found = table.get(name, default)
    if type(found) is not int or not 0 <= found < 1000:
        raise CannotJudge("%s is not a small number" % name)
    return found


def _pem(text: str) -> bytes:
    found = re.fullmatch(
        r"\s*-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", text
    )
    try:
        return strict_base64("".join(found.group(1).split())) if found else b""
    except Bad:
        raise CannotJudge("a certificate is not PEM") from None


def _ssh_line(line: str) -> Key:
    words = line.split()
    try:
        key = ssh_key(strict_base64(words[1] if len(words) > 1 else ""))
    except Bad as bad:
        raise CannotJudge("an SSH key: %s" % bad) from None
    return key


# --------------------------------------------------------------------------- public keys, numbers


class Curve(NamedTuple):
    """A short Weierstrass curve y^2 = x^3 - 3x + b over p (FIPS 186-4, D.1.2)."""

    name: str
    p: int
    b: int
    x: int
    y: int
    n: int
    hash: str


P256 = Curve(
    "nistp256",
    0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "sha256",
)
P384 = Curve(
    "nistp384",
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "sha384",
)
P521 = Curve(
    "nistp521",
    2**521 - 1,
    0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
    0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650,
    0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    "sha512",
)
CURVES = {curve.name: curve for curve in (P256, P384, P521)}
Point = Optional[Tuple[int, int]]  # None is the point at infinity


def curve_add(curve: Curve, one: Point, two: Point) -> Point:
    """Add two points in affine coordinates."""
    if one is None or two is None:
        return two if one is None else one
    (x1, y1), (x2, y2), p = one, two, curve.p
    if x1 == x2 and (y1 + y2) % p == 0:
        return None
    if one == two:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, p) % p
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, p) % p
    x3 = (slope * slope - x1 - x2) % p
    return x3, (slope * (x1 - x3) - y1) % p


def curve_multiply(curve: Curve, factor: int, point: Point) -> Point:
    """Multiply a point by double and add; everything here is public."""
    result: Point = None
    for bit in f"{factor:b}":
        result = curve_add(curve, result, result)
        if bit == "1":
            result = curve_add(curve, result, point)
    return result


def curve_point(curve: Curve, data: bytes) -> Tuple[int, int]:
    """Read an uncompressed point (SEC 1, 2.3.4); Bad unless it is on the curve."""
    size = (curve.p.bit_length() + 7) // 8
    if len(data) != 1 + 2 * size or data[:1] != b"\x04":
        raise Bad("not an uncompressed point of its curve")
    x, y = int.from_bytes(data[1 : 1 + size], "big"), int.from_bytes(data[1 + size :], "big")
    if x >= curve.p or y >= curve.p or (y * y - x**3 + 3 * x - curve.b) % curve.p:
        raise Bad("a point that is not on its curve")
    return x, y


def ecdsa_fits(curve: Curve, point: Tuple[int, int], digest: bytes, r: int, s: int) -> bool:
    """FIPS 186-4, 6.4: verify an ECDSA signature over a digest."""
    if not (0 < r < curve.n and 0 < s < curve.n):
        return False
    e = int.from_bytes(digest, "big") >> max(len(digest) * 8 - curve.n.bit_length(), 0)
    w = pow(s, -1, curve.n)
    found = curve_add(
        curve,
        curve_multiply(curve, e * w % curve.n, (curve.x, curve.y)),
        curve_multiply(curve, r * w % curve.n, point),
    )
    return found is not None and found[0] % curve.n == r


Q = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
Edwards = Tuple[int, int, int, int]  # extended coordinates X, Y, Z, T (RFC 8032, 5.1.4)


def edwards_add(one: Edwards, two: Edwards) -> Edwards:
    """RFC 8032, 5.1.4: add two points; the formula is complete."""
    a = (one[1] - one[0]) * (two[1] - two[0]) % Q
    b = (one[1] + one[0]) * (two[1] + two[0]) % Q
    c = 2 * one[3] * two[3] * D % Q
    d = 2 * one[2] * two[2] % Q
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % Q, g * h % Q, f * g % Q, e * h % Q


def edwards_multiply(factor: int, point: Edwards) -> Edwards:
    """Multiply a point by double and add."""
    result: Edwards = (0, 1, 1, 0)
    for bit in f"{factor:b}":
        result = edwards_add(result, result)
        if bit == "1":
            result = edwards_add(result, point)
    return result


def edwards_point(data: bytes) -> Edwards:
    """RFC 8032, 5.1.3: decode a point; Bad where it is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if len(data) != 32 or y >= Q:
        raise Bad("not the encoding of an Ed25519 point")
    u, v = (y * y - 1) % Q, (D * y * y + 1) % Q
    x = u * v**3 * pow(u * v**7, (Q - 5) // 8, Q) % Q
    if (v * x * x - u) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    if (v * x * x - u) % Q or (x == 0 and sign):
        raise Bad("not an Ed25519 point")
    x = Q - x if x & 1 != sign else x
    return x, y, 1, x * y % Q


BASE = edwards_point((4 * pow(5, -1, Q) % Q).to_bytes(32, "little"))


def ed25519_fits(key: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032, 5.1.7, without the cofactor: sB = R + kA, with s below the group's order."""
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    x, y, z, t = edwards_point(key)
    minus_a = (Q - x, y, z, Q - t)
    x, y, z, _ = edwards_add(edwards_multiply(s, BASE), edwards_multiply(k, minus_a))
    inverse = pow(z, -1, Q)
    x, y = x * inverse % Q, y * inverse % Q
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


DIGEST_INFO = {  # RFC 8017, 9.2, note 1
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def rsa_fits(modulus: int, exponent: int, message: bytes, signature: bytes, name: str) -> bool:
    """RFC 8017, 8.2.2: build the encoded message again and compare all of it."""
    size = (modulus.bit_length() + 7) // 8
    value = int.from_bytes(signature, "big")
    if len(signature) != size or value >= modulus:
        return False
    info = DIGEST_INFO[name] + hashlib.new(name, message).digest()
    wanted = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    return pow(value, exponent, modulus).to_bytes(size, "big") == wanted


class Key(NamedTuple):
    """A public key: `kind` is "ed25519", a curve's name or "rsa"; `numbers` go with it.

    Two keys are one when their SubjectPublicKeyInfo is, so `identity` leaves out that a key
    lives on a security key, and for which application.
    """

    kind: str
    raw: bytes
    numbers: Tuple[int, int]
    application: Optional[bytes] = None

    @property
    def identity(self) -> str:
        """Return the SHA-256 of the key's DER SubjectPublicKeyInfo, as policies write it."""
        if self.kind == "ed25519":  # RFC 8410, 4
            algorithm, raw = ED25519_ALGORITHM, self.raw
        elif self.kind == "rsa":  # RFC 3279, 2.3.1
            algorithm = der(0x30, RSA_ENCRYPTION, b"\5\0")
            raw = der(0x30, *(der_integer(number) for number in self.numbers))
        else:  # RFC 5480, 2
            curve = CURVES[self.kind]
            size = (curve.p.bit_length() + 7) // 8
            algorithm = der(0x30, EC_PUBLIC_KEY, CURVE_OIDS[self.kind])
            raw = b"\4" + b"".join(number.to_bytes(size, "big") for number in self.numbers)
        spki = der(0x30, algorithm, der(3, b"\0" + raw))
        return "sha256:" + hashlib.sha256(spki).hexdigest()


def rsa_key(modulus: int, exponent: int) -> Key:
    """Return an RSA key of a size that serves."""
    if not 2048 <= modulus.bit_length() <= 16384 or not modulus & 1:
        raise Bad("an RSA key of fewer than 2048 or more than 16384 bits")
    if not 3 <= exponent < 2**64 or not exponent & 1:
        raise Bad("an RSA exponent that does not serve")
    return Key("rsa", b"", (modulus, exponent))


# ------------------------------------------------------------------------------ SSH signatures


class Wire:
    """RFC 4251, 5: the SSH data types, read from a blob's beginning to exactly its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise Bad("it ends too early")
        self._at += count
        return taken

    def number(self) -> int:
        """Return a uint32."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Return a string."""
        return self.take(self.number())

    def mpint(self) -> int:
        """Return a positive mpint in its shortest form."""
        raw = self.string()
        if not raw or raw[0] & 0x80 or (raw[0] == 0 and not (raw[1:] and raw[1] & 0x80)):
            raise Bad("a number that is not positive or not in its shortest form")
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        """Bad when something is left."""
        if self._at != len(self._data):
            raise Bad("bytes behind its end")


def ssh_string(data: bytes) -> bytes:
    """Return a string on the wire."""
    return struct.pack(">I", len(data)) + data


def ssh_key(blob: bytes) -> Key:
    """Read a public key blob (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f)."""
    wire = Wire(blob)
    kind = wire.string()
    if kind in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"):
        raw = wire.string()
        if len(raw) != 32 or int.from_bytes(raw, "little") & (1 << 255) - 1 >= Q:
            raise Bad("not an Ed25519 key")
        key = Key("ed25519", raw, (0, 0), wire.string() if kind.startswith(b"sk-") else None)
    elif kind == b"sk-ecdsa-sha2-nistp256@openssh.com" or kind.startswith(b"ecdsa-sha2-"):
        name = wire.string().decode("ascii", "replace")
        curve = CURVES.get(name)
        if curve is None or kind.split(b"@")[0].rpartition(b"-")[2] != name.encode():
            raise Bad("a key of an unknown curve")
        point = curve_point(curve, wire.string())
        key = Key(name, b"", point, wire.string() if kind.startswith(b"sk-") else None)
    elif kind == b"ssh-rsa":
        exponent = wire.mpint()
        key = rsa_key(wire.mpint(), exponent)
    else:
        raise Bad("a key of an unknown type")
    wire.end()
    return key


def ssh_signer(armoured: bytes, message: bytes, namespace: str) -> Key:
    """PROTOCOL.sshsig: return the key that signed `message` in `namespace`; Bad otherwise."""
    if len(armoured) > MOST_SIGNATURE:
        raise Bad("more than %d bytes" % MOST_SIGNATURE)
    wire = Wire(_dearmoured(armoured))
    if wire.take(6) != b"SSHSIG" or wire.number() != 1:
        raise Bad("not an SSHSIG of version 1")
    key = ssh_key(wire.string())
    stated = wire.string()
    if stated != namespace.encode():
        raise Bad("signed for the namespace %s" % shown(stated.decode("utf-8", "replace"), 40))
    wire.string()  # reserved; what is signed has it empty
    hash_name = wire.string()
    if hash_name not in (b"sha256", b"sha512"):
        raise Bad("a hash that is neither sha256 nor sha512")
    value = wire.string()
    wire.end()
    digest = hashlib.new(hash_name.decode(), message).digest()
    signed = b"SSHSIG" + b"".join(map(ssh_string, (stated, b"", hash_name, digest)))
    if not _ssh_value_fits(key, value, signed):
        raise Bad("the signature does not fit")
    return key


def _dearmoured(data: bytes) -> bytes:
    lines = data.split(b"\n")
    begin, end = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
    if len(lines) < 4 or lines[0] != begin or lines[-2:] != [end, b""]:
        raise Bad("not an armoured SSH signature")
    if not all(0 < len(line) <= 76 for line in lines[1:-2]):
        raise Bad("an armour line is empty or longer than 76 columns")
    return strict_base64(b"".join(lines[1:-2]).decode("ascii", "replace"))


def _ssh_value_fits(key: Key, blob: bytes, signed: bytes) -> bool:
    wire = Wire(blob)
    kind, value = wire.string(), wire.string()
    if key.application is not None:  # PROTOCOL.u2f, "SSH U2F Signatures"
        flags, counter = wire.take(1), wire.take(4)
        if not flags[0] & 1:
            raise Bad("the security key was not touched")
        hashes = [hashlib.sha256(part).digest() for part in (key.application, signed)]
        signed = hashes[0] + flags + counter + hashes[1]
    wire.end()
    prefix = b"" if key.application is None else b"sk-"
    suffix = b"" if key.application is None else b"@openssh.com"
    if key.kind == "rsa":
        names = {b"rsa-sha2-256": "sha256", b"rsa-sha2-512": "sha512"}
        return kind in names and rsa_fits(*key.numbers, signed, value, names[kind])
    if key.kind == "ed25519":
        known = kind == prefix + b"ssh-ed25519" + suffix
        return known and ed25519_fits(key.raw, signed, value)
    curve = CURVES[key.kind]
    if kind != prefix + b"ecdsa-sha2-" + curve.name.encode() + suffix:
        return False
    pair = Wire(value)
    r, s = pair.mpint(), pair.mpint()
    pair.end()
    digest = hashlib.new(curve.hash, signed).digest()
    return ecdsa_fits(curve, key.numbers, digest, r, s)


# -------------------------------------------------------------- DER, certificate, PKCS#7 (CMS)


def der(tag: int, *parts: bytes) -> bytes:
    """Return one DER value."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def der_values(data: bytes) -> List[Tuple[int, bytes, bytes]]:
    """Return (tag, content, all bytes) of each DER value in `data`; Bad where it is not DER."""
    values = []
    at = 0
    while at < len(data):
        if len(data) - at < 2 or data[at] & 0x1F == 0x1F:
            raise Bad("not DER")
        size, start = data[at + 1], at + 2
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[start : start + count], "big")
            start += count
            if not 1 <= count <= 4 or size < 0x80 or size < 1 << 8 * (count - 1):
                raise Bad("a DER length that is not in its shortest form")
        if start + size > len(data):
            raise Bad("DER that ends too early")
        values.append((data[at], data[start : start + size], data[at : start + size]))
        at = start + size
    return values


def der_fields(data: bytes, tag: int = 0x30) -> List[Tuple[int, bytes, bytes]]:
    """Return the values inside the one value that `data` is."""
    values = der_values(data)
    if len(values) != 1 or values[0][0] != tag:
        raise Bad("another DER value than is expected")
    return der_values(values[0][1])


class Certificate(NamedTuple):
    """What signing needs of an X.509 certificate (RFC 5280, 4.1)."""

    whole: bytes
    serial: bytes
    issuer: bytes
    spki: bytes
    key: Key


def read_certificate(data: bytes) -> Certificate:
    """Return the parts of a certificate; Bad where it is none or its key cannot sign."""
    try:
        fields = der_fields(der_fields(data)[0][2])
        fields = fields[1:] if fields[0][0] == 0xA0 else fields
        serial, _, issuer, _, _, spki = (field[2] for field in fields[:6])
        return Certificate(data, serial, issuer, spki, spki_key(spki))
    except (IndexError, ValueError):
        raise Bad("not a certificate") from None


RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
ED25519_ALGORITHM = bytes.fromhex("300506032b6570")
CURVE_OIDS = {
    "nistp256": bytes.fromhex("06082a8648ce3d030107"),
    "nistp384": bytes.fromhex("06052b81040022"),
    "nistp521": bytes.fromhex("06052b81040023"),
}


def spki_key(spki: bytes) -> Key:
    """Return the key of a SubjectPublicKeyInfo: RSA, P-256 or P-384."""
    algorithm, bits = der_fields(spki)
    names = [value[2] for value in der_values(algorithm[1])]
    if bits[0] != 3 or bits[1][:1] != b"\0":
        raise Bad("not a public key")
    if names[0] == RSA_ENCRYPTION:
        modulus, exponent = (int.from_bytes(v[1], "big") for v in der_fields(bits[1][1:]))
        return rsa_key(modulus, exponent)
    for curve in (P256, P384):
        if names == [EC_PUBLIC_KEY, CURVE_OIDS[curve.name]]:
            return Key(curve.name, b"", curve_point(curve, bits[1][1:]))
    raise Bad("a key of a kind that signs no images")


def is_ecdsa(certificate: bytes) -> bool:
    """Tell whether a certificate has a key of a curve."""
    try:
        return read_certificate(certificate).key.kind in CURVES
    except Bad:
        return False


def attributes_fit(key: Key, attributes: bytes, signature: bytes) -> bool:
    """Tell whether a certificate's key signed the attributes, with SHA-256."""
    if key.kind == "rsa":
        return rsa_fits(*key.numbers, attributes, signature, "sha256")
    try:
        r, s = (int.from_bytes(value[1], "big") for value in der_fields(signature))
    except (Bad, ValueError):
        return False
    if signature != der(0x30, der_integer(r), der_integer(s)):
        return False
    return ecdsa_fits(CURVES[key.kind], key.numbers, hashlib.sha256(attributes).digest(), r, s)


def der_integer(number: int) -> bytes:
    """Return a DER INTEGER that is not negative."""
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


# docs/spec/image.md: every byte of the PKCS#7 follows from image digest, certificates, time
# and signature value.
SHA256_NULL = bytes.fromhex("300d06096086480165030402010500")
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
SPC_INDIRECT_DATA = bytes.fromhex("060a2b060104018237020104")
SPC_PE_IMAGE_DATA = bytes.fromhex(
    "3033060a2b06010401823702010f3025030100a020a21e801c"
) + "<<<Obsolete>>>".encode("utf-16-be")
CONTENT_TYPE = bytes.fromhex("301906092a864886f70d010903310c060a2b060104018237020104")
SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")
MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
CAPABILITIES = bytes.fromhex(
    "307906092a864886f70d01090f316c306a300b060960864801650304012a300b06096086480165030401"
    "16300b0609608648016503040102300a06082a864886f70d0307300e06082a864886f70d030202020080"
    "300d06082a864886f70d0302020140300706052b0e030207300d06082a864886f70d0302020128"
)
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def indirect_data(authenticode: bytes) -> bytes:
    """Return the content of SpcIndirectDataContent: 104 bytes that name the image's digest."""
    return SPC_PE_IMAGE_DATA + der(0x30, SHA256_NULL, der(4, authenticode))


def signed_attributes(authenticode: bytes, moment: str) -> bytes:
    """Return the DER SET OF Attribute that is signed, for a time as YYYY-MM-DDTHH:MM:SSZ."""
    if not is_moment(moment) or not 1950 <= int(moment[:4]) <= 2049:
        raise Bad("a signing time that cannot be written")
    utc = moment[2:].translate(str.maketrans("", "", "-:T")).encode("ascii")
    digest = hashlib.sha256(indirect_data(authenticode)).digest()
    return der(
        0x31,
        CONTENT_TYPE,
        der(0x30, SIGNING_TIME, der(0x31, der(0x17, utc))),
        der(0x30, MESSAGE_DIGEST, der(0x31, der(4, digest))),
        CAPABILITIES,
    )


def is_moment(text: str) -> bool:
    """Tell whether a text is a UTC time in the form YYYY-MM-DDTHH:MM:SSZ."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    try:  # as a date: time.strptime takes a second 60
        moment = datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    return moment.replace(tzinfo=None).isoformat() + "Z" == text


def pkcs7(
    authenticode: bytes, certificates: List[bytes], attributes: bytes, signature: bytes
) -> bytes:
    """Return the PKCS#7 SignedData that these parts make; the first certificate signed."""
    signer = read_certificate(certificates[0])
    algorithm = der(0x30, RSA_ENCRYPTION, b"\5\0") if signer.key.kind == "rsa" else ECDSA_SHA256
    info = der(
        0x30,
        b"\2\1\1",
        der(0x30, signer.issuer, signer.serial),
        SHA256_NULL,
        b"\xa0" + attributes[1:],
        algorithm,
        der(4, signature),
    )
    content = der(0x30, SPC_INDIRECT_DATA, der(0xA0, der(0x30, indirect_data(authenticode))))
    return der(
        0x30,
        SIGNED_DATA,
        der(
            0xA0,
            der(
                0x30,
                b"\2\1\1",
                der(0x31, SHA256_NULL),
                content,
                der(0xA0, *certificates),
                der(0x31, info),
            ),
        ),
    )


class SignedParts(NamedTuple):
    """What a PKCS#7 says, taken out of its bytes."""

    content: bytes
    certificates: bytes
    signer: bytes
    attributes: bytes
    signature: bytes


def read_pkcs7(data: bytes) -> SignedParts:
    """Return the parts of a PKCS#7 with one signer; Bad where it is none."""
    try:
        wrapped = der_fields(data)[1]
        signed_data = der_fields(wrapped[1])
        content = der_fields(der_fields(signed_data[2][2])[1][2], 0xA0)[0][1]
        info = der_fields(signed_data[4][1])
        attributes = b"\x31" + info[3][2][1:]
        return SignedParts(content, signed_data[3][1], info[1][2], attributes, info[5][1])
    except IndexError:
        raise Bad("not a PKCS#7 with one signer") from None


def check_pkcs7(data: bytes, authenticode: bytes, certificates: List[bytes]) -> None:
    """Bad unless `data` is a signature of this image by the first certificate, in its one form."""
    found = read_pkcs7(data)
    signer = read_certificate(certificates[0])
    if found.content != indirect_data(authenticode):
        raise Bad("the PKCS#7 names another image digest")
    if found.certificates != b"".join(certificates):
        raise Bad("the PKCS#7 carries other certificates than the policy's")
    if found.signer != der(0x30, signer.issuer, signer.serial):
        raise Bad("the PKCS#7 names another signer")
    digest = hashlib.sha256(found.content).digest()
    if der(0x30, MESSAGE_DIGEST, der(0x31, der(4, digest))) not in found.attributes:
        raise Bad("the signed attributes name another content")
    if not attributes_fit(signer.key, found.attributes, found.signature):
        raise Bad("the signature does not fit the certificate's key")
    if data != pkcs7(authenticode, certificates, found.attributes, found.signature):
        raise Bad("the PKCS#7 is not in its one form")


# --------------------------------------------------------------------- the image (PE/COFF file)


class Layout(NamedTuple):
    """Where things lie in an image, in bytes from its beginning."""

    checksum_at: int
    directory_at: int
    end: int  # of the image without its certificate table
    table: int  # bytes of the certificate table that stands there already
    size: int


def read_layout(head: bytes, size: int) -> Layout:
    """docs/spec/image.md: Bad unless headers, sections, overlay and table follow without gap."""
    try:
        return _layout(head, size)
    except struct.error:
        raise Bad("the headers end too early") from None


def _layout(head: bytes, size: int) -> Layout:
    (at,) = struct.unpack_from("<I", head, 0x3C)
    if head[:2] != b"MZ" or head[at : at + 4] != b"PE\0\0":
        raise Bad("not a PE image")
    count, optional_size = struct.unpack_from("<H12xH", head, at + 6)
    optional = at + 24
    (magic,) = struct.unpack_from("<H", head, optional)
    if magic not in (0x10B, 0x20B):
        raise Bad("neither PE32 nor PE32+")
    directory_at = optional + (128 if magic == 0x10B else 144)
    (headers_end,) = struct.unpack_from("<I", head, optional + 60)
    table_at, table = struct.unpack_from("<II", head, directory_at)
    sections = []
    for number in range(count):
        raw, start = struct.unpack_from("<II", head, optional + optional_size + 40 * number + 16)
        if raw:
            sections.append((start, raw))
    where = headers_end
    for start, raw in sorted(sections):
        if start != where:
            raise Bad("a section does not begin where the part before it ends")
        where += raw
    end = size - table
    if where > end or (table and (table_at != end or table % 8 or end % 8)):
        raise Bad("sections or certificate table reach beyond their place")
    if not directory_at + 8 <= headers_end <= len(head):
        raise Bad("headers that end before the certificate directory")
    return Layout(optional + 64, directory_at, end, table, size)


class Image:
    """The unsigned image: its digests, and the bytes that signing makes of it."""

    def __init__(self, file: File) -> None:
        self.file = file
        with open_regular(file.path) as stream:
            self.layout = read_layout(stream.read(2**16), file.size)

    def authenticode(self) -> bytes:
        """Return the Authenticode SHA-256: all but CheckSum, directory entry and table."""
        layout = self.layout
        whole = hashlib.sha256()
        skipped = ((layout.checksum_at, 4), (layout.directory_at, 8), (layout.end, layout.table))
        at = 0
        for chunk in chunks(self.file.path):
            view = memoryview(chunk)
            start = 0
            for place, size in skipped:
                first = min(max(place - at, start), len(view))
                whole.update(view[start:first])
                start = min(max(place + size - at, first), len(view))
            whole.update(view[start:])
            at += len(view)
        whole.update(bytes(-layout.end % 8))
        return whole.digest()

    def signed(self, cms: bytes) -> Iterator[bytes]:
        """Yield the signed file's bytes, with a CheckSum of zero; pieces of even length."""
        layout = self.layout
        padding = -layout.end % 8
        size = 8 + len(cms)
        entry = struct.pack("<IHH", size, 0x0200, 0x0002) + cms + bytes(-size % 8)
        directory = struct.pack("<II", layout.end + padding, layout.table + len(entry))
        first = True
        for chunk in chunks(self.file.path):
            if first:
                head = bytearray(chunk)
                head[layout.checksum_at : layout.checksum_at + 4] = bytes(4)
                head[layout.directory_at : layout.directory_at + 8] = directory
                first = False
                yield bytes(head)
            else:
                yield chunk
        # An image that has a table already is padded: its table begins on a multiple of 8.
        yield bytes(padding)
        yield entry


def ones_complement(data: bytes, total: int) -> int:
    """Add the little-endian 16-bit words of `data` to a sum, modulo 65535, 32 KiB at a time."""
    view = memoryview(data)
    for at in range(0, len(view), 2**15):
        total += int.from_bytes(view[at : at + 2**15], "little")
    return total % 0xFFFF


def check_attached(image: Image, cms: bytes, signed: File) -> None:
    """Bad unless the signed file is the image with these twelve bytes, padding and table."""
    total = at = 0
    stated = b""
    field = image.layout.checksum_at
    tail = b""
    with open_regular(signed.path) as stream:
        for piece in image.signed(cms):
            found = stream.read(len(piece))
            if at <= field < at + len(piece):
                stated = found[field - at : field - at + 4]
                found = found[: field - at] + bytes(len(stated)) + found[field - at + 4 :]
            if found != piece:
                raise Bad("it is not the unsigned image with this signature attached")
            # A word may lie across two pieces: an odd byte is kept for the next one.
            words = tail + piece
            tail = words[len(words) & ~1 :]
            total = ones_complement(words[: len(words) & ~1], total)
            at += len(piece)
        if stream.read(1):
            raise Bad("bytes behind the certificate table")
    # The sum of words that are not all zero is never written as 0.
    if stated != struct.pack("<I", ((total or 0xFFFF) + at) & 0xFFFFFFFF):
        raise Bad("its CheckSum is not that of its bytes")


# ------------------------------------------------------- the script: docs/spec/steps.md as code


class Aborted(Exception):
    """A person ended the ceremony; the seal comes next."""


class Refusal(Exception):
    """A rule, or a second mishearing, ended the ceremony; the seal comes next."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Interrupted(Exception):
    """The process ended while a token was in use, and people resumed."""


class Unfinished(Exception):
    """The lines stop before the close line."""


ANYWHERE = ("ceremony.exception", "ceremony.lock", "ceremony.abort", "ceremony.recovered")
OPEN, INVENTORY, INGEST, INSPECT, JUDGE = "Open", "Inventory", "Ingest", "Inspect", "Judge"
READ_BACK, SIGN, VERIFY, SEAL, CLOSE = "Read back", "Sign", "Verify", "Seal", "Close"


class Signed(NamedTuple):
    """A signature that was made and verified: the PKCS#7 and the signed image's size and digest."""

    cms: bytes
    size: int
    sha256: str


class Script:
    """The ten steps in order, read from the events; every method consumes what it names.

    `taken` is the image's manifest entry once the medium was removed, `files` the outputs that
    were sealed, `outcome` how the ceremony came out. Faults that leave the order readable are
    collected; one that does not is raised.
    """

    def __init__(self, events: Iterator[Event], images: Images) -> None:
        self._events = events
        self._next: Optional[Event] = None
        self._images = images
        self._token_in_use = False
        self._interrupted = False
        self._intent_open = False
        self._outputs_failed = False
        self.step = OPEN
        self.faults: List[Fault] = []
        self.notes: List[str] = []
        self.begun: Optional[Dict[str, Any]] = None
        self.policy_read: Optional[Dict[str, Any]] = None
        self.named: Optional[Policy] = None  # the policy as it was read, accepted or not
        self.policy: Optional[Policy] = None
        self.unreadable_policy = False
        self.media: Dict[str, Any] = {}
        self.taken: Optional[Dict[str, Any]] = None
        self.image_file: Optional[File] = None
        self.image: Optional[Image] = None
        self.authenticode = b""
        self.signed: Optional[Signed] = None
        self.files: List[Dict[str, Any]] = []
        self.sealed = False
        self.outcome = "open"

    # -- reading one event

    def _fault(self, verdict: str, rule: str, text: str) -> None:
        self.faults.append(Fault(verdict, rule, text))

    def _differs(self, event: Event, text: str) -> Fault:
        """Return the fault of a decision or intent; what comes after it has lost its ground."""
        return Fault(
            DIFFERS, "TRN-DECISION", "event %d, %s: %s" % (event.seq + 1, event.name, text)
        )

    def _out_of_order(self, event: Event, text: str) -> Fault:
        text = "event %d, %s: %s" % (event.seq + 1, event.name, text)
        return Fault(FORGED, "TRN-ORDER", text)

    def _peek(self) -> Event:
        """Return the next event of the script; what may stand anywhere is dealt with here."""
        while self._next is None:
            event = next(self._events, None)
            if event is None:
                raise Unfinished
            if event.name not in ANYWHERE:
                self._next = event
            elif self.begun is None:
                raise self._out_of_order(event, "nothing has begun")
            else:
                self._anywhere(event)
        if self._interrupted and self._token_in_use:
            self._interrupted = False
            raise Interrupted
        return self._next

    def _anywhere(self, event: Event) -> None:
        if event.name == "ceremony.abort":
            raise Aborted
        if event.name != "ceremony.recovered":
            return
        while True:  # until the witness lets the ceremony go on
            if event.name == "ceremony.abort":
                raise Aborted
            if event.name == "ceremony.recovered":
                there = (event.lines_before, head_words(event.root_before))
                if (event.body["lines"], event.body["head"]) != there:
                    raise self._out_of_order(event, "other lines or head words than there were")
            elif event.name == "ceremony.resume":
                self._check_ack(event, [self.policy.internal_witness if self.policy else "witness"])
                self._interrupted = True
                return
            elif event.name not in ANYWHERE:
                raise self._out_of_order(event, "the ceremony was not resumed")
            following = next(self._events, None)
            if following is None:
                raise Unfinished
            event = following

    def take(self, *names: str) -> Event:
        """Consume the next event, which must have one of these names."""
        event = self._peek()
        if event.name not in names:
            wanted = " or ".join(names)
            raise self._out_of_order(event, "in the step %s %s comes next" % (self.step, wanted))
        self._next = None
        return event

    def decide(self, name: str, *outcomes: str) -> Event:
        """Consume a decision; it refuses exactly when one of its findings does."""
        event = self.take(name)
        outcome = event.body["outcome"]
        if outcome not in outcomes:
            raise self._differs(event, "no outcome of this decision")
        refuses = any(finding["severity"] == "refuse" for finding in event.body["findings"])
        if name.startswith("judge."):
            words = {"ok": "ACCEPT", "refused": "REFUSE", "override-needed": "OVERRIDE_NEEDED"}
            holds = facts_of(event).get("verdict") == words[outcome]
        else:
            holds = (outcome == "refused") == refuses
        if not holds:
            raise self._differs(event, "its outcome is not what it says itself")
        return event

    def ack(self, name: str, persons: Iterable[str], role: str = "") -> Event:
        """Consume an acknowledgement by one of these persons."""
        event = self.take(name)
        self._check_ack(event, persons, role)
        return event

    def _check_ack(self, event: Event, persons: Iterable[str], role: str = "") -> None:
        asked = QUESTIONS[event.name]
        body = event.body
        if body["role"] != (asked.role or role):
            raise self._out_of_order(event, "it is for the %s" % (asked.role or role))
        if not self.unreadable_policy and body["person"] not in persons:
            raise self._out_of_order(event, "%s does not hold this role" % shown(body["person"]))
        if not answer_fits(asked.form, body["answer"]):
            raise self._out_of_order(event, "the answer has not the form that is asked for")

    # -- the steps

    def hold(self) -> None:
        """Read the whole ceremony; Unfinished where the lines stop early."""
        outcome = "ok"
        try:
            self._open()
            self._inventory()
            self._ingest()
            self._inspect()
            self._judge()
            self._read_back()
            self._verify(*self._sign())
        except Refusal as refusal:
            outcome = refusal.outcome
        except Aborted:
            outcome = "aborted"
        self._token_in_use = False
        self._seal(outcome)
        self.step = CLOSE
        following = self._next or next(self._events, None)
        if following is not None:
            raise self._out_of_order(following, "the transcript is closed")

    def _open(self) -> None:
        begun = self.take("open.begin")
        previous = begun.body["previous_head"]
        if previous is not None and not HEX64.fullmatch(previous):
            text = "event %d: the previous head is not 64 hex digits" % (begun.seq + 1)
            raise Fault(FORGED, "TRN-PREVIOUS", text)
        self.begun = begun.body
        read = self.take("open.policy")
        data = self._blob(read, read.body["policy"])
        self.policy_read = read.body
        unreadable = ""
        try:
            self.named = Policy(data)
        except CannotJudge as error:
            unreadable = str(error)
        verdict = self.decide("open.policy_verdict", "ok", "refused")
        for blob in read.body["signatures"]:
            self._blob(verdict, blob)
        if verdict.body["outcome"] == "refused":
            raise Refusal("refused")
        self._accept_policy(read, verdict, unreadable)
        self.ack("open.roles", [self._who("internal_witness")])
        while True:
            clock = self.take("open.clock")
            if not is_moment(clock.body["wall"]):
                raise Fault(FORGED, "AIR-CLOCK", "event %d: not a UTC time" % (clock.seq + 1))
            told = self.ack("open.clock_read", [self._who("internal_witness")])
            verdict = self.decide("open.clock_verdict", "ok", "refused")
            self._check_clock(verdict, clock.body["wall"], told.body["answer"])
            if verdict.body["outcome"] == "ok":
                return
            if any(f["rule"] != "AIR-CLOCK" for f in refusing(verdict)):
                raise Refusal("refused")

    def _check_clock(self, verdict: Event, wall: str, told: str) -> None:
        """AIR-CLOCK, POL-WINDOW: machine and witness agree, inside the policy's window."""
        if self.policy is None:
            return
        machine = datetime.strptime(wall + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
        minutes = told if told.count(":") == 2 else told + ":00"
        witness = datetime.strptime(minutes + "+0000", "%Y-%m-%d %H:%M:%S%z")
        drift = int(abs((machine - witness).total_seconds()))
        near = drift <= self.policy.max_drift + 60
        within = self.policy.valid_from <= machine < self.policy.expires
        outcome = "ok" if near and within else "refused"
        rules = ["AIR-CLOCK"] * (not near) + ["POL-WINDOW"] * (not within)
        stated = [finding["rule"] for finding in refusing(verdict)]
        found = (verdict.body["outcome"], verdict.body["facts"], stated)
        if found != (outcome, {"drift_seconds": drift}, rules):
            raise self._differs(verdict, "%d s apart, %s" % (drift, outcome))

    def _accept_policy(self, read: Event, verdict: Event, unreadable: str) -> None:
        data = self._blob(read, read.body["policy"])
        facts = facts_of(verdict)
        stated = (facts.get("sha256"), facts.get("ceremony"), facts.get("mode"))
        assert self.begun is not None
        there = (hashlib.sha256(data).hexdigest(), self.begun["ceremony"], self.begun["mode"])
        if stated != there:
            raise self._differs(verdict, "it is about another policy, ceremony or mode")
        self.policy = self.named
        if self.policy is None:
            self.unreadable_policy = True
            text = "policy.toml cannot be judged here: %s; use uki-ceremony replay" % unreadable
            self._fault(INCOMPLETE, "POL-TOML", text)
            return
        if (facts.get("policy_id"), facts.get("sequence")) != (
            self.policy.policy_id,
            self.policy.sequence,
        ):
            raise self._differs(verdict, "it names the policy otherwise than the policy does")
        if self.policy.typed and self.begun["mode"] != "rehearsal":
            raise self._differs(verdict, "APP-TYPED: approvals are typed outside a rehearsal")
        signers = set()
        for blob in read.body["signatures"]:
            try:
                key = ssh_signer(self._blob(read, blob), data, "policy@uki-ceremony")
            except Bad:
                continue
            signers.add(key.identity)
        count = len(signers & {key.identity for key in self.policy.owners})
        if count < max(self.policy.owners_needed, 1):
            raise self._differs(verdict, "POL-OWNERS: only %d owners signed this policy" % count)

    def _who(self, role: str) -> str:
        return getattr(self.policy, role) if self.policy else ""

    def _blob(self, event: Event, blob: Dict[str, Any]) -> bytes:
        try:
            return blob_bytes(blob)
        except Bad as bad:
            if event.body.get("outcome") == "ok":
                raise self._differs(event, str(bad)) from None
            raise Fault(FORGED, "TRN-EVENT", "event %d: %s" % (event.seq + 1, bad)) from None

    def _inventory(self) -> None:
        self.step = INVENTORY
        while True:
            self.take("inventory.machine")
            if self.decide("inventory.verdict", "ok", "refused").body["outcome"] == "ok":
                self.ack("inventory.seen", [self._who("internal_witness")])
                return
            self.ack("inventory.again", [self._who("administrator")])

    def _ingest(self) -> None:
        self.step = INGEST
        while True:
            media = self.take("ingest.media", "ingest.failed")
            if media.name == "ingest.media":
                for blob in media.body["files"]:
                    self._blob(media, blob)
                verdict = self.decide("ingest.verdict", "ok", "refused")
                if verdict.body["outcome"] == "ok":
                    self._accept_media(media, verdict)
                    return
            self.ack("ingest.again", [self._who("administrator")])

    def _accept_media(self, media: Event, verdict: Event) -> None:
        image = media.body["image"]
        kept = [
            {"path": b["path"], "size": len(d), "sha256": hashlib.sha256(d).hexdigest()}
            for b in media.body["files"]
            for d in [blob_bytes(b)]
        ]
        paths = [utf8(entry["path"]) for entry in media.body["manifest"]]
        listed = [entry for entry in media.body["manifest"] if entry != image]
        if image is None or len(listed) + 1 != len(paths):
            raise self._differs(verdict, "the medium held no image of this name, or several")
        if verdict.body["facts"] != {"files": len(paths), "kept": len(kept)}:
            raise self._differs(verdict, "other numbers of files than the medium had")
        if image["sha256"] != media.body["image_again"]:
            raise self._differs(
                verdict, "MED-CHANGED: the image was hashed twice, with two results"
            )

        def by_path(entry: Dict[str, Any]) -> Any:
            return utf8(entry["path"])

        if sorted(kept, key=by_path) != sorted(listed, key=by_path) or paths != sorted(set(paths)):
            raise self._differs(verdict, "MED-CHANGED: the manifest does not list the files kept")
        self.ack("ingest.removed", [self._who("administrator")])
        self.media, self.taken = media.body, image
        self.image_file = self._images.find(image["sha256"])
        if self.image_file is None:
            text = "the unsigned image %s is not here; give it as IMAGE" % shown(
                image["sha256"], 64
            )
            if self._images.given:
                text = "IMAGE is another image: its SHA-256 is %s, this ceremony's is %s" % (
                    self._images.given,
                    shown(image["sha256"], 64),
                )
            self._fault(INCOMPLETE, "TRN-IMAGE", text)

    def _inspect(self) -> None:
        self.step = INSPECT
        verdict = self.decide("inspect.verdict", "ok", "refused")
        if verdict.body["outcome"] == "refused":
            raise Refusal("refused")
        facts = facts_of(verdict)
        if self.image_file:
            try:
                self.image = Image(self.image_file)
                self.authenticode = self.image.authenticode()
            except Bad as bad:
                raise self._differs(verdict, "the image was accepted: %s" % bad) from None
            if facts.get("authenticode") != AUTHENTICODE + self.authenticode.hex():
                raise self._differs(verdict, "another Authenticode digest than the image's")
            sha256, size = self.image_file.sha256, self.image_file.size
        else:  # believed, so that plan and signature can be judged without the image
            self.authenticode = stated_authenticode(facts)
            sha256, size = (self.taken or {})["sha256"], (self.taken or {})["size"]
        if (facts.get("sha256"), facts.get("size")) != ("file-sha256:" + sha256, size):
            raise self._differs(verdict, "another digest or size than the image's")
        if facts.get("findings") != verdict.body["findings"]:
            raise self._differs(verdict, "its facts have other findings than itself")
        self.ack("inspect.meaning", [self._who("external_witness")])

    def _judge(self) -> None:
        self.step = JUDGE
        if self._peek().name == "judge.ledger" or (self.policy and self.policy.ledger):
            if self.policy and not self.policy.ledger:
                raise self._out_of_order(self._peek(), "the policy keeps no ledger")
            for role in ("internal witness", "external witness"):
                self.ack("judge.ledger", [self._who(role.replace(" ", "_"))], role)
        verdict = self.decide("judge.verdict", "ok", "refused", "override-needed")
        facts = facts_of(verdict)
        about = (facts.get("image_sha256"), facts.get("policy_sha256"), facts.get("findings"))
        if (
            self.taken
            and self.policy
            and about
            != (
                "file-sha256:" + self.taken["sha256"],
                "file-sha256:" + self.policy.sha256,
                verdict.body["findings"],
            )
        ):
            raise self._differs(verdict, "it is about another image or policy")
        self.notes.append("the quorum's decision (event %d) was not recomputed" % (verdict.seq + 1))
        if verdict.body["outcome"] == "override-needed":
            self._override(verdict)
        if verdict.body["outcome"] == "refused":
            raise Refusal("refused")
        self.ack("judge.seen", [self._who("external_witness")])

    def _override(self, vetoed: Event) -> None:
        """Consume the operators' words and the decision, which sets the veto aside and no more."""
        operators: List[str] = []
        reasons: List[str] = []
        while self._peek().name == "judge.override" or self.policy:
            left = [p for p in self.policy.persons if p not in operators] if self.policy else []
            word = self.ack("judge.override", left).body
            operators.append(word["person"])
            reasons.append("%s: %s" % (word["person"], word["answer"]))
            if self.policy and len(operators) >= self.policy.operators:
                break
        decided = self.decide("judge.override_verdict", "ok")
        told = {
            "operators": operators,
            "reason": "; ".join(reasons).strip(" "),
            "verdict": "ACCEPT",
        }
        findings = decided.body["findings"]
        wanted = {**facts_of(vetoed), **told, "findings": findings}
        kept = [f["text"] for f in vetoed.body["findings"]]
        set_aside = findings[-1:] and findings[-1]["rule"] == "QRM-OVERRIDE"
        if decided.body["facts"] != wanted or [f["text"] for f in findings[:-1]] != kept:
            raise self._differs(decided, "it changes more than the veto")
        if not set_aside or refusing(decided):
            raise self._differs(decided, "the veto was not set aside")

    def _read_back(self) -> None:
        self.step = READ_BACK
        assert self.taken is not None
        for attempt in (1, 2):
            drawn = self.take("read_back.drawn")
            places = drawn.body["positions"]
            fits = places == sorted(set(places)) and all(1 <= place <= 32 for place in places)
            if not fits or (self.policy and len(places) != self.policy.words):
                raise self._out_of_order(drawn, "not the places that may be drawn")
            witnesses = [self._who("external_witness"), self._who("internal_witness")]
            typed = self.ack("read_back.words", witnesses)
            said = [word for word in typed.body["answer"].split(" ") if word]
            if len(said) != len(places):
                raise self._out_of_order(typed, "%d words are asked for" % len(places))
            verdict = self.decide("read_back.verdict", "ok", "refused")
            digest = spoken(bytes.fromhex(self.taken["sha256"]))
            right = [lowered(digest[place - 1]) for place in places]
            agree = [lowered(word) for word in said] == right
            if agree != (verdict.body["outcome"] == "ok") or verdict.body["facts"] != {
                "try": attempt
            }:
                raise self._differs(verdict, "it is not what the typed words lead to")
            if verdict.body["outcome"] == "ok":
                return
        raise Refusal("aborted")

    # -- signing

    def _sign(self) -> Tuple[str, int]:
        """Return the signature that the token gave, in hex, and how many attempts it took."""
        self.step = SIGN
        self._time: Optional[Event] = None
        self._plan: Optional[Dict[str, Any]] = None
        self._approved: Dict[str, Dict[str, Any]] = {}
        self._doubted = False  # after an interruption: does the signing time stand?
        attempt = 1
        self._token_in_use, self._interrupted = True, False
        while True:
            try:
                result = self._token_session(attempt)
            except Interrupted:
                self._doubted = self._time is not None and not self._intent_open
                if not self._intent_open:
                    continue
                result = None
            if result is not None and result["outcome"] == "signed":
                return str(result["signature"]), attempt
            self._without_token("sign.unknown", "internal_witness")
            self._intent_open = False
            attempt += 1

    def _without_token(self, name: str, role: str) -> None:
        """Consume an acknowledgement that an interruption does not take away."""
        self._token_in_use = False
        self.ack(name, [self._who(role)])
        self._token_in_use, self._interrupted = True, False

    def _token_session(self, attempt: int) -> Optional[Dict[str, Any]]:
        """Read what happens from looking at the token until a result; None: look anew."""
        while True:
            if self._time and self._plan is None and not self._planned(self._time):
                continue
            if self._doubted:
                said = self.ack("sign.time_stands", [self._who("internal_witness")])
                self._doubted = False
                if said.body["answer"] != "agree":
                    self._time = self._plan = None
            evidence = self._look_at_token()
            if evidence is None:
                continue
            if self._time is None:
                self._time = self.take("sign.time")
                if not self._planned(self._time):
                    continue
            self._approvals()
            if not self._log_in(evidence):
                continue
            self._intent(attempt)
            result = self.take("sign.result")
            if result.body["attempt"] != attempt:
                raise self._out_of_order(result, "another attempt than was intended")
            found: Dict[str, Any] = result.body["result"]
            return found

    def _look_at_token(self) -> Optional[Dict[str, Any]]:
        token = self.take("sign.token", "sign.trouble")
        if token.name == "sign.token":
            self.take("sign.room")
            evidence: Dict[str, Any] = token.body["evidence"]
            verdict = self.decide("sign.preflight", "ok", "refused")
            self._check_grade(verdict, evidence)
            if verdict.body["outcome"] == "ok":
                return evidence
        self.ack("sign.again", [self._who("administrator")])
        return None

    def _planned(self, fixed: Event) -> bool:
        """Consume the plan's decision, also after an interruption; False: it was refused."""
        if not is_moment(fixed.body["wall"]):
            raise Fault(FORGED, "AIR-CLOCK", "event %d: not a UTC time" % (fixed.seq + 1))
        self._token_in_use = False
        plan = self.decide("sign.plan", "ok", "refused")
        self._token_in_use = True
        self._check_plan(plan, fixed.body["wall"])
        self._plan = facts_of(plan)
        self._keep_approvals()
        if plan.body["outcome"] == "refused":
            self._doubted, self._interrupted = self._interrupted, False
            self._time = self._plan = None
            self.ack("sign.again", [self._who("administrator")])
            return False
        return True

    def _check_plan(self, plan: Event, moment: str) -> None:
        """docs/spec/approvals.md: the text of the plan, and the attributes to be signed."""
        if not (self.policy and self.authenticode and self.begun and self.taken):
            return
        try:
            signer = read_certificate(self.policy.certificate)
            attributes = signed_attributes(self.authenticode, moment)
        except Bad as bad:
            raise self._differs(plan, str(bad)) from None
        lines = [
            "uki-ceremony/plan/1 %s %s" % (self.begun["ceremony"], self.begun["mode"]),
            "image sha256 %s" % self.taken["sha256"],
            "image authenticode %s" % self.authenticode.hex(),
            "key spki-sha256 %s" % hashlib.sha256(signer.spki).hexdigest(),
            "policy sha256 %s" % self.policy.sha256,
            "signing-time %s" % moment,
            "attributes sha256 %s" % hashlib.sha256(attributes).hexdigest(),
        ]
        wanted = {
            "plan": lines,
            "sha256": hashlib.sha256(plan_text(lines)).hexdigest(),
            "attributes": attributes.hex(),
        }
        if plan.body["facts"] != wanted:
            raise self._differs(plan, "it is not the plan for this image, policy and time")

    def _approvals(self) -> None:
        """Consume approvals until enough distinct key holders approved exactly this plan."""
        if self.policy is None:
            while self._peek().name == "sign.approve":
                self.take("sign.approve")
            return
        while len(self._approved) < self.policy.approvals:
            left = [p for p in self.policy.approvers if p not in self._approved]
            approval = self.ack("sign.approve", left)
            fault = self._approval_fault(approval.body)
            if fault:
                raise self._out_of_order(approval, fault)
            self._approved[approval.body["person"]] = approval.body

    def _approval_fault(self, approval: Dict[str, Any]) -> str:
        """APP-SIGNATURE: say why an approval does not count for the plan, "" where it does."""
        policy = self.policy
        if policy is None:
            return ""
        if policy.typed:
            return "" if approval["answer"] == "APPROVE" else "it is not the word APPROVE"
        text = plan_text((self._plan or {}).get("plan", ()))
        try:
            armoured = approval["answer"].encode("ascii")
            identity = ssh_signer(armoured, text, "approval@uki-ceremony").identity
        except Bad as bad:
            return str(bad)
        if identity in policy.revoked:
            return "the key is revoked"
        owner = next((p for p, keys in policy.keys.items() if identity in keys), None)
        return "" if owner == approval["person"] else "the key is another person's"

    def _keep_approvals(self) -> None:
        """Forget the approvals that are not for the plan that was made last."""
        if self.policy:
            self._approved = {
                person: body
                for person, body in self._approved.items()
                if not self.policy.typed and not self._approval_fault(body)
            }

    def _log_in(self, evidence: Dict[str, Any]) -> bool:
        if evidence["pin_state"] == "final-try":
            self.ack("sign.last_try", [self._who("internal_witness")])
        login = self.take("sign.login", "sign.trouble")
        if login.name == "sign.trouble":
            self.ack("sign.again", [self._who("administrator")])
            return False
        persons = login.body["persons"]
        if self.policy and not (
            len(persons) == len(set(persons)) == self.policy.pin_parts
            and set(persons) <= set(self.policy.key_holders)
        ):
            raise self._out_of_order(login, "not as many key holders as the PIN has parts")
        result = login.body["result"]
        if result["outcome"] != "ok" or result["evidence"] is None:
            self.ack("sign.pin_again", [self._who("internal_witness")])
            return False
        verdict = self.decide("sign.login_verdict", "ok", "refused")
        self._check_grade(verdict, result["evidence"])
        if verdict.body["outcome"] == "refused":
            self.ack("sign.again", [self._who("administrator")])
            return False
        return True

    def _check_grade(self, verdict: Event, evidence: Dict[str, Any]) -> None:
        """Fault unless the decision says of the key what token and policy let it say.

        What a device's attestation proves is replay's to judge; without one nothing is proved.
        """
        facts, grade = facts_of(verdict), evidence["grade"]
        if grade == PRACTICE:
            fits = facts == key_facts(PRACTICE)
        elif evidence["attestation"] or (self.policy and self.policy.attested):
            fits = any(facts == key_facts(said, facts.get("attestation")) for said in JUDGED)
        else:
            fits = facts == key_facts(ASSERTED)
        practice = grade == PRACTICE and (self.begun or {})["mode"] != "rehearsal"
        unwanted = self.policy and not self.policy.ecdsa and is_ecdsa(self.policy.certificate)
        if not fits or (verdict.body["outcome"] == "ok" and (practice or unwanted)):
            raise self._differs(verdict, "it is not about the token that was seen")

    def _intent(self, attempt: int) -> None:
        """sign.intent names exactly the plan that was approved, and this attempt."""
        intent = self.take("sign.intent")
        self._intent_open = True
        plan = self._plan or {}
        assert self._time is not None
        wanted = {
            "attempt": attempt,
            "attributes": plan.get("attributes"),
            "plan_sha256": plan.get("sha256"),
            "signing_time": self._time.body["wall"],
        }
        try:
            if self.policy:
                signer = read_certificate(self.policy.certificate)
                wanted["spki_sha256"] = hashlib.sha256(signer.spki).hexdigest()
                wanted["mechanism"] = "CKM_RSA_PKCS" if signer.key.kind == "rsa" else "CKM_ECDSA"
        except Bad as bad:
            raise self._differs(intent, "the policy's certificate: %s" % bad) from None
        if self.authenticode:
            wanted["authenticode"] = self.authenticode.hex()
        if {name: intent.body[name] for name in wanted} != wanted:
            raise self._differs(intent, "it is not what the approved plan says")

    def _verify(self, signature: str, attempts: int) -> None:
        self.step = VERIFY
        self._token_in_use = False
        self._interrupted = False
        verdict = self.decide("verify.verdict", "ok", "refused")
        if verdict.body["outcome"] == "refused":
            raise Refusal("refused")
        facts = facts_of(verdict)
        several = attempts > 1 and self.policy is not None and is_ecdsa(self.policy.certificate)
        warned = any(finding["rule"] == "SIG-ATTEMPTS" for finding in verdict.body["findings"])
        if self.policy and warned != several:
            raise self._differs(verdict, "SIG-ATTEMPTS: so many signatures may exist, or not")
        cms = self._expected_cms(verdict, signature)
        second = self.take("verify.second").body
        opinion = self.decide("verify.second_verdict", "ok", "refused")
        accepts = second["answer"] in ("accepted", "absent")
        if accepts != (opinion.body["outcome"] == "ok"):
            raise self._differs(opinion, "it is not what the other implementation said")
        if opinion.body["outcome"] == "refused":
            raise Refusal("refused")
        recorded = facts_of(opinion).get("cms")
        try:
            found = strict_base64(recorded if isinstance(recorded, str) else "")
        except Bad:
            found = b""
        if facts_of(opinion).get("answer") != second["answer"] or (cms and found != cms):
            raise self._differs(
                opinion, "another PKCS#7 than image, certificates and signature make"
            )
        if facts.get("cms_sha256") != hashlib.sha256(found).hexdigest():
            raise self._differs(verdict, "the digest of another PKCS#7")
        self.ack("verify.seen", [self._who("internal_witness")])
        size, digest = facts.get("size"), facts.get("sha256")
        if type(size) is not int or not isinstance(digest, str):
            raise self._differs(verdict, "no size and digest of a signed image")
        self.signed = Signed(found, size, digest)

    def _expected_cms(self, verdict: Event, signature: str) -> bytes:
        """Return the PKCS#7 that the recorded signature makes, after checking it."""
        if not (self.policy and self.authenticode and self._plan and self._time):
            return b""
        certificates = [self.policy.certificate, *self.policy.chain]
        try:
            attributes = signed_attributes(self.authenticode, self._time.body["wall"])
            value = bytes.fromhex(signature)
            cms = pkcs7(self.authenticode, certificates, attributes, value)
            check_pkcs7(cms, self.authenticode, certificates)
        except (Bad, ValueError) as bad:
            raise self._differs(verdict, "the signature was accepted: %s" % bad) from None
        return cms

    # -- sealing

    def _seal(self, outcome: str) -> None:
        self.step = SEAL
        while True:
            try:
                self.files = self._write_outputs()
                break
            except Aborted:
                if outcome == "aborted" and self._outputs_failed:
                    self.files = []
                    break
                outcome, self.signed, self._outputs_failed = "aborted", None, False
        statements: List[List[str]] = []
        rotated = not (self.signed and self.policy and self.policy.pin_shared)
        while True:
            try:
                if not rotated:
                    self.ack("seal.rotation", [self._who("internal_witness")])
                    rotated = True
                if self.signed and outcome == "ok":
                    self._statements(statements)
                closing = self.take("close.transcript")
                break
            except Aborted:
                outcome = "aborted"
        if outcome == "ok" and any(said != "agree" for _, _, said in statements):
            outcome = "disputed"
        wanted = {
            "signed_sha256": self.signed.sha256 if self.signed else None,
            "statements": statements,
        }
        if closing.body["outcome"] != outcome or closing.body["facts"] != wanted:
            raise self._differs(
                closing, "it is not what the lines before it lead to (%s)" % outcome
            )
        self.outcome = outcome

    def _write_outputs(self) -> List[Dict[str, Any]]:
        intent = self.take("seal.intent")
        wanted = self._expected_outputs()
        if wanted is not None and intent.body["files"] != wanted:
            raise self._differs(intent, "other outputs than this ceremony has")
        while True:
            written = self.take("seal.outputs", "seal.failed")
            if written.name == "seal.outputs":
                verdict = self.decide("seal.verdict", "ok", "refused")
                found: List[Dict[str, Any]] = written.body["files"]
                same = found == intent.body["files"]
                if same != (verdict.body["outcome"] == "ok") or verdict.body["facts"] != found:
                    raise self._differs(verdict, "it is not what was read back")
                if verdict.body["outcome"] == "ok":
                    self.sealed = True
                    return found
            self._outputs_failed = True
            self.ack("seal.again", [self.policy.administrator if self.policy else "administrator"])
            self._outputs_failed = False

    def _statements(self, said: List[List[str]]) -> None:
        if self.policy is None:
            while self._peek().name == "seal.statement":
                body = self.take("seal.statement").body
                said.append([body["role"], body["person"], body["answer"]])
            return
        policy = self.policy
        asked = [("internal witness", policy.internal_witness)]
        asked.append(("external witness", policy.external_witness))
        asked += [("key holder", person) for person in policy.key_holders]
        asked.append(("administrator", policy.administrator))
        for role, person in asked[len(said) :]:
            answer = self.ack("seal.statement", [person], role).body["answer"]
            said.append([role, person, answer])

    def _expected_outputs(self) -> Optional[List[Dict[str, Any]]]:
        """docs/spec/bundle.md: name, size and digest of every output; None: cannot be said."""
        if self.unreadable_policy:
            return None
        named: Dict[str, Tuple[int, str]] = {}
        small: List[Tuple[str, bytes]] = []
        if self.policy_read:
            small.append(("policy.toml", blob_bytes(self.policy_read["policy"])))
            signatures = self.policy_read["signatures"]
            small += [(signature_name(blob["path"]), blob_bytes(blob)) for blob in signatures]
        if self.taken:
            kept = [(blob["path"], blob_bytes(blob)) for blob in self.media["files"]]
            names = medium_names(kept)
            small += [(names[path], data) for path, data in kept]
        for name, data in small:
            named.setdefault(name, (len(data), hashlib.sha256(data).hexdigest()))
        if self.taken:
            name = image_name(self.taken["path"])
            stem = name.removesuffix(".efi")
            if self.signed:
                cms = self.signed.cms
                named[stem + ".signed.efi"] = (self.signed.size, self.signed.sha256)
                named[stem + ".p7"] = (len(cms), hashlib.sha256(cms).hexdigest())
            if self.policy and self.policy.unsigned:
                named[name] = (self.taken["size"], self.taken["sha256"])
        return [
            {"name": name, "size": named[name][0], "sha256": named[name][1]}
            for name in sorted(named)
        ]


def plan_text(lines: Iterable[str]) -> bytes:
    """Return the plan as it is signed: each line ended by one line feed."""
    return "".join(line + "\n" for line in lines).encode("utf-8")


def refusing(decision: Event) -> List[Dict[str, Any]]:
    """Return the findings that refuse."""
    return [f for f in decision.body["findings"] if f["severity"] == "refuse"]


def facts_of(decision: Event) -> Dict[str, Any]:
    """Return the facts of a decision where they are an object."""
    facts = decision.body["facts"]
    return facts if isinstance(facts, dict) else {}


AUTHENTICODE = "authenticode-sha256:"


def stated_authenticode(facts: Dict[str, Any]) -> bytes:
    """Return the Authenticode digest that a decision gives, b"" where it gives none."""
    stated = facts.get("authenticode")
    found = re.fullmatch(AUTHENTICODE + "([0-9a-f]{64})", stated if isinstance(stated, str) else "")
    return bytes.fromhex(found.group(1)) if found else b""


def utf8(text: str) -> bytes:
    """Return the bytes by which names are sorted."""
    return text.encode("utf-8", "surrogateescape")


PRACTICE, ASSERTED = "embedded rehearsal key", "asserted by module"
JUDGED = (ASSERTED, "proved by attestation chain")


def key_facts(grade: str, said: Any = None) -> Dict[str, Any]:
    """Return the facts of sign.preflight, with what is `said` of an attestation."""
    told: Dict[str, Any] = {"device": "", "facts": [], "chain": [], "root": "", "files": []}
    if isinstance(said, dict):
        told = {name: said.get(name) for name in told}
    return {"grade": grade, "attestation": {"grade": grade, **told}}


# What acts or is not seen; by numbers, since Python's own answer changes with its Unicode version.
HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufdd0-\ufdef\ufeff"
    r"\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U0001fffe\U0001ffff\U0002fffe\U0002ffff"
    r"\U0003fffe-\U000e00ff\U000e01f0-\U0010ffff]"
)


def lowered(text: str) -> str:
    """Return a text with the letters of ASCII, and no others, in lower case."""
    return text.translate({upper: upper + 32 for upper in range(65, 91)})


def answer_fits(form: str, answer: str) -> bool:
    """Tell whether an answer is one line in the form that was asked for, or an approval."""
    if form == "approval":
        return len(answer) <= MOST_APPROVAL and answer.isascii()
    if len(answer) > MOST_ANSWER or HIDDEN.search(answer):
        return False
    if form.startswith("="):
        return answer == form[1:]
    if form == "time":
        return is_typed_time(answer)
    if form == "statement":
        disagree = "do not agree:"
        return answer == "agree" or (
            answer.startswith(disagree) and bool(answer[len(disagree) :].strip(" "))
        )
    return form == "words" or len(answer.strip(" ")) >= 3


def is_typed_time(text: str) -> bool:
    """Tell whether a text is YYYY-MM-DD HH:MM, with seconds if wanted."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2})?", text):
        return False
    return is_moment((text if len(text) == 19 else text + ":00").replace(" ", "T") + "Z")


def blob_bytes(blob: Dict[str, Any]) -> bytes:
    """Return the bytes of a small file that the transcript holds."""
    if blob["encoding"] == "utf-8":
        return bytes(blob["content"].encode("utf-8"))
    if blob["encoding"] != "base64":
        raise Bad("a file in an unknown encoding")
    return strict_base64(blob["content"])


PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
RESERVED = ("transcript.jsonl", "checkpoint.txt", "SHA256SUMS", "policy.toml")


def image_name(path: str) -> str:
    """Return the unsigned image's name in the bundle."""
    name = path.rsplit("/", 1)[-1]
    return name if PLAIN.fullmatch(name) and name not in RESERVED else "image.efi"


def signature_name(path: str) -> str:
    """Return an owner signature's name in the bundle."""
    name = path.rsplit("/", 1)[-1]
    if PLAIN.fullmatch(name) and name.startswith("policy.toml."):
        return name
    return "policy.toml.%s.sshsig" % hashlib.sha256(path.encode("utf-8")).hexdigest()[:16]


def medium_names(files: List[Tuple[str, bytes]]) -> Dict[str, str]:
    """Return the name of each small file of the medium in the bundle (docs/spec/bundle.md)."""
    keys = [tuple(lowered(part).rstrip(". ") for part in path.split("/")) for path, _ in files]
    count = Counter(keys)
    folders = {key[:end] for key in keys for end in range(1, len(key))}
    names = {}
    for (path, data), key in zip(files, keys):
        plain = len(key) <= 8 and all(PLAIN.fullmatch(part) for part in path.split("/"))
        inside_a_file = any(key[:end] in count for end in range(1, len(key)))
        if plain and count[key] == 1 and key not in folders and not inside_a_file:
            names[path] = "in/" + path
        else:
            names[path] = "in-by-digest/" + hashlib.sha256(data).hexdigest()
    return names


# ------------------------------------------------------------------------------------ the audit


class Report(NamedTuple):
    """What the audit came to, in the members that `replay --json` has too."""

    verdict: str
    outcome: str
    mode: str
    ceremony: str
    events: int
    head: str
    witnesses: List[str]
    needed: int
    faults: List[Fault]
    notes: List[str]
    anchors: List[Tuple[str, str]]


def audit(folder: str, given: Optional[str]) -> Report:
    """Judge a bundle, and the unsigned image where one is given."""
    try:
        files = read_bundle(folder)
    except Bad as bad:
        return _report(None, None, [], [Fault(DIFFERS, "TRN-BUNDLE", str(bad))])
    faults = [*take_left_over(files), *check_sums(files)]
    image = read_file(given) if given else None
    transcript = files.get("transcript.jsonl")
    unknown = unknown_rules(transcript.path) if transcript else ""
    if unknown:
        return _report(None, None, [], [*faults, Fault(INCOMPLETE, "TRN-RULESET", unknown)])
    lines = Lines(transcript.path if transcript else None)
    events = iter(lines)
    script = Script(events, Images(files, image))
    try:
        script.hold()
    except Unfinished:
        pass
    except Fault as fault:
        faults.append(fault)
    for _ in events:  # the rest is still read, so that chain and head are over all lines
        pass
    faults += script.faults
    faults += _check_end(lines)
    if script.step != CLOSE:
        text = "the transcript stops in the step %s, before its close line" % script.step
        faults.append(Fault(INCOMPLETE, "TRN-CLOSE", text))
    faults += check_checkpoint(files, lines)
    if script.sealed or script.step == CLOSE:
        faults += check_outputs(files, script)
    if image and script.image_file and script.taken and image.sha256 != script.taken["sha256"]:
        text = "IMAGE is another image: its SHA-256 is %s; this ceremony's, %s, is in the bundle"
        text %= (image.sha256, script.taken["sha256"])
        faults.append(Fault(DIFFERS, "TRN-IMAGE", text))
    witnesses, more = _countersigned(files, script)
    return _report(script, lines, witnesses, faults + more)


def unknown_rules(path: str) -> str:
    """TRN-RULESET: say which rule set the first line names, "" where it is known or no line."""
    with open_regular(path) as file:
        first = file.readline(MOST_LINE + 2)
    try:
        body = parse_line(first[:-1])["body"] if first.endswith(b"\n") else {}
        named = body["format"], body["ruleset"]
    except (Bad, KeyError, TypeError):
        return ""
    if named == (FORMAT, RULESET) or not all(isinstance(text, str) for text in named):
        return ""
    text = "line 0 is of format %s, rule set %s; known here: %s, %s"
    return text % (shown(named[0], 40), shown(named[1], 10), FORMAT, RULESET)


def _countersigned(files: Dict[str, File], script: Script) -> Tuple[List[str], List[Fault]]:
    """Before the close line nobody is missing, and what does not hold under a policy is told."""
    if script.unreadable_policy:
        return [], []
    if script.step == CLOSE:
        return check_countersignatures(files, script.policy)
    if script.named is None:
        return [], []
    _, faults = check_countersignatures(files, script.named)
    return [], [fault for fault in faults if fault.verdict == FORGED]


def _check_end(lines: Lines) -> Iterator[Fault]:
    if lines.fault:
        yield lines.fault
    elif lines.torn:
        text = "%d bytes stand behind the last whole line" % lines.torn
        yield Fault(INCOMPLETE, "TRN-LINE", text)


class Images:
    """The files that may be the unsigned image, by digest."""

    def __init__(self, files: Dict[str, File], given: Optional[File]) -> None:
        self._files = {file.sha256: file for name, file in files.items() if "/" not in name}
        self.given = given.sha256 if given else ""
        if given:
            self._files[given.sha256] = given

    def find(self, digest: str) -> Optional[File]:
        """Return the file of this digest, None where it is not here."""
        return self._files.get(digest)


def check_outputs(files: Dict[str, File], script: Script) -> Iterator[Fault]:
    """Every sealed output is there with its digest, no other file is, and the image is attached."""
    sealed = {output["name"] for output in script.files}
    for output in script.files:
        name = output["name"]
        rule = "TRN-IMAGE" if name.endswith(".efi") else "TRN-BUNDLE"
        if name not in files:
            text = "%s was written, and is missing here" % shown(name)
            yield Fault(INCOMPLETE, "TRN-BUNDLE", text)
        elif files[name].sha256 != output["sha256"]:
            yield Fault(DIFFERS, rule, "%s is not the file that was sealed" % shown(name))
    for name in files:
        if name not in sealed and name not in RESERVED and not is_countersignature(name):
            text = "%s is no part of this ceremony" % shown(name)
            yield Fault(DIFFERS, "TRN-BUNDLE", text)
    if script.signed and script.image and script.taken and script.policy:
        yield from _check_signed(files, script, script.image, script.policy)


def _check_signed(
    files: Dict[str, File], script: Script, image: Image, policy: Policy
) -> Iterator[Fault]:
    assert script.taken is not None
    name = image_name(script.taken["path"])
    stem = name.removesuffix(".efi")
    attached, detached = files.get(stem + ".signed.efi"), files.get(stem + ".p7")
    try:
        if detached:
            cms = small_file(detached, MOST_PKCS7)
            check_pkcs7(cms, script.authenticode, [policy.certificate, *policy.chain])
            if attached:
                check_attached(image, cms, attached)
    except (Bad, ValueError) as bad:
        yield Fault(DIFFERS, "TRN-IMAGE", "%s.signed.efi: %s" % (stem, bad))


def check_countersignatures(
    files: Dict[str, File], policy: Optional[Policy]
) -> Tuple[List[str], List[Fault]]:
    """Return the persons who count as witnesses, and what is wrong or missing."""
    names = [name for name in sorted(files) if is_countersignature(name)]
    rule = "TRN-COUNTERSIGNATURE"
    if policy is None:
        text = "there is no policy that names anybody who could have signed this"
        return [], [Fault(FORGED, rule, text)] if names else []
    faults: List[Fault] = []
    witnesses: List[str] = []
    for name in names:
        person = name[len("checkpoint.") : -len(".sshsig")]
        try:
            _check_countersignature(files, policy, name, person)
        except Bad as bad:
            faults.append(Fault(FORGED, rule, "%s: %s" % (shown(name, 60), bad)))
            continue
        if person != policy.administrator:
            witnesses.append(person)
    if len(witnesses) < policy.countersignatures:
        text = "%d of %d witnesses signed the checkpoint" % (
            len(witnesses),
            policy.countersignatures,
        )
        faults.append(Fault(INCOMPLETE, rule, text))
    return witnesses, faults


def _check_countersignature(files: Dict[str, File], policy: Policy, name: str, person: str) -> None:
    keys = policy.keys.get(person)
    if not keys:
        raise Bad("the policy gives %s no key" % shown(person))
    checkpoint = files.get("checkpoint.txt")
    message = small_file(checkpoint, 512) if checkpoint else b""
    signature = small_file(files[name], MOST_SIGNATURE)
    identity = ssh_signer(signature, message, "transcript@uki-ceremony").identity
    if identity in policy.revoked:
        raise Bad("the key is revoked")
    if identity not in keys:
        raise Bad("the key is not one of %s's" % shown(person))


def _report(
    script: Optional[Script], lines: Optional[Lines], witnesses: List[str], faults: List[Fault]
) -> Report:
    found = {fault.verdict for fault in faults}
    anchors = []
    if script and script.policy:
        anchors.append(("policy", script.policy.sha256))
    if script and script.signed:
        anchors.append(("signed", script.signed.sha256))
    return Report(
        verdict=next((verdict for verdict in VERDICTS if verdict in found), REPRODUCED),
        outcome=script.outcome if script else "open",
        mode=lines.mode if lines else "",
        ceremony=lines.ceremony if lines else "",
        events=lines.tree.size if lines else 0,
        head=head_words(lines.tree.root()) if lines and lines.tree.size else "-",
        witnesses=witnesses,
        needed=script.policy.countersignatures if script and script.policy else 0,
        faults=faults,
        notes=script.notes if script else [],
        anchors=anchors,
    )


def as_json(report: Report) -> str:
    """Return the report as `replay --json` writes it (docs/spec/replay.schema.json)."""
    findings = [
        {"rule": fault.rule, "severity": "refuse", "text": shown(fault.text, 400)}
        for fault in report.faults[:MOST_FINDINGS]
    ]
    findings += [{"rule": "TRN-DECISION", "severity": "info", "text": n} for n in report.notes]
    rules = list(dict.fromkeys(fault.rule for fault in report.faults))
    return json.dumps(
        {
            "verdict": report.verdict,
            "events": report.events,
            "rules": rules,
            "ceremony": report.ceremony,
            "mode": report.mode,
            "outcome": report.outcome,
            "witnesses": report.witnesses,
            "findings": findings,
        },
        indent=2,
    )


def as_text(report: Report) -> str:
    """Return the report for people."""
    lines = [
        "refuse %s: %s" % (fault.rule, shown(fault.text, 400))
        for fault in report.faults[:MOST_FINDINGS]
    ]
    lines += ["info   %s" % note for note in report.notes]
    lines += [
        "ceremony  %s, %s" % (report.ceremony or "-", report.mode or "-"),
        "outcome   %s" % report.outcome,
        "events    %d" % report.events,
        "head      %s" % report.head,
    ]
    lines += ["%-9s %s" % anchor for anchor in report.anchors]
    people = ", ".join(shown(person) for person in report.witnesses) or "-"
    lines += [
        "witnesses %d of %d: %s" % (len(report.witnesses), report.needed, people),
        "Not recomputed here: policy rules, machine, medium, image contents, quorum, token.",
        "For these use uki-ceremony replay. Compare policy and signed with what you know.",
        report.verdict,
    ]
    return "\n".join(lines)


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command: 0 REPRODUCED, 1 DIFFERS or FORGED, 2 usage, 3 no result, 4 INCOMPLETE."""
    parser = argparse.ArgumentParser(
        prog="auditor.py",
        description="Check the bundle of a uki-ceremony with Python's standard library alone.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the folder that came out")
    parser.add_argument("image", metavar="IMAGE", nargs="?", help="the unsigned image")
    parser.add_argument("--json", action="store_true", help="one JSON object, as replay --json")
    if sys.version_info < (3, 9):
        parser.error("Python 3.9 or newer is needed")
    options = parser.parse_args(arguments)
    try:
        report = audit(options.bundle, options.image)
    except (OSError, Bad, MemoryError, RecursionError) as error:
        print("auditor.py: no result: %s" % shown(str(error) or "memory", 200), file=sys.stderr)
        return 3
    print(as_json(report) if options.json else as_text(report))
    return EXIT[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
