"""Each step's page of the runbook, in the words of the face that shows it.

Decides what is said of a step: what happens, what to do, what to do if something differs.
It names acts, not keys: the full screen says F9 where the prompts say Enter. Nothing here
knows Textual.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ceremony.steps import Step
from transcripts.checkpoint import NAMESPACE

SIGN = f"Sign checkpoint.txt elsewhere: ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE"
SCREEN: Mapping[str, str] = {
    "go_on": "F9",
    "note": "F3",
    "abort": "F10",
    "leave": "F10 leaves",
    "code": "PageDown to the QR code; take a picture of it.",
}
PROMPTS: Mapping[str, str] = {
    "go_on": "Enter",
    "note": ":exception",
    "abort": ":abort",
    "leave": "an empty line leaves",
    "code": "Take checkpoint.txt from the output folder; prompts draw no QR code.",
}
# The words of the record and of the rules for an act, whose key here, and what that key does.
ACTS = (
    (re.compile(r"\bexception(?=[,;.]? |[,;.]?$)"), "note", "notes an exception"),
    (re.compile(r"\b[Aa]bort(?=[,;.]? |[,;.]?$)"), "abort", "aborts"),
)


def beside(texts: Iterable[str], keys: Mapping[str, str]) -> str:
    """Return which of this face's keys do the acts that `texts` name; empty where none is named.

    The texts are recorded, or stand in a rule: they name acts, and are read without any key.
    """
    said = " ".join(texts)
    return " ".join(f"{keys[key]} {does}." for act, key, does in ACTS if act.search(said))


@dataclass(frozen=True, slots=True)
class Guide:
    """What happens in a step, what to do, and what to do if something differs."""

    what: str
    do: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]

    def said(self, keys: Mapping[str, str]) -> Guide:
        """Return the page with the acts in a face's own words."""
        return Guide(
            self.what,
            tuple(text.format_map(keys) for text in self.do),
            tuple((case, then.format_map(keys)) for case, then in self.cases),
        )

    def texts(self) -> Iterator[str]:
        """Yield the page as plain lines."""
        yield self.what
        yield "Do:"
        yield from (f" {number}. {text}" for number, text in enumerate(self.do, start=1))
        yield "If something is not as it should be:"
        yield from (f" If {case}: {then}" for case, then in self.cases)


