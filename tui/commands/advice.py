"""What a builder without a vote should run where it built, by the key that it enrolled.

Decides one command that makes an attestation the policy reads: our own `attest` where it has the
key's format, else the tool whose format it is. Only the key and what nobody knows here are left
to fill in, in capitals. Refuses to know why the vote is missing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from ceremony.artifact_names import exact
from ceremony.policy_model import Policy
from ceremony.policy_people import Builder, KeyWrapping
from ceremony.verdicts import Verdict

LOCK = "flake_lock"
_OURS = {
    KeyWrapping.SSH: ("sshsig", "SSH_KEY_FILE"),
    KeyWrapping.SSH_CA: ("sshsig", "SSH_KEY_FILE-cert.pub"),
    KeyWrapping.MINISIGN: ("minisign", "MINISIGN_KEY_FILE"),
    KeyWrapping.SPKI: ("dsse", "PEM_KEY_FILE"),
}


def command(policy: Policy, verdict: Verdict, builder: Builder) -> str:
    """Return the command, for the version of the image that was judged; "" where there is none."""
    names = exact(policy.artifact.names, verdict.image_name) or policy.artifact.names
    name = verdict.image_name if verdict.image_name in names else names[0]
    pins = dict(_pins(policy, verdict))
    for key in builder.keys:
        wrapping = key.wrapping
        kind, file = _OURS.get(wrapping, ("", ""))
        if kind in builder.formats:
            return _attest(policy, builder, name, pins, file)
        if said := _with_its_tool(policy, builder, name, pins, wrapping):
            return said
    return ""


def _pins(policy: Policy, verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield the pins that must agree, with the value that the other votes give them."""
    known = dict(verdict.inputs)
    for name in policy.inputs.must_agree:
        yield name, known.get(name, "VALUE")


def _attest(
    policy: Policy, builder: Builder, name: str, pins: dict[str, str], key_file: str
) -> str:
    words = ["uki-ceremony", "attest", name, "--builder", builder.id, "--key", key_file]
    if "/" in name:
        words += ["--name", name]
    for pin, value in pins.items():
        if pin == LOCK:
            words += ["--flake-lock", policy.inputs.flake_lock_file or "flake.lock"]
        else:
            words += ["--pin", f"{pin}={value}"]
    return shlex.join(words)


def _with_its_tool(
    policy: Policy, builder: Builder, name: str, pins: dict[str, str], wrapping: KeyWrapping
) -> str:
    """Return the words for another tool than ours; checksums carry pins as comment lines."""
    image = shlex.quote(name)
    match wrapping:
        case KeyWrapping.OPENPGP if "openpgp" in builder.formats:
            sign = "gpg --armor --detach-sign --local-user OPENPGP_KEY SHA256SUMS"
        case KeyWrapping.SIGNIFY if "signify" in builder.formats:
            sign = "signify -S -s SIGNIFY_KEY_FILE -m SHA256SUMS -x SHA256SUMS.sig"
        case KeyWrapping.NIX if "narinfo" in builder.formats:
            nix = "nix --extra-experimental-features nix-command"
            sign = f"{nix} store sign --key-file NIX_KEY_FILE ./result"
            return f'{sign} && {nix} copy --to "file://$PWD/media" ./result'
        case KeyWrapping.SPKI if "in-toto-link" in builder.formats:
            made = f"in-toto-run --step-name build --products {image} --signing-key PEM_KEY_FILE"
            return f"{made} -- BUILD_COMMAND"
        case _:
            return ""
    lock = policy.inputs.flake_lock_file or "flake.lock"
    lines = [f"sha256sum {image}"]
    for pin, value in pins.items():
        if pin != LOCK:
            lines.append(f"echo {shlex.quote(f'# {pin} {value}')}")
        elif PurePosixPath(lock).name == "flake.lock":
            lines.append(f"sha256sum {shlex.quote(lock)}")
        else:
            lines.append(f'echo "# {LOCK} $(sha256sum < {shlex.quote(lock)} | cut -c -64)"')
    return f"{{ {'; '.join(lines)}; }} > SHA256SUMS && {sign}"
