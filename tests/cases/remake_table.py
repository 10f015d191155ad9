"""Writes expected.toml anew: python tests/cases/remake_table.py, then read every changed line.

The table is reviewed by people against the specification; this only saves the typing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases.books import ALL
from cases.taken import TABLE, Row, seen
from quorum.release import Release


def _text(rows: dict[str, Row]) -> str:
    lines = ["# What each numbered case gives; a file's line is its disposition and the rule.\n"]
    for number, row in rows.items():
        files = row.pop("files")
        assert isinstance(files, dict)
        lines.append(f'["{number}"]\n')
        lines += [f"{key} = {json.dumps(value)}\n" for key, value in row.items()]
        lines.append(f'["{number}".files]\n' if files else "files = {}\n")
        lines += [f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in files.items()]
        lines.append("\n")
    return "".join(lines)


def main() -> None:
    """Judge every case and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        release = Release.make(Path(folder))
        rows = {case.number: seen(case, release, Path(folder) / case.number) for case in ALL}
    TABLE.write_text(_text(rows).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
