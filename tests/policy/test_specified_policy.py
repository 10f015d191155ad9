"""The policy that the quorum's specification shows, key for key, with real keys in its places."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from marks import accepts
from quorum.release import certificate

from ceremony.keys import parse_ssh_line
from ceremony.policy import load
from ceremony.release_rules import VersionSource

TEXT = """schema = "uki-ceremony/policy/1"
policy_id = "anchor-release"
sequence = 7                                  # must exceed the ledger's last
valid_from = 2026-11-01T00:00:00Z
expires = 2027-02-01T00:00:00Z
[owners]
threshold = 2
keys = <owners>
[artifact]
names = ["anchor.efi", "result/anchor.efi", "anchor-{version}.efi"]
arch = "aarch64"
max_bytes = 536870912
[version]
source = ["statement", "minisign-comment", "file-name"]
scheme = "semver"
rule = "strictly-greater"
deny = ["-dirty", "-dev", "rc"]
same_digest_resign = "allow-logged"
[inputs]
must_agree = ["git_commit", "flake_lock", "build_type", "image_id"]
flake_lock_file = "flake.lock"
missing = "weak"
[quorum]
threshold = 3
rule = "all(2 of core, 1 of external)"
weak_votes_max = 1
distinct = { organisation = 2, isolation = 2 }
[groups]
core = ["ci-a", "ci-b", "alice"]
external = ["bob-freebsd", "rebuilder-x"]
[dissent]
same_inputs = "veto"
other_inputs = "report"
unverified = "report"
override = { operators = 2, reason = true }
[time]
max_age = "45d"
future_skew = "10m"
[algorithms]
sign = [
    "ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa>=3072-sha256", "sk-ssh-ed25519",
]
deny = ["sha1", "md5", "dsa"]
[roles]
administrator = "carol"
internal_witness = "ines"
external_witness = "ed"
key_holders = ["kim"]
[approvals]
threshold = 1
[signer]
uri = "pkcs11:token=t;object=o"
certificate = '''
<certificate>'''
[gates]
signed_input = "refuse"
[outputs]
unsigned = true
[[revoked]]
fpr = "sha256:abababababababababababababababababababababababababababababababab"
since = 2026-10-03T00:00:00Z
mode = "all"
"""
BUILDER = """[[builder]]
id = "<id>"
organisation = "<id>"
persons = ["<id>"]
isolation = "<isolation>"
cpu_vendor = "amd"
shares_with = []
formats = ["sshsig", "minisign"]
[[builder.key]]
fpr = "<fpr>"
type = "ssh-ed25519"
namespace = "uki-attestation"
from = 2026-01-01
to = 2027-01-01
public = "<public>"
"""
PERSON = """[[person]]
id = "<id>"
name = "<id>"
keys = ["<public>"]
"""


def filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text


def line() -> str:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@accepts("POL-UNKNOWN", "POL-VALUE", "POL-PUBLIC-KEY")
def test_every_key_of_the_specified_policy_is_read() -> None:
    parts = [filled(TEXT, owners=json.dumps([line(), line()]), certificate=certificate())]
    parts += [filled(PERSON, id=name, public=line()) for name in ("carol", "ines", "ed", "kim")]
    kinds = ("nix-sandbox", "docker", "bwrap", "freebsd-jail", "qemu-vm")
    names = ("ci-a", "ci-b", "alice", "bob-freebsd", "rebuilder-x")
    for name, isolation in zip(names, kinds, strict=True):
        public = line()
        fpr = parse_ssh_line(public)[0].fpr
        parts.append(filled(BUILDER, id=name, isolation=isolation, fpr=fpr, public=public))
    policy = load("".join(parts).encode())
    assert policy.sequence == 7
    assert policy.version is not None
    assert policy.version.source == tuple(VersionSource)
    assert policy.version.deny == ("-dirty", "-dev", "rc")
    assert policy.inputs.must_agree == ("build_type", "flake_lock", "git_commit", "image_id")
    assert str(policy.quorum.tree) == "all(2 of core, 1 of external)"
    assert policy.quorum.distinct == (("organisation", 2), ("isolation", 2))
    assert policy.dissent.override.operators == 2
    assert (policy.time.max_age, policy.time.future_skew) == (45 * 86400, 600)
    assert [builder.id for builder in policy.builders] == list(names)
    assert policy.revoked[0].whole
