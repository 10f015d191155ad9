"""in-toto Statements v0.1 and v1 with SLSA provenance v0.2 and v1.

Decides which subjects a statement names, with which digests, and which pins its
provenance gives: git_commit and flake_lock from materials or resolvedDependencies,
build_type, and texts of the external parameters. The builder's claims about itself come
from internalParameters (v1) or invocation.environment (v0.2). Refuses to know who signed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ceremony.attest import strict_json
from ceremony.attest.digest_set import read_digests
from ceremony.attest.record import SELF_CLAIMS, Artifact, Claims, Pins
from ceremony.attest.strict_json import Json
from ceremony.errors import refuse
from ceremony.show import escaped

RULE = "ATT-STATEMENT"
MOST_BYTES = 4 << 20
MOST_SUBJECTS = 1024
MOST_NAME = 4096
STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
SLSA_V02 = "https://slsa.dev/provenance/v0.2"
SLSA_V1 = "https://slsa.dev/provenance/v1"

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

# How builders name the image that a container came out of: package URLs and registries.
CONTAINER_IMAGES = ("docker://", "oci://", "pkg:docker/", "pkg:oci/")


def read_statement(payload: bytes) -> Claims:
    """Read a Statement; Refused (ATT-STATEMENT, -PREDICATE, -TWICE, -PIN, -TIME) says why not."""
    document = _object(strict_json.loads(payload, MOST_BYTES))
    match document:
        case {"_type": str(kind), "subject": list(subjects), "predicateType": str(predicate_type)}:
            pass
        case _:
            raise refuse(RULE, "_type, subject or predicateType is missing or of a wrong type")
    if kind not in STATEMENTS:
        raise refuse(RULE, f"the type {escaped(kind)} is not an in-toto Statement v0.1 or v1")
    artifacts = _artifacts(subjects)
    predicate = _object(document.get("predicate"))
    match predicate_type:
        case _ if predicate_type == SLSA_V1:
            return _provenance_v1(artifacts, predicate)
        case _ if predicate_type == SLSA_V02:
            return _provenance_v02(artifacts, predicate)
        case _:
            raise refuse("ATT-PREDICATE", f"the predicate {escaped(predicate_type)} is not known")


def _artifacts(subjects: list[Json]) -> tuple[Artifact, ...]:
    if not 0 < len(subjects) <= MOST_SUBJECTS:
        raise refuse(RULE, f"{len(subjects)} subjects; 1 to {MOST_SUBJECTS} are read")
    artifacts: dict[str, Artifact] = {}
    for subject in subjects:
        match subject:
            case {"name": str(name), "digest": dict(digests)} if 0 < len(name) <= MOST_NAME:
                if name in artifacts:
                    raise refuse("ATT-TWICE", f"the subject {escaped(name)} stands twice")
                artifacts[name] = Artifact(name, read_digests(digests, RULE))
            case _:
                raise refuse(RULE, "a subject has no name or no digest")
    return tuple(artifacts[name] for name in sorted(artifacts))


def _provenance_v1(artifacts: tuple[Artifact, ...], predicate: dict[str, Json]) -> Claims:
    definition = _object(predicate.get("buildDefinition"))
    metadata = _object(_object(predicate.get("runDetails")).get("metadata"))
    pins = Pins()
    _add_text(pins, "build_type", definition.get("buildType"))
    for name, value in _object(definition.get("externalParameters")).items():
        if name not in SELF_CLAIMS:
            _add_text(pins, name, value)
    _add_self_claims(pins, _object(definition.get("internalParameters")))
    _add_materials(pins, definition.get("resolvedDependencies"))
    return pins.claims(artifacts, _moment(metadata.get("finishedOn")))


def _provenance_v02(artifacts: tuple[Artifact, ...], predicate: dict[str, Json]) -> Claims:
    invocation = _object(predicate.get("invocation"))
    metadata = _object(predicate.get("metadata"))
    pins = Pins()
    _add_text(pins, "build_type", predicate.get("buildType"))
    for name, value in _object(invocation.get("parameters")).items():
        if name not in SELF_CLAIMS:
            _add_text(pins, name, value)
    _add_self_claims(pins, _object(invocation.get("environment")))
    _add_materials(pins, predicate.get("materials"))
    return pins.claims(artifacts, _moment(metadata.get("buildFinishedOn")))


def _add_self_claims(pins: Pins, values: dict[str, Json]) -> None:
    for name in SELF_CLAIMS if values else ():
        _add_text(pins, name, values.get(name))


def _add_text(pins: Pins, name: str, value: Json) -> None:
    if isinstance(value, str):
        pins.add(name, value)


def _add_materials(pins: Pins, materials: Json) -> None:
    """Add git_commit, flake_lock and base_image; two different ones leave no single one to pin."""
    commits: set[str] = set()
    images: set[str] = set()
    for material in materials if isinstance(materials, list) else ():
        entry = _object(material)
        digests = _object(entry.get("digest"))
        names = [str(entry.get(key) or "") for key in ("name", "uri")]
        commit = digests.get("gitCommit")
        if commit is None and names[1].startswith("git+"):
            commit = digests.get("sha1")
        if isinstance(commit, str):
            commits.add(commit)
        lock = digests.get("sha256")
        if isinstance(lock, str) and any(name.endswith("flake.lock") for name in names):
            pins.add("flake_lock", lock)
        if isinstance(lock, str) and names[1].startswith(CONTAINER_IMAGES):
            images.add(f"sha256:{lock}")
    if len(images) == 1:
        pins.add("base_image", images.pop())
    if len(commits) == 1:
        pins.add("git_commit", commits.pop())


def _moment(value: Json) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise refuse("ATT-TIME", "the time the build finished is no RFC 3339 moment")


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
