"""Parts of the image with a quorum of their own, for builders that cannot make all of it.

Decides of every [[component]] which digest its votes are compared with, whether they are a
quorum, and who says otherwise from the same inputs. A part that is a section must be that
section's content; of any other the builders' own answers are compared. Nothing here ever
counts for the image. Refuses to know files: hearing.py reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ceremony.admission import Vote
from ceremony.attest.record import Pairs
from ceremony.counting import Count, count
from ceremony.inputs import contradicts, lock_fits, shown
from ceremony.matrix import rows
from ceremony.policy_model import Policy
from ceremony.quorum_rules import Component
from ceremony.show import escaped
from ceremony.types import Finding, ImageFacts, Section, Severity
from ceremony.verdicts import Part

RULE = "QRM-COMPONENT"
DISSENT = "QRM-COMPONENT-DISSENT"
_VETOES = ("QRM-DISSENT", "QRM-TWO-ANSWERS")


@dataclass(frozen=True, slots=True)
class Build:
    """What a part's votes must fit: the image, the inputs of its votes, the media's locks."""

    image: ImageFacts
    inputs: Pairs
    locks: frozenset[str] | None


def counted(
    policy: Policy,
    build: Build,
    votes: Sequence[tuple[Vote, ...]],
    principal: Mapping[str, str],
) -> tuple[tuple[Part, ...], tuple[Finding, ...]]:
    """Count every component; `votes` are those of each, in the policy's order."""
    parts: list[Part] = []
    findings: list[Finding] = []
    for component, heard in zip(policy.components, votes, strict=True):
        part, found = _counted(policy, component, build, heard, principal)
        parts.append(part)
        findings += found
    return tuple(parts), tuple(findings)


def _counted(
    policy: Policy,
    component: Component,
    build: Build,
    votes: tuple[Vote, ...],
    principal: Mapping[str, str],
) -> tuple[Part, list[Finding]]:
    """QRM-COMPONENT, QRM-COMPONENT-DISSENT: one component's votes."""
    fitting = tuple(vote for vote in votes if _fits(vote, build))
    findings = [
        Finding(RULE, Severity.WARN, f"{_who(component, vote)} {shown(vote.inputs)}")
        for vote in sorted(set(votes).difference(fitting), key=lambda v: (v.builder, v.file))
    ]
    sha256 = _section(component, build.image) if component.section else _most(fitting, principal)
    scoped = replace(policy, quorum=component.quorum)
    if component.section and not sha256:
        fitting = ()
        text = f"the image has no one section {escaped(component.section)}, alone in memory"
        findings.append(Finding(RULE, Severity.REFUSE, f"{escaped(component.id)}: {text}"))
    found = count(scoped, fitting, sha256, None, principal)
    findings += _told(component, found)
    matrix = rows(scoped, found.stands, (), sha256, principal)
    return Part(component.id, sha256, found.votes, found.weak, matrix), findings


def _fits(vote: Vote, build: Build) -> bool:
    return lock_fits(vote, build.locks) and not contradicts(vote.inputs, build.inputs)


def _who(component: Component, vote: Vote) -> str:
    return f"{escaped(component.id)}: {escaped(vote.builder)} built it from other inputs,"


def _section(component: Component, image: ImageFacts) -> str:
    """Return the digest of the one section, "" where another is mapped over it.

    Firmware copies sections one after the other: what was copied last is what runs.
    """
    found = [part for part in image.sections if part.name == component.section]
    if len(found) != 1 or any(_meet(found[0], o) for o in image.sections if o is not found[0]):
        return ""
    return found[0].content.hex


def _meet(one: Section, other: Section) -> bool:
    first, second = sorted((one, other), key=lambda section: section.virtual_address)
    return second.virtual_address < first.virtual_address + (first.virtual_size or first.size)


def _most(votes: tuple[Vote, ...], principal: Mapping[str, str]) -> str:
    """Return the digest with most principals, full votes first; every other one is dissent."""
    full: dict[str, set[str]] = {}
    every: dict[str, set[str]] = {}
    for vote in votes:
        name = principal[vote.builder]
        every.setdefault(vote.sha256, set()).add(name)
        if vote.full:
            full.setdefault(vote.sha256, set()).add(name)
    ranked = sorted(every, key=lambda d: (-len(full.get(d, ())), -len(every[d]), d))
    return ranked[0] if ranked else ""


def _told(component: Component, found: Count) -> list[Finding]:
    """Return a part's findings under the rules of parts: they are not about the image."""
    return [
        replace(
            finding,
            rule=DISSENT if finding.rule in _VETOES else RULE,
            text=f"{escaped(component.id)}: {finding.text}",
        )
        for finding in found.findings
        if finding.rule != "QRM-SUBJECT"
    ]
