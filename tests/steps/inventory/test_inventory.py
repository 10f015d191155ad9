"""inventory: what the machine has is shown; what the policy refuses must go first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import rehearsing
from marks import accepts, refuses

from ceremony.errors import MediaTrouble
from ceremony.events import Outcome
from ceremony.ingest.machine import survey
from ceremony.ingest.world import LinuxWorld
from ceremony.machine import BlockDevice, Interface, Machine, MachineRules, check_machine
from ceremony.types import Severity, refusals
from tui.rehearsal.prepare import Prepared

STRICT = MachineRules(Severity.REFUSE, Severity.REFUSE, Severity.REFUSE)
CLEAN = Machine(
    kernel="6.1.0",
    architecture="x86_64",
    boot_id="0",
    time_zone="UTC",
    secure_boot="on",
    lockdown="confidentiality",
    interfaces=(Interface("lo", "unknown", hardware=False),),
    radios=(),
    swap=(),
    block_devices=(BlockDevice("sdb", 1 << 30, removable=True, read_only=True, mounts=()),),
)


@accepts("AIR-NETWORK", "AIR-SWAP", "AIR-DISK")
def test_a_clean_machine_has_no_refusal() -> None:
    assert refusals(check_machine(CLEAN, STRICT)) == ()


@refuses("AIR-NETWORK", "AIR-SWAP", "AIR-DISK")
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"interfaces": (Interface("eth0", "down", hardware=True),)}, "AIR-NETWORK"),
        ({"interfaces": (Interface("wg0", "unknown", hardware=False),)}, "AIR-NETWORK"),
        ({"radios": ("rfkill0 wlan",)}, "AIR-NETWORK"),
        ({"interfaces": None}, "AIR-NETWORK"),
        ({"swap": ("/dev/sda2",)}, "AIR-SWAP"),
        ({"swap": None}, "AIR-SWAP"),
        (
            {
                "block_devices": (
                    BlockDevice("sda", 1, removable=False, read_only=False, mounts=()),
                )
            },
            "AIR-DISK",
        ),
        ({"block_devices": None}, "AIR-DISK"),
    ],
)
def test_each_surprise_is_refused(change: dict[str, object], rule: str) -> None:
    machine = replace(CLEAN, **change)  # type: ignore[arg-type]
    assert {f.rule for f in refusals(check_machine(machine, STRICT))} == {rule}


def test_the_policy_may_report_instead_and_the_fact_stays() -> None:
    mild = MachineRules(Severity.WARN, Severity.WARN, Severity.WARN)
    machine = replace(CLEAN, swap=("/dev/sda2",))
    (finding,) = [f for f in check_machine(machine, mild) if f.severity is Severity.WARN]
    assert (finding.rule, finding.text) == ("AIR-SWAP", "swap is in use on /dev/sda2")


def test_an_empty_root_is_unknown_everywhere_and_never_passes(tmp_path: Path) -> None:
    empty = survey(tmp_path)
    assert (empty.interfaces, empty.radios, empty.swap, empty.block_devices) == (None,) * 4
    assert {empty.kernel, empty.secure_boot, empty.lockdown} == {"unknown"}
    assert {f.rule for f in refusals(check_machine(empty, STRICT))} == {
        "AIR-NETWORK",
        "AIR-SWAP",
        "AIR-DISK",
    }


def test_a_made_root_is_read_as_it_is(tmp_path: Path) -> None:
    for name, state in (("lo", "unknown"), ("wlan0", "down")):
        (tmp_path / "sys/class/net" / name).mkdir(parents=True)
        (tmp_path / "sys/class/net" / name / "operstate").write_text(f"{state}\n")
    (tmp_path / "sys/class/net/wlan0/device").mkdir()
    (tmp_path / "sys/class/rfkill/rfkill0").mkdir(parents=True)
    (tmp_path / "sys/class/rfkill/rfkill0/type").write_text("wlan\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/swaps").write_text("Filename Type Size\n/dev/sda2 partition 1\n")
    for name, size, removable in (("sda", 2048, 0), ("sdb", 4096, 1), ("loop0", 8, 0)):
        (tmp_path / "sys/block" / name).mkdir(parents=True)
        (tmp_path / "sys/block" / name / "size").write_text(f"{size}\n")
        (tmp_path / "sys/block" / name / "removable").write_text(f"{removable}\n")
    (tmp_path / "proc/mounts").write_text("/dev/sdb1 /media/in vfat ro 0 0\n")
    found = survey(tmp_path)
    assert found.interfaces == (
        Interface("lo", "unknown", hardware=False),
        Interface("wlan0", "down", hardware=True),
    )
    assert found.radios == ("rfkill0 wlan",)
    assert found.swap == ("/dev/sda2",)
    assert found.block_devices == (
        BlockDevice("sda", 1 << 20, removable=False, read_only=False, mounts=()),
        BlockDevice("sdb", 2 << 20, removable=True, read_only=False, mounts=("/media/in",)),
    )


def test_this_machine_can_be_surveyed() -> None:
    here = survey()
    assert here.kernel != "unknown"
    assert any(i.name == "lo" for i in here.interfaces or ())


def test_what_the_policy_refuses_is_scanned_again_and_never_waved_through(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsing.edit_policy(prepared, ('swap = "report"', 'swap = "refuse"'))
    swapping = replace(CLEAN, swap=("/dev/sda2",))
    monkeypatch.setattr(LinuxWorld, "survey", lambda _self: swapping)
    with pytest.raises(MediaTrouble, match="asked again and again"):
        rehearsing.held(prepared)
    names = rehearsing.names(prepared)
    assert "inventory.again" in names
    assert not [n for n in names if n.startswith("ingest.")]
    assert rehearsing.decisions(prepared, "inventory.verdict")[-1].outcome is Outcome.REFUSED
    monkeypatch.setattr(LinuxWorld, "survey", lambda _self: CLEAN)
    assert rehearsing.held(prepared).released
