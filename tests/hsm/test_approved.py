"""The ceremony's desk: what the child signs, and what it refuses before the module hears of it.

The requests go straight over the pipe, as a parent could send them that was taken over. The
module in the refusing tests is one that aborts at C_Sign, so that a refusal was one before it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rehearsing
from approvals.holders import plan_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from marks import accepts, refuses

from ceremony import policy as policies
from ceremony.approval import NAMESPACE
from ceremony.approval_permit import permit
from ceremony.approval_plan import Plan, attributes_of
from ceremony.errors import Refused, TokenTrouble
from ceremony.practice import PRACTICE_NAME
from ceremony.preflight import mechanism_for, spki_sha256
from ceremony.token import Mandate, sign_request
from ceremony.types import Mode
from hsm.binding import Binding, find_module, read_binding
from hsm.ceremony_token import CeremonyToken
from hsm.child import Child, TokenRefused
from hsm.signature import to_be_signed, verified
from hsm.target import Target, target_of
from hsm.token import Pkcs11Token
from tui import ssh_keys
from tui.rehearsal.prepare import Prepared

TWO = ("[approvals]\nthreshold = 1", "[approvals]\nthreshold = 2")
TIME = plan_of().signing_time
LATER = "2026-11-22T14:03:08Z"


@dataclass
class Sent:
    """A request as it goes over the pipe, and how to change one thing about it."""

    prepared: Prepared
    target: Target
    plan: Plan
    policy: bytes
    attributes: bytes
    approvals: list[bytes]
    text: str = ""
    data: str = ""

    def signed(self, *people: str, plan: Plan | None = None, namespace: str = NAMESPACE) -> Sent:
        text = (plan or self.plan).text.encode()
        self.approvals = [
            ssh_keys.sign(self.prepared.person_key(person), namespace, text) for person in people
        ]
        return self

    def planned(
        self, *, key: str = "", policy: str = "", time: str = "", mode: Mode | None = None
    ) -> Sent:
        """Change the plan, its attributes with it, and let both holders approve it."""
        plan = replace(
            self.plan,
            key=key or self.plan.key,
            policy=policy or self.plan.policy,
            signing_time=time or self.plan.signing_time,
            mode=mode or self.plan.mode,
        )
        self.attributes = attributes_of(plan)
        self.plan = replace(plan, attributes=hashlib.sha256(self.attributes).hexdigest())
        return self.signed("kim", "kay")

    @property
    def fields(self) -> dict[str, object]:
        digest = hashlib.sha256(self.attributes).digest()
        return {
            "length": 0,
            "parts": "",
            "mechanism": mechanism_for(self.target.key),
            "data": self.data or to_be_signed(self.target.key, digest).hex(),
            "plan": self.text or self.plan.text,
            "policy": self.policy.hex(),
            "attributes": self.attributes.hex(),
            "approvals": [approval.decode() for approval in self.approvals],
        }


@pytest.fixture(scope="module")
def rehearsal(_prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    prepared = rehearsing.copy(_prepared, tmp_path_factory.mktemp("approved") / "r")
    if "rehearsal" in prepared.machine.read_text().splitlines()[0]:
        pytest.skip("SoftHSM is not installed")
    rehearsing.edit_policy(prepared, TWO)
    return prepared


@pytest.fixture
def sent(rehearsal: Prepared) -> Sent:
    data = rehearsal.policy.read_bytes()
    target = target_of(policies.load(data).signer.certificate.encode())
    plan = plan_of(hashlib.sha256(data).hexdigest(), key=spki_sha256(target.key))
    made = Sent(rehearsal, target, plan, data, attributes_of(plan), [])
    return made.planned(mode=Mode.REHEARSAL)


def logged_in(binding: Binding, prepared: Prepared, target: Target, pinned: str = "") -> Child:
    child = Child("ceremony", binding)
    child.ask("load", 10, module=str(binding.module), policy_sha256=pinned)
    child.ask("probe", 10, uri=[], **target.fields)
    pin = bytearray(prepared.pin.encode())
    child.send_pin(pin)
    how = {"length": len(pin), "reader": 0, "parts": "", "keep": 0}
    answer = child.ask("login", 10, **how, **target.fields)
    assert answer["outcome"] == "ok"
    return child


@pytest.fixture(scope="module")
def aborting(rehearsal: Prepared, shim: Path) -> Iterator[Child]:
    """Return a child whose module aborts as soon as C_Sign is called."""
    real = read_binding(rehearsal.machine.read_bytes())
    settings = (("SHIM_REAL", str(find_module())), ("SHIM_DOES", "C_Sign:abort"))
    binding = replace(real, module=shim, environment=(*real.environment, *settings))
    policy = policies.load(rehearsal.policy.read_bytes())
    target = target_of(policy.signer.certificate.encode())
    child = logged_in(binding, rehearsal, target)
    yield child
    with pytest.raises(TokenTrouble, match="SIGABRT"):  # it would have, all the time
        child.ask("challenge", 10, mechanism=mechanism_for(target.key), length=0, parts="")
    child.close()


@accepts("APP-THRESHOLD", "APP-DIGEST", "APP-POLICY", "APP-PLAN", "APP-SIGNATURE")
@accepts("KEY-POSSESSION")
def test_what_enough_key_holders_approved_is_signed(sent: Sent) -> None:
    binding = read_binding(sent.prepared.machine.read_bytes())
    pinned = hashlib.sha256(sent.policy).hexdigest()
    child = logged_in(binding, sent.prepared, sent.target, pinned)
    mechanism = mechanism_for(sent.target.key)
    with pytest.raises(TokenRefused, match="has not signed"):
        child.ask("sign", 10, **sent.fields)
    challenged = child.ask("challenge", 10, mechanism=mechanism, length=0, parts="")
    assert bytes.fromhex(str(challenged["challenge"])).startswith(b"uki-ceremony preflight:")
    answer = child.ask("sign", 10, **sent.fields)
    signature = bytes.fromhex(str(answer["signature"]))
    digest = hashlib.sha256(sent.attributes).digest()
    assert verified(sent.target.key, digest, signature)
    with pytest.raises(TokenRefused, match="taken once"):
        child.ask("load", 10, module=str(binding.module), policy_sha256="")
    child.close()


def forged(sent: Sent) -> Sent:
    """A stranger's signature under a holder's key: the public key is swapped in the armour."""
    sent.signed("kim", "kay")
    first, second = sent.approvals
    lines = [*second.splitlines()[:3], *first.splitlines()[3:]]
    sent.approvals = [first, b"\n".join(lines) + b"\n"]
    return sent


def marked(sent: Sent) -> Sent:
    """A policy whose certificate says of the token's key that it is for rehearsals, by others."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PRACTICE_NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject, subject, sent.target.key, 1, now - timedelta(1), now + timedelta(1)
    )
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    policy = sent.policy
    start, end = policy.index(b"-----BEGIN CERT"), policy.index(b"-----END CERT")
    block = made.public_bytes(Encoding.PEM).partition(b"-----END CERT")[0]
    sent.policy = policy[:start] + block + policy[end:]
    return sent.planned(policy=hashlib.sha256(sent.policy).hexdigest())


