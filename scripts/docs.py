"""Write the parts of the documents that the code determines, or say which are out of date.

    .venv/bin/python scripts/docs.py --check|--write

docs/spec/events.md and line.schema.json come from ceremony.events and the engine's questions
and decisions, docs/spec/rules.md from the register of rules, the screens in README.md and
CEREMONY.md from the tests' snapshots, the table in docs/spec/controls.md from the report's
data file. Standard library and this project's packages only.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
import sys
import types
import typing
from enum import Enum
from pathlib import Path

import ceremony.engine
from ceremony.events import NAMED, Ack, Decided, Event, Kind
from ceremony.rules.register import ALL
from ceremony.steps import Step
from ceremony.types import Digest
from transcripts.log import Stamp
from transcripts.report.controls import Control, parse

sys.path.append(str(Path(__file__).resolve().parent))

from line_schema import line_schema

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOTS = Path("tests/screens/snapshots")
PAGES = ("README.md", "CEREMONY.md")
CONTROLS_PAGE = "docs/spec/controls.md"
MADE = "<!-- Made by scripts/docs.py from the code. Do not edit; run it with --write. -->"
REGION = re.compile(
    r"(?P<open><!-- screen: (?P<name>[a-z_-]+) -->\n).*?(?P<close><!-- /screen -->)", re.DOTALL
)
AREAS = {
    "MED": "Media",
    "PE": "Layout of the image",
    "UKI": "Contents of the image",
    "ATT": "Formats of attestations",
    "QRM": "Quorum",
    "POL": "Policy",
    "APP": "Answers of people",
    "KEY": "Token, key and certificate",
    "SIG": "Signature",
    "TRN": "Transcript and bundle",
    "AIR": "Machine and clock",
}
NAME = re.compile(rf"({'|'.join((*Step, 'ceremony'))})\.[a-z_]+")
STEPLESS = "ceremony"
KINDS = {
    Kind.OBSERVE: ("a fact from outside", "taken as recorded"),
    Kind.ACK: (
        "a named person's answer, with what was shown",
        "order, person, form are checked, and the lines are made again",
    ),
    Kind.DECIDE: ("what a pure function concluded", "recomputed, must be equal"),
    Kind.EFFECT: ("the intent before and the result after an act", "intents are recomputed"),
    Kind.EXCEPTION: ("what a person says happened beside the script", "taken as recorded"),
}


class Asked(typing.NamedTuple):
    """A question of the engine: its event's name, who is asked, how it is answered."""

    name: str
    role: str
    answer: str


def main(arguments: list[str]) -> int:
    """Check or write; exit status 1 when --check finds something out of date."""
    parser = argparse.ArgumentParser(prog="docs.py")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--check", action="store_true", help="name the files that are out of date")
    how.add_argument("--write", action="store_true", help="write them anew")
    options = parser.parse_args(arguments)
    old = stale(ROOT)
    for name, text in old.items():
        if options.write:
            (ROOT / name).write_text(text, "utf-8")
        print(f"{'wrote' if options.write else 'out of date:'} {name}")
    return 1 if old and options.check else 0


def stale(root: Path) -> dict[str, str]:
    """Return the documents under `root` that are out of date, by name, as they should read."""
    wanted = {
        "docs/spec/events.md": events_page(),
        "docs/spec/rules.md": rules_page(),
        "docs/spec/line.schema.json": line_schema((q.name for q in questions()), decided_names()),
    }
    for page in PAGES:
        wanted[page] = with_screens((root / page).read_text("utf-8"), root / SNAPSHOTS)
    page = (root / CONTROLS_PAGE).read_text("utf-8")
    known = parse((ROOT / "transcripts/report/controls.toml").read_text("utf-8"))
    wanted[CONTROLS_PAGE] = with_controls(page, known)
    return {
        name: text
        for name, text in wanted.items()
        if not (root / name).is_file() or (root / name).read_text("utf-8") != text
    }


