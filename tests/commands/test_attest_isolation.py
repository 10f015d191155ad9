"""What a machine shows of containers, and what may be said of it: an injected root."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands.builder_desk import Desk, laid_out
from marks import accepts, refuses

from ceremony.attest.sums import read_sums
from ceremony.errors import Refused
from tui.building import isolation
from tui.building.isolation import Seen, Sign


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return laid_out(tmp_path, capfd)


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "kind", "where"),
    [
        ({}, "", ""),
        ({"dot_dockerenv": ""}, "docker", "/.dockerenv"),
        ({"run__.containerenv": "engine"}, "podman", "/run/.containerenv"),
        ({"dot_flatpak-info": "[Application]"}, "flatpak", "/.flatpak-info"),
        ({"proc__1__comm": "bwrap\n"}, "bwrap", "/proc/1/comm"),
        ({"proc__self__cgroup": "0::/system.slice/docker-ab.scope\n"}, "docker", "cgroup"),
        ({"proc__1__cgroup": "0::/machine/libpod-ab.scope\n"}, "podman", "/proc/1/cgroup"),
        ({"proc__1__cgroup": "0::/init.scope\n"}, "", ""),
        ({"run__systemd__container": "lxc\n"}, "other:lxc", "/run/systemd/container"),
        ({"run__systemd__container": "x y\x1b\n"}, "other:x-y-", "container"),
        ({"sys__class__dmi__id__sys_vendor": "QEMU\n"}, "qemu-vm", "sys_vendor"),
        ({"proc__cpuinfo": "flags\t\t: fpu hypervisor\n"}, "other:hypervisor", "cpuinfo"),
        ({"run__host__container-manager": "systemd-nspawn"}, "other:systemd-nspawn", "/run/host"),
        ({"proc__cpuinfo": "flags : hypervisor\n", "mnt__lima-cidata": ""}, "lima-vm", "cpuinfo"),
        ({"dot_dockerenv": "", "proc__1__comm": "bwrap\n"}, "bwrap", "docker(/.dockerenv)"),
        (
            {"run__systemd__container": "lxc\n", "sys__class__dmi__id__sys_vendor": "QEMU\n"},
            "other:lxc",
            "qemu-vm",
        ),
        ({"mnt__lima-cidata": ""}, "lima-vm", "/mnt/lima-cidata"),
    ],
)
def test_what_a_machine_shows(tmp_path: Path, files: dict[str, str], kind: str, where: str) -> None:
    seen = isolation.look(machine(tmp_path, **files))
    assert seen.kind == kind
    assert where in seen.word
    assert seen.word.isascii()
    assert seen.word.isprintable()
    assert " " not in seen.word


@accepts("ATT-ISOLATION")
def test_a_kind_that_the_signs_allow_may_be_stated() -> None:
    docker = Seen((Sign("docker", "/.dockerenv"),), "Linux")
    assert isolation.stated("detected", docker) == "docker"
    assert isolation.stated("nix-sandbox", docker) == "nix-sandbox"
    assert isolation.stated("other:firecracker", docker) == "other:firecracker"
    assert (
        isolation.stated("none", Seen((Sign("qemu-vm", "/sys", machine=True),), "Linux")) == "none"
    )
    assert isolation.stated("bare-metal", Seen((), "Linux")) == "bare-metal"
    assert isolation.stated("freebsd-jail", Seen((), "FreeBSD")) == "freebsd-jail"


@refuses("ATT-ISOLATION")
@pytest.mark.parametrize(
    ("kind", "signs"),
    [
        ("bare-metal", ("docker",)),
        ("bare-metal", ("qemu-vm",)),
        ("none", ("qemu-vm", "docker")),
        ("none", ("other:systemd-nspawn",)),
        ("freebsd-jail", ()),
        ("detected", ()),
        ("castle", ()),
        ("other:", ()),
        ("other:a b", ()),
    ],
)
def test_a_kind_that_the_signs_rule_out(kind: str, signs: tuple[str, ...]) -> None:
    seen = Seen(tuple(Sign(sign, "/x") for sign in signs), "Linux")
    with pytest.raises(Refused, match="ATT-ISOLATION"):
        isolation.stated(kind, seen)


def test_nothing_is_stated_unless_asked(desk: Desk) -> None:
    assert desk.attest().status == 0
    assert read_sums(desk.sums().encode()).self_claims == ()
    assert "# isolation_seen " in desk.sums()
