"""Sigsum proofs: what a public log answered, and everything that must not pass for it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from exports.sigsum_log import TIME, WITNESSES, SigsumLog, key, named, policy, raw
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.keys import Scheme, from_ed25519
from transcripts.exports import sigsum_leaf
from transcripts.exports.sigsum_policy import SigsumPolicy, read_policy
from transcripts.exports.sigsum_proof import (
    MOST_BYTES,
    MOST_COSIGNATURES,
    Logged,
    read_proof,
    verify,
)

# The public test log of the Sigsum project, 2 September 2025, as Tillitis published it in the
# tests of tkey-verification (BSD-2-Clause): request, sigsum policy, and the proof it got.
PUBLIC = Path(__file__).parent / "public_log"
# What sigsum-submit of sigsum-go 0.11.2 (Debian 13) made offline with the key of SUBMITTER.
SIGSUM_GO = Path(__file__).parent / "sigsum_go"
REAL_REQUEST = (PUBLIC / "request.txt").read_bytes()
REAL_POLICY = (PUBLIC / "policy.txt").read_bytes()
REAL_PROOF = (PUBLIC / "proof.txt").read_bytes()


def asked(request: bytes) -> dict[str, bytes]:
    pairs = (line.split("=") for line in request.decode().splitlines())
    return {name: bytes.fromhex(value) for name, value in pairs}


def verified(proof: bytes, message: bytes, submitter: bytes, trusted: SigsumPolicy) -> Logged:
    known = {hashlib.sha256(submitter).digest(): from_ed25519(submitter)}
    return verify(read_proof(proof), message, known, trusted)


def real(proof: bytes = REAL_PROOF) -> Logged:
    request = asked(REAL_REQUEST)
    return verified(proof, request["message"], request["public_key"], read_policy(REAL_POLICY))


@accepts("TRN-SIGSUM")
def test_what_a_public_log_answered_is_a_proof() -> None:
    logged = real()
    assert (logged.index, logged.size) == (4683, 4684)
    assert logged.witnesses == (("testwitness", 1_756_811_283),)


@accepts("TRN-SIGSUM")
def test_our_request_is_the_one_that_was_sent_to_that_log() -> None:
    request = asked(REAL_REQUEST)
    assert sigsum_leaf.request(**request) == REAL_REQUEST
    data = sigsum_leaf.signed_data(request["message"])
    from_ed25519(request["public_key"]).verify(request["signature"], data, Scheme.ED25519)
    assert len(data) == 56


@accepts("TRN-SIGSUM")
def test_our_request_is_the_one_that_sigsum_submit_makes() -> None:
    """Ed25519 is deterministic: the same key and checkpoint give the same bytes."""
    checkpoint = (SIGSUM_GO / "checkpoint.txt").read_bytes()
    assert request(sigsum_leaf.message_of(checkpoint)) == (SIGSUM_GO / "request.txt").read_bytes()


@refuses("TRN-SIGSUM")
def test_every_digit_of_a_real_proof_matters() -> None:
    """Each byte in turn is another one; only the order of what is unknown could be free."""
    for place, byte in enumerate(REAL_PROOF):
        other = b"0" if byte != ord("0") else b"1"
        with pytest.raises(Refused, match="TRN-SIGSUM"):
            real(REAL_PROOF[:place] + other + REAL_PROOF[place + 1 :])


@refuses("TRN-SIGSUM")
def test_a_real_proof_cut_anywhere_is_none() -> None:
    for end in range(len(REAL_PROOF)):
        with pytest.raises(Refused, match="TRN-SIGSUM"):
            real(REAL_PROOF[:end])


CHECKPOINT = b"a checkpoint"
MESSAGE = sigsum_leaf.message_of(CHECKPOINT)
SUBMITTER = key("kim")


def request(message: bytes = MESSAGE) -> bytes:
    signature = SUBMITTER.sign(sigsum_leaf.signed_data(message))
    return sigsum_leaf.request(message, signature, raw(SUBMITTER))


def made(
    others: int = 5, witnesses: tuple[str, ...] = ("north", "east"), later: int = 3
) -> tuple[SigsumLog, bytes]:
    log = SigsumLog()
    log.fill(others)
    leaf = log.add(request())
    log.fill(later)
    return log, log.proof(leaf, [WITNESSES[name] for name in witnesses])


def logged(log: SigsumLog, proof: bytes, trusted: bytes | None = None) -> Logged:
    return verified(proof, MESSAGE, raw(SUBMITTER), read_policy(trusted or policy(log)))


@accepts("TRN-SIGSUM")
@pytest.mark.parametrize(("others", "later"), [(0, 0), (1, 0), (0, 1), (5, 3), (8, 0), (63, 70)])
def test_a_leaf_anywhere_in_a_tree_is_proved(others: int, later: int) -> None:
    log, proof = made(others, later=later)
    found = logged(log, proof)
    assert (found.index, found.size) == (others, others + later + 1)
    assert found.witnesses == (("north", TIME), ("east", TIME))


def other_log(log: SigsumLog, proof: bytes) -> bytes:
    """The same tree, signed by a log that is none of the policy's."""
    twin = SigsumLog(key("another log"), log.leaves)
    leaf = next(leaf for leaf in log.leaves if leaf[96:] == hashlib.sha256(raw(SUBMITTER)).digest())
    return twin.proof(leaf, [WITNESSES["north"], WITNESSES["east"]])


