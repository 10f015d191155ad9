"""What a builder runs when an attestation would not count, by the rule that bars it.

Decides one sentence a rule, for the builder's own ears; the register's next step, written for
the people of a ceremony, stands in for rules that are not here.
"""

from __future__ import annotations

from ceremony.policy_model import Policy
from ceremony.policy_people import CONTAINERS, Builder
from ceremony.rules.register import lookup
from ceremony.show import escaped

ATTEST = "uki-ceremony attest IMAGE --builder {builder} --key KEY"
AGAIN = f"attest again: {ATTEST}"
COPY_AGAIN = (
    "copy it again from the machine that made it (compare sizes), together with what it signs;"
    " else the builder attests again: uki-ceremony attest IMAGE --builder ID --key KEY"
)
BASE_IMAGE = (
    " --pin base_image=sha256:HEX, the digest of the image that it was built in"
    " (podman image inspect --format '{{.Digest}}' IMAGE)"
)
OWNERS = "nothing helps but the policy: send the owners your public key and ask for a new policy"

_ADVICE = {
    "ATT-ALONE": "bring the checksum file too, unchanged, into the same folder",
    "ATT-UNSIGNED": "sign it: ssh-keygen -Y sign -n {namespace} -f KEY {file}",
    "ATT-NAMESPACE": "sign again: ssh-keygen -Y sign -n {namespace} -f KEY FILE",
    "ATT-CERTIFICATE": "have your authority certify the key again, and attest with"
    " --key KEY-cert.pub",
    "QRM-CERTIFICATE": "have your authority certify the key{principals}, valid now and without"
    " options, and attest with --key KEY-cert.pub; where the key itself is enrolled, with"
    " --key KEY",
    "ATT-SIGNATURE": "the file is not what was signed, or another key signed it; " + AGAIN,
    "ATT-PIN": AGAIN + " --source DIR",
    "ATT-TWICE": AGAIN,
    "ATT-DIGEST": AGAIN,
    "QRM-ENROLLED": "attest with an enrolled key ({keys}), or " + OWNERS,
    "QRM-FORMAT": "attest with a key of a format that is enrolled for you: {formats}",
    "QRM-ALGORITHM": "attest with an enrolled key of: {algorithms}; else " + OWNERS,
    "QRM-TOUCH": "attest again and touch the security key when it blinks",
    "QRM-REVOKED": "the key is void; attest with another enrolled key, else " + OWNERS,
    "QRM-WINDOW": "attest now with a key that is enrolled for now, else " + OWNERS,
    "QRM-UNTIMED": AGAIN + " (it says the time; bare checksum files do not)",
    "QRM-FUTURE": "set this machine's clock (date -u), and " + AGAIN,
    "QRM-STALE": "build and " + AGAIN,
    "QRM-CLAIM": AGAIN + " --isolation {isolation}, or without --isolation",
    "QRM-NAME": AGAIN + " --name {name}",
    "QRM-NEAR-NAME": AGAIN + " --name {name}",
    "QRM-PINS": AGAIN + " --source DIR (pins that must be there: {pins})",
    "QRM-WEAK": AGAIN + " --source DIR{image} (pins that must be there: {pins})",
    "QRM-BASE-IMAGE": AGAIN + " --source DIR{image}",
    "QRM-INPUTS": "check out the commit of the others, build, and " + AGAIN + " --source DIR",
    "QRM-OTHER-INPUTS": "check out the commit of the release, build, and " + AGAIN,
    "QRM-LOCK": "build from the release's flake.lock, and " + AGAIN + " --flake-lock FILE",
    "QRM-DISSENT": "build it twice and compare: uki-ceremony attest --twice --builder {builder}"
    " --key KEY --artifact PATH -- CMD",
}


def next_step(
    rule: str, policy: Policy, builder: Builder | None, file: str, *, malformed: bool
) -> str:
    """Return what the builder should do about `rule`, one sentence; "" for no rule.

    A `malformed` file is not what was made: it is brought again, where nothing better is known.
    """
    if not rule:
        return ""
    advice = _ADVICE.get(rule)
    if advice is None and malformed:
        return COPY_AGAIN
    if advice is None:
        known = lookup(rule)
        return known.next if known else ""
    return advice.format(
        builder=escaped(builder.id) if builder else "ID",
        keys=_keys(builder),
        principals=_principals(builder),
        formats=escaped(", ".join(builder.formats)) if builder else "see the policy",
        algorithms=escaped(", ".join(policy.algorithms)),
        isolation=escaped(builder.isolation) if builder and builder.isolation else "KIND",
        name=escaped(policy.artifact.names[0]),
        image=BASE_IMAGE if builder and builder.isolation in CONTAINERS else "",
        pins=", ".join(sorted(policy.inputs.must_agree)) or "none",
        namespace=builder.keys[0].namespace if builder and builder.keys else "uki-attestation",
        file=escaped(file),
    )


def _keys(builder: Builder | None) -> str:
    if builder is None or not builder.keys:
        return "the policy's [[builder]] tables name them"
    return ", ".join(key.key.fpr for key in builder.keys)


def _principals(builder: Builder | None) -> str:
    """Return how ssh-keygen -s certifies for a builder, "" where it has no authority."""
    names = [name for key in builder.keys for name in key.principals] if builder else []
    return f" (ssh-keygen -s CA -n {escaped(names[0])} KEY.pub)" if names else ""
