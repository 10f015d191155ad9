"""policy lint | show | sign | new: what the owners of a policy do with it.

lint names every fault with its line, and what is unwise besides; show says what the policy
means; sign adds one owner's signature; new writes an annotated file to begin with.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path

from ceremony import policy as policies
from ceremony.attest.sshsig import read_sshsig, verify_sshsig
from ceremony.errors import MediaTrouble, Refused, refuse
from ceremony.ingest.reading import read_regular
from ceremony.policy_advice import advice
from ceremony.policy_model import MOST_POLICY_BYTES, POLICY_NAMESPACE, Policy
from ceremony.show import escaped
from ceremony.types import MediaFile, refusals
from tui import policy_skeletons, policy_words, ssh_keys
from tui.attesting import write_new
from tui.commands import Exit
from tui.commands.files import shown_or_file
from tui.commands.findings import findings_json, put, put_findings, put_json

MOST_SIGNATURE = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their options."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    lint = commands.add_parser("lint", help="name every fault with its line, and what is unwise")
    lint.add_argument("policy", metavar="FILE", type=Path)
    lint.add_argument("--json", action="store_true", help="one JSON object (docs/spec/json.md)")
    show = commands.add_parser("show", help="say in words what the policy means")
    show.add_argument("policy", metavar="FILE", type=Path)
    sign = commands.add_parser("sign", help="add one owner's signature beside the file")
    sign.add_argument("policy", metavar="FILE", type=Path)
    sign.add_argument(
        "--key", metavar="K", type=Path, required=True, help="the owner's OpenSSH key file"
    )
    sign.add_argument("--name", help="NAME in FILE.NAME.sshsig, if not the key file's name")
    new = commands.add_parser("new", help="write an annotated policy to begin with")
    new.add_argument(
        "--for", dest="kind", choices=tuple(policy_skeletons.KINDS), required=True, help="like whom"
    )
    new.add_argument(
        "--output", metavar="FILE", type=shown_or_file, help="where to, if not to the terminal"
    )


def run(options: argparse.Namespace) -> Exit:
    """Do what is asked for; 1 where the policy is refused."""
    match str(options.action):
        case "lint":
            return _lint(options.policy, as_json=options.json)
        case "show":
            return _show(options.policy)
        case "sign":
            return _sign(options.policy, options.key, options.name)
        case _:
            return _new(options.kind, options.output)


def _lint(path: Path, *, as_json: bool) -> Exit:
    data = _read(path, MOST_POLICY_BYTES)
    try:
        policy = policies.load(data)
    except Refused as error:
        findings = error.findings
    else:
        findings = advice(policy, data.decode("utf-8"), datetime.now(UTC))
    faults = len(refusals(findings))
    verdict = "refused" if faults else "ok"
    if as_json:
        rules = [*dict.fromkeys(finding.rule for finding in refusals(findings))]
        put_json({"verdict": verdict, "rules": [*rules], "findings": [*findings_json(findings)]})
        return Exit.REFUSED if faults else Exit.YES
    put_findings(findings)
    wise = len(findings) - faults
    said = (
        f"{faults} {'fault' if faults == 1 else 'faults'}",
        f"{wise} {'piece' if wise == 1 else 'pieces'} of advice",
    )
    put(f"{escaped(path.name)}: {', '.join(said)}")
    return Exit.REFUSED if faults else Exit.YES


def _show(path: Path) -> Exit:
    data = _read(path, MOST_POLICY_BYTES)
    policy = policies.load(data)
    put(*policy_words.words(policy), "", "In the machine binding of its ceremonies")
    put(f'policy_sha256 = "{policy.sha256.hex}"', "", "Signatures beside it")
    found = policies.check_owners(policy, data, _signatures(path))
    put(*(f"  {finding.text}" for finding in found))
    return Exit.YES


def _sign(path: Path, key: Path, name: str | None) -> Exit:
    """Sign the file as it is, if it holds and the key is an owner's; check the signature."""
    data = _read(path, MOST_POLICY_BYTES)
    policy = policies.load(data)
    owner = name or key.name.removesuffix(".pub")
    if not _NAME.fullmatch(owner):
        raise refuse("POL-OWNERS", "an owner's name is letters, digits, dot, dash and underscore")
    armoured = ssh_keys.sign(key, POLICY_NAMESPACE, data)
    _check(policy, data, armoured)
    (written,) = write_new(path.parent, {f"{path.name}.{owner}.sshsig": armoured})
    put(f"wrote {written}")
    put(*(finding.text for finding in policies.check_owners(policy, data, _signatures(path))))
    return Exit.YES


def _check(policy: Policy, data: bytes, armoured: bytes) -> None:
    signed = verify_sshsig(read_sshsig(armoured), data, POLICY_NAMESPACE)
    if signed.fpr not in {owner.key.fpr for owner in policy.owners.keys}:
        raise refuse("POL-OWNERS", f"the key {signed.fpr} is no owner's by this policy")


def _new(kind: str, output: Path | None) -> Exit:
    text = policy_skeletons.new(kind, datetime.now(UTC))
    if output is None:
        put(text.rstrip("\n"))
        return Exit.YES
    write_new(output.parent, {output.name: text.encode()})
    put(f"wrote {output}; fill in what it marks REPLACE, then: uki-ceremony policy lint {output}")
    return Exit.YES


def _signatures(path: Path) -> tuple[MediaFile, ...]:
    """Return the signature files beside a policy, as a ceremony takes them."""
    names = sorted(
        file.name
        for file in path.parent.iterdir()
        if file.name.startswith(f"{path.name}.") and file.name.endswith(".sshsig")
    )
    return tuple(
        MediaFile(name, _read(path.parent / name, MOST_SIGNATURE))
        for name in names[: policies.MOST_SIGNATURES]
    )


def _read(path: Path, most: int) -> bytes:
    """Return a regular file's bytes; MED-SPECIAL, MED-SIZE, MED-PATH."""
    try:
        return read_regular(path, most)
    except OSError as error:
        text = f"{escaped(str(path))}: {error.strerror or error}"
        raise MediaTrouble("MED-PATH", text) from None
