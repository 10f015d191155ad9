"""Why an answer was refused, and how far a long act is: the lines under the answer."""

from __future__ import annotations

from ceremony.ports import Progress
from ceremony.rules.pin_tries import pin_try
from ceremony.rules.register import lookup
from ceremony.types import Finding
from tui.guides import SCREEN, beside
from tui.parts.lines import ASKED, BAD, BAD_MARK, NOTE, Line

BAR = 40


def finding_lines(finding: Finding) -> tuple[Line, ...]:
    """Return what happened, what must hold, what next, and what it cost at the token."""
    rule = lookup(finding.rule)
    stated = Line(f"{BAD_MARK} {finding.rule}: {finding.text}", BAD)
    if rule is None or finding.rule == "APP-ANSWER":  # its text already says what to type
        return (stated,)
    spent = pin_try(finding.rule)
    cost = (Line(f"  PIN: {spent}"),) if spent else ()
    following = f"  next: {rule.next} {beside((rule.next,), SCREEN)}".rstrip()
    return (stated, Line(f"  must hold: {rule.says}"), Line(following, ASKED), *cost)


def findings_lines(findings: tuple[Finding, ...]) -> tuple[Line, ...]:
    """Return every finding's lines."""
    return tuple(line for finding in findings for line in finding_lines(finding))


def hint(text: str) -> tuple[Line, ...]:
    """Return one hint that is not a refusal."""
    return (Line(f"{NOTE} {text}", ASKED),)


def progress_lines(progress: Progress) -> tuple[str, str]:
    """Return the counts in words, and a bar of ASCII."""
    part = progress.done / progress.total if progress.total else 1.0
    filled = int(BAR * min(part, 1.0))
    bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {int(100 * min(part, 1.0)):3d} %"
    return f"{progress.what}: {progress.done:,} of {progress.total:,} {progress.unit}", bar
