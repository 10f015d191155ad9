"""inventory: the machine in front of the people."""

from __future__ import annotations

from ceremony.show import escaped
from ceremony.states import Inventory
from ceremony.steps import Step
from tui.guides import GUIDES
from tui.parts.lines import Line
from tui.parts.view import View, inner
from tui.screens.step import StepScreen


class InventoryScreen(StepScreen):
    """Network interfaces, swap areas, block devices."""

    STEP = Step.INVENTORY
    GUIDE = GUIDES[Step.INVENTORY]

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
