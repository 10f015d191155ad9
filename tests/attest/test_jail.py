"""A FreeBSD jail's metadata: signed for, without network, nothing writable but two folders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.refusal import rule_of
from quorum.release import IMAGE, sha256

from ceremony.attest.jail import Mount, jail_faults, jail_findings, read_jail
from ceremony.attest.record import Claims
from ceremony.attest.sums import read_sums
from ceremony.errors import Refused
from ceremony.types import MediaFile, Severity

# What a phase 2.1 jail script writes: parameters one a line, then its mounts.
GOOD = """\
# jail parameters
name=guix-build
path=/jails/build
enforce_statfs=2
ip4=disable
ip6=disable
persist
allow.noraw_sockets
allow.nomount

/toolchain /jails/build/toolchain nullfs ro 0 0
/inputs    /jails/build/inputs    nullfs ro,noexec 0 0
/out       /jails/build/output    nullfs rw 0 0
tmpfs      /jails/build/tmp       tmpfs  rw,size=1g 0 0
devfs      /jails/build/dev       devfs  rw,multilabel 0 0
"""
# jls -n prints one line, values with blanks in quotes.
ONE_LINE = (
    'jid=3 name=b path=/j "host.hostname"=x enforce_statfs=2 ip4=disable ip6=disable\n'
).replace('"host.hostname"=x', 'host.hostname="a b"')
FSTAB = "/i /j/inputs nullfs ro 0 0\n"


def faults(text: str) -> tuple[str, ...]:
    return tuple(jail_faults(read_jail(text.encode())))


def claims(*files: MediaFile) -> Claims:
    lines = [f"{sha256(IMAGE)}  anchor.efi"]
    lines += [f"{sha256(file.data)}  {file.path}" for file in files]
    return read_sums(("\n".join(lines) + "\n").encode())


@accepts("ATT-JAIL")
@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        ONE_LINE + FSTAB,
        ONE_LINE + FSTAB.replace("/j/inputs", "/inputs"),
        ONE_LINE + 'mount="/i /j/inputs nullfs ro 0 0"\n',
        ONE_LINE.replace("\n", " vnet=inherit allow.mount=0\n") + FSTAB,
        (
            "path = /j;\nip4 = disable;\nip6=disable;\npersist;\n"
            'exec.start = "/bin/sh /x";\nmount += "/i /j/inputs nullfs ro 0 0";\n'
        ),
        GOOD.replace(" ", "\t").replace("#\tjail", "# jail"),
    ],
)
def test_a_closed_jail_has_no_findings(text: str) -> None:
    assert faults(text) == ()
    file = MediaFile("bob/jail-metadata.txt", text.encode())
    signed = MediaFile("jail-metadata.txt", text.encode())
    assert jail_findings(claims(signed), (file,)) == ()


def test_mounts_are_told_as_the_jail_sees_them() -> None:
    jail = read_jail(GOOD.encode())
    assert jail.mounts[2] == Mount("/out", "/output", "nullfs", read_only=False)
    assert ("persist", "") in jail.parameters
    root = read_jail(b"path=/j\n/pool/j /j zfs ro 0 0\n/x /jx nullfs ro 0 0\n")
    assert [mount.target for mount in root.mounts] == ["/", "/jx"]


@refuses("ATT-JAIL")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD.replace("ip4=disable\n", ""), "no ip4"),
        (GOOD.replace("ip6=disable", "ip6=inherit"), "ip6=inherit"),
        (GOOD.replace("ip4=disable", "ip4"), "ip4="),
        (GOOD.replace("persist", "ip4.addr=10.0.0.2"), "an address"),
        (GOOD.replace("persist", "vnet"), "vnet"),
        (GOOD.replace("persist", "vnet=new"), "vnet"),
        (GOOD.replace("persist", "allow.mount"), "allow.mount"),
        (GOOD.replace("persist", "allow.mount=1"), "allow.mount"),
        (GOOD.replace("nullfs ro 0 0", "nullfs rw 0 0"), "/toolchain is mounted writable"),
        (GOOD.replace("ro,noexec", "noexec"), "/inputs is mounted writable"),
        (GOOD.replace("build/output ", "build/output/x "), "/output/x is mounted writable"),
        (GOOD.replace("build/dev ", "build/lib "), "/lib is mounted writable"),
        (GOOD.replace("devfs  rw", "nullfs rw"), "/dev is mounted writable"),
        (GOOD + "zroot/j /jails/build zfs rw 0 0\n", "/ is mounted writable"),
        (GOOD.replace("path=/jails/build\n", ""), "/jails/build/output is mounted writable"),
        (ONE_LINE, "no mounts"),
    ],
)
def test_an_open_jail_says_where(text: str, why: str) -> None:
    found = faults(text)
    assert any(why in fault for fault in found), found
    file = MediaFile("jail-metadata.txt", text.encode())
    findings = jail_findings(claims(file), (file,))
    assert {finding.rule for finding in findings} == {"ATT-JAIL"}
    assert {finding.severity for finding in findings} == {Severity.REFUSE}


@refuses("ATT-JAIL")
def test_metadata_counts_only_where_the_checksums_cover_it() -> None:
    file = MediaFile("jail-metadata.txt", GOOD.encode())
    other = MediaFile("x/jail-metadata.txt", GOOD.replace("persist", "nopersist").encode())
    for said, files, why in (
        (claims(), (file,), "name no jail-metadata.txt"),
        (claims(file, other), (file, other), "name several"),
        (claims(file), (), "is not here"),
        (claims(file), (other, MediaFile("readme", GOOD.encode())), "is not here"),
    ):
        (finding,) = jail_findings(said, files)
        assert why in finding.text
    assert jail_findings(claims(file), (other, file)) == ()


@refuses("ATT-JAIL")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "end with a newline"),
        (GOOD[:-1].encode(), "end with a newline"),
        (b"ip4=dis\xffable\n", "not UTF-8"),
        (b"ip4=disable\r\n", "control"),
        (b"ip4=\x1b[0m\n", "control"),
        (b"ip4=disable\nip4=inherit\n", "another value"),
        (b"IP4=disable\n", "neither"),
        (b"ip4 = disable\n", "neither"),
        (b"/x /y nullfs ro 0\n", "neither"),
        (b"/x y nullfs ro 0 0\n", "no absolute path"),
        (b"/x /y/../z nullfs ro 0 0\n", "no absolute path"),
        (b"/x /y nullfs ro,rw 0 0\n", "at once"),
        (b"build {\nip4=disable;\n}\n", "neither"),
        (b"ip4 = disable; ip6 = disable;\n", "neither"),
        (b'mount += "/i $path/inputs nullfs ro 0 0";\n', "no absolute path"),
        (b"x\n" * 1025, "more than 1024 lines"),
        (b"#" * 5000 + b"\n", "too long"),
        (b"#" * 70000 + b"\n", "more than 65536 bytes"),
    ],
)
def test_what_is_no_metadata_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match="ATT-JAIL") as caught:
        read_jail(data)
    assert why in str(caught.value)
    file = MediaFile("jail-metadata.txt", data)
    (finding,) = jail_findings(claims(file), (file,))
    assert finding.rule == "ATT-JAIL"


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_any_bytes_parse_or_are_refused(noise: bytes, at: int, cut: int) -> None:
    data = GOOD.encode()
    data = data[:at] + noise + data[at + cut :]
    rule = rule_of(read_jail, data)
    assert rule in ("", "ATT-JAIL")
    if not rule:
        assert all(isinstance(fault, str) for fault in jail_faults(read_jail(data)))
