"""What is made of a finished bundle for other tools to read, and is never read back as a source.

Pure: the bundle's files in, bytes out. Who signs, and where the files go, is the face's.
"""
