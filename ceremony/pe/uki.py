"""What a Unified Kernel Image holds and would do: its sections gated, read and put in words.

Decides whether every section that must be there is there once, and whether each text says
one thing to every reader. It refuses to know signatures and policy beyond the names of
required sections.
Sources: UAPI Group "Unified Kernel Image"; os-release(5); shim's SBAT.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from ceremony.content import Content, Excerpt
from ceremony.pe.digest import authenticode
from ceremony.pe.followed import READ_BY_PEOPLE
from ceremony.pe.headers import HEAD_BYTES, refusal
from ceremony.pe.kernel import initrd_kind, kernel_release, stub_name
from ceremony.pe.layout import read_layout
from ceremony.pe.sections import SectionHeader
from ceremony.show import counted, escaped
from ceremony.types import Finding, Meaning, Severity

NOTHING = Meaning(os_release=(), kernel="", command_line="", initrd="", sbat=(), stub="")
PROFILE = ".profile"
SINGLE = (
    *(".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname"),
    *(".sbat", ".pcrsig", ".pcrpkey"),
)
PLAIN = bytes(range(0x20, 0x7F))
MOST_TEXT = 65536
MOST_COMMAND_LINE = 4096
MOST_SHOWN = 8192
SBAT_FIELDS = 6
ZEROS_CHUNK = 65536
MOST_STUB, MOST_MAGIC = 4096, 8
COVERED_BY_TOOLS = (".sdmagic", ".sbat")  # ukify and an older stub do so; no stub obeys them
OS_RELEASE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
RELEASE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
SBAT_GENERATION = re.compile(r"[1-9][0-9]{0,8}")


def section_findings(
    sections: tuple[SectionHeader, ...], required: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Judge which sections are there; `required` ones exactly once, before any profile."""
    names = [s.name for s in sections]
    base = names[: names.index(PROFILE)] if PROFILE in names else names
    found = [
        Finding("UKI-SECTION-MISSING", Severity.REFUSE, f"there is no section {escaped(name)}")
        for name in required
        if name not in base
    ]
    for index, name in enumerate(base):
        if name in base[:index] and (name in SINGLE or name in required):
            found.append(
                refusal("UKI-SECTION-TWICE", f"section {name} stands twice", sections[index].at)
            )
    if len(base) < len(names):
        count = names.count(PROFILE)
        text = f"{count} profiles: what follows tells of the sections before the first only"
        found.append(Finding("UKI-PROFILES", Severity.WARN, text, sections[len(base)].at))
    return (*found, *_covered_findings(sections))


def _covered_findings(sections: tuple[SectionHeader, ...]) -> tuple[Finding, ...]:
    """Judge what a stub would find in memory in place of the content that people read.

    Rows are mapped in the table's order: what a later one covers is not there any more.
    """
    found: list[Finding] = []
    for index, s in enumerate(sections):
        over = (
            later
            for later in sections[index + 1 :]
            if later.virtual_address < s.virtual_address + s.content_size
            and s.virtual_address < later.virtual_address + later.mapped
        )
        told = s.name in READ_BY_PEOPLE and s.name not in COVERED_BY_TOOLS
        if told and (later := next(over, None)):
            text = f"section {later.name} is mapped over the content of {s.name}"
            found.append(refusal("PE-ADDRESS-OVERLAP", text, later.at + 12))
    return tuple(found)


def read_meaning(
    image: Content, sections: tuple[SectionHeader, ...], contents: Mapping[int, str]
) -> tuple[Meaning, tuple[Finding, ...]]:
    """Read what the sections mean; `contents` has each content's SHA-256 by row offset."""
    found: list[Finding] = []
    first: dict[str, SectionHeader] = {}
    for section in sections:
        if section.name == PROFILE:
            break
        first.setdefault(section.name, section)
    for name in SINGLE:
        if name in first:
            found += _content_findings(image, first[name])
    texts = {
        name: _text(image, first.get(name), found)
        for name in (".osrel", ".uname", ".cmdline", ".sbat")
    }
    pairs: tuple[tuple[str, str], ...] = ()
    rows: tuple[str, ...] = ()
    release = ""
    if ".osrel" in first:
        pairs = _os_release(texts[".osrel"], first[".osrel"].offset, found)
    if ".sbat" in first:
        rows = _sbat(texts[".sbat"], first[".sbat"].offset, found)
    if ".cmdline" in first:
        found += _command_line_findings(texts[".cmdline"], first[".cmdline"].offset)
    if ".uname" in first:
        release = _uname(texts[".uname"], first[".uname"].offset, found)
    meaning = Meaning(
        os_release=pairs,
        kernel=_kernel(image, first.get(".linux"), release, found),
        command_line=escaped(texts[".cmdline"].rstrip(b"\0\n").decode("latin-1"), MOST_SHOWN),
        initrd=_initrd(image, first.get(".initrd"), contents, found),
        sbat=rows,
        stub=escaped(stub_name(_start(image, first.get(".sdmagic"), MOST_STUB))),
    )
    return meaning, tuple(found)


def _start(image: Content, section: SectionHeader | None, most: int) -> bytes:
    """Return the first bytes of a section's content, at most so many."""
    if section is None:
        return b""
    size = min(section.content_size, most)
    return bytes(image.part(section.offset, section.offset + size))


def _content_findings(image: Content, section: SectionHeader) -> tuple[Finding, ...]:
    if section.mapped > section.size:
        text = f"section {section.name} has {section.size} bytes of the {section.mapped} it maps"
        return (Finding("UKI-CONTENT", Severity.WARN, text, section.at + 8),)
    for at in range(section.offset + section.content_size, section.end, ZEROS_CHUNK):
        if bytes(image.part(at, min(at + ZEROS_CHUNK, section.end))).strip(b"\0"):
            text = f"bytes that are not zero follow the content of section {section.name}"
            return (Finding("UKI-CONTENT", Severity.WARN, text, at),)
    return ()


