"""The rules of the policy file: can it be read, can it be met, did its owners sign it."""

from __future__ import annotations

from ceremony.rules import table

FIX = "Correct the file where it says, and have the owners sign it again."

RULES = table(
    (
        "POL-SIZE",
        "The policy has at most 1 MiB, and no line is absurdly long or dotted.",
        FIX,
    ),
    (
        "POL-TOML",
        "The policy is TOML 1.0 in UTF-8, no table or key twice.",
        FIX,
    ),
    (
        "POL-SCHEMA",
        "The policy is of the schema uki-ceremony/policy/1.",
        "Use the release of this tool that the policy was written for.",
    ),
    (
        "POL-UNKNOWN",
        "Every table and key is one that this release knows.",
        "Correct the spelling, or use the release of this tool that knows it.",
    ),
    (
        "POL-MISSING",
        "Every table and key that is needed is there.",
        FIX,
    ),
    (
        "POL-VALUE",
        "Every value has its type and is in its range.",
        FIX,
    ),
    (
        "POL-PERIOD",
        "Every window ends after it begins.",
        FIX,
    ),
    (
        "POL-TWICE",
        "Every id and every entry of a list stands once.",
        FIX,
    ),
    (
        "POL-PUBLIC-KEY",
        "Every public key can be read and is of a known type.",
        "Export the public key again with the tool that made it.",
    ),
    (
        "POL-PLACE",
        "Every place that a skeleton of `policy new` marks REPLACE is filled in.",
        "On the line named put what belongs there; the text from REPLACE on goes.",
    ),
    (
        "POL-KEY-TWICE",
        "A key stands once among owners, persons or builders, however it is wrapped.",
        "Remove one entry: one key is one holder.",
    ),
    (
        "POL-MEMBERS",
        "Groups name enrolled builders, and the rule names groups.",
        FIX,
    ),
    (
        "POL-COMPONENT",
        "A name is the image's or one component's, never two things'.",
        "Give the component a name of its own; what is attested of it is not the image.",
    ),
    (
        "POL-RULE",
        "The quorum rule is written as: all(2 of core, any(1 of a, 1 of b)).",
        FIX,
    ),
    (
        "POL-THRESHOLD",
        "Every threshold can be met by those whom the policy names.",
        "Lower the threshold or enrol more; builders that share something are one.",
    ),
    (
        "POL-ROLES",
        "Every role is a person of the policy, and nobody watches or approves themselves.",
        "Name different people for these roles.",
    ),
    (
        "POL-SEQUENCE",
        "A policy's sequence exceeds that of every other policy file in the ledger.",
        "Use the newest policy; else its owners sign one with a higher sequence.",
    ),
    (
        "POL-ADVICE",
        "A policy leaves room for an absent builder and none for an unwise quorum.",
        "Change it if the advice fits; a ceremony does not ask for it.",
    ),
    (
        "POL-CERTIFICATE",
        "The signer's certificate and each of its chain is one PEM certificate.",
        FIX,
    ),
    (
        "POL-OWNERS",
        "Enough distinct owners signed exactly this policy file.",
        "Bring the missing owners' signatures: ssh-keygen -Y sign -n policy@uki-ceremony.",
    ),
    (
        "POL-WINDOW",
        "The ceremony's time is inside the policy's window.",
        "Check the clock; else the owners sign a policy for this time.",
    ),
)