def with_screens(page: str, snapshots: Path) -> str:
    """Return `page` with each marked region filled by its snapshot."""

    def filled(region: re.Match[str]) -> str:
        text = (snapshots / f"{region['name']}.txt").read_text("utf-8")
        return f"{region['open']}```text\n{text}```\n{region['close']}"

    return REGION.sub(filled, page)


# Controls


def with_controls(page: str, known: tuple[Control, ...]) -> str:
    """Return `page` with the table of controls in its marked region."""
    begin, end = "<!-- controls -->\n", "<!-- /controls -->"
    before, _, rest = page.partition(begin)
    rows = ["| id | control | found in | evidence |", "|---|---|---|---|"]
    rows += [f"| {c.id} | {c.title} | {', '.join(c.sources)} | {_query(c)} |" for c in known]
    return f"{before}{begin}\n" + "\n".join(rows) + f"\n\n{end}{rest.partition(end)[2]}"


def _query(control: Control) -> str:
    if control.note:
        return f"none: {control.note}"
    parts = [*(clause.words for clause in control.all)]
    parts += [" or ".join(clause.words for clause in control.any)] if control.any else []
    also = ", ".join(clause.words for clause in control.also)
    return "; ".join(parts) + (f" (also {also})" if also else "")


# Rules


def rules_page() -> str:
    """Return docs/spec/rules.md."""
    lines = [
        *("# Rules", "", MADE, ""),
        "Every check has an id. The same id stands in the code, in findings on the screen, in the",
        "transcript, in reports and on the tests that show what it lets pass and what it refuses.",
        'A finding is of one severity: "refuse" stops, "warn" and "info" are shown and recorded.',
        "Whether a rule refuses or warns may depend on the policy and on the mode; the finding",
        "says which it was.",
        "",
    ]
    for area, title in AREAS.items():
        lines += [f"## {area}: {title}", ""]
        for rule in ALL.values():
            if rule.id.partition("-")[0] == area:
                must, then = _sentence(rule.says), _sentence(rule.next)
                lines += [f"### {rule.id}", "", f"Must hold: {must}", "", f"If not: {then}", ""]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


# Events


def events_page() -> str:
    """Return docs/spec/events.md."""
    asked = {question.name: question for question in questions()}
    lines = [
        *("# Events", "", MADE, ""),
        "Every line of a transcript is one event in its envelope; [transcript.md](transcript.md)",
        "describes the envelope, [steps.md](steps.md) the order. A name begins with its step's",
        "word. Names that begin with `ceremony` may stand in any step from the first line on.",
        "Every member listed is always present. Unknown members are refused (TRN-EVENT).",
        "As JSON Schema, a definition for each event: [line.schema.json](line.schema.json).",
        "",
        "| kind | what it is | on replay |",
        "|---|---|---|",
        *(f"| {kind} | {what} | {replayed} |" for kind, (what, replayed) in KINDS.items()),
        "",
    ]
    names = [*NAMED, *asked, *decided_names()]
    for prefix in (*Step, STEPLESS):
        title = prefix.heading if isinstance(prefix, Step) else "In any step"
        lines += [f"## {title}", ""]
        for name in (n for n in names if n.partition(".")[0] == prefix):
            lines += _event(name, asked.get(name))
    lines += ["## Shapes", "", "The objects that stand inside events and envelopes.", ""]
    for shape in _shapes():
        lines += [f"### {shape.__name__}", "", _said(shape), "", *_members(shape)]
    return "\n".join(lines)


def _event(name: str, asked: Asked | None) -> list[str]:
    named = NAMED.get(name)
    if named:
        return [f"### {name}", "", f"Kind `{named.kind}`. {_said(named)}", "", *_members(named)]
    if asked:
        text = f"Kind `{Kind.ACK}`. Asked: {asked.role}. Answer: {asked.answer}."
        return [f"### {name}", "", text, "", "Members as every [Ack](#ack) has them.", ""]
    text = f"Kind `{Kind.DECIDE}`. Members as every [Decided](#decided) has them."
    return [f"### {name}", "", text, ""]


