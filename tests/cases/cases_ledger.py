"""Cases of what was taken back, and of what was signed before: 24 to 26, 66 to 69, 71, 72."""

from __future__ import annotations

from cases.cases_release import case
from quorum.casebook import TRIO, Built, Files, loaded, rows
from quorum.ledger_lines import HEAD_OF_NONE, entry, head_of, ledger, releasing
from quorum.release import COMMIT, IMAGE, OTHER, Release, pair, sha256
from quorum.tool_keys import SshKey

from ceremony.ledger import Entry
from ceremony.policy import Policy
from ceremony.types import MediaFile

BOOK = "ledger.jsonl"


def confirmed(files: Files) -> str:
    """Return the head of the ledger that lies among the files."""
    return next(head_of(file.data) for file in files if file.path == BOOK)


def none_before(files: Files) -> str:
    """Return what people confirm before the first ceremony."""
    assert not any(file.path == BOOK for file in files)
    return HEAD_OF_NONE


def of_paper(_: Files) -> str:
    """Return the head of a ledger that does not lie here."""
    return "ab" * 32


def back(release: Release, by: str) -> Built:
    """Return a dissent of dan's that somebody takes back; fay has dan for a person too."""
    dissent = release.attest("dan", OTHER)
    key = release.keys[by]
    assert isinstance(key, SshKey)
    content = f"# retracts sha256:{sha256(dissent[-1].data)}\n".encode()
    files = pair("back/SHA256SUMS", content, key.sign(content))
    tables = release.tables(*TRIO, "dan", "fay")
    rows(tables)[4]["persons"] = ["dan", "fay"]
    return loaded(tables), (*release.all(*TRIO), *dissent, *files)


@case("24", "ACCEPT", 3, "QRM-RETRACTED")
def a_dissenter_who_takes_it_back(release: Release) -> Built:
    return back(release, "dan")


@case("25", "ACCEPT", 3, "QRM-RETRACTED")
def another_key_of_the_dissenters_principal_takes_it_back(release: Release) -> Built:
    return back(release, "fay")


@case("25b", "OVERRIDE_NEEDED", 3, "QRM-RETRACTION")
def a_dissent_that_another_principal_takes_back(release: Release) -> Built:
    return back(release, "ann")


def said(release: Release, version: str) -> Files:
    pins = {"git_commit": COMMIT, "version": version}
    return tuple(file for name in TRIO for file in release.attest(name, IMAGE, pins))


def after(release: Release, version: str, *entries: Entry, keep: int | None = None) -> Built:
    """Return the image as `version` with a ledger, of which `keep` lines are left."""
    policy: Policy = releasing(release)
    data = ledger(policy, *entries)
    lines = data.splitlines(keepends=True)[:keep]
    return policy, (*said(release, version), MediaFile(BOOK, b"".join(lines)))


@case("26", "ACCEPT", 3, "QRM-VANISHED", head=confirmed)
def an_attestation_of_the_last_ceremony_that_is_gone(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.9.0", attestations=(sha256(b"a dissent"),)))


@case("66", "ACCEPT", 3, "QRM-RESIGN", head=confirmed)
def the_last_versions_very_bytes(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.9.0"))


@case("67", "REFUSE", 3, "QRM-REUSE", head=confirmed)
def the_last_version_of_other_bytes(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.9.0", OTHER))


@case("68", "OVERRIDE_NEEDED", 3, "QRM-ROLLBACK", head=confirmed)
def a_lower_version_than_the_last(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.10.0", OTHER))


@case("69a", "ACCEPT", 3, head=confirmed)
def a_greater_version_whose_text_is_less(release: Release) -> Built:
    return after(release, "1.10.0", entry("1.9.0", OTHER))


@case("69b", "OVERRIDE_NEEDED", 3, "QRM-ROLLBACK", head=confirmed)
def a_candidate_after_its_release(release: Release) -> Built:
    return after(release, "1.9.0-rc1", entry("1.9.0", OTHER))


@case("69c", "REFUSE", 3, "QRM-VERSION", head=confirmed)
def a_version_that_is_not_canonical(release: Release) -> Built:
    return after(release, "01.10.0", entry("1.9.0", OTHER))


@case("69d", "REFUSE", 3, "QRM-VERSION", head=confirmed)
def a_version_in_digits_of_another_script(release: Release) -> Built:
    return after(release, "1.\u0661\u0660.0", entry("1.9.0", OTHER))


@case("71a", "REFUSE", 3, "QRM-LEDGER", head=of_paper)
def a_ledger_that_is_missing(release: Release) -> Built:
    return releasing(release), said(release, "1.9.0")


@case("71b", "REFUSE", 3, "QRM-LEDGER-HEAD", head=of_paper)
def a_ledger_that_was_shortened_or_is_anothers(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.7.0", OTHER), entry("1.8.0", b"x"), keep=1)


@case("71c", "REFUSE", 3, "QRM-LEDGER-HEAD")
def a_ledger_whose_head_nobody_confirmed(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.8.0", OTHER))


@case("71d", "REFUSE", 3, "QRM-LEDGER-FORK")
def two_ledgers_that_tell_two_stories(release: Release) -> Built:
    policy, files = after(release, "1.9.0", entry("1.7.0", OTHER), entry("1.8.0", b"one"))
    other = ledger(policy, entry("1.7.0", OTHER), entry("1.8.0", b"two"))
    return policy, (*files, MediaFile(f"second/{BOOK}", other))


@case("71e", "ACCEPT", 3, "QRM-LEDGER", head=none_before)
def no_ledger_where_people_confirm_that_none_was_made(release: Release) -> Built:
    return releasing(release), said(release, "1.9.0")


@case("72", "REFUSE", 3, "POL-SEQUENCE", head=confirmed)
def a_policy_of_a_lower_sequence_than_the_last(release: Release) -> Built:
    return after(release, "1.9.0", entry("1.8.0", OTHER, policy_sequence=2))
