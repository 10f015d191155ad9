"""How long a PIN is that one person types, wherever it is made or asked.

It stands alone, so that a prompt need not load how a PIN is parted.
"""

from __future__ import annotations

LEAST_PIN, MOST_PIN = 4, 128  # bytes