def renamed_log(log: SigsumLog, proof: bytes) -> bytes:
    twin = key("another log")
    return other_log(log, proof).replace(named(twin).encode(), named(log.secret).encode())


def one_witness(log: SigsumLog, proof: bytes) -> bytes:
    return made(witnesses=("north",))[1]


def wrong_witness(log: SigsumLog, proof: bytes) -> bytes:
    """West is known and not in the group."""
    return made(witnesses=("north", "west"))[1]


def strangers(log: SigsumLog, proof: bytes) -> bytes:
    leaf = next(leaf for leaf in log.leaves if leaf[96:] == hashlib.sha256(raw(SUBMITTER)).digest())
    return log.proof(leaf, [WITNESSES["north"], key("a stranger"), key("another")])


def lent_cosignature(log: SigsumLog, proof: bytes) -> bytes:
    """East's line bears the cosignature that north made."""
    line = next(line for line in proof.splitlines() if named(WITNESSES["north"]).encode() in line)
    rest = proof.replace(line + b"\n", b"")
    east = next(line for line in rest.splitlines() if named(WITNESSES["east"]).encode() in line)
    lent = line.replace(named(WITNESSES["north"]).encode(), named(WITNESSES["east"]).encode())
    return proof.replace(east, lent)


def twice(log: SigsumLog, proof: bytes) -> bytes:
    line = next(line for line in proof.splitlines() if line.startswith(b"cosignature="))
    return made(witnesses=("north",))[1].replace(line, line + b"\n" + line)


def another_time(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b" %d " % TIME, b" %d " % (TIME + 1), 1)


def grown_tree(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"size=9", b"size=10")


def other_place(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"leaf_index=5", b"leaf_index=4")


def longer_path(log: SigsumLog, proof: bytes) -> bytes:
    return proof + b"node_hash=" + b"0" * 64 + b"\n"


def no_path(log: SigsumLog, proof: bytes) -> bytes:
    return proof[: proof.index(b"\nleaf_index")]


def version_1(log: SigsumLog, proof: bytes) -> bytes:
    checksum = hashlib.sha256(MESSAGE).hexdigest()[:4]
    return proof.replace(b"version=2", b"version=1").replace(b"leaf=", f"leaf={checksum} ".encode())


def carriage_returns(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"\n", b"\r\n")


def capitals(log: SigsumLog, proof: bytes) -> bytes:
    line = next(line for line in proof.splitlines() if line.startswith(b"root_hash="))
    return proof.replace(line, b"root_hash=" + line[10:].upper())


def huge_number(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"size=9", b"size=" + b"9" * 5000)


def leading_zero(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"leaf_index=5", b"leaf_index=05")


def too_long(log: SigsumLog, proof: bytes) -> bytes:
    return proof + b"node_hash=" + b"0" * MOST_BYTES


def many_witnesses(log: SigsumLog, proof: bytes) -> bytes:
    line = next(line for line in proof.splitlines() if line.startswith(b"cosignature="))
    more = [line[:12] + b"%064x" % number + line[76:] for number in range(MOST_COSIGNATURES)]
    return proof.replace(line, b"\n".join([line, *more]))


def empty_tree(log: SigsumLog, proof: bytes) -> bytes:
    return proof.replace(b"size=9", b"size=0")


CHANGES = (
    *(other_log, renamed_log, one_witness, wrong_witness, strangers, lent_cosignature),
    *(twice, another_time, grown_tree, other_place, longer_path, no_path, version_1),
    *(carriage_returns, capitals, huge_number, leading_zero, too_long, many_witnesses),
    empty_tree,
)
# What sigsum-go takes: an older version, another spelling, any number of unknown witnesses.
WIDER = (version_1, capitals, many_witnesses)


@refuses("TRN-SIGSUM")
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_proof_of_this_checkpoint_is_refused(
    change: Callable[[SigsumLog, bytes], bytes],
) -> None:
    log, proof = made()
    logged(log, proof)
    bad = change(log, proof)
    assert bad != proof
    with pytest.raises(Refused, match="TRN-SIGSUM"):
        logged(log, bad)


