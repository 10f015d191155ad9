"""The documents say what the code does: generated parts, links, dependencies, JSON schemas."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ceremony.rules.register import ALL
from tui.commands.dispatch import dispatch
from tui.rehearsal.prepare import Prepared

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "docs/spec"
DOCUMENTS = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"(?ms)^```.*?^```")
SCHEMAS = (
    *("attest", "attest_verify", "check", "inspect", "policy_lint", "refusal", "replay"),
    "token",
)
Schema = dict[str, Any]
KEYWORDS = {
    *("type", "enum", "properties", "required", "additionalProperties", "items"),
    *("minItems", "maxItems", "pattern", "minimum", "$schema", "$id", "title", "description"),
}
TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "null": type(None),
    "boolean": bool,
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generator", ROOT / "scripts/docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# Generated parts


def test_what_is_generated_is_up_to_date(generator: ModuleType) -> None:
    stale = sorted(generator.stale(ROOT))
    assert stale == [], "run: .venv/bin/python scripts/docs.py --write"


def test_a_changed_screen_is_noticed(generator: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "open.txt").write_text("another screen\n", "utf-8")
    page = "<!-- screen: open -->\n```text\nold\n```\n<!-- /screen -->\n"
    filled = generator.with_screens(page, tmp_path)
    assert filled == "<!-- screen: open -->\n```text\nanother screen\n```\n<!-- /screen -->\n"
    assert generator.with_screens(filled, tmp_path) == filled


def test_every_rule_is_a_heading_of_the_spec() -> None:
    text = (SPEC / "rules.md").read_text("utf-8")
    assert sorted(re.findall(r"(?m)^### (\S+)$", text)) == sorted(ALL)


def test_every_rule_that_a_document_names_exists() -> None:
    areas = "|".join(sorted({rule.partition("-")[0] for rule in ALL}))
    rule = re.compile(rf"(?<![\w-])(?:{areas})(?:-[A-Z0-9]+)+(?![\w-])")
    named = {
        (document.name, name)
        for document in DOCUMENTS
        for name in rule.findall(document.read_text("utf-8"))
    }
    assert sorted((d, name) for d, name in named if name not in ALL and name != "LOG-A") == []


# Links and dependencies


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(FENCE.sub("", document.read_text("utf-8"))):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = (document.parent / name).resolve() if name else document
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(document: Path) -> set[str]:
    """Return the anchors that headings get: lower case, no punctuation, hyphens for spaces."""
    text = FENCE.sub("", document.read_text("utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_gives_every_dependency_one_line_with_its_reason() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for dependency in project["dependencies"]:
        name = re.split(r"[<>=]", dependency)[0]
        assert re.search(rf"(?m)^- `{re.escape(name)}`: \S+", readme), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_are_calm_and_name_no_machine(document: Path) -> None:
    text = document.read_text("utf-8")
    prose = re.sub(r"`[^`\n]*`|<!--.*?-->|(?m:^    .*$)", "", FENCE.sub("", text))
    assert "!" not in prose
    assert not re.search(r"/(?:work|tmp|home|root)/", text)
    assert text.endswith("\n")


ROOM = "ceremony|hsm|transcripts|tui|tests|scripts|docs|requirements"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(rf"`((?:{ROOM})/[\w./-]*)`", document.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


# JSON


def faults(schema: Schema, value: object, where: str = "$") -> list[str]:
    """Return how `value` breaks `schema`, in the keywords that schemas here may use."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(is_a(kind, value) for kind in kinds):
        return [f"{where}: not {' or '.join(kinds)}"]
    match value:
        case dict():
            return members(schema, value, where)
        case list():
            items = enumerate(value)
            few, many = schema.get("minItems", 0), schema.get("maxItems", len(value))
            wrong = [] if few <= len(value) <= many else [f"{where}: {len(value)} items"]
            return wrong + [
                f for i, item in items for f in faults(schema["items"], item, f"{where}[{i}]")
            ]
        case _:
            return [] if fits(schema, value) else [f"{where}: {value!r} does not fit {schema}"]


def fits(schema: Schema, value: object) -> bool:
    return (
        value in schema.get("enum", [value])
        and not (isinstance(value, str) and not re.search(schema.get("pattern", ""), value))
        and not (isinstance(value, int) and value < schema.get("minimum", value))
    )


def members(schema: Schema, value: dict[str, object], where: str) -> list[str]:
    known = schema["properties"]
    return [
        *(f"{where}: no {name}" for name in schema["required"] if name not in value),
        *(f"{where}: unknown {name}" for name in value if name not in known),
        *(
            fault
            for name, member in value.items()
            if name in known
            for fault in faults(known[name], member, f"{where}.{name}")
        ),
    ]


