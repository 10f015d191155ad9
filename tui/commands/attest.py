"""attest IMAGE --builder ID --key K: sign what this machine built, in the key's own format.

An OpenSSH key signs SHA256SUMS (SSHSIG), a minisign key a .sha256, a PEM key a DSSE
envelope with an in-toto Statement. What a builder says of itself never counts towards
independence; the policy's enrolment does.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path

from ceremony.errors import refuse
from tui import attesting
from tui.commands import Exit
from tui.commands.files import read_image
from tui.commands.report import put, put_json

_KNOWN = {
    "git_commit": re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}"),
    "flake_lock": re.compile(r"[0-9a-f]{64}"),
}
_BUILDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--builder", metavar="ID", required=True, help="as the policy enrols it")
    parser.add_argument("--key", metavar="K", type=Path, required=True, help="the private key file")
    parser.add_argument("--name", help="the image's name in the policy, if not its file name")
    parser.add_argument(
        "--pin",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an input all builders must agree on: git_commit=HEX, flake_lock=HEX, ...",
    )
    parser.add_argument(
        "--flake-lock", metavar="FILE", type=Path, help="pin flake_lock to this file's SHA-256"
    )
    parser.add_argument(
        "--source", default="", help="the repository of git_commit: github.com/org/repo"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path(), help="where to write")
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")


def run(options: argparse.Namespace) -> Exit:
    """Write the attestation's files; never over files that exist."""
    if not _BUILDER.fullmatch(options.builder):
        raise refuse("ATT-FORMAT", "a builder's id is letters, digits, dot, dash and underscore")
    pins = dict(_pin(text) for text in options.pin)
    if options.flake_lock:
        pins["flake_lock"] = attesting.sha256_hex(read_image(options.flake_lock))
    claim = attesting.Claim(
        builder=options.builder,
        name=options.name or options.image.name,
        sha256=attesting.sha256_hex(read_image(options.image)),
        pins=tuple(sorted(pins.items())),
        made=datetime.now(UTC),
        source=options.source,
    )
    files = attesting.attest(claim, options.key)
    written = attesting.write_new(options.output, files)
    if options.json:
        put_json({"builder": claim.builder, "sha256": claim.sha256, "files": [*map(str, written)]})
    else:
        put(f"{claim.sha256}  {claim.name}", *(f"wrote {path}" for path in written))
    return Exit.YES


def _pin(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    known = _KNOWN.get(name)
    if known and not known.fullmatch(value):
        raise refuse("ATT-PIN", f"{name} is lower-case hex of {known.pattern}, not {value[:80]!r}")
    if not (equals and name.isidentifier() and value and value.isprintable() and " " not in value):
        raise refuse("ATT-PIN", f"--pin takes NAME=VALUE, not {text!r}")
    return name, value
