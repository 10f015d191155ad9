"""The names an image may have, where one place in a name may be its version.

Decides which path is a name of the policy, which version it carries, and which exact names
attestations must then give. Everything but the version is compared byte for byte. Refuses
to know whether the version is one: version.py does.
"""

from __future__ import annotations

PLACE = "{version}"
MOST_VERSION = 128


def fits(names: tuple[str, ...], path: str) -> bool:
    """Say whether a path is one of the names."""
    return path in names or any(PLACE in name and _version(name, path) for name in names)


def version_in(names: tuple[str, ...], path: str) -> str:
    """Return the version in a path that fits, "" where it has no place for one."""
    found = sorted({version for name in names if (version := _version(name, path))})
    # The shortest leaves most to the name: of "a-{version}.efi" and "a-b-{version}.efi" the second.
    return min(found, key=len) if found else ""


def exact(names: tuple[str, ...], path: str) -> tuple[str, ...]:
    """Return the names as they are for the version in a path; without one its place is void."""
    version = version_in(names, path)
    return tuple(
        dict.fromkeys(
            name.replace(PLACE, version) for name in names if version or PLACE not in name
        )
    )


def _version(name: str, path: str) -> str:
    before, place, after = name.partition(PLACE)
    inside = path.removeprefix(before).removesuffix(after)
    if not place or len(before) + len(inside) + len(after) != len(path):
        return ""
    return inside if before + inside + after == path and _possible(inside) else ""


def _possible(version: str) -> bool:
    return 0 < len(version) <= MOST_VERSION and "/" not in version
