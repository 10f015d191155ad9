"""The rules of the quorum: what makes an attestation a vote, and votes a verdict."""

from __future__ import annotations

from ceremony.rules import table

OWNERS = "If this is right, the owners sign a policy that says so; else leave it."
MORE = "Bring attestations of further enrolled, independent builders."
ASK = "Ask the builder what was built, from which commit, before anything is signed."
AGAIN = "Ask the builder to attest again."

RULES = table(
    (
        "QRM-ENROLLED",
        "The key that signed belongs to an enrolled builder.",
        OWNERS,
    ),
    (
        "QRM-FORMAT",
        "The builder is enrolled for the attestation's format.",
        OWNERS,
    ),
    (
        "QRM-ALGORITHM",
        "The policy allows the key's algorithm, size and hash.",
        "Ask the builder to use a key that the policy allows.",
    ),
    (
        "QRM-TOUCH",
        "A security key was touched for the signature, unless the policy says otherwise.",
        "Ask the builder to sign again with a key that asks for touch.",
    ),
    (
        "QRM-CERTIFICATE",
        "An SSH certificate is a user's, of an enrolled authority, for its principal, valid then.",
        "Ask the builder for a certificate as the policy enrols it, and to sign again.",
    ),
    (
        "QRM-REVOKED",
        "Neither the key, nor its certificate, nor its certificate's authority is revoked.",
        "Ask the builder to attest again with a key that is enrolled and not revoked.",
    ),
    (
        "QRM-WINDOW",
        "The signature was made in the key's enrolled window.",
        OWNERS,
    ),
    (
        "QRM-UNTIMED",
        "The attestation says when it was made, where the policy wants that.",
        "Ask the builder for a format or a pin with a time.",
    ),
    (
        "QRM-FUTURE",
        "The attestation is not from the future beyond the allowed skew.",
        "Compare the builder's clock and the ceremony's with a third.",
    ),
    (
        "QRM-STALE",
        "The attestation is not older than max_age.",
        "Ask the builder to build and attest again.",
    ),
    (
        "QRM-CLAIM",
        "What an attestation says of its builder is what the policy enrols.",
        "Ask the builder; if the builder changed, the owners enrol it again.",
    ),
    (
        "QRM-NAME",
        "The artifact's name is, byte for byte, one that the policy names.",
        "Ask the builder to attest the file under the policy's name.",
    ),
    (
        "QRM-NEAR-NAME",
        "No attestation names something that only looks like the artifact.",
        "Look at the name letter by letter, then ask the builder.",
    ),
    (
        "QRM-PINS",
        "An attestation says every pin that must agree.",
        "Ask the builder to add the pins, as comment lines or in the provenance.",
    ),
    (
        "QRM-WEAK",
        "No more votes without all pins count than the policy allows.",
        "Ask the builder to add the pins, as comment lines or in the provenance.",
    ),
    (
        "QRM-BASE-IMAGE",
        "Who builds in docker or podman says the digest of the image that it was built in.",
        "Ask the builder to add the pin: # base_image sha256:<hex>.",
    ),
    (
        "QRM-LOCK",
        "The flake.lock on the media is the one that was built from.",
        "Bring the lock file of the release's commit.",
    ),
    (
        "QRM-INPUTS",
        "A builder that agrees on the image agrees on its inputs.",
        ASK,
    ),
    (
        "QRM-COPY",
        "Each attestation is there once.",
        "Nothing: a copy does not count.",
    ),
    (
        "QRM-ONE-VOTE",
        "A builder has one vote.",
        "Nothing: only one of its attestations counts.",
    ),
    (
        "QRM-PRINCIPAL",
        "Builders that share a person, a host or a store have one vote together.",
        MORE,
    ),
    (
        "QRM-ABSENT",
        "Every enrolled builder has an attestation here.",
        "Ask the builder, if its vote is needed.",
    ),
    (
        "QRM-THRESHOLD",
        "Enough principals agree on the image.",
        MORE,
    ),
    (
        "QRM-GROUP",
        "The rule over groups holds for those who agree.",
        "Bring attestations of the groups that lack members.",
    ),
    (
        "QRM-DIVERSITY",
        "Those who agree differ enough in what the policy wants to be different.",
        "Bring attestations of builders that differ in it.",
    ),
    (
        "QRM-SPLIT",
        "No other inputs have as many builders behind them, nor keep those apart who agree.",
        ASK,
    ),
    (
        "QRM-SUBJECT",
        "Somebody attests the file that was presented.",
        "Compare its SHA-256 with the attestations: it may be the signed or another file.",
    ),
    (
        "QRM-SIGNED",
        "The image and what is attested of it carry no signatures, unless the policy admits them.",
        "Present the unsigned image; have its builders attest the file before it is signed.",
    ),
    (
        "QRM-COMPONENT",
        "Every component of the policy has its own quorum, which never counts for the image.",
        "Bring attestations of the component by further builders; look at what differs.",
    ),
    (
        "QRM-COMPONENT-DISSENT",
        "No enrolled builder proves another digest of a component from the same inputs.",
        "Find out why the builds differ. Only the policy's operators may set this aside.",
    ),
    (
        "QRM-DISSENT",
        "No enrolled builder proves another image from the same inputs.",
        "Find out why the builds differ. Only the policy's operators may set this aside.",
    ),
    (
        "QRM-TWO-ANSWERS",
        "A principal gives one digest for the same inputs.",
        "Find out which of its builds is right and why they differ.",
    ),
    (
        "QRM-OTHER-INPUTS",
        "No builder proves another image from other inputs.",
        ASK,
    ),
    (
        "QRM-UNVERIFIED",
        "Nothing on the media says another digest without proof.",
        "Find out who made the file. It has no vote and no veto.",
    ),
    (
        "QRM-RETRACTED",
        "No attestation was taken back by its own principal.",
        "Ask why it was taken back. Both files stay in the record.",
    ),
    (
        "QRM-RETRACTION",
        "A retraction names, as sha256:<hex>, an attestation here of its own principal.",
        "Ask its builder which attestation is meant, and bring that file too.",
    ),
    (
        "QRM-VERSION",
        "The image's version is said where the policy reads it, in the policy's scheme.",
        "Ask the builders to say the version as the scheme writes it, as 1.10.0.",
    ),
    (
        "QRM-VERSION-DENIED",
        "Neither the version nor the file's name has a word that no release may have.",
        "Build the release from a clean tree under a release's name.",
    ),
    (
        "QRM-VERSION-AGREES",
        "Every source of the version says the same one.",
        "Find out which is right; rename the file or have it attested again.",
    ),
    (
        "QRM-VERSION-COMMIT",
        "The commit that a version names is the one that was built.",
        ASK,
    ),
    (
        "QRM-REUSE",
        "A version is signed for one image only.",
        "Give the new image a new version.",
    ),
    (
        "QRM-ROLLBACK",
        "The version is greater than every version signed before.",
        "Only the policy's operators may sign a lower version, with a reason.",
    ),
    (
        "QRM-RESIGN",
        "A version's very bytes are signed once.",
        "Nothing, if signing them again is meant; the ledger holds both.",
    ),
    (
        "QRM-LEDGER",
        "The ledger of this policy's ceremonies is on the media and can be read.",
        "Bring the one made by `ledger` after the last ceremony; before the first bring none.",
    ),
    (
        "QRM-LEDGER-HEAD",
        "The ledger's head is the one that people confirm from the last ceremony's paper.",
        "Compare the head with paper; `check` is given it by --ledger-head, 64 zeros for none.",
    ),
    (
        "QRM-LEDGER-FORK",
        "Every copy of the ledger tells the same.",
        "Find out on which machine another ceremony was held.",
    ),
    (
        "QRM-VANISHED",
        "What was attested at the last ceremony about this image is still on the media.",
        "Ask who took the file away, and why.",
    ),
    (
        "QRM-OVERRIDE",
        "A veto is set aside only by enough distinct persons of the policy, with a reason.",
        "Name enough operators and type a reason, or abort.",
    ),
)
