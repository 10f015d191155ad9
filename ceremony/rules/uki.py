"""The rules of what a Unified Kernel Image holds: its sections and their contents.

Section names and formats: UAPI Group specification UKI, os-release(5), SBAT.md of shim.
"""

from __future__ import annotations

from ceremony.rules import table

REBUILD = "Rebuild the image and have it attested again; do not repair it by hand."
SHOW = "Read the fact, and go on only if it is what the builders meant."

RULES = table(
    ("UKI-SECTION-MISSING", "Every section that the policy names is there.", REBUILD),
    ("UKI-SECTION-TWICE", "No section that a stub reads stands twice outside profiles.", REBUILD),
    ("UKI-PROFILES", "The image has one profile, so what is shown is what boots.", SHOW),
    ("UKI-CONTENT", "Zeros, and only zeros, follow a section's content in the file.", SHOW),
    ("UKI-LENGTH", "A text section has at most 64 KiB, a command line 4096 bytes.", REBUILD),
    ("UKI-SBAT", ".sbat is ASCII CSV of six fields a row, 'sbat,1' first.", REBUILD),
    ("UKI-OSREL", ".osrel is an os-release file, every key once.", REBUILD),
    ("UKI-UNAME", ".uname is one kernel release in plain characters.", REBUILD),
    ("UKI-CMDLINE-NUL", ".cmdline has no zero byte before its end.", REBUILD),
    ("UKI-CMDLINE-NEWLINE", ".cmdline is one line.", REBUILD),
    ("UKI-CMDLINE-ASCII", ".cmdline is printable ASCII.", REBUILD),
    ("UKI-LINUX", ".linux is itself a strict PE image; its Authenticode digest is told.", SHOW),
    ("UKI-KERNEL", ".uname names the release that the kernel itself tells.", REBUILD),
    ("UKI-INITRD", ".initrd starts as a cpio archive or in a known compression.", SHOW),
)
