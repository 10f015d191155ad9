"""Caps on what a medium may hold; each refusal names its cap."""

from __future__ import annotations

MOST_FILES = 20_000
MOST_FOLDERS = 2_000
MOST_DEPTH = 16
MOST_SMALL_FILE = 2**20  # bytes; an attestation is never larger
MOST_SMALL_TOTAL = 24 * 2**20  # bytes; all small files together, as JSON holds them
MOST_ENTRIES = 100_000  # files, folders, links and all else
MOST_NAMES = 4 * 2**20  # bytes; the paths of the manifest together, as JSON holds them
MOST_WARNINGS = 2_000
MOST_REFUSALS = 1_000  # reading stops there; none is left out
MOST_POLICY = 2**20
MOST_POLICY_SIGNATURE = 64 * 2**10
MOST_POLICY_SIGNATURES = 64
CHUNK = 2**20
