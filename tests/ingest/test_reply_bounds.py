"""How much a child that was taken over may cost, and that no honest one is ever cut short."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marks import refuses
from quorum.casebook import TRIO
from quorum.release import NOW, Release, facts, judged
from quorum.toml_text import toml

from ceremony.attest.aids import Aids
from ceremony.attest.gather import Evidence, Format, gather, read
from ceremony.attest.openpgp import MOST_LINES
from ceremony.attest.record import Unverified
from ceremony.attest.ssh_wire import string
from ceremony.attest.sshsig import armor, signed_data
from ceremony.attest.sums import MOST_LINES as MOST_SUMS
from ceremony.attest.sums import read_sums
from ceremony.errors import Refused
from ceremony.ingest import sandbox
from ceremony.ingest.asking import BATCH, BATCH_ROOM, TIMES, WORDS, batches, room
from ceremony.ingest.judging import Case, judge_apart
from ceremony.ingest.told import Garbage, _claims_told, telling, understood
from ceremony.policy_people import ATTESTATION_NAMESPACE
from ceremony.types import MediaFile

MEBIBYTE = 1 << 20
MOST_PEAK = 48 * MEBIBYTE  # of Python's objects in the parent, whatever the child says
READY = "import sys\nput = sys.stdout.write\nput('{\"ready\": []}\\n')\n"
# Each of these, believed to its end, once cost the parent gigabytes.
TALK = {
    "a-line-of-small-lists": (
        READY + "put('{\"at\": 0}\\n{\"told\": [')\nfor _ in range(256): put('[],' * 350_000)",
        "more than [0-9,]+ bytes",
    ),
    "lines-of-small-lists": (
        READY
        + "for _ in range(1 << 20): put('{\"at\": 0}\\n{\"told\": [' + '[],' * 999 + '[]]}\\n')",
        "no readings|more than",
    ),
    "no-end-of-beginnings": (
        READY + "for _ in range(1 << 26): put('{\"at\": 0}\\n')",
        "more than [0-9,]+ bytes",
    ),
    "long-words-of-every-file": (
        READY
        + 'word = \'["malformed", "", "ATT-SUMS", "\' + \'x\' * 4000 + \'"],\'\n'
        + 'put(\'{"at": 0}\\n{"told": [[\' + word * 65_000)',
        "more than [0-9,]+ bytes",
    ),
    "an-endless-first-line": ("while True: print('x' * 65_536, end='')", "did not start"),
    "no-line-at-all": (
        READY + "for _ in range(1 << 16): put('x' * 65_536)",
        "more than [0-9,]+ bytes",
    ),
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release.make(tmp_path_factory.mktemp("release"))


@contextmanager
def peak() -> Iterator[list[int]]:
    """Give the most bytes that Python held at once for what runs inside."""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def case(release: Release, *files: MediaFile) -> Case:
    return Case(toml(release.tables()), "anchor.efi", facts(), files, NOW)


def ends(asked: Case) -> list[str]:
    """Return what is said of the child's ends: a file left out for each, or one refusal."""
    try:
        texts = [finding.text for finding in judge_apart(asked).lost]
    except Refused as error:
        texts = [finding.text for finding in error.findings]
    assert texts
    return texts


