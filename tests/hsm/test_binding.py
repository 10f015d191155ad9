from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused
from hsm.binding import Binding, Limits, find_module, read_binding, read_outside

PIN = "0" * 64


@accepts("KEY-BINDING")
def test_a_binding_names_module_environment_and_limits() -> None:
    data = f'module = "/usr/lib/m.so"\npolicy_sha256 = "{PIN}"\n'.encode()
    data += b'[environment]\nB = "2"\nA = "1"\n[limits]\nsign = 2.5\n'
    wanted = Binding(Path("/usr/lib/m.so"), (("A", "1"), ("B", "2")), Limits(sign=2.5), None, PIN)
    assert read_binding(data) == wanted


@accepts("KEY-BINDING")
def test_a_binding_may_hold_the_text_that_a_module_wants_with_c_initialize() -> None:
    text = "configdir='sql:/var/lib/nss' flags=optimizeSpace"
    data = f'module = "/usr/lib/libsoftokn3.so"\ninit_args = "{text}"\n'.encode()
    assert read_outside(data).init_args == text


@accepts("KEY-BINDING")
def test_a_ceremonys_binding_says_what_it_is_for() -> None:
    wanted = Binding(Path("/m.so"), rehearsal=True)
    assert read_binding(b'module = "/m.so"\nrehearsal = true\n') == wanted
    pinned = f'module = "/m.so"\npolicy_sha256 = "{PIN}"\n'.encode()
    assert read_binding(pinned) == Binding(Path("/m.so"), policy_sha256=PIN)


@refuses("KEY-BINDING")
def test_a_binding_that_says_nothing_of_it_is_for_commands_outside_of_ceremonies() -> None:
    with pytest.raises(Refused, match=r"does not say what it is for: .*policy show FILE"):
        read_binding(b'module = "/m.so"\n')
    assert read_outside(b'module = "/m.so"\n') == Binding(Path("/m.so"))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "absolute path"),
        ("module = 3", "absolute path"),
        ('module = "m.so"', "absolute path"),
        ('module = "/m\\u0000.so"', "absolute path"),
        ('module = "/m.so"\npin = "1234"', "unknown key pin"),
        ("module = ", "not TOML"),
        ('module = "/m"\nenvironment = 3', "environment is a table"),
        ('module = "/m"\n[environment]\nA = 3', "must be text"),
        ('module = "/m"\n[environment]\nlower = "x"', "lower is not allowed"),
        ('module = "/m"\n[environment]\nLD_PRELOAD = "x"', "LD_PRELOAD is not allowed"),
        ('module = "/m"\n[environment]\nOPENSSL_CONF = "x"', "OPENSSL_CONF is not allowed"),
        ('module = "/m"\n[environment]\nPYTHONPATH = "x"', "PYTHONPATH is not allowed"),
        ('module = "/m"\n[environment]\nPATH = "x"', "PATH is not allowed"),
        ('module = "/m"\nlimits = 3', "limits is a table"),
        ('module = "/m"\n[limits]\nverify = 3', "unknown limit verify"),
        ('module = "/m"\n[limits]\nsign = true', "limit sign"),
        ('module = "/m"\n[limits]\nsign = nan', "limit sign"),
        ('module = "/m"\n[limits]\nsign = 0', "limit sign"),
        ('module = "/m"\n[limits]\nsign = 601', "limit sign"),
        ('module = "/m"\npolicy_sha256 = ""', "64 lower-case hex digits"),
        ('module = "/m"\npolicy_sha256 = 7', "64 lower-case hex digits"),
        (f'module = "/m"\npolicy_sha256 = "{"A" * 64}"', "64 lower-case hex digits"),
        ('module = "/m"\nrehearsal = false', "rehearsal is true, or is left out"),
        ('module = "/m"\nrehearsal = 1', "rehearsal is true, or is left out"),
        ('module = "/m"\nrehearsal = "true"', "rehearsal is true, or is left out"),
        (f'module = "/m"\nrehearsal = true\npolicy_sha256 = "{PIN}"', "exclude each other"),
        ('module = "/m"\ninit_args = 7', "init_args is a text"),
        ('module = "/m"\ninit_args = "a\\u0000b"', "init_args is a text"),
        (f'module = "/m"\ninit_args = "{"a" * 1025}"', "at most 1024"),
        ("#" * 20000, "is over"),
    ],
)
@refuses("KEY-BINDING")
def test_other_bindings_are_refused(text: str, fact: str) -> None:
    for read in (read_binding, read_outside):
        with pytest.raises(Refused, match=fact):
            read(text.encode())


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Refused, match="KEY-BINDING"):
        read_outside(data)


def test_softhsm_is_found_where_it_is_installed() -> None:
    module = find_module()
    assert module is not None
    assert module.name == "libsofthsm2.so"
