"""How one-shot commands report: findings in three lines each, or one JSON object."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

from ceremony.codec import Json
from ceremony.rules.pin_tries import pin_try
from ceremony.rules.register import lookup
from ceremony.show import printable
from ceremony.types import Finding, Severity
from tui.standard_error import say


def put_json(value: Json) -> None:
    """Write one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=False) + "\n")


def put(*lines: str) -> None:
    """Write lines on standard output."""
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def put_findings(findings: tuple[Finding, ...], *, to_stderr: bool = False) -> None:
    """Write findings: what happened, why (the rule), what next."""
    with suppress(OSError):  # what was said before a refusal stands before it, in a pipe as well
        sys.stdout.flush()
    write = say if to_stderr else sys.stdout.write
    for finding in findings:
        rule = lookup(finding.rule)
        at = f" (offset {finding.offset:#x})" if finding.offset is not None else ""
        write(printable(f"{finding.severity:<6} {finding.rule}: {finding.text}{at}") + "\n")
        if rule and finding.severity is Severity.REFUSE:
            write(f"       must hold: {rule.says}\n       next:      {rule.next}\n")
            if spent := pin_try(finding.rule):
                write(f"       PIN:       {spent}\n")


def findings_json(findings: tuple[Finding, ...]) -> list[Json]:
    """Return findings as JSON; `offset` only where one exists."""
    return [
        {"rule": f.rule, "severity": str(f.severity), "text": f.text}
        | ({} if f.offset is None else {"offset": f.offset})
        for f in findings
    ]


def refusal_json(findings: tuple[Finding, ...]) -> Json:
    """Return the object that stands for a command that was refused before it could report."""
    return {
        "verdict": "refused",
        "rules": [*dict.fromkeys(finding.rule for finding in findings)],
        "findings": [*findings_json(findings)],
    }
