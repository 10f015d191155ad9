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
        "ATT-BUILDER",
        "A builder's id is letters, digits, dot, dash and underscore.",
        "Give --builder the id that the policy's [[builder]] table has for you.",
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
        "ATT-SIGNIFY",
        "A signify signature has its two lines and fields and, with -e, the message.",
        "Sign again with: signify -S -s KEY.sec -m FILE.",
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
        "ATT-LINK",
        "An in-toto link has materials, 1 to 1,024 products and 1 to 16 signatures in hex.",
        "Attest again with: in-toto-run -n build -p FILE --signing-key KEY -- COMMAND.",
    ),
    (
        "ATT-LAYOUT",
        "An in-toto file is a link; a layout, whose inspections are commands, is never run.",
        "Bring the links instead; who counts and how many stands in the signed policy.",
    ),
    (
        "ATT-REBUILD",
        "A link of rebuilderd is unpacked JSON, named after one of its own products.",
        "Fetch the attestation again, and unpack it with: zstd -d FILE.",
    ),
    (
        "ATT-BUNDLE",
        "A Sigstore bundle has one certificate, log entries, one signed thing and no more.",
        AGAIN,
    ),
    (
        "ATT-BUNDLE-AGE",
        "A Sigstore bundle is of version 0.3.",
        "Attest again with a current actions/attest or cosign, which write version 0.3.",
    ),
    (
        "ATT-BUNDLE-ONE",
        "A Sigstore bundle has exactly one signature.",
        "Attest again, one bundle for each signer.",
    ),
    (
        "ATT-IDENTITY",
        "The certificate of a Sigstore bundle names an enrolled identity and its issuer.",
        "Run the enrolled workflow, in its repository and at its ref, or have the policy changed.",
    ),
    (
        "ATT-ROOT",
        "The Sigstore trusted root that the policy pins is here and was valid at the time.",
        "Bring the trusted_root.json with the SHA-256 that the policy names.",
    ),
    (
        "ATT-SIGSTORE",
        "Certificate, log entry and signature of a Sigstore bundle verify under the pinned root.",
        "Install the extra (requirements/sigstore.lock) if that is missing; else attest again.",
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
        "An SSH certificate is whole and signed by its authority; only builders may use one.",
        "Certify the key again (ssh-keygen -s CA -n NAME KEY.pub), or sign with the key itself.",
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
    (
        "ATT-NARINFO",
        "A narinfo says StorePath, URL, NarHash, NarSize and References once, as Nix writes it.",
        "Copy the result again with: nix copy --to 'file:///media/x?compression=xz' ./result.",
    ),
    (
        "ATT-NIX-SIGNED",
        "A narinfo is signed by an enrolled key, be its path content-addressed or not.",
        "Sign with: nix store sign -k KEY ./result, and copy the result again.",
    ),
    (
        "ATT-NAR",
        "A Nix archive is whole, the only one of its tree, and the one that was signed.",
        "Copy the result again with: nix copy --to 'file:///media/x?compression=xz' ./result.",
    ),
    (
        "ATT-NAR-PACKED",
        "A Nix archive is plain or packed with xz.",
        "Copy the result again with: nix copy --to 'file:///media/x?compression=xz' ./result.",
    ),
    (
        "ATT-NAR-MISSING",
        "A narinfo comes with the archive that it names.",
        "Bring the whole folder that nix copy wrote, the folder nar in it too.",
    ),
    (
        "ATT-JAIL",
        "A jail's metadata is signed for, and shows no network and no writable mount but two.",
        "Build in a jail with ip4=disable and ip6=disable, and attest again with its metadata.",
    ),
    (
        "ATT-SOURCE",
        "The source that is given is a git work tree, of the commit that its HEAD truly names.",
        "Give the folder that git cloned with --source, or state --pin git_commit=HEX.",
    ),
    (
        "ATT-DIRTY",
        "The tree that was built is the commit: nothing is changed, hidden or unknown to it.",
        "Build from a fresh clone, or commit what is named; --dirty mark attests a trial build.",
    ),
    (
        "ATT-ISOLATION",
        "The isolation that a builder states is possible on what the machine shows.",
        "State the kind that the policy enrols with --isolation, or leave --isolation out.",
    ),
    (
        "ATT-SANDBOX",
        "A clean room holds: no network, no keys, nothing outside seen or writable, no rights.",
        "Install bubblewrap, allow user namespaces, keep keys out of inputs; or leave --twice out.",
    ),
    (
        "ATT-BUILD",
        "The build command ends well in a clean room and leaves the artifact there.",
        "Give what it needs with --input; it works in /build, without network, and sees /usr.",
    ),
    (
        "ATT-TWICE-BUILD",
        "Two builds in two clean rooms that differ in all but the inputs give the same bytes.",
        "Make the build reproducible: set times from SOURCE_DATE_EPOCH, sort, fix the locale.",
    ),
    (
        "ATT-OPENPGP",
        "A detached OpenPGP signature is of version 4, over a file, and built as RFC 9580 says.",
        "Sign again with: gpg --armor --detach-sign SHA256SUMS.",
    ),
    (
        "ATT-OPENPGP-HASH",
        "An OpenPGP signature is made with SHA-256, SHA-384 or SHA-512, no shorter than its curve.",
        "Sign again with: gpg --digest-algo SHA256 --armor --detach-sign SHA256SUMS.",
    ),
    (
        "ATT-OPENPGP-CLEARSIGNED",
        "An OpenPGP signature stands in a file of its own, beside the file that it signs.",
        "Sign again with: gpg --armor --detach-sign SHA256SUMS, not --clear-sign or --sign.",
    ),
    (
        "ATT-OPENPGP-KEY",
        "An OpenPGP public key is one version 4 RSA, ECDSA or Ed25519 primary with its subkeys.",
        "Export it again with: gpg --armor --export-options export-minimal --export KEY.",
    ),
    (
        "ATT-OPENPGP-REVOKED",
        "An OpenPGP key that is enrolled has not been revoked by its owner.",
        "Ask the builder for the key that replaces it.",
    ),
)
