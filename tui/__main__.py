"""python -I -m tui: the same as the console script uki-ceremony."""

from __future__ import annotations

import sys

from tui.entry import main

sys.exit(main())
