"""The policy's [[component]] tables: parts of the image with votes of their own.

Decides what one table says, and that no name of a part is a name of the image or of another
part: what is attested of a part never counts for the image. Refuses to know attestations.
"""

from __future__ import annotations

from ceremony import policy_parts
from ceremony.artifact_names import PLACE, fits
from ceremony.policy_model import Policy
from ceremony.policy_tables import Faults, Table
from ceremony.quorum_rules import Component, QuorumRule
from ceremony.show import escaped

MOST_COMPONENTS = 32
MOST_SECTION = 8  # PE/COFF: a section's name has at most 8 bytes


def components(root: Table) -> tuple[Component, ...]:
    """Read every [[component]]: id, names, section, and the keys of [quorum]."""
    return tuple(_component(table) for table in root.tables("component", MOST_COMPONENTS))


def _component(table: Table) -> Component:
    names = table.texts("names")
    if not names:
        table.fault("POL-VALUE", "names", "at least one name is wanted")
    section = table.name_text("section", "")
    if len(section.encode()) > MOST_SECTION or (section and not section.isascii()):
        why = f"a section's name of at most {MOST_SECTION} ASCII characters is wanted"
        table.fault("POL-VALUE", "section", why)
    read = Component(table.name_text("id"), names, section, policy_parts.quorum(table))
    table.end()
    return read


def quorums(policy: Policy) -> tuple[tuple[str, QuorumRule], ...]:
    """Return the image's quorum and every part's, by the table that it stands in."""
    own = ((f"component {n}", part.quorum) for n, part in enumerate(policy.components, 1))
    return (("quorum", policy.quorum), *own)


def check_names(policy: Policy, faults: Faults) -> None:
    """POL-COMPONENT: a name is the image's or one part's, never two things'."""
    seen: dict[str, str] = {}
    for number, part in enumerate(policy.components, 1):
        for name in part.names:
            if PLACE in name:
                why = f"{escaped(name)}: a part's name has no place for a version"
            elif fits(policy.artifact.names, name):
                why = f"{escaped(name)} is a name of the image"
            elif name in seen:
                why = f"{escaped(name)} is a name of {escaped(seen[name])} too"
            else:
                seen[name] = part.id
                continue
            faults.add("POL-COMPONENT", f"component {number}", "names", why)
