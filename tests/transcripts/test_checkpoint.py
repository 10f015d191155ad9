from __future__ import annotations

import pytest
from marks import accepts, refuses

from ceremony.errors import Refused
from ceremony.types import Mode
from transcripts.checkpoint import Head, origin, read_checkpoint

HEAD = Head(origin("0" * 32, Mode.REHEARSAL), 42, bytes(range(32)))


@accepts("TRN-CHECKPOINT")
def test_a_checkpoint_reads_back() -> None:
    assert read_checkpoint(HEAD.text) == HEAD
    assert HEAD.text.startswith(b"uki-ceremony/" + b"0" * 32 + b"/rehearsal\n42\n")
    assert HEAD.spoken == "aardvark adviser accrue aggregate adrift almighty"


@refuses("TRN-CHECKPOINT")
@pytest.mark.parametrize(
    "data",
    [
        HEAD.text[:-1],
        HEAD.text + b"\n",
        HEAD.text.replace(b"\n", b"\r\n"),
        HEAD.text.replace(b"\n42\n", b"\n042\n"),
        HEAD.text.replace(b"\n42\n", b"\n+42\n"),
        HEAD.text.replace(b"\n42\n", b"\n-42\n"),
        HEAD.text.replace(b"\n42\n", b"\n4_2\n"),
        HEAD.text.replace(b"=", b""),
        b"",
        b"\xff" * 90,
        b"x" * 10_000,
    ],
)
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_checkpoint(data)
    assert refused.value.findings[0].rule == "TRN-CHECKPOINT"