def is_a(kind: str, value: object) -> bool:
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def schema_of(command: str) -> Schema:
    found = json.loads((SPEC / f"{command}.schema.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def reported(
    capsys: pytest.CaptureFixture[str], command: str, *arguments: object
) -> tuple[int, dict[str, Any]]:
    """Run a command with --json; return its exit status and the one object it printed."""
    capsys.readouterr()
    status = dispatch([command, *map(str, arguments), "--json"])
    value = json.loads(capsys.readouterr().out)
    assert faults(schema_of(command), value) == []
    return status, value


def checked(capsys: pytest.CaptureFixture[str], prepared: Prepared) -> tuple[int, dict[str, Any]]:
    image = prepared.media / prepared.image_name
    return reported(
        capsys, "check", image, "--policy", prepared.policy, "--attestations", prepared.media
    )


def test_the_checker_of_schemas_refuses() -> None:
    schema = schema_of("replay")
    good = {
        "verdict": "REPRODUCED",
        "events": 42,
        "rules": [],
        "ceremony": "0" * 32,
        "mode": "rehearsal",
        "outcome": "ok",
        "witnesses": ["ed"],
        "findings": [],
        "first": None,
        "head": "0" * 64,
        "previous": "",
        "proof": "",
    }
    assert faults(schema, good) == []
    for change in (
        {"verdict": "FINE"},
        {"events": True},
        {"events": -1},
        {"witnesses": [1]},
        {"ceremony": "x"},
        {"more": 1},
        {"findings": [{"rule": "TRN-LINE", "severity": "refuse"}]},
    ):
        assert faults(schema, good | change), change
    assert faults(schema, {name: good[name] for name in good if name != "mode"})


@pytest.mark.parametrize("command", SCHEMAS)
def test_schemas_are_closed(command: str) -> None:
    def closed(schema: Schema) -> None:
        assert set(schema) <= KEYWORDS
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) <= set(schema["properties"])
        for inside in (
            *schema.get("properties", {}).values(),
            *filter(None, [schema.get("items")]),
        ):
            closed(inside)

    closed(schema_of(command))


