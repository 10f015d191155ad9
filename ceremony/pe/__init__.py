"""PE/COFF images and Authenticode: strict layout, digests, meaning, signing, verifying.

Everything here computes on bytes that somebody else has read. Nothing here opens a file,
looks at a clock or holds a private key.
"""
