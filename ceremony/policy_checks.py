"""What the tables of a policy must hold together: thresholds, members, people, keys.

Decides on a policy whose tables were read without fault. Refuses to know signatures and
the clock. A policy that no set of attestations can ever satisfy is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from ceremony import approval, groups, policy_able, policy_components, policy_release
from ceremony.policy_model import Approving, Policy
from ceremony.policy_people import Builder, Revoked
from ceremony.policy_tables import Faults
from ceremony.principals import principal_names
from ceremony.quorum_rules import QuorumRule
from ceremony.show import escaped
from ceremony.tally import distinct_values

# Which weak votes to count is searched exhaustively; a policy must keep that search small.
MOST_WEAK_CHOICES = 20_000


def check(policy: Policy, faults: Faults) -> None:
    """Note every fault between tables."""
    if policy.valid_from >= policy.expires:
        faults.add("POL-PERIOD", "", "expires", "the policy expires before it is valid")
    policy_release.check_names(policy, faults)
    policy_components.check_names(policy, faults)
    _check_ids(policy, faults)
    _check_keys(policy, faults)
    _check_members(policy, faults)
    _check_thresholds(policy, faults)
    for table, quorum in policy_components.quorums(policy):
        _check_quorum(policy, table, quorum, faults)
    _check_roles(policy, faults)


def _check_ids(policy: Policy, faults: Faults) -> None:
    """POL-TWICE: an id names one person, one builder, one part, one revocation."""
    for table, ids in (
        ("person", [person.id for person in policy.persons]),
        ("builder", [builder.id for builder in policy.builders]),
        ("component", [part.id for part in policy.components]),
        ("revoked", [_revoked(entry) for entry in policy.revoked]),
    ):
        for number, name in enumerate(ids, 1):
            if name in ids[: number - 1]:
                faults.add("POL-TWICE", f"{table} {number}", "", f"{escaped(name)} stands twice")


def _revoked(entry: Revoked) -> str:
    """Return what a revocation voids: one key once, each part of an authority's work once."""
    parts = (*map(str, entry.serials), *entry.key_ids)
    return " ".join((entry.fpr, *parts))


def _check_keys(policy: Policy, faults: Faults) -> None:
    """POL-KEY-TWICE: within owners, persons and builders a key stands once, however wrapped."""
    owned = (("", "owners", "keys", key.key.fpr) for key in policy.owners.keys)
    personal = (
        (person.id, f"person {number}", "keys", key.key.fpr)
        for number, person in enumerate(policy.persons, 1)
        for key in person.keys
    )
    built = (
        (builder.id, f"builder.key {key.entry}", "", key.key.fpr)
        for builder in policy.builders
        for key in builder.keys
    )
    for entries in (owned, personal, built):
        _check_distinct(entries, faults)
    for number, builder in enumerate(policy.builders, 1):
        if not builder.keys:
            faults.add("POL-MISSING", f"builder {number}", "", "the builder has no key")


def _check_distinct(entries: Iterable[tuple[str, str, str, str]], faults: Faults) -> None:
    seen: dict[str, str] = {}
    for holder, table, key, fpr in entries:
        if fpr in seen:
            names = " and ".join(escaped(name) for name in dict.fromkeys((seen[fpr], holder)))
            of = f" (of {names})" if names else ""
            faults.add("POL-KEY-TWICE", table, key, f"the key {fpr} stands twice{of}")
        seen.setdefault(fpr, holder)


def _check_members(policy: Policy, faults: Faults) -> None:
    """POL-MEMBERS: groups name enrolled builders, the rule names groups."""
    known = {builder.id for builder in policy.builders}
    for group in policy.groups:
        for member in group.members:
            if member not in known:
                faults.add("POL-MEMBERS", "groups", group.name, f"{escaped(member)} is no builder")
    named = {group.name for group in policy.groups}
    for table, quorum in policy_components.quorums(policy):
        for need in groups.needs(quorum.tree) if quorum.tree else ():
            if need.group not in named:
                faults.add("POL-MEMBERS", table, "rule", f"{escaped(need.group)} is no group")