NOBODY_SIGNS = "No policy was admitted, so nobody is named whose signature would count."
CLOSED_WITHOUT_POLICY = Guide(
    what="The transcript is closed. No policy was admitted, so nobody signs its checkpoint; the "
    "bundle keeps why.",
    do=(
        "Read the outcome and its reason; the owners need both.",
        "Read the words aloud; everybody compares with what they wrote down.",
        "{go_on} with an empty line.",
    ),
    cases=(("the policy is mended", "begin anew, with new folders for logs and outputs."),),
)
GUIDES: dict[Step, Guide] = {
    Step.OPEN: Guide(
        what="The policy was read and its owners' signatures were checked. People say that "
        "everybody named is present, and compare the machine's clock with their own.",
        do=(
            "Compare the policy's SHA-256 with the one on paper.",
            "Call every person by name and role.",
            "Type the time from a watch or the wall clock, in UTC.",
        ),
        cases=(
            ("a person is missing", "do not type PRESENT; wait, or abort with {abort}."),
            ("the digest is not the one on paper", "abort with {abort}; it is another policy."),
            ("the clock is off", "set the machine's clock, then type the time again."),
        ),
    ),
    Step.INVENTORY: Guide(
        what="The machine lists its network interfaces, swap areas and block devices. What the "
        "policy refuses must go before anything else happens; the rest is recorded.",
        do=(
            "Look at the machine: cables, sticks, disks, antennas.",
            "Compare with the list on the screen.",
            "Type the word that is asked for.",
        ),
        cases=(
            ("something is refused", "unplug or switch off what is named, then type SCAN."),
            ("a device is there that nobody knows", "note it with {note}, or abort with {abort}."),
        ),
    ),
    Step.INGEST: Guide(
        what="The image and its attestations are copied from the medium into memory, once, and "
        "hashed meanwhile. After that the medium is not read again.",
        do=(
            "Put the medium in before this step; wait while it is read.",
            "Compare name, size and SHA-256 with the announcement.",
            "Take the medium out, and type REMOVED.",
        ),
        cases=(
            ("the medium cannot be read", "put a good copy in and type READ."),
            ("an unexpected file is listed", "note it with {note}; it counts for nothing."),
        ),
    ),
    Step.INSPECT: Guide(
        what="The image was parsed strictly. The screen says what it would do when booted: "
        "system, kernel, command line, initrd, sections, and its Authenticode digest.",
        do=(
            "Read each line aloud.",
            "Compare kernel version and command line with the announcement.",
            "Type UNDERSTOOD when it is the release that was announced.",
        ),
        cases=(
            ("a line is not what was announced", "abort with {abort} and say which."),
            ("a warning is shown", "read its rule; note with {note} what was decided."),
        ),
    ),
    Step.JUDGE: Guide(
        what="Each builder whom the policy names is asked, through its attestation, whether it "
        "built these very bytes. The verdict follows from the policy alone.",
        do=(
            "Read the matrix: a mark, the builder, what it says, whether it counts.",
            "Ask about every builder that is missing or does not count.",
            "Type COUNTED when the matrix is the one you expected.",
        ),
        cases=(
            ("a builder disagrees", "find out why before anybody overrides it."),
            ("the quorum is not reached", "the ceremony ends here; bring more attestations."),
        ),
    ),
    Step.READ_BACK: Guide(
        what="Words of the image's SHA-256 are typed from a sheet that was printed elsewhere. "
        "The words are not on this machine's screen, and their places are drawn by chance.",
        do=(
            "Take the sheet that came with the announcement, not from this machine.",
            "Read the words at the marked places aloud; another person types them.",
            "Look at the typed words once more, then {go_on}.",
        ),
        cases=(
            ("a word does not agree", "one more try with other places, then it ends."),
            ("there is no sheet", "abort with {abort}; the image is not compared to anything."),
        ),
    ),
    Step.SIGN: Guide(
        what="The token was looked at and a plan was made. Key holders approve it; one types "
        "the PIN, the intent is recorded, and the token signs once.",
        do=(
            "Compare digest with step 4, time with a clock; know the signer.",
            "Key holders who approve sign plan.txt, or its QR code, elsewhere.",
            "Type the path of the signature, or of a picture of its code, and {go_on}.",
            "A key holder types the PIN, as often as the key asks; {go_on} then signs.",
        ),
        cases=(
            ("the PIN was wrong", "it is never tried again by itself; look it up first."),
            ("the token vanished while signing", "the outcome is recorded as UNKNOWN."),
            ("you are not sure", "{abort} ends the ceremony before anything is signed."),
        ),
    ),
    Step.VERIFY: Guide(
        what="The image is assembled with its signature and verified from its bytes, by this "
        "tool and by another implementation where one is installed.",
        do=("Read both verifiers' words.", "Type VERIFIED, then {go_on}."),
        cases=(("a verifier refuses", "the image is not put out; the transcript says why."),),
    ),
    Step.SEAL: Guide(
        what="The outputs are written under temporary names, renamed and read back. Then every "
        "role says whether the ceremony was held as it is recorded. A refused or an aborted "
        "ceremony is sealed as well.",
        do=(
            "Wait while outputs are written and read back.",
            'Each role types "agree", or "do not agree: " and the reason.',
        ),
        cases=(
            ("the medium is full or vanished", "put a good one in and type WRITE."),
            ("the record is wrong somewhere", 'type "do not agree: " and what is wrong.'),
        ),
    ),
    Step.CLOSE: Guide(
        what="The transcript is closed. Its checkpoint is signed by witnesses with their own "
        "keys on their own machines; the words and the QR code carry it there.",
        do=(
            "Read the words aloud; everybody compares with what they wrote down.",
            "{code}",
            SIGN,
            "Type the signature file's path and {go_on}, one witness after the other.",
            "{go_on} with an empty line when all have signed.",
        ),
        cases=(
            ("the code was not read back", "use the words; they say the same."),
            ("a witness cannot sign now", "{leave}; the bundle says INCOMPLETE meanwhile."),
        ),
    ),
}