@accepts("TRN-SIGSUM")
@refuses("TRN-SIGSUM")
def test_sigsum_verify_judges_alike(tmp_path: Path) -> None:
    program = shutil.which("sigsum-verify") or pytest.skip("sigsum-verify is not installed")
    log, proof = made()
    public = SUBMITTER.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(public + b"\n")
    (tmp_path / "policy").write_bytes(policy(log))

    def accepted(text: bytes) -> bool:
        (tmp_path / "proof").write_bytes(text)
        words: list[str | Path] = [program, "-k", tmp_path / "key.pub", "-p", tmp_path / "policy"]
        line = [*words, tmp_path / "proof"]
        done = subprocess.run(line, input=CHECKPOINT, capture_output=True, check=False)
        return done.returncode == 0

    assert accepted(proof)
    taken = [change for change in CHANGES if accepted(change(log, proof))]
    assert taken == list(WIDER)


@refuses("TRN-SIGSUM")
def test_a_proof_of_another_message_or_of_a_strangers_key_is_refused() -> None:
    log, proof = made()
    trusted = read_policy(policy(log))
    for message, submitter in (
        (hashlib.sha256(b"another checkpoint").digest(), raw(SUBMITTER)),
        (MESSAGE, raw(key("mallory"))),
    ):
        with pytest.raises(Refused, match="TRN-SIGSUM"):
            verified(proof, message, submitter, trusted)


@accepts("TRN-SIGSUM")
@pytest.mark.parametrize(
    ("quorum", "witnesses"),
    [
        ("quorum none", ()),
        ("quorum west", ("west",)),
        ("group a all north south\nquorum a", ("south", "north")),
        (
            "group a any north south\ngroup b 1 east west\ngroup c all a b\nquorum c",
            ("south", "west"),
        ),
    ],
)
def test_the_quorum_is_what_the_policy_says(quorum: str, witnesses: tuple[str, ...]) -> None:
    log, proof = made(witnesses=witnesses)
    assert {name for name, _ in logged(log, proof, policy(log, quorum)).witnesses} == set(witnesses)
    for missing in witnesses:
        fewer = tuple(name for name in witnesses if name != missing)
        with pytest.raises(Refused, match="no quorum"):
            logged(log, made(witnesses=fewer)[1], policy(log, quorum))


NORTH = raw(WITNESSES["north"]).hex()
LOG = f"log {NORTH}\n"


@refuses("TRN-SIGSUM")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none\n",
        LOG,
        f"{LOG}quorum a\n",
        f"{LOG}quorum none\nquorum none\n",
        f"{LOG}{LOG}quorum none\n",
        f"{LOG}witness none {NORTH}\nquorum none\n",
        f"{LOG}witness a {NORTH}\nwitness b {NORTH}\nquorum a\n",
        f"{LOG}witness a {NORTH[:-2]}\nquorum a\n",
        f"{LOG}witness a {'f' * 64}\nquorum a\n",
        f"{LOG}quorum a\nwitness a {NORTH}\n",
        f"{LOG}witness a {NORTH}\ngroup g 2 a\nquorum g\n",
        f"{LOG}witness a {NORTH}\ngroup g 0 a\nquorum g\n",
        f"{LOG}witness a {NORTH}\ngroup g 1 a a\nquorum g\n",
        f"{LOG}witness a {NORTH}\ngroup g any a\ngroup h any a g\nquorum h\n",
        f"{LOG}group g any g\nquorum g\n",
        f"{LOG}witness a {NORTH}\ngroup g most a\nquorum g\n",
        f"{LOG}witness a {NORTH}\nquorum a b\n",
        f"{LOG}monitor {NORTH}\nquorum none\n",
        f"{LOG}quorum none\r\n",
        LOG + "".join(f"group g{n} any g{n - 1}\n" for n in range(1, 300)) + "quorum none\n",
        f"{LOG}#{' ' * 70_000}\nquorum none\n",
    ],
    ids=lambda text: hashlib.sha256(text.encode()).hexdigest()[:8],
)
def test_what_is_no_sigsum_policy_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="TRN-SIGSUM"):
        read_policy(text.encode())


@given(st.binary(max_size=300), st.integers(0, 900), st.integers(0, 300))
def test_garbage_is_a_proof_or_is_refused(some: bytes, place: int, length: int) -> None:
    """Bytes parse as a proof, or as a policy, or raise Refused, and nothing else."""
    for data in (some, REAL_PROOF[:place] + some + REAL_PROOF[place + length :]):
        for read in (read_proof, read_policy):
            with suppress(Refused):
                read(data)


@accepts("TRN-SIGSUM")
def test_a_deep_policy_is_judged() -> None:
    chain = "".join(f"group g{n} any g{n - 1}\n" for n in range(1, 200))
    text = f"{LOG}witness g0 {NORTH} https://north.example.org # caf\u00e9\n{chain}quorum g199\n"
    trusted = read_policy(text.encode())
    assert trusted.is_quorum({"g0"})
    assert not trusted.is_quorum(())
