"""APP-: what people say, approve and sign with their names."""

from __future__ import annotations

from ceremony.rules import table

RULES = table(
    (
        "APP-PERSON",
        "An answer comes from a person who holds the role that is asked.",
        "Type the id of the person who answers, as the policy names them.",
    ),
    (
        "APP-ANSWER",
        "An answer has the form that is asked for.",
        "Read what is asked for, and type exactly that.",
    ),
    (
        "APP-PLAN",
        "A plan has its one form, and its attributes are those of its own image and time.",
        "Take the plan again from the ceremony; sign nothing that is not a plan.",
    ),
    (
        "APP-SIGNATURE",
        "An approval is a key holder's signature over exactly this plan, for this purpose.",
        "Sign the plan as it stands now: ssh-keygen -Y sign -n approval@uki-ceremony -f KEY FILE.",
    ),
    (
        "APP-FILE",
        "An approval comes in a file: the signature, or a picture with one QR code of it.",
        "Give the path of the .sig file, or of a PNG or PGM picture that shows one code whole.",
    ),
    (
        "APP-TYPED",
        "Key holders approve with signatures; typed words are for rehearsals.",
        'Let the owners sign a policy with [approvals] by = "signature".',
    ),
    (
        "APP-THRESHOLD",
        "As many distinct key holders as the policy wants approved exactly this plan.",
        "Let more key holders approve the plan; the administrator does not count.",
    ),
    (
        "APP-POLICY",
        "A plan is signed under the policy it names, which the machine pins, or is a rehearsal's.",
        "Use the policy that the binding pins, or pin this one: `policy show` prints the line.",
    ),
    (
        "APP-PRACTICE",
        "A rehearsal is signed with a key made for rehearsals, and a release never is.",
        "For a rehearsal make a key: uki-ceremony token init --rehearsal. A release needs another.",
    ),
    (
        "APP-DIGEST",
        "What is signed is SHA-256 of exactly the attributes that the approved plan names.",
        "Nothing was signed. Keep the logs and find out what changed the request.",
    ),
    (
        "APP-WORDS",
        "The words typed from the paper sheet are the words of this image's SHA-256.",
        "Compare sheet and image name; once the words may be typed again, then it ends.",
    ),
    (
        "APP-ABORT",
        "Nobody ended the ceremony before its close.",
        "Read the reason given; a new ceremony needs new log and output folders.",
    ),
    (
        "APP-AGREE",
        "Every role states that it agrees with the record.",
        "Read the reason given; the outputs are kept and are not for release.",
    ),
)
