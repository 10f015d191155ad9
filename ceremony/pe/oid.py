"""ObjectIdentifier, the class of `cryptography.x509`, without the rest of that package.

Importing all of it takes a third of what it takes to sign a small image. A test holds that
both names mean one class.
"""

from __future__ import annotations

from cryptography.hazmat.bindings._rust import ObjectIdentifier

__all__ = ["ObjectIdentifier"]
