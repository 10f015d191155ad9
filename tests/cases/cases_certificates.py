"""Case 50: signatures by SSH certificate, made by the real ssh-keygen, as the policy says."""

from __future__ import annotations

import base64

from cases.cases_release import case
from quorum.casebook import DIGEST, Built, keys_of, loaded
from quorum.release import COMMIT, NOW, Release, checksums, pair
from quorum.ssh_authority import VALID, SshAuthority, sign_certified
from quorum.tool_keys import SshKey

from ceremony.attest.ssh_wire import string
from ceremony.keys import parse_ssh_line


@case("50a", "REFUSE", 2, "QRM-ENROLLED")
def an_sshsig_by_certificate_of_no_enrolled_authority(release: Release) -> Built:
    return by_certificate(release, enrolled=False)


@case("50e", "ACCEPT", 3)
def an_sshsig_by_certificate_of_the_builders_authority(release: Release) -> Built:
    return by_certificate(release)


@case("50f", "REFUSE", 2, "QRM-CERTIFICATE")
def a_certificate_for_another_principal(release: Release) -> Built:
    return by_certificate(release, principal="fay")


@case("50g", "REFUSE", 2, "QRM-CERTIFICATE")
def a_certificate_that_had_expired(release: Release) -> Built:
    return by_certificate(release, valid="20260101:20260201")


@case("50h", "REFUSE", 2, "QRM-CERTIFICATE")
def a_hosts_certificate(release: Release) -> Built:
    return by_certificate(release, "-h")


@case("50i", "REFUSE", 2, "QRM-REVOKED")
def a_certificate_that_is_revoked_by_its_serial(release: Release) -> Built:
    return by_certificate(release, revoked="4711")


@case("50j", "REFUSE", 2, "ATT-CERTIFICATE")
def a_certificate_whose_principal_was_changed(release: Release) -> Built:
    return by_certificate(release, principal="fay", forged=True)


def by_certificate(  # noqa: PLR0913 - what the policy and the authority may say
    release: Release,
    *more: str,
    enrolled: bool = True,
    principal: str = "dan",
    valid: str = VALID,
    revoked: str = "",
    forged: bool = False,
) -> Built:
    """Return a release whose third builder, dan, signs by certificate."""
    for old in release.folder.glob("certified-*"):
        old.unlink()
    authority = SshAuthority.make(release.folder / "certified-by")
    user = SshKey.make(release.folder / "certified-key")
    authority.certify(release.folder / "certified-key.pub", principal, *more, valid=valid)
    content = checksums(DIGEST, "anchor.efi", {"git_commit": COMMIT})
    signature = sign_certified(user, content)
    if forged:
        signature = _forged(signature)
    tables = release.tables()
    if enrolled:
        keys_of(tables, 3)[0].update(type="ssh-ca", public=authority.line, principals=["dan"])
    if revoked:
        fpr = parse_ssh_line(authority.line)[0].fpr
        tables["revoked"] = [{"fpr": fpr, "since": NOW, "serials": [revoked]}]
    files = pair("dan/SHA256SUMS", content, signature)
    return loaded(tables), (*release.all("ann", "bob"), *files)


def _forged(signature: bytes) -> bytes:
    """Return a signature whose certificate was for somebody else."""
    lines = signature.split(b"\n")
    blob = base64.b64decode(b"".join(lines[1:-2]))
    text = base64.b64encode(blob.replace(string(b"fay"), string(b"dan"), 1))
    wrapped = (text[i : i + 70] for i in range(0, len(text), 70))
    return b"\n".join((lines[0], *wrapped, *lines[-2:]))