def test_check_reports_as_its_schema_says(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    status, value = checked(capsys, prepared)
    assert (status, value["verdict"], value["rules"]) == (0, "ACCEPT", [])
    counted = [e["builder"] for e in value["attestations"] if e["disposition"] == "counted"]
    assert counted == ["alice", "bob", "ci-a"]


def test_check_reports_a_refusal_as_its_schema_says(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    image = prepared.media / prepared.image_name
    image.write_bytes(image.read_bytes() + bytes(8))
    (prepared.media / "attestations/alice.sha256").unlink()
    status, value = checked(capsys, prepared)
    assert (status, value["verdict"]) == (1, "REFUSE")
    assert {"QRM-THRESHOLD", "QRM-SUBJECT"} <= set(value["rules"])
    assert any("offset" in finding for finding in value["findings"])
    rules = {entry["file"].rpartition("/")[2]: entry["rule"] for entry in value["attestations"]}
    assert rules["alice.sha256.minisig"] == "ATT-ALONE"


def test_check_reports_a_policy_that_does_not_load_as_its_schema_says(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared.policy.write_text("no policy", "utf-8")
    status, value = checked(capsys, prepared)
    assert (status, value["verdict"], value["rules"]) == (1, "REFUSE", ["POL-TOML"])


def test_inspect_reports_as_its_schema_says(
    finished: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    status, value = reported(capsys, "inspect", finished.out / "anchor.signed.efi")
    assert (status, value["verdict"], len(value["signatures"])) == (0, "ok", 1)
    assert value["signatures"][0]["authenticode_sha256"] == value["authenticode_sha256"]


def test_inspect_reports_garbage_as_its_schema_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "garbage").write_bytes(b"garbage")
    status, value = reported(capsys, "inspect", tmp_path / "garbage")
    assert (status, value["verdict"], value["authenticode_sha256"]) == (1, "refused", None)


def test_replay_reports_as_its_schema_says(
    finished: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(capsys, "replay", finished.out)[1]["verdict"] == "REPRODUCED"
    (finished.out / "anchor.p7").write_bytes(b"another")
    status, value = reported(capsys, "replay", finished.out)
    assert (status, value["verdict"]) == (1, "DIFFERS")
    assert value["rules"] == ["TRN-BUNDLE"]
    transcript = finished.out / "transcript.jsonl"
    transcript.write_bytes(transcript.read_bytes().replace(b'"mode":"rehearsal"', b'"mode": 1'))
    assert reported(capsys, "replay", finished.out)[1]["first"]["line"] == 0


def test_replay_of_nothing_reports_as_its_schema_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, value = reported(capsys, "replay", tmp_path)
    assert (status, value["verdict"], value["ceremony"]) == (4, "INCOMPLETE", "")


def test_attest_reports_as_its_schema_says(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, value = reported(
        capsys,
        *("attest", prepared.media / prepared.image_name, "--builder", "bob"),
        *("--key", prepared.folder / "builders/bob", "--output", tmp_path),
    )
    assert (status, value["sha256"]) == (0, prepared.image_sha256)
    assert [Path(name).name for name in value["files"]] == ["bob.intoto.json"]


def test_token_reports_as_its_schema_says(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    binding = prepared.machine
    status, value = reported(capsys, "token", "--machine", binding, "--policy", prepared.policy)
    assert (status, value["verdict"]) == (0, "ok")
    (token,) = value["tokens"]
    assert [one["found_as"] for one in token["objects"]] == ["public key"]
    assert {f["rule"] for f in token["preflight"][0]["findings"]} == {"KEY-SOFTWARE", "KEY-MATCH"}
    status, value = reported(capsys, "token", "--machine", binding)
    assert (status, value["verdict"]) == (0, "unjudged")
    assert [one["fault"] for one in value["tokens"]] == ["", "not initialised"]


def test_policy_lint_reports_as_its_schema_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, value = linted(capsys, ROOT / "docs/examples/nixos-laptop.toml")
    assert (status, value["verdict"], value["rules"]) == (0, "ok", [])
    assert {finding["severity"] for finding in value["findings"]} == {"warn"}
    path = tmp_path / "policy.toml"
    assert dispatch(["policy", "new", "--for", "anchor", "--output", str(path)]) == 0
    status, value = linted(capsys, path)
    assert (status, value["verdict"], value["rules"]) == (1, "refused", ["POL-PLACE"])


def linted(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, dict[str, Any]]:
    """Run `policy lint --json`; return its exit status and the one object it printed."""
    capsys.readouterr()
    status = dispatch(["policy", "lint", str(path), "--json"])
    value = json.loads(capsys.readouterr().out)
    assert faults(schema_of("policy_lint"), value) == []
    return status, value


def test_a_command_refused_before_it_came_to_a_result_reports_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ("inspect", tmp_path),
        ("policy", "lint", tmp_path),
        ("attest", tmp_path, "--builder", "../ann", "--key", "k"),
    ):
        capsys.readouterr()
        assert dispatch([*map(str, words), "--json"]) == 1
        assert faults(schema_of("refusal"), json.loads(capsys.readouterr().out)) == []
    assert dispatch(["inspect", str(tmp_path / "nothing"), "--json"]) == 3
    assert capsys.readouterr().out == ""


# What the README tells auditors to type


def test_the_checks_by_hand_work_as_they_are_written(finished: Prepared) -> None:
    for tool in ("ssh-keygen", "sbverify", "sbattach"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("## How an auditor checks")[2].partition("\n## ")[0]
    block = "".join(re.findall(r"(?m)^    (.+\n)", section))
    (certificate,) = re.findall(r"`(sed .+ > ../signer.pem)`", section)
    beside = finished.out.parent
    for name, persons in (("allowed_signers", ("ed",)), ("allowed_owners", ("owner-1",))):
        keys = (f"{p} {(finished.folder / 'people' / f'{p}.pub').read_text()}" for p in persons)
        (beside / name).write_text("".join(keys), "utf-8")
    before = sorted(path.name for path in finished.out.iterdir())
    for script in (certificate, block):
        line = ["sh", "-e", "-c", script]
        done = subprocess.run(line, cwd=finished.out, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Good ") == 2
    assert "Signature verification OK" in done.stdout + done.stderr
    assert sorted(path.name for path in finished.out.iterdir()) == before
    assert dispatch(["replay", str(finished.out)]) == 0


# Benchmark pages


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/benchmarks/*.md")), ids=lambda p: p.stem)
def test_a_benchmark_page_says_when_on_what_and_how(page: Path) -> None:
    """Figures without date and machine compare with nothing."""
    lines = page.read_text("utf-8").splitlines()
    assert re.fullmatch(r"# \w+, measured 20\d\d-\d\d-\d\d", lines[0])
    assert re.search(r"\d+ processors, \d+ GiB, Linux .*Python 3\.", " ".join(lines[1:5]))
    assert f"--output docs/benchmarks/{page.name}" in (ROOT / "Makefile").read_text("utf-8")
