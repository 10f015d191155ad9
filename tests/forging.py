"""A forger who holds a copy of a bundle: lines changed, then every digest made to fit again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from transcripts.canon import canonical
from transcripts.log import FIRST, link
from transcripts.merkle import Tree
from transcripts.replay import make_sums

Bundle = dict[str, bytes]
Change = Callable[[list[dict[str, Any]]], None]


def resummed(files: Mapping[str, bytes]) -> Bundle:
    """Return the bundle with SHA256SUMS made to fit."""
    rest = {name: data for name, data in files.items() if name != "SHA256SUMS"}
    return {**rest, "SHA256SUMS": make_sums(rest)}


def rechained(files: Mapping[str, bytes], change: Change) -> Bundle:
    """Return the bundle with its lines changed, chained anew, checkpoint and sums made to fit."""
    values = [json.loads(line) for line in files["transcript.jsonl"].splitlines()]
    change(values)
    lines: list[bytes] = []
    for seq, value in enumerate(values):
        value["seq"], value["prev"] = seq, link(lines[-1]) if lines else FIRST
        lines.append(canonical(value))
    root = base64.b64encode(Tree(lines).root()).decode()
    mode, ceremony = values[0]["body"]["mode"], values[0]["ceremony"]
    head = f"uki-ceremony/{ceremony}/{mode}\n{len(lines)}\n{root}\n".encode()
    transcript = b"".join(line + b"\n" for line in lines)
    return resummed({**files, "transcript.jsonl": transcript, "checkpoint.txt": head})
