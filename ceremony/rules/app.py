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
        "Read the line above the field and type exactly what it asks for.",
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
