"""The plan of one signature as a short text that key holders approve with their own keys.

Seven ASCII lines in one form: which ceremony and mode, the image's two digests, the signing
key, the policy, the signing time and the attributes that will be signed. Decides whether
bytes are such a plan, and whether its attributes are those of its own image and time. Refuses
to know who approves. Specified in docs/spec/approvals.md.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ceremony.clock import wall_time
from ceremony.errors import Refused, refuse
from ceremony.pe.cms import SignedAttributes, check_signing_time, encode_attributes
from ceremony.pe.spc import content_octets, indirect_data
from ceremony.types import Digest, DigestKind, Mode

FORMAT = "uki-ceremony/plan/1"
MOST_BYTES = 1024
_HEX = "[0-9a-f]{64}"
_PLAN = re.compile(
    rf"{FORMAT} (?P<ceremony>[0-9a-f]{{32}}) (?P<mode>production|rehearsal)\n"
    rf"image sha256 (?P<image>{_HEX})\n"
    rf"image authenticode (?P<authenticode>{_HEX})\n"
    rf"key spki-sha256 (?P<key>{_HEX})\n"
    rf"policy sha256 (?P<policy>{_HEX})\n"
    r"signing-time (?P<signing_time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
    rf"attributes sha256 (?P<attributes>{_HEX})\n"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be signed, by which key, under which policy, at which time; digests in hex."""

    ceremony: str
    mode: Mode
    image: str
    authenticode: str
    key: str
    policy: str
    signing_time: str
    attributes: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines of the text."""
        return (
            f"{FORMAT} {self.ceremony} {self.mode}",
            f"image sha256 {self.image}",
            f"image authenticode {self.authenticode}",
            f"key spki-sha256 {self.key}",
            f"policy sha256 {self.policy}",
            f"signing-time {self.signing_time}",
            f"attributes sha256 {self.attributes}",
        )

    @property
    def text(self) -> str:
        """Return the text that is approved, each line ended by a line feed."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def sha256(self) -> str:
        """Return the digest of the text in hex, as sha256sum gives it."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()


def read_plan(data: bytes) -> Plan:
    """Return the plan that the bytes are, or Refused (APP-PLAN)."""
    if len(data) > MOST_BYTES:
        raise refuse("APP-PLAN", f"a plan has at most {MOST_BYTES} bytes")
    found = _PLAN.fullmatch(data.decode("latin-1"))
    if found is None:
        raise refuse("APP-PLAN", f"these bytes are not a plan in the form {FORMAT}")
    plan = Plan(
        ceremony=found["ceremony"],
        mode=Mode(found["mode"]),
        image=found["image"],
        authenticode=found["authenticode"],
        key=found["key"],
        policy=found["policy"],
        signing_time=found["signing_time"],
        attributes=found["attributes"],
    )
    if hashlib.sha256(attributes_of(plan)).hexdigest() != plan.attributes:
        text = "its attributes are not those of its own image and signing time"
        raise refuse("APP-PLAN", text)
    return plan


def attributes_of(plan: Plan) -> bytes:
    """Return the DER attributes that follow from image and time; Refused (APP-PLAN)."""
    digest = Digest.from_hex(DigestKind.AUTHENTICODE_SHA256, plan.authenticode)
    try:
        moment = wall_time(plan.signing_time)
        check_signing_time(moment)
    except Refused as error:
        raise refuse("APP-PLAN", f"its signing time: {error.findings[0].text}") from None
    content = content_octets(indirect_data(digest))
    return encode_attributes(SignedAttributes(moment, hashlib.sha256(content).digest()))
