"""A sandbox that hides the token is named as the likely cause, with the key that helps."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from marks import accepts, refuses

from ceremony.errors import TokenTrouble
from hsm.binding import Binding, read_outside
from hsm.hidden import explained
from hsm.present import show_tokens
from hsm.sandbox import Sandbox, hidden_folders
from hsm.token import Pkcs11Token

if TYPE_CHECKING:
    from tests.hsm.conftest import Bench

NO = "does not start: GeneralError; is its daemon running, its device there?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that every sandbox hides."""
    if not any(tmp_path.is_relative_to(hidden) for hidden in hidden_folders()):
        pytest.skip(f"{tmp_path} is in no folder that the sandbox hides")
    return tmp_path


@pytest.fixture
def _bubblewrap() -> None:
    program = shutil.which("bwrap")
    if program is None:
        pytest.skip("bubblewrap (bwrap) is not installed")
    plain = [program, "--unshare-net", "--ro-bind", "/", "/", "true"]
    if subprocess.run(plain, capture_output=True, check=False).returncode:
        pytest.skip("bubblewrap may make no namespaces here")


@pytest.fixture
def visible() -> Iterator[Path]:
    """A folder that no sandbox hides: devices are there, and the memory behind them."""
    try:
        made = Path(tempfile.mkdtemp(dir="/dev/shm"))
    except OSError:
        pytest.skip("/dev/shm takes no files here")
    yield made
    shutil.rmtree(made)


def advised(said: str) -> Sandbox:
    """Return the sandbox of a binding that follows the advice."""
    (line,) = re.findall(r"write under \[sandbox\] (writable = \[.*?\])", said)
    granted = read_outside(f'module = "/m.so"\n[sandbox]\n{line}\n'.encode()).sandbox
    assert granted is not None
    return granted


@refuses("KEY-SANDBOX")
@accepts("KEY-SANDBOX")
@pytest.mark.usefixtures("_bubblewrap", "folder")
@pytest.mark.parametrize("settings", ["hidden", "seen"])
def test_the_advice_of_a_token_that_is_hidden_makes_it_seen(
    bench: Bench, visible: Path, settings: str
) -> None:
    environment = dict(bench.binding.environment)
    own = Path(environment["SOFTHSM2_CONF"])
    if settings == "seen":
        shutil.copy(own, visible / "softhsm2.conf")
        environment["SOFTHSM2_CONF"] = str(visible / "softhsm2.conf")
    binding = replace(bench.binding, environment=tuple(environment.items()), sandbox=Sandbox())
    with pytest.raises(TokenTrouble) as trouble:
        Pkcs11Token(binding, bench.uri).probe(bench.certificate)
    said = trouble.value.text
    assert trouble.value.rule == "KEY-SANDBOX"
    assert "In the binding's [sandbox] (bubblewrap, no network) the module sees all but" in said
    for hidden in hidden_folders():
        assert hidden in said
    (tokens,) = (p for p in own.parent.iterdir() if p.is_dir())
    assert f"{tokens} ({environment['SOFTHSM2_CONF']})" in said
    with pytest.raises(TokenTrouble, match="KEY-SANDBOX"):
        show_tokens(binding)
    token = Pkcs11Token(replace(binding, sandbox=advised(said)), bench.uri)
    assert token.probe(bench.certificate).token_label == "rehearsal"
    token.close()


def asked(sandbox: Sandbox | None, init_args: str = "", **environment: object) -> tuple[str, str]:
    told = tuple((name, str(value)) for name, value in environment.items())
    binding = Binding(Path("/m.so"), told, sandbox=sandbox, init_args=init_args)
    return explained("load", "KEY-MODULE", NO, binding)


@refuses("KEY-SANDBOX")
def test_a_services_socket_that_is_hidden_is_named(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(folder / "comm"))
        rule, said = asked(Sandbox(), PCSCLITE_CSOCK_NAME=folder / "comm")
        inside = asked(Sandbox(), P11_KIT_SERVER_ADDRESS=f"unix:path={folder}/comm")
    assert (rule, inside[0]) == ("KEY-SANDBOX", "KEY-SANDBOX")
    assert f"{folder}/comm (PCSCLITE_CSOCK_NAME)" in said
    assert advised(said).writable == advised(inside[1]).writable == (folder,)


def test_what_is_granted_already_stays_in_the_advice(folder: Path) -> None:
    (folder / "nss").mkdir()
    (folder / "granted").mkdir()
    sandbox = Sandbox(writable=(folder / "granted",))
    rule, said = asked(sandbox, f"configdir='sql:{folder}/nss'", STORE=folder / "granted")
    assert rule == "KEY-SANDBOX"
    assert f"{folder}/nss (init_args)" in said
    assert "(STORE)" not in said
    assert advised(said).writable == (folder / "granted", folder / "nss")


def test_a_file_right_below_a_hidden_folder_is_granted_alone(folder: Path) -> None:
    hidden = next(h for h in hidden_folders() if folder.is_relative_to(h))
    with tempfile.NamedTemporaryFile(dir=hidden, prefix="uki-ceremony-") as file:
        _, said = asked(Sandbox(), CONF=file.name)
        assert advised(said).writable == (Path(file.name),)


def test_an_address_wants_the_network() -> None:
    address = "swtpm:host=localhost,port=2321"
    rule, said = asked(Sandbox(), TPM2_PKCS11_TCTI=address)
    assert (rule, "network = true" in said) == ("KEY-SANDBOX", True)
    assert asked(Sandbox(network=True), TPM2_PKCS11_TCTI=address)[0] == "KEY-MODULE"


def test_without_a_trace_the_sandbox_is_named_and_the_rule_stays(folder: Path) -> None:
    rule, said = asked(Sandbox(), CONF=folder / "not-there", OTHER="/dev/null")
    assert rule == "KEY-MODULE"
    assert said.startswith(f"{NO} In the binding's [sandbox]")
    assert said.endswith("name their folder in sandbox.writable.")
    assert asked(None, CONF=folder) == ("KEY-MODULE", NO)


def test_a_key_that_cannot_be_written_keeps_its_rule(visible: Path) -> None:
    conf, tokens = visible / "softhsm2.conf", visible / "tokens"
    tokens.mkdir()
    conf.write_text(f"directories.tokendir = {tokens}\n")
    binding = Binding(Path("/m.so"), (("SOFTHSM2_CONF", str(conf)),), sandbox=Sandbox())
    rule, said = explained("make", "KEY-REFUSED", "no key was made: GeneralError", binding)
    assert rule == "KEY-REFUSED"
    assert advised(said).writable == (tokens,)
    other = explained("sign", "KEY-LOST", "C_Sign: GeneralError", binding)
    assert other == ("KEY-LOST", "C_Sign: GeneralError")
