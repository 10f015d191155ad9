"""inventory: the machine in front of the people."""

from __future__ import annotations

from ceremony.show import escaped
from ceremony.states import Inventory
from ceremony.steps import Step
from tui.parts.lines import Line
from tui.parts.view import View, inner
from tui.screens.step import Guide, StepScreen


class InventoryScreen(StepScreen):
    """Network interfaces, swap areas, block devices."""

    STEP = Step.INVENTORY
    GUIDE = Guide(
        what="The machine lists its network interfaces, swap areas and block devices. What the "
        "policy refuses must go before anything else happens; the rest is recorded.",
        do=(
            "Look at the machine: cables, sticks, disks, antennas.",
            "Compare with the list on the screen.",
            "Type the word that is asked for.",
        ),
        cases=(
            ("something is refused", "unplug or switch off what is named, then type SCAN."),
            ("a device is there that nobody knows", "note it with F3, or abort with F10."),
        ),
    )

    def before(self, view: View) -> tuple[Line, ...]:
        """Draw which machine this is."""
        state = inner(view.state)
        if not isinstance(state, Inventory) or state.survey is None:
            return ()
        machine = state.survey.machine
        return (
            Line(f"Kernel      {escaped(machine.kernel, 40)}, {escaped(machine.architecture, 16)}"),
            Line(f"Boot        {escaped(machine.boot_id, 40)}"),
            Line(
                f"Secure Boot {escaped(machine.secure_boot, 20)}, "
                f"lockdown {escaped(machine.lockdown, 20)}"
            ),
        )
