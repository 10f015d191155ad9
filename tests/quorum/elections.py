"""Small elections drawn at random, as readings without signatures: what the judge counts.

The policies have what makes counting hard: shared persons, hosts and stores, groups, diversity
minima, weak votes, several keys, revocations, components, versions, a lock file.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quorum.release import BASE, IMAGE, LOCK, NOW, OTHER, facts, sha256

from ceremony import groups, policy_checks
from ceremony import policy_model as model
from ceremony import policy_people as people
from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence
from ceremony.attest.record import (
    Artifact,
    Attestation,
    Claims,
    Malformed,
    Reading,
    Unverified,
)
from ceremony.keys import PublicKey, Scheme, from_ed25519
from ceremony.policy import Policy
from ceremony.policy_tables import Faults
from ceremony.principals import principal_names
from ceremony.quorum import Verdict, examine
from ceremony.quorum_rules import Component, Group, QuorumRule
from ceremony.release_rules import (
    Resign,
    VersionOrder,
    VersionRule,
    VersionScheme,
    VersionSource,
)
from ceremony.types import MediaFile, Severity

DIGESTS = (sha256(IMAGE), sha256(OTHER), "33" * 32)
COMMITS = ("c0" * 20, "d1" * 20)
LOCKS = (sha256(LOCK), "ee" * 32)
RULES = (
    *("1 of g1", "2 of g1", "all(1 of g1, 1 of g2)", "any(2 of g1, all(1 of g2, 1 of g3))"),
    "all(any(1 of g1, 1 of g2), 1 of g3)",
)
_KEYS = tuple(
    from_ed25519(Ed25519PrivateKey.generate().public_key().public_bytes_raw()) for _ in range(16)
)
Pins = dict[str, str]


@dataclass
class Election:
    """One policy, and readings about one image that are drawn for it."""

    draw: random.Random
    base: Policy
    policy: Policy = field(init=False)
    made: int = 0

    def __post_init__(self) -> None:
        while True:  # most are policies that can be met
            self.policy = self._policy()
            faults = Faults("")
            policy_checks.check(self.policy, faults)
            if not faults.findings:
                return

    def _policy(self) -> Policy:
        draw = self.draw
        builders = tuple(self._builder(number) for number in range(draw.randint(2, 6)))
        ids = [builder.id for builder in builders]
        named = tuple(
            Group(name, tuple(sorted(draw.sample(ids, draw.randint(1, len(ids))))))
            for name in ("g1", "g2", "g3")
        )
        rule = draw.choice(("", "", *RULES))
        pins = draw.choice((("git_commit",), ("flake_lock", "git_commit"), ()))
        lock = "flake.lock" if "flake_lock" in pins and draw.random() < 0.6 else ""
        return replace(
            self.base,
            builders=builders,
            groups=named,
            quorum=QuorumRule(
                threshold=draw.randint(1, 3),
                rule=rule,
                tree=groups.parse(rule) if rule else None,
                weak_votes_max=draw.choice((0, 0, 1, 2)),
                distinct=self._minima(),
            ),
            inputs=model.Inputs(pins, draw.choice(tuple(model.Missing)), lock),
            components=self._components(),
            dissent=replace(
                self.base.dissent,
                other_inputs=draw.choice((Severity.WARN, Severity.WARN, Severity.REFUSE)),
                override=model.OverrideRule(draw.choice((0, 2, 2))),
            ),
            version=draw.choice((None, None, _VERSION)),
            revoked=tuple(
                people.Revoked(
                    key.key.fpr,
                    NOW - timedelta(days=draw.choice((1, 10))),
                    draw.choice(tuple(people.Revocation)),
                )
                for builder in builders
                for key in builder.keys
                if draw.random() < 0.07
            ),
        )

    def _builder(self, number: int) -> people.Builder:
        draw, name = self.draw, "abcdef"[number]
        window = (NOW - timedelta(days=300), NOW + timedelta(days=300))
        keys = tuple(
            people.BuilderKey(
                *(_KEYS[2 * number + place], people.KeyWrapping.SPKI, "", "", *window),
                entry=2 * number + place + 1,
            )
            for place in range(draw.choice((1, 1, 2)))
        )
        persons = {draw.choice(("p", "q", name, name, name)) for _ in range(draw.choice((0, 1, 2)))}
        return people.Builder(
            id=name,
            organisation=draw.choice(("one", "two", name)),
            persons=tuple(sorted(persons)),
            isolation=draw.choice(("none", "docker", "bwrap", "qemu-vm")),
            cpu_vendor=draw.choice(("", "amd", "intel")),
            host=draw.choice(("", "", "", "rack")),
            network="",
            os=draw.choice(("", "linux", "freebsd")),
            shares_with=draw.choice(((), (), ("store",))),
            formats=("dsse",),
            keys=keys,
        )

    def _minima(self) -> tuple[tuple[str, int], ...]:
        if self.draw.random() < 0.6:
            return ()
        names = self.draw.sample(("organisation", "isolation", "cpu_vendor", "os"), 2)
        return tuple((name, self.draw.randint(1, 2)) for name in names)

    def _components(self) -> tuple[Component, ...]:
        if self.draw.random() < 0.7:
            return ()
        rule = QuorumRule(self.draw.randint(1, 2), "", None, self.draw.choice((0, 1)), ())
        return (Component("kernel", ("vmlinuz",), "", rule),)

    def vote(
        self,
        digest: str = "",
        pins: Pins | None = None,
        by: tuple[people.Builder, PublicKey] | None = None,
    ) -> Attestation:
        """Return what an enrolled key signed; what is not given is drawn."""
        builder, key = by or self.anybody()
        artifacts = [Artifact("anchor.efi", (("sha256", digest or self._digest()),))]
        if not digest and self.draw.random() < 0.2:
            part = Artifact("vmlinuz", (("sha256", self.draw.choice(("77", "88")) * 32),))
            artifacts = [*artifacts, part] if self.draw.random() < 0.7 else [part]
        # Every vote has a time of its own: one with a retracted one's words goes with it.
        self.made += 1
        time = NOW - timedelta(days=3, seconds=self.made)
        claims = Claims(tuple(artifacts), _sorted(self.pins() if pins is None else pins), time, ())
        return self._signed(builder, key, claims)

    def anybody(self) -> tuple[people.Builder, PublicKey]:
        """Return one of the builders and one of its keys."""
        builder = self.draw.choice(self.policy.builders)
        return builder, self.draw.choice(builder.keys).key

    def _signed(self, builder: people.Builder, key: PublicKey, claims: Claims) -> Attestation:
        self.made += 1
        return Attestation(
            file=f"f{self.made}",
            format="dsse",
            sha256=sha256(f"{self.made}".encode()),
            builder=builder.id,
            key=key,
            scheme=Scheme.ED25519,
            touched=True,
            claims=claims,
        )

    def _digest(self) -> str:
        return self.draw.choice((*DIGESTS[:1] * 4, *DIGESTS[1:]))

    def pins(self) -> Pins:
        """Return the pins of a vote, some of them missing or of another build."""
        draw = self.draw
        wanted = {
            "git_commit": draw.choice((COMMITS[0], COMMITS[0], COMMITS[1])),
            "flake_lock": draw.choice((LOCKS[0], LOCKS[0], LOCKS[1])),
            "base_image": BASE,
            "version": draw.choice(("1.0.0", "1.0.0", "1.0.1")),
        }
        kept = (0.85, 0.85, 0.6, 0.3)
        return {
            name: wanted[name]
            for name, often in zip(wanted, kept, strict=True)
            if draw.random() < often
        }

    def good_pins(self) -> Pins:
        """Return the pins of the build that most agree on, sometimes not all of them."""
        pins = {"git_commit": COMMITS[0], "flake_lock": LOCKS[0], "base_image": BASE}
        pins |= {"version": "1.0.0"} if self.draw.random() < 0.7 else {}
        return {name: value for name, value in pins.items() if self.draw.random() < 0.92}

    def retraction(
        self, of: Attestation, by: tuple[people.Builder, PublicKey] | None = None
    ) -> Attestation:
        """Return a statement that takes an attestation back."""
        builder = next(one for one in self.policy.builders if one.id == of.builder)
        claims = Claims((), (("retracts", f"sha256:{of.sha256}"),), None, ())
        return self._signed(*(by or (builder, builder.keys[0].key)), claims)

    def noise(self) -> Reading:
        """Return a reading that is no vote, whoever signed it or nobody."""
        self.made += 1
        file, builder = f"n{self.made}", self.draw.choice(("", self.policy.builders[0].id))
        claims = Claims((Artifact("anchor.efi", (("sha256", self._digest()),)),), (), None, ())
        vote = self.vote()
        match self.draw.randrange(4):
            case 0:
                return Malformed(file, "dsse", builder, "ATT-DSSE", "spoiled")
            case 1:
                return Unverified(file, "dsse", builder, "ATT-SIGNATURE", "nobody's", claims)
            case 2:
                old = replace(vote.claims, time=NOW - timedelta(days=99))
                return replace(vote, claims=old)
            case _:
                near = (Artifact("./anchor.efi", (("sha256", DIGESTS[1]),)),)
                return replace(vote, claims=replace(vote.claims, artifacts=near))

    def judged(self, readings: list[Reading]) -> Verdict:
        """Judge the readings, each from a file of its own."""
        by_file = {reading.file: reading for reading in readings}
        files = [MediaFile(name, f'{{"payloadType": "{name}'.encode()) for name in by_file]

        def read(
            found: tuple[Evidence, ...], policy: Policy, aids: Aids
        ) -> tuple[tuple[Reading, ...], ...]:
            del policy, aids
            names = (one.file.path for one in found)
            return tuple((by_file[name],) if name in by_file else () for name in names)

        there = (*files, MediaFile("flake.lock", LOCK))
        return examine(self.policy, "anchor.efi", facts(), there, NOW, read=read).verdict

    def mate(self, of: Attestation) -> tuple[people.Builder, PublicKey] | None:
        """Return a builder of the same principal with a key that is not revoked."""
        names = principal_names(self.policy)
        mates = [
            (builder, key.key)
            for builder in self.policy.builders
            for key in builder.keys
            if names[builder.id] == names[of.builder] and key.key.fpr not in self.policy.revocations
        ]
        return self.draw.choice(mates) if mates else None


_VERSION = VersionRule(
    *((VersionSource.STATEMENT,), VersionScheme.SEMVER, VersionOrder.ANY, ("rc",)),
    Resign.ALLOW_LOGGED,
)


def _sorted(pins: Pins) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pins.items()))
