"""A reader that was taken over says of signed bytes what they do not say, in every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attest.gpg_home import SIGNED
from cases.signed_scenes import (
    HERE,
    SCENES,
    THERE,
)
from quorum.release import IMAGE, OTHER, Release, sha256

from ceremony.attest.record import Artifact, Attestation, Claims, Reading
from ceremony.ingest.told import Garbage
from ceremony.keys import Scheme


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


def plain(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    return tuple(replace(r, proof=None) if isinstance(r, Attestation) else r for r in readings)


@pytest.mark.parametrize("name", SCENES)
def test_what_an_honest_child_tells_comes_through(name: str, release: Release) -> None:
    scene = SCENES[name](release)
    assert scene.believed(scene.told()) == plain((scene.read(),))
    said = scene.read().claims
    assert {artifact.digest("sha256") for artifact in said.artifacts} >= {
        sha256(IMAGE),
        sha256(OTHER),
    }


def exchanged(said: Claims) -> Claims:
    """The digests of the two files change places: both stand literally in what was signed."""
    digests = {artifact.name: artifact.digests for artifact in said.artifacts}
    other = {HERE: THERE, THERE: HERE, f"result/{HERE}": THERE}
    return replace(
        said,
        artifacts=tuple(Artifact(name, digests[other.get(name, name)]) for name in sorted(digests)),
    )


def renamed(said: Claims) -> Claims:
    """Another file of the same text goes by the image's name."""
    (debug,) = (one for one in said.artifacts if one.name == THERE)
    return replace(said, artifacts=(Artifact(HERE, debug.digests),))


def freshened(said: Claims) -> Claims:
    return replace(said, time=(said.time or SIGNED) + timedelta(days=1))


def untimed(said: Claims) -> Claims:
    return replace(said, time=None if said.time else datetime(2026, 11, 21, tzinfo=UTC))


def another_commit(said: Claims) -> Claims:
    """Forty digits that stand in what was signed, as part of a digest."""
    pins = dict(said.pins) | {"git_commit": sha256(IMAGE)[:40]}
    return replace(said, pins=tuple(sorted(pins.items())))


def no_pins(said: Claims) -> Claims:
    return replace(said, pins=())


def another_self(said: Claims) -> Claims:
    return replace(said, self_claims=(("isolation", "tee-vm"),))


LIES: tuple[Callable[[Claims], Claims], ...] = (
    exchanged,
    renamed,
    freshened,
    untimed,
    another_commit,
    no_pins,
    another_self,
)


def claims_told(said: Claims) -> list[Any]:
    artifacts = [[one.name, [[*pair] for pair in one.digests]] for one in said.artifacts]
    pins, selves = [[*pair] for pair in said.pins], [[*pair] for pair in said.self_claims]
    return [artifacts, pins, said.time.isoformat() if said.time else None, selves]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
@pytest.mark.parametrize("name", SCENES)
def test_no_taken_over_child_says_otherwise(
    name: str, lie: Callable[[Claims], Claims], release: Release
) -> None:
    scene = SCENES[name](release)
    said = scene.read().claims
    assert lie(said) != said
    told = scene.told()
    told[0][-2] = claims_told(lie(said))
    with pytest.raises(Garbage):
        scene.believed(told)


def test_no_taken_over_child_says_that_another_algorithm_signed(release: Release) -> None:
    """A policy may forbid one way of signing: which it was is not the child's to say."""
    for name, build in SCENES.items():
        scene = build(release)
        honest = scene.told()
        for scheme in Scheme:
            if scheme == honest[0][2]:
                continue
            with pytest.raises(Garbage):
                scene.believed([[*honest[0][:2], scheme, *honest[0][3:]]])
            assert scene.believed(honest), name
