"""Whether one reading may be a vote at all, and what it would say about the image.

Decides from the policy and the ceremony's time: format, algorithm, touch, revocation, key
window, age, the builder's claims about itself, the artifact's exact name, digests, pins.
Refuses to know any other attestation: whether a vote agrees or counts is quorum.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from ceremony.attest.jail import jail_findings
from ceremony.attest.record import (
    Artifact,
    Attestation,
    Claims,
    Malformed,
    Pairs,
    Reading,
)
from ceremony.certified import certificate_faults, revocations, revoked_at, signing_key
from ceremony.characters import likened
from ceremony.clock import day_text, minute_text
from ceremony.policy_model import Missing, Policy, Untimed
from ceremony.policy_people import CONTAINERS, KeyWrapping, Touch
from ceremony.retraction import RULE as RETRACTION
from ceremony.retraction import named as retracts
from ceremony.show import escaped
from ceremony.types import DigestPairs, MediaFile
from ceremony.verdicts import Standing
from ceremony.version import PIN as VERSION

BASE_IMAGE = "base_image"
_IMAGE_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{64}")

# Anybody can write a legacy minisign signature anew as one of signify: time and pins are gone.
_STRIPPED = ("signify", KeyWrapping.MINISIGN, True)
# Sound, and no statement about a build: a list of parts, a test's result.
_OTHER_KINDS = ("ATT-PAYLOAD", "ATT-PREDICATE")

Fault: TypeAlias = tuple[Standing, str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that is judged: its names, and its digests by algorithm, lower-case hex.

    sha256 is always there. `files` are all small files on the media, for builders' evidence.
    A signed image is judged as what it was before: `forms` are the digests of each file that
    may have become it, of an unsigned one its own; `signed` is the SHA-256 of a signed one as
    it stands.
    """

    forms: tuple[Mapping[str, str], ...]
    names: tuple[str, ...]
    files: tuple[MediaFile, ...] = ()
    signed: str = ""

    @property
    def sha256(self) -> str:
        """Return the digest that votes are compared by."""
        return self.forms[0]["sha256"]

    def form(self, sha256: str) -> Mapping[str, str]:
        """Return all digests of the form with this SHA-256, else those of the first form."""
        for form in self.forms:
            if form["sha256"] == sha256:
                return form
        return self.forms[0]

    def knowing(self, further: tuple[DigestPairs, ...]) -> Subject:
        """Return the subject with further digests of each form, where somebody has them."""
        if not further:
            return self
        pairs = zip(self.forms, further, strict=True)
        return replace(self, forms=tuple({**form, **dict(more)} for form, more in pairs))


@dataclass(frozen=True, slots=True)
class Vote:
    """An admitted attestation: whose, which digest it gives the artifact, from which inputs.

    `inputs` are the must_agree pins that it has; `full` when it lacks nothing. `format` and
    `version` say where it says which version ("" none).
    """

    file: str
    builder: str
    sha256: str
    inputs: Pairs
    full: bool
    format: str = ""
    version: str = ""
    based: bool = True


@dataclass(frozen=True, slots=True)
class Barred:
    """A reading that is no vote, and the digest it would have given the artifact, or ""."""

    file: str
    builder: str
    standing: Standing
    rule: str
    text: str
    says: str


def admit(reading: Reading, policy: Policy, subject: Subject, now: datetime) -> Vote | Barred:
    """Return the vote that a reading is, or the first rule that bars it."""
    if isinstance(reading, Malformed):
        said = (reading.rule, reading.text)
        standing = Standing.NOT_COUNTED if reading.rule in _OTHER_KINDS else Standing.MALFORMED
        return Barred(reading.file, reading.builder, standing, *said, "")
    if not isinstance(reading, Attestation):
        says = _says(reading.claims, subject)
        said = (reading.rule, reading.text)
        return Barred(reading.file, reading.builder, Standing.NOT_COUNTED, *said, says)
    for standing, rule, text in _faults(reading, policy, subject, now):
        says = _says(reading.claims, subject)
        return Barred(reading.file, reading.builder, standing, rule, text, says)
    pins = dict(reading.claims.pins)
    wanted = policy.inputs.must_agree
    inputs = tuple((name, pins[name]) for name in wanted if name in pins)
    # A tag such as alpine:3.20 names whatever it points to today.
    based = policy.builder_named[reading.builder].isolation not in CONTAINERS or bool(
        _IMAGE_DIGEST.fullmatch(pins.get(BASE_IMAGE, ""))
    )
    return Vote(
        file=reading.file,
        builder=reading.builder,
        sha256=_compared(_named(reading.claims, subject)[0].digest("sha256"), subject),
        inputs=inputs,
        full=based and len(inputs) == len(wanted),
        format=reading.format,
        version=pins.get(VERSION, ""),
        based=based,
    )


