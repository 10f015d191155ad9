"""A module inside bubblewrap signs as ever, and can neither see, write nor call."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import accepts, refuses
from tokens.daemons import needed
from tokens.namespaces import needed_namespaces

from ceremony.errors import Refused, TokenTrouble
from hsm import sandbox as sandbox_room
from hsm.binding import Binding, read_outside
from hsm.child import Child, ChildLost
from hsm.sandbox import Sandbox
from hsm.token import Pkcs11Token

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

PLAIN = ("--unshare-net", "--ro-bind", "/", "/", "true")


@pytest.fixture(autouse=True)
def _bubblewrap() -> None:
    needed_namespaces([needed("bwrap", package="bubblewrap"), *PLAIN])


@pytest.fixture
def port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def boxed(bench: Bench) -> Binding:
    # SoftHSM's configuration and keys lie in a hidden folder; the binding names what is needed.
    return replace(bench.binding, sandbox=Sandbox(writable=(bench.folder,)))


@accepts("KEY-SANDBOX", "KEY-CHILD")
def test_a_module_in_the_sandbox_signs_and_the_evidence_says_where_it_ran(bench: Bench) -> None:
    token = Pkcs11Token(boxed(bench), bench.uri)
    seen = token.probe(bench.certificate)
    assert seen.sandbox == "bubblewrap, no network"
    assert seen.module_sha256 in dict(seen.libraries).values()
    assert token.login(bench.typed()).outcome == "ok"
    assert token.sign(bench.request()).outcome == "signed"
    token.close()


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_module_that_spies_sees_nothing_writes_nothing_calls_nobody(
    bench: Bench, shim: Path, tmp_path: Path, port: str, where: str
) -> None:
    secret = tmp_path / "transcript.jsonl"
    secret.write_text("what the ceremony said")
    spying = bench.shimmed(shim, DOES="C_Initialize:spy", FILE=str(secret), PORT=port)
    binding = spying.binding if where == "outside" else boxed(spying)
    child = Child("signing", binding)
    child.ask("load", 10, module=str(binding.module))
    said = dict(re.findall(r"(read|write|call) (yes|no)", child.chatter))
    child.close()
    answer = "yes" if where == "outside" else "no"
    # Inside it writes to a folder in memory that ends with it.
    assert said == {"read": answer, "write": "yes", "call": answer}
    assert (tmp_path / "transcript.jsonl.written").exists() == (where == "outside")


def test_the_network_is_there_where_the_binding_grants_it(
    bench: Bench, shim: Path, tmp_path: Path, port: str
) -> None:
    spying = bench.shimmed(shim, DOES="C_Initialize:spy", FILE=str(tmp_path / "f"), PORT=port)
    sandbox = Sandbox(network=True, writable=(bench.folder,))
    child = Child("signing", replace(spying.binding, sandbox=sandbox))
    child.ask("load", 10, module=str(spying.binding.module))
    assert "call yes" in child.chatter
    child.close()


@refuses("KEY-CHILD")
@pytest.mark.parametrize(
    ("does", "fact"),
    [
        ("segfault", r"it crashed \(SIGSEGV\)"),
        ("abort", r"it crashed \(SIGABRT\)"),
        ("exit", r"it ended by itself \(status 0\)"),
        ("hang", "no answer within 2 seconds"),
    ],
)
def test_endings_are_told_from_inside_the_sandbox_as_well(
    bench: Bench, shim: Path, does: str, fact: str
) -> None:
    sabotaged = bench.shimmed(shim, DOES=f"C_Initialize:{does}").binding
    limit = 2 if does == "hang" else 30
    child = Child("signing", replace(sabotaged, sandbox=Sandbox(writable=(bench.folder,))))
    with pytest.raises(ChildLost, match=f"KEY-CHILD: .*{fact}"):
        child.ask("load", limit, module=str(sabotaged.module))
    child.close()


@refuses("KEY-SANDBOX")
def test_no_bubblewrap_is_no_module(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_room, "SEARCHED", "/nonexistent")
    with pytest.raises(TokenTrouble, match=r"KEY-SANDBOX: .*not installed"):
        Child("signing", boxed(bench))


@refuses("KEY-SANDBOX")
def test_a_sandbox_that_cannot_be_made_is_told_in_bubblewraps_words(bench: Bench) -> None:
    binding = replace(bench.binding, sandbox=Sandbox(writable=(Path("/nonexistent/folder"),)))
    with pytest.raises(TokenTrouble, match=r"KEY-SANDBOX: bwrap: .*nonexistent"):
        Child("signing", binding)


@accepts("KEY-BINDING")
def test_a_binding_asks_for_a_sandbox() -> None:
    text = b'module = "/m.so"\n[sandbox]\n'
    assert read_outside(text).sandbox == Sandbox()
    read = read_outside(text + b'network = true\nwritable = ["/var/lib/softhsm/tokens"]\n')
    assert read.sandbox == Sandbox(network=True, writable=(Path("/var/lib/softhsm/tokens"),))
    assert read_outside(b'module = "/m.so"\n').sandbox is None


@refuses("KEY-BINDING")
@pytest.mark.parametrize(
    "line",
    [
        "network = 1",
        'writable = "/var"',
        'writable = ["/"]',
        'writable = ["/var/.."]',
        'writable = ["var"]',
        "writable = [3]",
        'hidden = ["/home"]',
    ],
)
def test_a_sandbox_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(Refused) as refused:
        read_outside(f'module = "/m.so"\n[sandbox]\n{line}\n'.encode())
    assert refused.value.findings[0].rule == "KEY-BINDING"