def questions() -> tuple[Asked, ...]:
    """Return every question that the engine can put, read from its source."""
    found: dict[str, Asked] = {}
    for call in _calls("Question"):
        members = {word.arg: word.value for word in call.keywords if word.arg}
        (name,) = _texts(members["name"])
        role = " or ".join(_texts(members["role"])) or "every role in turn"
        answer = _answer(members)
        if name in found and found[name].answer != answer:  # the policy says which
            answer = f"{found[name].answer}, or {answer}"
        found[name] = Asked(name, role, answer)
    return tuple(found[name] for name in sorted(found, key=_place))


def _answer(members: dict[str, ast.expr]) -> str:
    form = ast.unparse(members["form"]).removeprefix("Form.")
    if form == "CONFIRM":
        return f"exactly `{''.join(_texts(members['word']))}`"
    return {
        "TIME": "a time, `YYYY-MM-DD HH:MM` with seconds if wanted, UTC",
        "WORDS": "as many words as are asked for, with spaces between",
        "STATEMENT": "`agree`, or `do not agree: ` and a reason",
        "REASON": "a sentence of at least three letters",
        "SIGNATURE": "an armoured SSHSIG over the plan ([approvals.md](approvals.md))",
    }[form]


def decided_names() -> tuple[str, ...]:
    """Return the names of all decisions, read from the engine's source."""
    asked = {question.name for question in questions()}
    found = {
        node.value
        for tree in _engine()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and NAME.fullmatch(node.value)
    }
    return tuple(sorted(found - asked - set(NAMED), key=_place))


def _place(name: str) -> tuple[int, str]:
    word = name.partition(".")[0]
    return (Step(word).number if word != STEPLESS else len(Step) + 1, name)


def _engine() -> list[ast.Module]:
    folder = Path(str(ceremony.engine.__file__)).parent
    return [ast.parse(path.read_text("utf-8")) for path in sorted(folder.glob("*.py"))]


def _calls(name: str) -> list[ast.Call]:
    return [
        node
        for tree in _engine()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def _texts(value: ast.expr) -> tuple[str, ...]:
    match value:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.IfExp(body=body, orelse=orelse):
            return (*_texts(body), *_texts(orelse))
        case _:
            return ()


# Shapes


def _members(shape: type) -> list[str]:
    hints = typing.get_type_hints(shape)
    # An event's name stands in the envelope, so an Ack's or Decided's is no member of the body.
    names = [f.name for f in dataclasses.fields(shape)]
    if shape in (Ack, Decided):
        names.remove("name")
    if not names:
        return []
    rows = [f"| `{name}` | {_spelled(hints[name])} |" for name in names]
    return ["| member | JSON |", "|---|---|", *rows, ""]


def _spelled(hint: object) -> str:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if len(inside) == 2 and inside[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
            return f"array of {_spelled(inside[0])}"
        return f"array of {len(inside)}: {', '.join(map(_spelled, inside))}"
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inside)
    if origin in (typing.Union, types.UnionType) and len(inside) == 2:  # noqa: PLR2004 - X | None
        return " or ".join(_spelled(part) for part in inside)
    if not isinstance(hint, type):
        return "any JSON value, as the decision defines it"
    if issubclass(hint, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in hint)
    if dataclasses.is_dataclass(hint) and hint is not Digest:
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return {
        str: "string",
        int: "integer",
        bool: "boolean",
        Digest: "string `kind:hex`",
        types.NoneType: "null",
    }[hint]


def _shapes() -> list[type]:
    found: dict[type, None] = {Stamp: None, Ack: None, Decided: None}
    for event in typing.get_args(Event):
        _gather(event, found)
    events = {*NAMED.values()}
    return sorted((shape for shape in found if shape not in events), key=lambda s: s.__name__)


def _gather(hint: object, found: dict[type, None]) -> None:
    for part in typing.get_args(hint):
        _gather(part, found)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint is not Digest:
        found[hint] = None
        for member in typing.get_type_hints(hint).values():
            if typing.get_origin(member) is not typing.ClassVar:
                _gather(member, found)


def _said(shape: type) -> str:
    text = inspect.cleandoc(shape.__doc__ or "")
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