def lower(sent: Sent) -> Sent:
    """Bring a policy that asks for one approval, and the plan that was approved."""
    sent.policy = sent.policy.replace(b"[approvals]\nthreshold = 2", b"[approvals]\nthreshold = 1")
    return sent.signed("kim")


def replanned(authenticode: str, time: str) -> Callable[[Sent], Sent]:
    """Change the plan and nothing that belongs to it."""
    return lambda sent: replace(
        sent, plan=replace(sent.plan, authenticode=authenticode, signing_time=time)
    )


def mixed(sent: Sent) -> Sent:
    """Send another plan than was approved, whole and with its own attributes."""
    approvals = sent.approvals
    sent.planned(time=LATER)
    sent.approvals = approvals
    return sent


REFUSED: dict[str, tuple[str, Callable[[Sent], Sent]]] = {
    "nobody": ("APP-THRESHOLD", lambda s: s.signed()),
    "too-few": ("APP-THRESHOLD", lambda s: s.signed("kim")),
    "one-person-twice": ("APP-THRESHOLD", lambda s: s.signed("kim", "kim")),
    "administrator": ("APP-THRESHOLD", lambda s: s.signed("kim", "carol")),
    "witness": ("APP-THRESHOLD", lambda s: s.signed("kim", "ines")),
    "owner": ("APP-THRESHOLD", lambda s: s.signed("kim", "owner-1")),
    "forged": ("APP-THRESHOLD", forged),
    "other-purpose": (
        "APP-THRESHOLD",
        lambda s: s.signed("kim", "kay", namespace="transcript@uki-ceremony"),
    ),
    "no-armour": ("APP-THRESHOLD", lambda s: replace(s, approvals=[b"APPROVE", b"APPROVE"])),
    "other-time": ("APP-THRESHOLD", mixed),
    "image-changed-alone": ("APP-PLAN", replanned("9" * 64, TIME)),
    "time-changed-alone": ("APP-PLAN", replanned("2" * 64, LATER)),
    "no-plan": ("APP-PLAN", lambda s: replace(s, text="yes")),
    "not-ascii": ("APP-PLAN", lambda s: replace(s, text="\u0664")),
    "other-attributes": (
        "APP-DIGEST",
        lambda s: replace(s, attributes=attributes_of(replace(s.plan, signing_time=LATER))),
    ),
    "other-digest": (
        "APP-DIGEST",
        lambda s: replace(s, data=to_be_signed(s.target.key, bytes(32)).hex()),
    ),
    "lower-threshold": ("APP-POLICY", lower),
    "other-key": ("APP-POLICY", lambda s: s.planned(key="5" * 64)),
    "release-where-no-policy-is-pinned": (
        "APP-POLICY",
        lambda s: s.planned(mode=Mode.PRODUCTION),
    ),
    "key-that-others-call-one-for-rehearsals": ("APP-PRACTICE", marked),
    "no-policy": (
        "POL-TOML",
        lambda s: replace(s, policy=b"=").planned(policy=hashlib.sha256(b"=").hexdigest()),
    ),
}  # fmt: skip


