"""Attestation formats, one strict reader a file.

gather.py decides which files belong together, record.py what a reading is; every other
module knows one wire format and nothing of policies, votes or verdicts.
"""
