"""The key that everybody has: rehearsals are signed with it, and nothing else ever is.

Decides which key that is, by the SHA-256 (hex) of its SubjectPublicKeyInfo. It stands alone, so
that who signs with a key file need not load what a token tells.
"""

from __future__ import annotations

REHEARSAL_SPKI_SHA256 = "7256a8f91abd94a4a5962b5749ac6ce559af5f85e26ec0f9152d093a3c1a43f4"