@refuses("APP-THRESHOLD", "APP-PLAN", "APP-DIGEST", "APP-POLICY", "APP-PRACTICE", "APP-SIGNATURE")
@pytest.mark.parametrize("case", REFUSED)
def test_what_was_not_approved_is_refused_before_c_sign(
    aborting: Child, sent: Sent, case: str
) -> None:
    rule, change = REFUSED[case]
    with pytest.raises(TokenRefused) as refused:
        aborting.ask("sign", 10, **change(sent).fields)
    assert (refused.value.rule, refused.value.code) == (rule, "not-approved")


@refuses("APP-POLICY")
def test_another_policy_than_the_pinned_one_is_refused_however_it_was_approved(sent: Sent) -> None:
    """A parent that was taken over brings its own policy, holders and approvals."""
    binding = read_binding(sent.prepared.machine.read_bytes())
    child = logged_in(binding, sent.prepared, sent.target, hashlib.sha256(sent.policy).hexdigest())
    lower(sent).planned(policy=hashlib.sha256(sent.policy).hexdigest()).signed("kim")
    with pytest.raises(TokenRefused, match="signs under the policy") as refused:
        child.ask("sign", 10, **sent.fields)
    assert refused.value.rule == "APP-POLICY"
    child.close()


@refuses("APP-TYPED", "APP-PRACTICE")
def test_a_release_under_the_pinned_policy_needs_signatures_and_a_release_key(sent: Sent) -> None:
    """What the process asks of the bytes, where the machine pins this very policy."""
    sent.planned(mode=Mode.PRODUCTION)

    def asked(approvals: tuple[bytes, ...]) -> str:
        pinned = hashlib.sha256(sent.policy).hexdigest()
        with pytest.raises(Refused) as refused:
            permit(sent.plan.text.encode(), sent.policy, sent.attributes, approvals, pinned)
        return refused.value.findings[0].rule

    assert asked(tuple(sent.approvals)) == "APP-PRACTICE"
    certificate = policies.load(sent.policy).signer.certificate.strip().encode()
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "UKI signer")])
    now = datetime.now(UTC)
    days = timedelta(1)
    builder = x509.CertificateBuilder(name, name, own.public_key(), 1, now - days, now + days)
    made = builder.sign(own, hashes.SHA256()).public_bytes(Encoding.PEM).strip()
    sent.policy = sent.policy.replace(certificate, made).replace(b'"signature"', b'"typed"')
    digest = hashlib.sha256(sent.policy).hexdigest()
    sent.planned(policy=digest, key=spki_sha256(own.public_key()))
    assert asked(()) == "APP-TYPED"


