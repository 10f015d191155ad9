"""What a report does not prove, said in every one."""

from __future__ import annotations

from transcripts.report.document import Bullets, Paragraph, Section

_SAID = """
That the machine showed people what it recorded. The words from independent paper, and verifying
the outputs on another machine, stand against that.

That the people were who they said. An answer stands under a typed name; the PIN and the
countersignatures are what needed something that a person holds.

That the witnesses did not all lie together. Only publication on the same day shows a second
record of one ceremony.

That the policy is the right one. Compare its SHA-256 with one that you have from elsewhere.

That the clocks were right. Times are what the machine's clock claimed and a witness read.

That the key is in hardware. Attributes graded as asserted are claims of the PKCS#11 module.

That the image does no harm. The builders said that they built these bytes, and nothing more.

What happened to rooms, doors, cameras, seals and media beside the machine. See the paper.

Anything by itself: this report is a reading of the bundle, and the bundle is the evidence. The
command uki-ceremony replay comes to the same verdict from it, on any machine.
"""


def section() -> Section:
    """Return the section on limits."""
    said = tuple((" ".join(part.split()),) for part in _SAID.strip().split("\n\n"))
    lead = Paragraph(("Even where replay says REPRODUCED, this report does not prove:",))
    return Section("limits", "What this report does not prove", (lead, Bullets(said)))
