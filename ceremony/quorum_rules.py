"""The shapes of what must agree: the quorum of the image, groups, parts with quorums of their own.

Decides only shapes; policy_parts.py and policy_components.py read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.groups import QuorumTree


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """How many principals must agree, which groups they come from, how diverse they are.

    `tree` is the parsed `rule`, None where the policy gives none.
    """

    threshold: int
    rule: str
    tree: QuorumTree | None
    weak_votes_max: int
    distinct: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of builder ids."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """A part with a quorum of its own: exact names, and the section that it is, "" for none."""

    id: str
    names: tuple[str, ...]
    section: str
    quorum: QuorumRule
