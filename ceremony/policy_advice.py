"""What a policy that holds is still unwise in: advice for its owners, never a refusal.

Decides which builder or group cannot do what it is enrolled for, which key ends before the
policy does, and where nothing is left over when one builder is absent. Refuses to know
attestations; a ceremony does not ask for any of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ceremony import groups, policy_components
from ceremony.clock import day_text
from ceremony.policy_able import ever_counts, formats
from ceremony.policy_model import Missing, Policy
from ceremony.policy_people import CONTAINERS, Touch
from ceremony.policy_tables import Faults
from ceremony.principals import principal_names, principals
from ceremony.show import escaped
from ceremony.types import Finding, Severity

RULE = "POL-ADVICE"


def advice(policy: Policy, text: str, now: datetime) -> tuple[Finding, ...]:
    """Return one warning for each unwise thing, with its line in the policy's text."""
    places = Faults(text)
    for table, key, why in (
        *_windows(policy, now),
        *_keys(policy),
        *_builders(policy),
        *_groups(policy),
        *_spares(policy),
        *_rules(policy),
    ):
        places.add(RULE, table, key, why)
    return tuple(replace(finding, severity=Severity.WARN) for finding in places.findings)


Advice = tuple[str, str, str]


def _windows(policy: Policy, now: datetime) -> Iterator[Advice]:
    if now >= policy.expires:
        yield "", "expires", f"the policy expired, on {day_text(policy.expires)}"
    if policy.owners.threshold == 1:
        yield "owners", "threshold", "one owner alone can change the policy"


def _keys(policy: Policy) -> Iterator[Advice]:
    for builder in policy.builders:
        for key in builder.keys:
            place = f"builder.key {key.entry}"
            who = f"the key of {escaped(builder.id)}"
            if key.valid_to < policy.expires:
                yield place, "to", f"{who} ends before the policy, on {day_text(key.valid_to)}"
            if key.valid_from > policy.valid_from:
                begins = f"{day_text(key.valid_from)}"
                yield place, "from", f"{who} begins after the policy, on {begins}"
            if key.key.fpr in policy.revocations:
                yield place, "", f"{who} is revoked"
            if key.touch is Touch.OPTIONAL:
                why = f"{who} signs untouched: whoever has its machine has its vote"
                yield place, "touch", why
            if not set(formats(key)) & set(builder.formats):
                yield place, "type", f"{who} signs none of the builder's formats"
            elif key.key.fpr not in policy.revocations and not ever_counts(policy, builder, key):
                why = "its window, its algorithm, or no time or pins in the formats that it signs"
                yield place, "", f"{who} never gives a vote under this policy: {why}"


def _builders(policy: Policy) -> Iterator[Advice]:
    grouped = {member for group in policy.groups for member in group.members}
    weak = policy.quorum.weak_votes_max
    for number, builder in enumerate(policy.builders, 1):
        place, name = f"builder {number}", escaped(builder.id)
        if policy.quorum.tree is not None and builder.id not in grouped:
            yield place, "id", f"{name} is in no group: it only adds to the threshold"
        if builder.isolation in CONTAINERS and not weak:
            why = f"{name} does not count without the pin base_image, as no weak vote counts"
            yield place, "isolation", why
        if not any(set(formats(key)) & set(builder.formats) for key in builder.keys):
            yield place, "formats", f"{name} can never vote: no key of it signs a format of it"


def _groups(policy: Policy) -> Iterator[Advice]:
    names = principal_names(policy)
    there = {g.name: len({names[member] for member in g.members}) for g in policy.groups}
    used: set[str] = set()
    for table, quorum in policy_components.quorums(policy):
        for need in groups.needs(quorum.tree) if quorum.tree else ():
            used.add(need.group)
            if need.count > there.get(need.group, need.count):
                why = f"{need} cannot be reached: it is {there[need.group]} principals"
                yield table, "rule", why
    for name in there:
        if name not in used:
            yield "groups", name, f"no rule uses the group {escaped(name)}"


def _spares(policy: Policy) -> Iterator[Advice]:
    votes = principals(policy.builders)
    if policy.quorum.threshold == len(votes):
        why = f"all {len(votes)} principals are needed: one that is absent stops a release"
        yield "quorum", "threshold", why
    if policy.quorum.threshold == 1:
        yield "quorum", "threshold", "one vote is a quorum: nothing is compared"
    for name, plural in (("isolation", "isolations"), ("organisation", "organisations")):
        values = {str(getattr(builder, name)) for builder in policy.builders}
        if len(values) == 1:
            why = f"every builder has the {name} {escaped(values.pop())}: there are no two {plural}"
            yield "quorum", "distinct", why
    for principal in votes:
        if len(principal.builders) > 1:
            who = ", ".join(escaped(builder) for builder in principal.builders)
            why = f"{who} are one vote, by {escaped(principal.because)}"
            number = [builder.id for builder in policy.builders].index(principal.builders[-1]) + 1
            yield f"builder {number}", "id", why


def _rules(policy: Policy) -> Iterator[Advice]:
    if not policy.inputs.must_agree:
        yield "inputs", "must_agree", "no pin must agree: every other build counts as dissent"
    if policy.inputs.missing is Missing.WEAK and not policy.quorum.weak_votes_max:
        why = 'missing is "weak", and no weak vote counts: "reject" says the same plainly'
        if policy.inputs.must_agree:
            yield "inputs", "missing", why
    if policy.version is None:
        yield "version", "", "without [version] an old image can be signed again"
    if policy.dissent.override.operators == 0:
        yield "dissent", "override", "nobody may set a veto aside"
    if policy.dissent.override.operators == 1:
        yield "dissent", "override", "one person alone may set a veto aside"
