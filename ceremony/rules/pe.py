"""The rules of the PE/COFF layout and of the certificate table.

Where peers sign what a firmware later refuses, or drop what they were asked to keep, the
rule says what has to hold instead.
"""

from __future__ import annotations

from ceremony.rules import table

REBUILD = "Rebuild the image and have it attested again; do not repair it by hand."
COPY = "Copy the image again from its source and compare the SHA-256."
STRIP = "Start from the unsigned image instead of this one."
POLICY = "Take the image that the policy names, or have the owners sign another policy."
SHOW = "Read the fact, and go on only if it is what the builders meant."

RULES = table(
    # Headers.
    ("PE-TOO-LARGE", "The file fits the policy's size and 32-bit file offsets.", POLICY),
    ("PE-DOS-MAGIC", "The file starts with a DOS header of 64 bytes, 'MZ' first.", COPY),
    ("PE-LFANEW", "e_lfanew points behind the DOS header and well inside the file.", REBUILD),
    ("PE-LFANEW-ALIGN", "e_lfanew is even, and a multiple of 8.", SHOW),
    ("PE-SIGNATURE", "'PE', two zero bytes stand at e_lfanew.", REBUILD),
    ("PE-MACHINE", "The machine is known and is the one that is expected.", POLICY),
    ("PE-MAGIC", "The optional header is PE32+ on 64-bit machines and PE32 on others.", REBUILD),
    ("PE-DIRECTORIES", "NumberOfRvaAndSizes is 5 to 16.", REBUILD),
    ("PE-OPTIONAL-SIZE", "SizeOfOptionalHeader is exactly what its directories need.", REBUILD),
    ("PE-SECTION-COUNT", "There are 1 to 96 sections.", REBUILD),
    ("PE-SECTION-TABLE", "The section table lies inside the file's first 64 KiB.", COPY),
    ("PE-HEADERS-ZERO", "SizeOfHeaders is not zero.", REBUILD),
    ("PE-HEADERS-CERTDIR", "SizeOfHeaders lies behind the certificate directory.", REBUILD),
    ("PE-HEADERS-TABLE", "SizeOfHeaders covers the whole section table.", REBUILD),
    ("PE-HEADERS-SECTION", "SizeOfHeaders ends where the first section starts.", REBUILD),
    ("PE-HEADERS-EOF", "SizeOfHeaders lies inside the file and is at most 64 KiB.", COPY),
    ("PE-HEADER-BYTES", "Only zeros stand between section table and SizeOfHeaders.", SHOW),
    ("PE-SUBSYSTEM", "The subsystem is 10, an EFI application.", REBUILD),
    ("PE-IMAGE-SIZE", "SizeOfImage is larger than SizeOfHeaders and the section table.", REBUILD),
    ("PE-FILE-ALIGNMENT", "FileAlignment is a power of two from 512 to 65536.", REBUILD),
    (
        "PE-SECTION-ALIGNMENT",
        "SectionAlignment is a power of two up to 2 MiB, and at least 4096.",
        SHOW,
    ),
    ("PE-NX", "NX_COMPAT is set.", SHOW),
    ("PE-ENTRY", "The entry point lies in one executable section and in no other.", REBUILD),
    # Sections.
    ("PE-SECTION-NAME", "Section names are printable ASCII, zero padded, no '/n' form.", REBUILD),
    ("PE-SECTION-EOF", "Every section ends inside the file.", COPY),
    ("PE-SECTION-WRAP", "A section's offset plus size fits 32 bits.", REBUILD),
    ("PE-SECTION-2GIB", "Every section is smaller than 2 GiB.", REBUILD),
    ("PE-SECTION-OVERLAP", "No two sections share bytes of the file.", REBUILD),
    ("PE-SECTION-HEADERS", "No section starts inside the headers.", REBUILD),
    ("PE-SECTION-ORDER", "The section table is in file order.", REBUILD),
    ("PE-SECTION-GAP", "No bytes lie between headers and sections.", REBUILD),
    ("PE-SECTION-ADDRESS", "No section is mapped over the headers.", REBUILD),
    ("PE-ADDRESS-IMAGE", "Every section is mapped inside SizeOfImage.", REBUILD),
    ("PE-ADDRESS-OVERLAP", "No two sections are mapped over each other.", SHOW),
    ("PE-VIRTUAL-SIZE", "VirtualSize and raw size agree but for alignment.", SHOW),
    (
        "PE-RELOCATIONS",
        "Relocations are not stripped, lie in one section, and change nothing that people read.",
        REBUILD,
    ),
    (
        "PE-DEBUG",
        "Debug entries lie in one section, and what they tell of is mapped with the image.",
        REBUILD,
    ),
    (
        "PE-RESOURCES",
        "Resources lie in one section, and firmware's way through them does too.",
        REBUILD,
    ),
    ("PE-WX", "No section is both writable and executable.", SHOW),
    ("PE-OVERLAY", "No bytes follow the last section.", POLICY),
    # Certificate directory and table.
    ("PE-CERTDIR-EMPTY", "A certificate directory of size 0 has offset 0.", STRIP),
    ("PE-CERTDIR-WRAP", "The certificate table's offset plus size fits 32 bits.", STRIP),
    ("PE-CERTDIR-LARGE", "The certificate table is smaller than the file and its cap.", STRIP),
    ("PE-CERTDIR-EOF", "The certificate table lies inside the file.", COPY),
    ("PE-CERTDIR-HEADER", "The certificate table does not start in the headers.", STRIP),
    ("PE-CERTDIR-SECTION", "The certificate table shares no bytes with a section.", STRIP),
    ("PE-CERTDIR-ALIGN", "The certificate table starts at a multiple of 8.", STRIP),
    ("PE-CERTDIR-MULTIPLE", "The certificate table's size is a multiple of 8.", STRIP),
    ("PE-CERTDIR-END", "The certificate table ends at the end of the file.", STRIP),
    ("PE-CERT-LENGTH", "dwLength is more than 8 and the entry ends inside the table.", STRIP),
    ("PE-CERT-REVISION", "An entry's revision is 0x0200.", STRIP),
    ("PE-CERT-TYPE", "An entry's type is 2, PKCS#7 signed data.", STRIP),
    ("PE-CERT-SLACK", "Nothing but padding zeros follows an entry's PKCS#7.", STRIP),
    ("PE-CERT-SIZE", "An entry holds at most 64 KiB.", STRIP),
    ("PE-CERT-COUNT", "The table has at most 16 entries.", STRIP),
)