@refuses("APP-POLICY")
def test_a_login_for_another_key_is_noticed(sent: Sent) -> None:
    binding = read_binding(sent.prepared.machine.read_bytes())
    other = replace(sent.target, certificate=b"another")
    child = logged_in(binding, sent.prepared, other)
    with pytest.raises(TokenRefused, match="login was for another key"):
        child.ask("sign", 10, **sent.fields)
    child.close()


@refuses("KEY-POSSESSION")
def test_a_public_half_planted_beside_a_release_key_does_not_make_it_sign_rehearsals(
    prepared: Prepared,
) -> None:
    """Private keys that hide their point are found by CKA_ID, and no PIN is needed for a public
    object: the attacker's own practice key lends its certificate to the release key."""
    if prepared.key_source != "SoftHSM token":
        pytest.skip("SoftHSM is not installed")
    release = rehearsing.take_key(prepared, "p256")
    own = ec.generate_private_key(ec.SECP256R1())
    plant(prepared, own.public_key(), "ec")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PRACTICE_NAME)])
    now, day = datetime.now(UTC), timedelta(1)
    builder = x509.CertificateBuilder(name, name, own.public_key(), 1, now - day, now + day)
    made = builder.sign(own, hashes.SHA256())
    rehearsing.name_certificate(prepared, made.public_bytes(Encoding.PEM))
    data, target = prepared.policy.read_bytes(), target_of(made.public_bytes(Encoding.DER))
    plan = plan_of(hashlib.sha256(data).hexdigest(), key=spki_sha256(target.key))
    sent = Sent(prepared, target, plan, data, attributes_of(plan), [])
    sent.planned(mode=Mode.REHEARSAL)
    child = logged_in(read_binding(prepared.machine.read_bytes()), prepared, target)
    answer = child.ask("challenge", 10, mechanism="CKM_ECDSA", length=0, parts="")
    digest = hashlib.sha256(bytes.fromhex(str(answer["challenge"]))).digest()
    signature = bytes.fromhex(str(answer["signature"]))
    assert verified(release, digest, signature), "it is the release key that is found"
    with pytest.raises(TokenRefused) as refused:
        child.ask("sign", 10, **sent.fields)
    assert refused.value.rule == "KEY-POSSESSION"
    child.close()


def plant(prepared: Prepared, key: ec.EllipticCurvePublicKey, key_id: str) -> None:
    """Put a public key on the token, as anybody can who has it for a moment: no PIN is given."""
    half = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    wanted: dict[str, object] = {
        "module": str(find_module()),
        "token": "rehearsal",
        "pin": None,
        "type": "ec",
        "key": "",
        "label": "planted",
        "id": key_id,
        "attributes": {},
        "public": half.hex(),
    }
    result = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).with_name("arrange.py"))],
        input=json.dumps(wanted),
        text=True,
        env=dict(read_binding(prepared.machine.read_bytes()).environment),
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@refuses("APP-THRESHOLD", "APP-PLAN")
def test_the_token_of_a_ceremony_says_why_nothing_was_signed(sent: Sent) -> None:
    binding = read_binding(sent.prepared.machine.read_bytes())
    policy = policies.load(sent.policy)
    token = CeremonyToken(binding, policy.signer.uri)
    token.probe(sent.target.certificate)
    assert token.login(bytearray(sent.prepared.pin.encode())).outcome == "ok"
    digest = hashlib.sha256(sent.attributes).hexdigest()
    mandates = {
        "APP-PLAN": None,
        "APP-THRESHOLD": Mandate(sent.plan.text, sent.policy.hex(), sent.attributes.hex(), ()),
    }
    for rule, mandate in mandates.items():
        request = sign_request(
            Mode.REHEARSAL, 1, sent.plan.key, "CKM_RSA_PKCS", digest, mandate=mandate
        )
        if token._evidence is None:  # a refusal ends the process; the next probe starts one
            token.probe(sent.target.certificate)
            assert token.login(bytearray(sent.prepared.pin.encode())).outcome == "ok"
        result = token.sign(request)
        assert (result.outcome, result.rule) == ("failed", rule)
    token.close()


@refuses("APP-POLICY")
def test_a_machine_that_pins_a_policy_signs_in_ceremonies_only() -> None:
    binding = Binding(Path("/m.so"), policy_sha256="0" * 64)
    with pytest.raises(Refused, match="APP-POLICY"):
        Pkcs11Token(binding, "pkcs11:token=t")
    CeremonyToken(binding, "pkcs11:token=t").close()