def _check_thresholds(policy: Policy, faults: Faults) -> None:
    """POL-THRESHOLD: enough owners, key holders, countersigners and operators exist."""
    signers = [
        person
        for person in policy.persons
        if person.keys and person.id != policy.roles.administrator
    ]
    signed = policy.approvals.by is Approving.SIGNATURE
    holders = "key holders with a key in [[person]]" if signed else "key holders"
    for table, key, wanted, there, what in (
        ("owners", "threshold", policy.owners.threshold, len(policy.owners.keys), "owner keys"),
        (
            *("approvals", "threshold", policy.approvals.threshold),
            *(len(approval.approvers(policy)), f"{holders} besides the administrator"),
        ),
        (
            *("countersignatures", "threshold", policy.countersignatures.threshold),
            *(len(signers), "persons with a key besides the administrator"),
        ),
        (
            *("signer", "pin", policy.signer.first_part.of),
            *(len(set(policy.roles.key_holders)), "key holders to type a part of the PIN each"),
        ),
        (
            *("dissent", "override", policy.dissent.override.operators),
            *(len(policy.persons), "persons"),
        ),
    ):
        if wanted > there:
            faults.add("POL-THRESHOLD", table, key, f"{wanted} wanted, there are {there} {what}")


def _check_quorum(policy: Policy, table: str, quorum: QuorumRule, faults: Faults) -> None:
    """POL-THRESHOLD: if all agreed who can vote, threshold, rule and minima would hold."""
    before = len(faults.findings)
    names = principal_names(policy)
    votes = sorted(set(names.values()))
    if quorum.threshold > len(votes):
        why = f"{quorum.threshold} votes wanted, the builders are {len(votes)} principals"
        faults.add("POL-THRESHOLD", table, "threshold", why)
    present = {
        group.name: len({names[member] for member in group.members if member in names})
        for group in policy.groups
    }
    tree = quorum.tree
    if tree is not None and not groups.holds(tree, lambda group: present.get(group, 0)):
        why = "if every builder agreed the rule would still not hold"
        faults.add("POL-THRESHOLD", table, "rule", why)
    for attribute, least in quorum.distinct:
        there = distinct_values(
            ((names[builder.id], _attribute(builder, attribute)) for builder in policy.builders),
            least,
        )
        if there < least:
            why = f"{least} different {attribute} values wanted, {there} can be had"
            faults.add("POL-THRESHOLD", table, "distinct", why)
    if math.comb(len(votes), quorum.weak_votes_max) > MOST_WEAK_CHOICES:
        why = f"more than {MOST_WEAK_CHOICES} ways to choose the weak votes"
        faults.add("POL-VALUE", table, "weak_votes_max", why)
    elif len(faults.findings) == before and (short := policy_able.shortfall(policy, quorum, names)):
        faults.add("POL-THRESHOLD", table, *short)


def _attribute(builder: Builder, name: str) -> str:
    return str(getattr(builder, name))


def _check_roles(policy: Policy, faults: Faults) -> None:
    """POL-ROLES: every role is a person, and nobody watches or approves themselves."""
    roles = policy.roles
    known = {person.id for person in policy.persons}
    named = (
        ("administrator", roles.administrator),
        ("internal_witness", roles.internal_witness),
        ("external_witness", roles.external_witness),
        *(("key_holders", holder) for holder in roles.key_holders),
    )
    for role, person in named:
        if person not in known:
            faults.add("POL-ROLES", "roles", role, f"{escaped(person)} is no [[person]]")
    for role, why in _clashes(policy):
        faults.add("POL-ROLES", "roles", role, why)


def _clashes(policy: Policy) -> Iterator[tuple[str, str]]:
    roles = policy.roles
    if roles.internal_witness == roles.administrator:
        yield "internal_witness", "the administrator cannot be the internal witness"
    if roles.external_witness in (roles.administrator, roles.internal_witness):
        yield "external_witness", "the external witness must be a third person"
    if set(roles.key_holders) <= {roles.administrator}:
        yield "key_holders", "somebody else than the administrator must hold the key"
