"""The rules of attestation formats: is a file a well-formed, correctly signed statement.

A file that breaks one is not counted or malformed; it never changes what others say.
"""

from __future__ import annotations

from ceremony.rules import table

AGAIN = "Ask the builder to attest again and to bring the new file."
SIGN = "Ask the builder to sign the checksum file again, unchanged, with the enrolled key."

RULES = table(
    (
        "ATT-FORMAT",
        "A file is an attestation in a format known here.",
        "Nothing, if the file is none; else see the formats in docs/spec.",
    ),
    (
        "ATT-UNSIGNED",
        "A checksum file comes with a signature.",
        "Bring the signature file too, beside it and named after it.",
    ),
    (
        "ATT-ALONE",
        "A detached signature comes with the file that it signs.",
        "Bring the checksum file too, in the same folder.",
    ),
    (
        "ATT-SSHSIG",
        "An SSHSIG file is armoured and built as PROTOCOL.sshsig says.",
        "Sign again with: ssh-keygen -Y sign -n uki-attestation -f KEY FILE.",
    ),
    (
        "ATT-MINISIGN",
        "A minisign signature has its four lines and fields and nothing else.",
        "Sign again with: minisign -Sm FILE.",
    ),
    (
        "ATT-SUMS",
        "A checksum file has GNU, BSD or -r lines, lower-case hex, LF, plain UTF-8 names.",
        "Write it again with: sha256sum FILE > SHA256SUMS, and sign that.",
    ),
    (
        "ATT-TWICE",
        "An attestation names an artifact once.",
        AGAIN,
    ),
    (
        "ATT-JSON",
        "JSON has no name twice, no fraction, no half surrogate, and at most 32 levels.",
        AGAIN,
    ),
    (
        "ATT-DSSE",
        "A DSSE envelope has a payload, its type and 1 to 16 signatures in clean base64.",
        AGAIN,
    ),
    (
        "ATT-PAYLOAD",
        "The payload of an envelope is an in-toto Statement by its payloadType.",
        "Attest with payloadType application/vnd.in-toto+json.",
    ),
    (
        "ATT-STATEMENT",
        "An in-toto Statement v0.1 or v1 has 1 to 1,024 subjects of at most 32 digests.",
        AGAIN,
    ),
    (
        "ATT-PREDICATE",
        "A Statement carries SLSA provenance v0.2 or v1.",
        "Attest with the predicate https://slsa.dev/provenance/v1.",
    ),
    (
        "ATT-DIGEST",
        "The artifact's SHA-256 is given, and every other digest given is right too.",
        "Ask the builder which bytes were hashed, and to attest again with sha256.",
    ),
    (
        "ATT-PIN",
        "A pin has a possible value and only one.",
        AGAIN,
    ),
    (
        "ATT-TIME",
        "The time a build finished is an RFC 3339 moment.",
        AGAIN,
    ),
    (
        "ATT-KEY",
        "A public key is an Ed25519, ECDSA P-256/384/521 or RSA key in canonical form.",
        "Export the public key again with the tool that made it.",
    ),
    (
        "ATT-CERTIFICATE",
        "An SSHSIG is made by a plain key, not by an SSH certificate.",
        "Sign with the key itself: ssh-keygen -Y sign without the -cert.pub file beside it.",
    ),
    (
        "ATT-SIGNATURE",
        "The signature fits the key and every byte of what it signs.",
        SIGN + " If nobody touched the files, ask how they came here.",
    ),
    (
        "ATT-NAMESPACE",
        "An SSHSIG is made for the namespace that the policy enrols.",
        "Sign again with: ssh-keygen -Y sign -n uki-attestation -f KEY FILE.",
    ),
)