def may_speak(attestation: Attestation, policy: Policy, now: datetime) -> bool:
    """Say whether key, format and time let an attestation speak, whatever it is about."""
    return not any(_speech_faults(attestation, policy, now))


def _faults(
    attestation: Attestation, policy: Policy, subject: Subject, now: datetime
) -> Iterator[Fault]:
    """Yield what bars an attestation, the first that should be told first."""
    builder = policy.builder_named[attestation.builder]
    yield from _speech_faults(attestation, policy, now)
    for name, value in attestation.claims.self_claims:
        enrolled = builder.id if name == "builder" else str(getattr(builder, name))
        if enrolled not in ("", value):
            text = f"it says {name} {escaped(value)}, enrolled is {escaped(enrolled)}"
            yield Standing.MALFORMED, "QRM-CLAIM", text
    yield from _artifact_faults(attestation, subject)
    if builder.require_jail_metadata:
        for finding in jail_findings(attestation.claims, subject.files):
            yield Standing.NOT_COUNTED, finding.rule, finding.text
    said = {name for name, _ in attestation.claims.pins}
    missing = [name for name in policy.inputs.must_agree if name not in said]
    if missing and policy.inputs.missing is Missing.REJECT:
        text = f"it does not say {', '.join(missing)}"
        yield Standing.NOT_COUNTED, "QRM-PINS", text


def _speech_faults(attestation: Attestation, policy: Policy, now: datetime) -> Iterator[Fault]:
    """QRM-FORMAT and what is wrong with the key or the time."""
    builder, held = policy.enrolled[attestation.key.fpr]
    if attestation.format not in builder.formats:
        text = f"{builder.id} is enrolled for {', '.join(builder.formats)} only"
        yield Standing.NOT_COUNTED, "QRM-FORMAT", text
    elif (attestation.format, held.wrapping, "minisign" in builder.formats) == _STRIPPED:
        text = "its key signs as minisign: a trusted comment may have been taken off"
        yield Standing.NOT_COUNTED, "QRM-FORMAT", text
    yield from _key_faults(attestation, policy, now)
    yield from _time_faults(attestation, policy, now)


def _key_faults(attestation: Attestation, policy: Policy, now: datetime) -> Iterator[Fault]:
    """QRM-ALGORITHM, QRM-TOUCH, QRM-REVOKED, QRM-CERTIFICATE, QRM-WINDOW."""
    key = policy.enrolled[attestation.key.fpr][1]
    made = attestation.claims.time or now
    signer = signing_key(attestation)
    if not signer.allowed_by(policy.algorithms_at(now), attestation.scheme):
        text = f"the policy allows no {signer.algorithm} ({attestation.scheme})"
        yield Standing.NOT_COUNTED, "QRM-ALGORITHM", text
    if not attestation.touched and key.touch is Touch.REQUIRED:
        text = "the security key was not touched for this signature"
        yield Standing.NOT_COUNTED, "QRM-TOUCH", text
    for name, revoked in revocations(attestation, policy):
        if revoked_at(revoked, made):
            text = f"{name} is revoked since {day_text(revoked.since)} (mode {revoked.mode})"
            yield Standing.NOT_COUNTED, "QRM-REVOKED", text
    for rule, text in certificate_faults(attestation, key, policy, made, now):
        yield Standing.NOT_COUNTED, rule, text
    if not key.valid_from <= made < key.valid_to:
        window = f"{day_text(key.valid_from)} to {day_text(key.valid_to)}"
        text = f"signed {day_text(made)}, the key is enrolled from {window}"
        yield Standing.NOT_COUNTED, "QRM-WINDOW", text


