"""The memory: append, read back, replay, report. Pure except store.py and files.py."""
