"""Which enrolled builders can have a vote at a moment, and whether there is one for a quorum.

Decides by keys alone: their windows and revocations, the algorithms of that time, and which
formats a key can sign and a policy count. A quorum that needs builders who can never vote, or
never at one time, cannot be met. Refuses to know attestations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from ceremony.attest.attested_nar import NARINFO, STORE_PATH
from ceremony.attest.in_toto_link import IN_TOTO_LINK
from ceremony.attest.rebuilderd import REBUILDERD
from ceremony.keys import Scheme
from ceremony.policy_model import Missing, Policy, Untimed
from ceremony.policy_people import CONTAINERS, Builder, BuilderKey, KeyWrapping, Revocation
from ceremony.quorum_rules import QuorumRule
from ceremony.show import escaped
from ceremony.tally import tally

_PLAIN = ("dsse", IN_TOTO_LINK, REBUILDERD, NARINFO)
# Which formats a key in each wrapping can sign. An SSHSIG holds the key itself, which is the same
# in any wrapping: ssh-keygen signs with a key in PEM, and with one that gpg's agent holds.
_SIGNS = {
    KeyWrapping.SSH: ("sshsig", *_PLAIN),
    KeyWrapping.SSH_CA: ("sshsig",),
    KeyWrapping.MINISIGN: ("minisign", "signify", *_PLAIN),
    KeyWrapping.SPKI: ("sshsig", *_PLAIN),
    KeyWrapping.OPENPGP: ("openpgp", "sshsig"),
    KeyWrapping.NIX: (NARINFO,),
    KeyWrapping.SIGNIFY: ("signify",),
    KeyWrapping.SIGSTORE: ("sigstore",),
}
# These say no time, and the last of them no pin but the path that Nix gave.
_UNTIMED = (IN_TOTO_LINK, REBUILDERD, NARINFO)
# Moments are the beginnings of keys; a policy with more of them is not searched to the end.
MOST_MOMENTS = 64
MOST_NAMED = 5

Ballots = dict[str, set[str]]


def formats(key: BuilderKey) -> tuple[str, ...]:
    """Return the formats that a key can sign, whatever its builder is enrolled for."""
    if key.key.is_security_key:
        return ("sshsig",)
    return _SIGNS[key.wrapping]


# The key of a quorum that each lack is about.
_KEYS = {"QRM-THRESHOLD": "threshold", "QRM-GROUP": "rule", "QRM-DIVERSITY": "distinct"}


def shortfall(
    policy: Policy, quorum: QuorumRule, names: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return which key no moment of the policy has the votes for, and why; None: one has.

    `names` are the principals by builder id.
    """
    scoped = replace(policy, quorum=quorum)
    best: tuple[int, str, str] | None = None
    moments = tuple(islice(_moments(policy), MOST_MOMENTS + 1))
    if len(moments) > MOST_MOMENTS:
        return None
    for now in moments:
        full, weak = _ballots(policy, names, now)
        counted = tally(scoped, full, weak)
        if not counted.lacks:
            return None
        if best is None or counted.votes > best[0]:
            lack = counted.lacks[0]
            best = counted.votes, _KEYS[lack.rule], f"{lack.text}{_told(policy, now)}"
    return (best[1], f"there is no moment at which it can be met; {best[2]}") if best else None


def ever_counts(policy: Policy, builder: Builder, key: BuilderKey) -> bool:
    """Say whether there is a moment at which something that a key signs counts."""
    moments = islice(_moments(policy), MOST_MOMENTS)
    return any(True for now in moments for _ in _ways(policy, builder, key, now))


def _moments(policy: Policy) -> Iterator[datetime]:
    """Yield when more votes become possible: the policy's beginning, and those of keys in it."""
    starts = {policy.valid_from}
    for builder in policy.builders:
        for key in builder.keys:
            if policy.valid_from < key.valid_from:
                ahead = (key.valid_from - policy.valid_from).total_seconds()
                early = timedelta(seconds=min(ahead, policy.time.future_skew))
                starts |= {key.valid_from - early, key.valid_from}
    yield from sorted(moment for moment in starts if moment < policy.expires)


def _ballots(policy: Policy, names: Mapping[str, str], now: datetime) -> tuple[Ballots, Ballots]:
    full: Ballots = {}
    weak: Ballots = {}
    for builder in policy.builders:
        ways = {way for key in builder.keys for way in _ways(policy, builder, key, now)}
        if ways:
            ballots = full if True in ways else weak
            ballots.setdefault(names[builder.id], set()).add(builder.id)
    return full, weak


def _ways(policy: Policy, builder: Builder, key: BuilderKey, now: datetime) -> Iterator[bool]:
    """Yield for each format in which a key can vote now whether the vote can be a full one."""
    if _shut(policy, key, now):
        return
    for name in formats(key):
        if name not in builder.formats or _stripped(name, builder, key):
            continue
        if name in _UNTIMED and (
            policy.time.untimed is Untimed.REFUSE or not _open_at(policy, key, now)
        ):
            continue
        full = name != NARINFO or (
            set(policy.inputs.must_agree) <= {STORE_PATH} and builder.isolation not in CONTAINERS
        )
        if full or policy.inputs.missing is Missing.WEAK:
            yield full


def _stripped(name: str, builder: Builder, key: BuilderKey) -> bool:
    """Say whether QRM-FORMAT bars it: a minisign key's signature without its comment."""
    return (
        name == "signify" and key.wrapping is KeyWrapping.MINISIGN and "minisign" in builder.formats
    )


def _shut(policy: Policy, key: BuilderKey, now: datetime) -> str:
    """Return why nothing that a key signs can count now, "" where something can."""
    ends = key.valid_to
    revoked = policy.revocations.get(key.key.fpr)
    if revoked is not None and revoked.mode is Revocation.ALL:
        return "its key is revoked"
    if revoked is not None:
        ends = min(ends, revoked.since)
    skew, age = policy.time.future_skew, policy.time.max_age
    if (key.valid_from - now).total_seconds() > skew or key.valid_from >= ends:
        return "its key's window begins later"
    if (now - ends).total_seconds() >= age:
        return "its key's window is over"
    allowed = policy.algorithms_at(now)
    if not any(key.key.allowed_by(allowed, scheme) for scheme in Scheme):
        return f"the policy allows no {key.key.algorithm}"
    return ""


def _open_at(policy: Policy, key: BuilderKey, now: datetime) -> bool:
    """Say whether what says no time, and so was made now, is inside of a key's window."""
    revoked = policy.revocations.get(key.key.fpr)
    ends = min(key.valid_to, revoked.since) if revoked else key.valid_to
    return key.valid_from <= now < ends


def _told(policy: Policy, now: datetime) -> str:
    """Name builders that cannot vote, with the reason."""
    lost = []
    for builder in policy.builders:
        if any(True for key in builder.keys for _ in _ways(policy, builder, key, now)):
            continue
        shut = next((why for key in builder.keys if (why := _shut(policy, key, now))), "")
        why = shut or "no key of it signs a format of it that counts"
        lost.append(f"{escaped(builder.id)} cannot, as {why}")
    more = len(lost) - MOST_NAMED
    shown = "; ".join(lost[:MOST_NAMED])
    if not lost:
        return ""
    return f"; {shown}" + (f"; and {more} more" if more > 0 else "")
