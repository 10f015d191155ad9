"""A policy in people's words: who may do what, what counts, what stops a release.

Decides only wording; everything said is read from the policy as the judge reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ceremony.artifact_names import PLACE
from ceremony.policy_model import Missing, Policy, Untimed
from ceremony.policy_people import CONTAINERS, BuilderKey, Touch
from ceremony.principals import principals
from ceremony.release_rules import Resign, VersionOrder
from ceremony.show import counted, escaped, grouped
from ceremony.types import Severity

DAY = 86400


def words(policy: Policy) -> tuple[str, ...]:
    """Return the policy, a line each, without any terminal sequence from it."""
    return (
        f"Policy    {escaped(policy.policy_id)}, sequence {policy.sequence}",
        f"SHA-256   {grouped(policy.sha256.hex[:32])}",
        f"          {grouped(policy.sha256.hex[32:])}",
        f"Valid     from {_moment(policy.valid_from)} until {_moment(policy.expires)} UTC",
        *_owners(policy),
        "",
        "What may be signed",
        *(f"  {line}" for line in (*_artifact(policy), *_version(policy))),
        "",
        "What counts",
        *(f"  {line}" for line in (*_quorum(policy), *_inputs(policy), *_dissent(policy))),
        *(f"  {line}" for line in _parts(policy)),
        "",
        "Whose votes",
        *(f"  {line}" for line in _builders(policy)),
        "",
        "People",
        *(f"  {line}" for line in _people(policy)),
    )


def _owners(policy: Policy) -> Iterator[str]:
    names = [escaped(owner.comment or owner.key.fpr) for owner in policy.owners.keys]
    yield f"Owners    {policy.owners.threshold} of {len(names)} sign it: {', '.join(names)}"


def _artifact(policy: Policy) -> Iterator[str]:
    rule = policy.artifact
    yield f"A file called {' or '.join(map(escaped, rule.names))}, for {rule.arch},"
    sections = " ".join(map(escaped, policy.gates.sections))
    yield f"of at most {counted(rule.max_bytes)}, with the sections {sections}"
    if any(PLACE in name for name in rule.names):
        yield f"({PLACE} stands for the release's version)"


def _version(policy: Policy) -> Iterator[str]:
    rule = policy.version
    if rule is None:
        yield "Any version: nothing keeps an old image from being signed again."
        return
    yield f"A version as {rule.scheme} has it, read from {', then '.join(rule.source)}."
    if rule.rule is VersionOrder.STRICTLY_GREATER:
        yield "It must be greater than every version signed before."
    if rule.deny:
        yield f"None of these words is in it: {', '.join(map(escaped, rule.deny))}."
    if rule.same_digest_resign is Resign.ALLOW_LOGGED:
        yield "The last version's very bytes may be signed again; the ledger says so."
    if policy.ledger is not None:
        yield f"The ledger is {escaped(policy.ledger.file)} on the medium, its head on paper."


def _quorum(policy: Policy) -> Iterator[str]:
    quorum = policy.quorum
    yield f"{quorum.threshold} independent principals must agree on every byte."
    if quorum.tree is not None:
        yield f"Among them: {quorum.tree}."
        for group in policy.groups:
            yield f"  {escaped(group.name)} is {', '.join(map(escaped, group.members))}"
    for name, least in quorum.distinct:
        yield f"They have at least {least} different values of {name}."
    if quorum.weak_votes_max:
        yield f"At most {quorum.weak_votes_max} of them may lack something they should say."


def _inputs(policy: Policy) -> Iterator[str]:
    rule, time = policy.inputs, policy.time
    if rule.must_agree:
        lacking = "is weak" if rule.missing is Missing.WEAK else "does not count"
        yield f"They built from the same {', '.join(rule.must_agree)}; who does not say {lacking}."
    if rule.flake_lock_file:
        yield f"{escaped(rule.flake_lock_file)} on the medium is what they built from."
    untimed = "counts" if time.untimed is Untimed.ALLOW else "does not count"
    yield f"Nothing older than {time.max_age / DAY:g} days counts; what says no time {untimed}."
    yield f"Keys of these kinds: {', '.join(policy.algorithms)}."


def _dissent(policy: Policy) -> Iterator[str]:
    needed = policy.dissent.override.operators
    yield "One who proves another result from the same inputs stops the release."
    if needed:
        yield f"Only {needed} named people together, with a reason, may set that aside."
    else:
        yield "Nobody may set that aside."
    if policy.dissent.other_inputs is Severity.REFUSE:
        yield "Another result from other inputs stops it too."


def _parts(policy: Policy) -> Iterator[str]:
    for part in policy.components:
        quorum, names = part.quorum, " or ".join(map(escaped, part.names))
        yield f"The part {escaped(part.id)}, attested as {names}, has votes of its own:"
        rule = f", {quorum.tree}" if quorum.tree else ""
        minima = "".join(f", {least} different {name}" for name, least in quorum.distinct)
        yield f"  {quorum.threshold} principals{rule}{minima}; none of them counts for the image."
        if part.section:
            yield f"  It is what stands in the section {escaped(part.section)}."


def _builders(policy: Policy) -> Iterator[str]:
    revoked = policy.revocations
    for principal in principals(policy.builders):
        if len(principal.builders) > 1:
            who = ", ".join(map(escaped, principal.builders))
            yield f"One vote of {who}, who share: {escaped(principal.because)}"
    for builder in policy.builders:
        persons = ", ".join(map(escaped, builder.persons)) or "a machine"
        yield f"{escaped(builder.id)}: {escaped(builder.organisation)} ({persons})"
        yield f"  builds in {escaped(builder.isolation)}, attests by {', '.join(builder.formats)}"
        if builder.isolation in CONTAINERS:
            yield "  is weak unless it says the digest of its base image"
        if builder.require_jail_metadata:
            yield "  counts only with a jail-metadata.txt that shows a closed jail"
        for key in builder.keys:
            yield f"  {_key(key)}{', REVOKED' if key.key.fpr in revoked else ''}"
    for entry in policy.revoked:
        if not entry.whole:
            which = [
                *(f"serial {serial}" for serial in entry.serials),
                *map(escaped, entry.key_ids),
            ]
            yield f"Void certificates of {entry.fpr[:23]}...: {', '.join(which)}"


def _key(key: BuilderKey) -> str:
    window = f"{key.valid_from:%Y-%m-%d} to {key.valid_to:%Y-%m-%d}"
    words = f"{key.wrapping} key {key.key.fpr[:23]}..., {key.key.algorithm}, {window}"
    if key.principals:
        words += f", certifies keys for {', '.join(map(escaped, key.principals))}"
    return words + (", untouched signatures count" if key.touch is Touch.OPTIONAL else "")


def _people(policy: Policy) -> Iterator[str]:
    roles, named = policy.roles, {person.id: person.name for person in policy.persons}
    for role, person in (
        ("administrator", roles.administrator),
        ("internal witness", roles.internal_witness),
        ("external witness", roles.external_witness),
        *(("key holder", holder) for holder in roles.key_holders),
    ):
        yield f"{role:<17} {escaped(named[person])} ({escaped(person)})"
    yield f"{policy.approvals.threshold} key holders approve what is signed,"
    yield f"{policy.countersignatures.threshold} people countersign the transcript."


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
