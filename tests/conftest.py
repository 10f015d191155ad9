"""What every test folder shares: hypothesis without a clock and without a folder of its own."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ceremony", deadline=None, database=None)
settings.load_profile("ceremony")
