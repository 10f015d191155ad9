"""Which version an image has, and which of two versions is the greater.

Decides what a text means in the policy's scheme, whether every source that the policy
reads says the same, and whether a word that must not be in a release is in it. Refuses to
know what was signed before: ledger.py does. A text that is not canonical is no version, so
no two texts have one meaning but for semver's build metadata, which orders nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from ceremony.artifact_names import MOST_VERSION, version_in
from ceremony.characters import lowered
from ceremony.errors import Refused, refuse
from ceremony.policy_model import Policy
from ceremony.release_rules import VersionRule, VersionScheme, VersionSource
from ceremony.show import escaped
from ceremony.types import Finding, Severity

RULE = "QRM-VERSION"
PIN = "version"

# semver.org 2.0.0, its own expression; [0-9], since \d takes digits of every script.
_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORD = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_WORD}(?:\.{_WORD})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_DIGITS = re.compile(r"[0-9]+")
_LETTER = re.compile(r"[A-Za-z]")
_COMMIT = re.compile(r"[0-9a-f]{6,40}")
_DATED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([0-9a-f]{6,40})")

Place: TypeAlias = tuple[int, int, str]
Order: TypeAlias = tuple[int, int, int, int, tuple[Place, ...]]


@dataclass(frozen=True, slots=True)
class Version:
    """A version as written, its place in the order, and the commit it names ("" none)."""

    text: str
    order: Order
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One place that says a version: the source, whose it is, the text."""

    source: VersionSource
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Read:
    """The version that all sources agree on, None where they do not, and what was found."""

    version: Version | None
    findings: tuple[Finding, ...]


def parse(text: str, scheme: VersionScheme) -> Version:
    """Read a version; Refused (QRM-VERSION) where it is not canonical in the scheme."""
    if len(text) > MOST_VERSION:
        raise refuse(RULE, f"a version of more than {MOST_VERSION} characters")
    match scheme:
        case VersionScheme.SEMVER:
            return Version(text, _semver(text, text))
        case VersionScheme.SEMVER_COMMIT:
            number, _, commit = text.rpartition("-")
            if not _COMMIT.fullmatch(commit):
                raise refuse(RULE, f"{escaped(text)} is no semver, a dash and a commit's hex")
            return Version(text, _semver(number, text), commit)
        case VersionScheme.DATE_COMMIT:
            return _dated(text)


def _semver(text: str, whole: str) -> Order:
    found = _SEMVER.fullmatch(text)
    if found is None:
        raise refuse(RULE, f"{escaped(whole)} is no canonical semver 2.0 version, as 1.10.0")
    numbers = (int(found[1]), int(found[2]), int(found[3]))
    if found[4] is None:
        return (*numbers, 1, ())
    # semver 11.4: identifiers of digits go by number and before others, those in ASCII order;
    # of two lists where one begins the other the longer is greater, as of tuples.
    return (*numbers, 0, tuple(_place(word) for word in found[4].split(".")))


def _place(word: str) -> Place:
    return (0, int(word), "") if _DIGITS.fullmatch(word) else (1, 0, word)


def _dated(text: str) -> Version:
    found = _DATED.fullmatch(text)
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        day = None
    if found is None or day is None:
        raise refuse(RULE, f"{escaped(text)} is no date, a dot and a commit's hex")
    return Version(text, (day.year, day.month, day.day, 1, ()), found[2])


def denied(text: str, words: Sequence[str]) -> str:
    """Return the first word that stands in a text, "" for none; case does not matter.

    Where a word begins or ends with a letter, no letter stands before or behind it: "rc" is
    in "1.0-rc1" and not in "arch".
    """
    for word in words:
        before = "(?<![a-z])" if _LETTER.match(word[:1]) else ""
        behind = "(?![a-z])" if _LETTER.match(word[-1:]) else ""
        if re.search(f"{before}{re.escape(lowered(word))}{behind}", lowered(text)):
            return word
    return ""


def read(
    policy: Policy,
    image_name: str,
    said: Sequence[Said],
    inputs: Sequence[tuple[str, str]],
    beside: Sequence[Said] = (),
) -> Read:
    """Read the version of an image called `image_name` that verified votes say this of.

    `inputs` are the pins that the votes share. What is said `beside`, by votes that agree and
    cannot count, gives no version and must not say another: those votes are heard as soon as
    their builder attests once more. A policy without [version] reads nothing.
    """
    rule = policy.version
    if rule is None:
        return Read(None, ())
    inside = version_in(policy.artifact.names, image_name)
    named = (Said(VersionSource.FILE_NAME, "the file name", inside),) if inside else ()
    heard = [one for source in rule.source for one in (*named, *said) if one.source is source]
    nothing = tuple(_none(rule, heard))
    heard += [one for one in beside if one.source in rule.source]
    findings = [
        *_denied_findings(rule, image_name, heard),
        *(Finding(RULE, Severity.REFUSE, text) for text in nothing),
    ]
    versions: list[tuple[Said, Version]] = []
    for one in heard:
        try:
            versions.append((one, parse(one.text, rule.scheme)))
        except Refused as error:
            text = f"{escaped(one.who)}: {error.findings[0].text}"
            findings.append(Finding(RULE, Severity.REFUSE, text))
    findings += [Finding("QRM-VERSION-AGREES", Severity.REFUSE, t) for t in _torn(versions)]
    first = versions[0][1] if versions else None
    if first is not None:
        findings += _commit_findings(first, dict(inputs).get("git_commit", ""))
    stops = any(finding.severity is Severity.REFUSE for finding in findings)
    return Read(None if stops else first, tuple(dict.fromkeys(findings)))


def _none(rule: VersionRule, heard: Sequence[Said]) -> Iterator[str]:
    if not heard:
        yield f"no version is said: {' or '.join(rule.source)} is read"


def _denied_findings(
    rule: VersionRule, image_name: str, heard: Sequence[Said]
) -> Iterator[Finding]:
    """QRM-VERSION-DENIED: none of the policy's words is in a version or in the file's name."""
    places = [("the file name", image_name.rpartition("/")[2])]
    places += [(one.who, one.text) for one in heard]
    for who, text in dict.fromkeys(places):
        if word := denied(text, rule.deny):
            told = f'{escaped(who)}: "{escaped(word)}" is in {escaped(text)}'
            yield Finding("QRM-VERSION-DENIED", Severity.REFUSE, told)


def _torn(versions: Sequence[tuple[Said, Version]]) -> Iterator[str]:
    """Tell which source says another version than the first."""
    for one, version in versions[1:]:
        first, wanted = versions[0]
        if version.text != wanted.text:
            yield (
                f"{escaped(first.who)} says {escaped(wanted.text)},"
                f" {escaped(one.who)} says {escaped(version.text)}"
            )


def _commit_findings(version: Version, pinned: str) -> Iterator[Finding]:
    """QRM-VERSION-COMMIT: the commit in a version is the one that was built."""
    if not version.commit or pinned.startswith(version.commit):
        return
    if not pinned:
        text = f"no vote pins the git commit that {escaped(version.text)} names"
        yield Finding("QRM-VERSION-COMMIT", Severity.WARN, text)
        return
    text = f"{escaped(version.text)} names another commit than was built, {pinned[:12]}"
    yield Finding("QRM-VERSION-COMMIT", Severity.REFUSE, text)