@refuses("MED-SANDBOX")
@pytest.mark.parametrize(("program", "why"), TALK.values(), ids=TALK)
def test_a_taken_over_reader_cannot_fill_the_parents_memory(
    program: str, why: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_START", program)
    with peak() as most:
        texts = ends(case(release, *release.all(*TRIO)))
    assert all(re.search(why, text) for text in texts)
    assert most[0] < MOST_PEAK


def test_a_whole_batch_of_small_lists_costs_little(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(
        MediaFile(f"{number}.sig", b"-----BEGIN SSH SIGNATURE-----\n" + b"%9d" % number * 1000)
        for number in range(BATCH)
    )
    sizes = [size for _, size in batches(gather(files), BATCH)]
    assert max(sizes) > BATCH_ROOM // 2
    line = f"put('{{\"at\": 0}}\\n{{\"told\": [' + '[],' * {max(sizes) // 3} + '[]]}}\\n')"
    monkeypatch.setattr(sandbox, "_START", f"{READY}{line}\nsys.stdout.flush()\nsys.stdin.read()")
    with peak() as most:
        assert ends(case(release, *files)) == ["more than 16 files end their reader"]
    assert most[0] < MOST_PEAK


def long_list() -> bytes:
    return b"".join(b"%064x  name-%d\n" % (number, number) for number in range(MOST_SUMS))


def by_strangers(content: bytes, count: int) -> tuple[MediaFile, ...]:
    """Return one checksum file and signatures of keys that nobody enrolled."""
    data = signed_data(ATTESTATION_NAMESPACE, content)
    files = [MediaFile("x/SHA256SUMS", content)]
    for number in range(count):
        key = Ed25519PrivateKey.from_private_bytes(b"%032d" % number)
        kind = string(b"ssh-ed25519")
        blob = kind + string(key.public_key().public_bytes_raw())
        signature = armor(blob, ATTESTATION_NAMESPACE, kind + string(key.sign(data)), "sha512")
        files.append(MediaFile(f"x/SHA256SUMS.{number}.sig", signature))
    return tuple(files)


def test_strangers_beside_one_long_list_cost_what_they_are(release: Release) -> None:
    """A hundred of them once cost 600 MiB and twenty seconds; four hundred, the whole medium."""
    good = release.all(*TRIO)
    with peak() as most:
        found = judge_apart(case(release, *good, *by_strangers(long_list(), 100)))
    assert most[0] < MOST_PEAK
    assert found.lost == ()
    assert found.verdict.verdict == "ACCEPT"
    assert found.verdict.matrix == judged(release.policy(), good).matrix


def test_what_a_stranger_says_of_a_long_list_is_the_artifact_alone(release: Release) -> None:
    policy = release.policy()
    name = policy.artifact.names[0].encode()
    content = long_list().replace(b"name-7\n", name + b"\n")
    told = [
        telling(read(evidence, policy), evidence, policy.artifact.names)
        for evidence in gather(by_strangers(content, 1))
    ]
    assert told[0][0][4] == [[name.decode(), [["sha256", f"{7:064x}"]]]]  # type: ignore[index]
    assert len(json.dumps(told)) < 500


def test_the_room_of_every_piece_is_asked_for_once() -> None:
    files = [
        MediaFile(f"{n}.sig", b"-----BEGIN SSH SIGNATURE-----\n" * (n + 1)) for n in range(300)
    ]
    files.append(MediaFile("z.intoto.json", b'{"payloadType"' + b" " * MEBIBYTE))
    evidence = gather(tuple(files))
    lines = list(batches(evidence, BATCH))
    assert lines[-1][0] == len(evidence)
    assert sum(size for _, size in lines) == sum(map(room, evidence))
    starts = [0, *(end for end, _ in lines)]
    for start, (end, size) in zip(starts, lines, strict=False):
        assert 0 < end - start <= BATCH
        assert size <= BATCH_ROOM or end - start == 1


def test_sixty_four_short_signatures_of_one_file_are_a_few_lines_and_have_room(
    release: Release,
) -> None:
    packet = b"\x04\x00\x16\x0a\x00\x06\x05\x02%b\x00\x00\x00\x00\x00\x08\xff\x00\x08\xff"
    file = b"".join(
        b"\xc2" + bytes([len(one)]) + one for one in (packet % b"%04d" % n for n in range(64))
    )
    policy = release.policy()
    content = b"%064x  %b\n" % (1, policy.artifact.names[0].encode())
    evidence = gather((MediaFile("SHA256SUMS", content), MediaFile("SHA256SUMS.sig", file)))[0]
    readings = read(evidence, policy)
    # Sixty-four lines of one file would bury the others.
    assert len(readings) == MOST_LINES + 1
    last = readings[-1]
    assert isinstance(last, Unverified)
    assert last.text.startswith("60 more signatures in this file are no votes; the first: the key")
    told = json.dumps(telling(readings, evidence, policy.artifact.names))
    assert len(told) <= room(evidence)


def test_the_longest_escapes_of_a_list_have_room() -> None:
    content = "".join(
        f"{n:064x}  {chr(0x1F600)}{n}{chr(0x1F600) * 1000}\n" for n in range(200)
    ).encode()
    told = json.dumps(_claims_told(read_sums(content)))
    assert len(told) <= WORDS + TIMES * len(content)


def test_what_many_signatures_of_one_file_would_say_is_told_once(release: Release) -> None:
    """Seventeen files, each with signatures in sixteen builders' names, refused a medium."""
    names = tuple(f"{'long/' * 8}anchor-{number}.efi" for number in range(8))
    content = "".join(f"SHA512 ({name}) = {n:0128x}\n" for n, name in enumerate(names)).encode()
    file = MediaFile("SHA256SUMS.sig", b"\xc2\x20" + b"x" * 1800)
    evidence = Evidence(file, Format.OPENPGP, (MediaFile("SHA256SUMS", content),))
    said, other = read_sums(content), read_sums(content.replace(b"0000", b"ffff"))
    readings = tuple(
        Unverified(file.path, "openpgp", ("ann", "bob")[n % 2], "ATT-SIGNATURE", f"{n}", claims)
        for n, claims in enumerate((said,) * 60 + (None, other, other, said))
    )
    told = telling(readings, evidence, names)
    assert isinstance(told, list)
    assert len(json.dumps(told)) <= room(evidence) < len(json.dumps(_claims_told(said))) * 60
    policy = release.policy()
    assert understood(told, evidence, policy, Aids(names=names)) == readings
    with pytest.raises(Garbage, match="no reading"):
        understood(told[1:], evidence, policy, Aids(names=names))