def _text(image: Content, section: SectionHeader | None, found: list[Finding]) -> bytes:
    """Return a text section's content, empty and with a finding where it is too long."""
    if section is None:
        return b""
    most = MOST_COMMAND_LINE if section.name == ".cmdline" else MOST_TEXT
    if section.content_size > most:
        text = f"section {section.name} has {section.content_size} bytes, more than {most}"
        found.append(refusal("UKI-LENGTH", text, section.offset))
        return b""
    return _start(image, section, most)


def _os_release(content: bytes, at: int, found: list[Finding]) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    try:
        lines = content.rstrip(b"\0").decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = []
    faults = [] if lines else ["it is not UTF-8"]
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pair = _assignment(line)
        if pair is None:
            faults.append(f"line '{escaped(line, 40)}' is not KEY=value")
        elif pair[0] in pairs:
            faults.append(f"key {pair[0]} stands twice")
        else:
            pairs[pair[0]] = pair[1]
    if lines and not pairs:
        faults.append("it says nothing")
    if faults:
        found.append(refusal("UKI-OSREL", f".osrel: {faults[0]}", at))
    return tuple((key, escaped(value)) for key, value in pairs.items())


def _assignment(line: str) -> tuple[str, str] | None:
    """Read KEY=value as a shell would, the value one word (os-release(5))."""
    key, equals, value = line.partition("=")
    try:
        words = shlex.split(value)
    except ValueError:
        return None
    if not equals or not OS_RELEASE_KEY.fullmatch(key) or len(words) > 1:
        return None
    return key, words[0] if words else ""


def _sbat(content: bytes, at: int, found: list[Finding]) -> tuple[str, ...]:
    rows = content.rstrip(b"\0").decode("latin-1").removesuffix("\n").split("\n")
    fault = ""
    for number, row in enumerate(rows, 1):
        fields = row.split(",")
        if not row.isascii() or not row.isprintable():
            fault = f"row {number} is not printable ASCII"
        elif len(fields) != SBAT_FIELDS or not all(fields[:2]):
            fault = f"row {number} has not {SBAT_FIELDS} fields"
        elif not SBAT_GENERATION.fullmatch(fields[1]):
            fault = f"row {number} has no generation number"
        elif number == 1 and fields[:2] != ["sbat", "1"]:
            fault = "the first row is not 'sbat,1'"
        if fault:
            found.append(refusal("UKI-SBAT", f".sbat: {fault}", at))
            break
    return tuple(escaped(row) for row in rows[:64])


def _command_line_findings(content: bytes, at: int) -> tuple[Finding, ...]:
    found: list[Finding] = []
    line = content.rstrip(b"\0")
    trailing = len(content) - len(line)
    if b"\0" in line:
        text = ".cmdline goes on behind a zero byte, where a stub may stop reading"
        found.append(refusal("UKI-CMDLINE-NUL", text, at + line.index(b"\0")))
    elif trailing:
        text = f".cmdline ends with {trailing} zero bytes"
        found.append(Finding("UKI-CMDLINE-NUL", Severity.INFO, text, at + len(line)))
    body = line.removesuffix(b"\n")
    if b"\n" in body or b"\r" in body:
        text = ".cmdline has more than one line"
        found.append(refusal("UKI-CMDLINE-NEWLINE", text, at))
    elif len(body) < len(line):
        text = ".cmdline ends with a newline"
        found.append(Finding("UKI-CMDLINE-NEWLINE", Severity.INFO, text, at + len(body)))
    odd = next((i for i, b in enumerate(body) if b not in PLAIN and b not in b"\0\r\n"), -1)
    if odd >= 0:
        text = f".cmdline has byte {body[odd]:#04x}, which is no printable ASCII"
        found.append(refusal("UKI-CMDLINE-ASCII", text, at + odd))
    return tuple(found)


def _uname(content: bytes, at: int, found: list[Finding]) -> str:
    release = content.rstrip(b"\0").removesuffix(b"\n")
    if not RELEASE.fullmatch(release):
        found.append(refusal("UKI-UNAME", ".uname is no kernel release in plain characters", at))
    return escaped(release.decode("latin-1"))


def _kernel(
    image: Content, section: SectionHeader | None, release: str, found: list[Finding]
) -> str:
    if section is None:
        return release
    linux = Excerpt(image, section.offset, section.offset + section.content_size)
    inner = read_layout(linux.part(0, HEAD_BYTES), len(linux))
    if inner.layout is None:
        why = ", ".join(sorted({f.rule for f in inner.findings if f.severity is Severity.REFUSE}))
        text = f".linux is no strict PE image itself: {why}"
        found.append(Finding("UKI-LINUX", Severity.WARN, text, section.offset))
    else:
        text = f".linux has Authenticode SHA-256 {authenticode(linux, inner.layout).hex}"
        found.append(Finding("UKI-LINUX", Severity.INFO, text, section.offset))
    told = escaped(kernel_release(linux))
    if told and release and told != release:
        text = f".uname says {release}, the kernel itself says {told}"
        found.append(refusal("UKI-KERNEL", text, section.offset))
    return release or told


def _initrd(
    image: Content,
    section: SectionHeader | None,
    contents: Mapping[int, str],
    found: list[Finding],
) -> str:
    if section is None:
        return ""
    kind = initrd_kind(_start(image, section, MOST_MAGIC))
    if not kind:
        text = ".initrd starts with no archive or compression that is known"
        found.append(Finding("UKI-INITRD", Severity.WARN, text, section.offset))
    size = counted(section.content_size)
    return f"{size}, {kind or 'unknown form'}, sha256 {contents[section.at]}"