def _time_faults(attestation: Attestation, policy: Policy, now: datetime) -> Iterator[Fault]:
    """QRM-UNTIMED, QRM-FUTURE, QRM-STALE."""
    made = attestation.claims.time
    if made is None:
        if policy.time.untimed is Untimed.REFUSE:
            yield Standing.NOT_COUNTED, "QRM-UNTIMED", "it does not say when it was made"
        return
    ahead = made - now
    if ahead > timedelta(seconds=policy.time.future_skew):
        text = f"made {minute_text(made)} UTC, later than the ceremony's time"
        yield Standing.NOT_COUNTED, "QRM-FUTURE", text
    if -ahead > timedelta(seconds=policy.time.max_age):
        days = policy.time.max_age // 86400
        text = f"made {day_text(made)}, more than {days} days before the ceremony"
        yield Standing.NOT_COUNTED, "QRM-STALE", text


def _artifact_faults(attestation: Attestation, subject: Subject) -> Iterator[Fault]:
    """QRM-NAME, QRM-NEAR-NAME, ATT-TWICE, ATT-DIGEST: one artifact, exact name, right digests."""
    named = _named(attestation.claims, subject)
    if not named and (gone := retracts(attestation.claims)) is not None:
        text = f"it votes for nothing: it takes back {gone[:16] or 'something unnamed'}"
        yield Standing.NOT_COUNTED, RETRACTION, text
    if not named:
        yield _other_names(attestation.claims, subject)
        return
    if len(named) > 1 and len({artifact.digest("sha256") for artifact in named}) > 1:
        text = "it names the artifact twice, with different digests"
        yield Standing.MALFORMED, "ATT-TWICE", text
    if not named[0].digest("sha256"):
        text = "it gives no SHA-256 of the artifact's bytes"
        yield Standing.NOT_COUNTED, "ATT-DIGEST", text
    for artifact in named:
        yield from _digest_faults(artifact, subject)


def _compared(sha256: str, subject: Subject) -> str:
    """Return a digest as votes are compared: every form of a signed image is the first."""
    return subject.sha256 if subject.form(sha256)["sha256"] == sha256 else sha256


def _digest_faults(artifact: Artifact, subject: Subject) -> Iterator[Fault]:
    """ATT-DIGEST, QRM-SIGNED: all digests are of one file, and that is the unsigned one."""
    sha256 = artifact.digest("sha256")
    if subject.signed and sha256 == subject.signed:
        text = "it is of the file with its signatures; builders attest the image without them"
        yield Standing.NOT_COUNTED, "QRM-SIGNED", text
    known = subject.form(sha256)
    agrees = sha256 == known["sha256"]
    for algorithm, value in artifact.digests:
        if algorithm not in known:
            if agrees:
                text = f"it lists {algorithm} too, which this ceremony did not compute"
                yield Standing.NOT_COUNTED, "ATT-DIGEST", text
        elif (value == known[algorithm]) != agrees:
            text = f"its sha256 and its {algorithm} are of two different files"
            yield Standing.MALFORMED, "ATT-DIGEST", text


def _named(claims: Claims, subject: Subject) -> tuple[Artifact, ...]:
    return tuple([a for a in claims.artifacts if a.name in subject.names])


def _says(claims: Claims | None, subject: Subject) -> str:
    """Return the one digest that claims give the artifact, "" when none or several."""
    digests = {artifact.digest("sha256") for artifact in _named(claims, subject)} if claims else ()
    return _compared(next(iter(digests)), subject) if len(digests) == 1 else ""


def _other_names(claims: Claims, subject: Subject) -> Fault:
    wanted = {_blurred(name): name for name in subject.names}
    for artifact in claims.artifacts:
        near = wanted.get(_blurred(artifact.name))
        if near is not None:
            text = f'it names "{escaped(artifact.name)}", near to "{escaped(near)}" but not equal'
            return Standing.NOT_COUNTED, "QRM-NEAR-NAME", text
    text = f"it names none of: {escaped(', '.join(subject.names))}"
    return Standing.NOT_COUNTED, "QRM-NAME", text


# What people take for one another: Cyrillic and Greek letters in a Latin name.
_LOOK_ALIKE = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u03bd\u03bf\u03b1\u03b5\u03c1",
    "aeopcyxijvoaep",
)


def _blurred(name: str) -> str:
    return likened(name).translate(_LOOK_ALIKE).rpartition("/")[2]
