"""MED-: media that come in, and outputs that go out."""

from __future__ import annotations

from ceremony.rules import table

RULES = table(
    (
        "MED-IMAGE",
        "The medium holds exactly one file with a name the policy gives the image.",
        "Put the image on the medium under the policy's name, once, and read it again.",
    ),
    (
        "MED-SIZE",
        "No file on the medium is larger than its cap.",
        "Remove the file named, or raise the cap in a newly signed policy.",
    ),
    (
        "MED-COUNT",
        "The medium holds no more files and folders than the cap.",
        "Copy only the image and its attestations to a fresh medium.",
    ),
    (
        "MED-SPECIAL",
        "What is read is a regular file; links, folders and devices in its place are not.",
        "Name the file itself; on a medium, copy the files themselves to a fresh one, and read it.",
    ),
    (
        "MED-SPARSE",
        "An image has no holes: every byte of it was written.",
        "Copy it whole, with cp --sparse=never, compare its SHA-256, and name the copy.",
    ),
    (
        "MED-SAME",
        "An output does not take the place of another file that the command reads.",
        "Name another file with --output.",
    ),
    (
        "MED-CHANGED",
        "A file has the size and bytes at the end of reading that it had at the beginning.",
        "Use another medium: this one, or its reader, does not give the same bytes twice.",
    ),
    (
        "MED-GONE",
        "The medium stays readable until everything on it was copied.",
        "Put the medium back and read again; if that fails take a second copy of it.",
    ),
    (
        "MED-MEMORY",
        "The machine has the memory for the image's sealed copy, and for another verifier's.",
        "Use a machine with more memory, or end what takes it; a resumed ceremony goes on.",
    ),
    (
        "MED-PATH",
        "Every file or folder, named or found, is there and may be read.",
        "Check the path and who may read it, then give it again.",
    ),
    (
        "MED-SANDBOX",
        "Every file is read to its end in a confined process, in bounded time and memory.",
        "Keep the file named apart and show it to this program's makers; go on without it.",
    ),
    (
        "MED-RESUME",
        "A resumed ceremony finds on the medium the very image that was recorded.",
        "Insert the medium the ceremony began with, then start the same command again.",
    ),
    (
        "MED-OUTPUT",
        "An output goes where nothing is: a new file, a new or empty folder; none is overwritten.",
        "Name another file or an empty folder, or move what is there to safety.",
    ),
    (
        "MED-MOUNT",
        "The folders that --log and --out are to be made in are there.",
        "Mount the medium first (findmnt shows it), then run the same command again.",
    ),
    (
        "MED-FOLDER",
        "The folder that an output goes to is there: no command makes folders for --output.",
        "Make the folder with mkdir -p, or name one that is there, then run the command again.",
    ),
    (
        "MED-SPACE",
        "There is room for all outputs and the transcript before a signature is made.",
        "Free space on the medium named, or insert a larger one, then check again.",
    ),
    (
        "MED-WRITE",
        "Every output reads back with the digest it was written with.",
        "Free space, or name another place or medium, then write again.",
    ),
)
