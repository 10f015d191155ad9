"""The one impure corner of the rules' room: bytes from outside are taken in here, once.

Nothing is decided here. What is read is bounded by limits.py, links and devices are never
followed, and every surprise becomes a finding that the engine records and judges.
"""
