"""All data-driven cases, whichever book they stand in."""

from __future__ import annotations

import re

from cases import cases_certificates, cases_ledger, cases_release
from quorum import (
    cases_components,
    cases_enrolment,
    cases_envelopes,
    cases_formats,
    cases_votes,
)
from quorum.casebook import CASES, Case

BOOKS = (
    cases_components,
    cases_votes,
    cases_enrolment,
    cases_formats,
    cases_envelopes,
    cases_certificates,
    cases_ledger,
)  # each fills CASES
ALL: tuple[Case, ...] = (*CASES, *cases_release.CASES)


def of_number(number: str) -> int:
    """Return the case's number in the specification, 0 where it has a name only."""
    found = re.match(r"\d+", number)
    return int(found[0]) if found else 0
