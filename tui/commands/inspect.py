"""inspect IMAGE: what the strict parser sees, as the ceremony will see it.

In text it begins with what goes onto sheet P: the file's SHA-256, in hex and as the 32 words
that the read-back asks for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ceremony.codec import Json
from ceremony.engine.inspect import meaning_lines
from ceremony.pe.inspect import Gates, inspect
from ceremony.policy_model import SECTIONS
from ceremony.show import grouped
from ceremony.types import ImageFacts, Severity
from ceremony.words import rows
from tui.commands import Exit
from tui.commands.files import taken_image
from tui.commands.findings import findings_json, put, put_findings, put_json

MOST_BYTES = 2**32 - 2**16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--arch", choices=("x86_64", "aarch64"), help="refuse any other machine")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Parse and report; 1 when the image is refused."""
    gates = Gates(
        machine=options.arch,
        sections=SECTIONS,
        overlay=Severity.WARN,
        signed_input=Severity.WARN,
        max_bytes=MOST_BYTES,
    )
    facts = inspect(taken_image(options.image), gates)
    if options.json:
        put_json(facts_json(facts))
    else:
        put(*sheet_lines(facts), *meaning_lines(facts))
        put_findings(facts.findings)
        put("ok" if facts.accepted else "refused")
    return Exit.YES if facts.accepted else Exit.REFUSED


def sheet_lines(facts: ImageFacts) -> tuple[str, ...]:
    """Return the file's SHA-256 in hex and words."""
    digits = facts.sha256.hex
    return (
        f"SHA-256   {grouped(digits[:32])}",
        f"          {grouped(digits[32:])}",
        *(f"   {row}".rstrip() for row in rows(facts.sha256.value)),
    )


def facts_json(facts: ImageFacts) -> Json:
    """Return the object that docs/spec/json.md describes."""
    return {
        "sha256": facts.sha256.hex,
        "authenticode_sha256": facts.authenticode.hex if facts.authenticode else None,
        "size": facts.size,
        "machine": facts.machine,
        "sections": [
            {"name": s.name, "offset": s.offset, "size": s.size, "sha256": s.sha256.hex}
            for s in facts.sections
        ],
        "signatures": [
            {
                "offset": s.offset,
                "size": s.size,
                "signer": s.signer,
                "authenticode_sha256": s.authenticode.hex if s.authenticode else None,
            }
            for s in facts.signatures
        ],
        "findings": findings_json(facts.findings),
        "verdict": "ok" if facts.accepted else "refused",
    }
