"""Any byte changed anywhere in a bundle never says REPRODUCED.

The ordinary run changes every 61st byte of a small bundle, another one for each file; with
UKI_CEREMONY_EVERY_BYTE set (make fuzz) every byte of it and of a signed one, in two ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forging import Bundle, resummed
from marks import refuses

from ceremony.ingest.reading import read_folder
from transcripts.replay import Verdict, replay

GOLDEN = Path(__file__).resolve().parents[2] / "transcripts" / "golden"
EVERY = bool(os.environ.get("UKI_CEREMONY_EVERY_BYTE"))
KINDS = ("refused_policy", "happy") if EVERY else ("refused_policy",)
STRIDE = 1 if EVERY else 61
FLIPS = (1, 0x80) if EVERY else (1,)


def changed(bundle: Bundle) -> Iterator[tuple[str, int, Bundle]]:
    for number, (name, data) in enumerate(sorted(bundle.items())):
        for place in range(number % STRIDE, len(data), STRIDE):
            for flip in FLIPS:
                other = bytearray(data)
                other[place] ^= flip
                yield name, place, {**bundle, name: bytes(other)}


@refuses("TRN-BUNDLE")
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_is_noticed(kind: str) -> None:
    bundle = read_folder(GOLDEN / kind / "bundle")
    for name, place, other in changed(bundle):
        assert replay(other).verdict is not Verdict.REPRODUCED, (name, place)


@refuses("TRN-CHECKPOINT", "TRN-DECISION")
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_is_noticed_with_the_sums_made_to_fit(kind: str) -> None:
    bundle = read_folder(GOLDEN / kind / "bundle")
    del bundle["SHA256SUMS"]
    for name, place, other in changed(bundle):
        assert replay(resummed(other)).verdict is not Verdict.REPRODUCED, (name, place)
