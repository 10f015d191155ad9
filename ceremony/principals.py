"""Who counts as one: builders that share a person, a host or a store are one principal.

Decides the partition of the enrolled builders by union-find, from the signed policy only.
A builder without any person is its organisation's machine: two such runners of one
organisation are one principal. Refuses to know who voted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceremony.policy_model import Policy
from ceremony.policy_people import Builder


@dataclass(frozen=True, slots=True)
class Principal:
    """One vote: its name (the first builder's id), its builders, and what joins them."""

    name: str
    builders: tuple[str, ...]
    because: str


def principals(builders: tuple[Builder, ...]) -> tuple[Principal, ...]:
    """Partition the builders into principals, sorted by name."""
    parent = {builder.id: builder.id for builder in builders}
    reasons: dict[str, set[str]] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for builder in builders:
        for tie in _ties(builder):
            other = first.setdefault(tie, builder.id)
            if other != builder.id:
                parent[max(root(other), root(builder.id))] = min(root(other), root(builder.id))
                reasons.setdefault(builder.id, set()).add(tie)
    members: dict[str, list[str]] = {}
    for name in sorted(parent):
        members.setdefault(root(name), []).append(name)
    return tuple(
        Principal(group[0], tuple(group), _because(group, reasons))
        for _, group in sorted(members.items())
    )


def principal_names(policy: Policy) -> Mapping[str, str]:
    """Return the principal's name by builder id."""
    return {
        builder: principal.name
        for principal in principals(policy.builders)
        for builder in principal.builders
    }


def _ties(builder: Builder) -> tuple[str, ...]:
    # A shares_with entry names another builder, or anything both write: a store, a cache.
    return (
        *(f"person {person}" for person in builder.persons),
        *((f"host {builder.host}",) if builder.host else ()),
        f"store {builder.id}",
        *(f"store {store}" for store in builder.shares_with),
        *(() if builder.persons else (f"machines of {builder.organisation}",)),
    )


def _because(group: list[str], reasons: dict[str, set[str]]) -> str:
    return ", ".join(sorted({tie for name in group for tie in reasons.get(name, ())}))
