"""The rules: bytes and frozen dataclasses in, conclusions out. Nothing here touches the world."""
