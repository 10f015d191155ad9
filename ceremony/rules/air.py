"""AIR-: the machine the ceremony runs on, and its clock."""

from __future__ import annotations

from ceremony.rules import table

RULES = table(
    (
        "AIR-NETWORK",
        "The ceremony machine has no network interface but the loopback, and no radio.",
        "Unplug or remove the device, then scan again.",
    ),
    (
        "AIR-SWAP",
        "No swap area is in use.",
        "Run swapoff -a, then scan again.",
    ),
    (
        "AIR-DISK",
        "No fixed disk is attached.",
        "Boot the ceremony medium on a machine without a fixed disk, or detach it.",
    ),
    (
        "AIR-CLOCK",
        "The machine's clock agrees with the witness's within the policy's max_drift.",
        "Set the machine's clock to UTC in another console, then read the clock again.",
    ),
    (
        "AIR-PROGRAM",
        "All four parts of the program come from one installed place.",
        "Start the installed uki-ceremony from a folder of your own, never from a medium.",
    ),
    (
        "AIR-CLOCK-BACK",
        "The signing time is not before the time that the witness confirmed.",
        "Abort; find out what set the clock, then begin a new ceremony.",
    ),
)
