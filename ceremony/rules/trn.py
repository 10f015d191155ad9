"""TRN-: the transcript, its checkpoint and its countersignatures."""

from __future__ import annotations

from ceremony.rules import table

RULES = table(
    (
        "TRN-LINE",
        "Every line is the RFC 8785 bytes of one event and a newline.",
        "Compare with the other log medium; the transcript is not to be trusted from here on.",
    ),
    (
        "TRN-CHAIN",
        "Every line carries its number and the SHA-256 of the line before it.",
        "Compare with the other log medium; the transcript is not to be trusted from here on.",
    ),
    (
        "TRN-CEREMONY",
        "Every line carries the id of this ceremony.",
        "Find out which ceremony the line was taken from.",
    ),
    (
        "TRN-TIME",
        "The monotonic clock of one boot never runs backwards.",
        "Ask the witness's paper for the order of events.",
    ),
    (
        "TRN-EVENT",
        "Every event has a known name and exactly the members its kind has.",
        "Use the version of the tool that is named in the first line.",
    ),
    (
        "TRN-ORDER",
        "Every event is legal where it stands.",
        "The transcript was not written by this tool's engine; treat it as forged.",
    ),
    (
        "TRN-DECISION",
        "Every decision, recomputed from the events before it, has the same bytes.",
        "Compare the two values shown; one of them was not made by these rules.",
    ),
    (
        "TRN-SHOWN",
        "The lines an answer says were shown are those these rules put before that person.",
        "Ask the person what they saw; what they answered to is not what the record says.",
    ),
    (
        "TRN-CLOSE",
        "The transcript ends with its close line.",
        "Resume the ceremony with the same command, or keep the transcript as incomplete.",
    ),
    (
        "TRN-RULESET",
        "The rule set the transcript names is one that this tool carries.",
        "Use the version of the tool that is named in the first line.",
    ),
    (
        "TRN-PREVIOUS",
        "The first line names the head of the ceremony before, as the confirmed ledger has it.",
        "Begin again with the ledger that was confirmed; --previous is for policies without one.",
    ),
    (
        "TRN-CHECKPOINT",
        "The checkpoint names this ceremony, the number of lines and their RFC 6962 root.",
        "Compare with the words and the QR code on the witness's paper.",
    ),
    (
        "TRN-COUNTERSIGNATURE",
        "Enough distinct persons other than the administrator signed the checkpoint.",
        "Collect the missing countersignatures over checkpoint.txt; until then, do not release.",
    ),
    (
        "TRN-PROOF",
        "A proof leads from its line, or from the earlier head, to the root of the checkpoint.",
        "Compare line, proof and checkpoint with the bundle they came from; make the proof anew.",
    ),
    (
        "TRN-EXPORT",
        "Only a bundle that is REPRODUCED is exported, and only an outcome ok says PASSED.",
        "Replay the bundle and mend what it lacks; an export never says more than replay does.",
    ),
    (
        "TRN-SIGSUM",
        "A sigsum proof leads from the checkpoint to a tree head of a pinned log and quorum.",
        "Compare proof, bundle and pinned policy; fetch the proof anew, or submit again.",
    ),
    (
        "TRN-BUNDLE",
        "Every file of the bundle has the digest that SHA256SUMS and the transcript give it.",
        "Fetch the bundle again from another medium.",
    ),
    (
        "TRN-FOLDER",
        "A bundle holds transcript.jsonl, checkpoint.txt, SHA256SUMS and what they name.",
        "Name the folder that a ceremony wrote: its --out, or DIR/out of a rehearsal in DIR.",
    ),
    (
        "TRN-IMAGE",
        "The signed image is the unsigned image with the recorded signature attached.",
        "Give the unsigned image with --image; the outputs are not to be released.",
    ),
    (
        "TRN-FORK",
        "The two logs hold the same lines, as far as both go.",
        "Keep both logs as evidence and begin a new ceremony with empty ones.",
    ),
    (
        "TRN-LOG",
        "A log folder holds no other ceremony's transcript.",
        "Name empty folders for the logs, or the folders of the ceremony to be resumed.",
    ),
    (
        "TRN-WRITE",
        "Every event is on both log media before anything follows from it.",
        "Free space on the log medium, or put it or an empty one back; run the same command again.",
    ),
)
