"""The KEY- rules: token, module, key, certificate, PIN and the signature that comes out."""

from __future__ import annotations

from ceremony.rules import table

RULES = table(
    (
        "KEY-BINDING",
        "The machine binding names one module and the one policy it is for, or rehearsals.",
        "Correct the file; `uki-ceremony policy show FILE` prints its policy_sha256 line.",
    ),
    (
        "KEY-URI",
        "The key's PKCS#11 URI follows RFC 7512, names a private key and carries no PIN.",
        "Correct the URI; where it is signer.uri of a policy, have the owners sign it again.",
    ),
    (
        "KEY-MODULE",
        "The PKCS#11 module is a shared object of this machine and loads.",
        "Install the token's module or correct its path in the binding file.",
    ),
    (
        "KEY-CHILD",
        "The process that holds the module answers in time and in order.",
        "Plug the token in again and go on; a new process is started.",
    ),
    (
        "KEY-SANDBOX",
        "The sandbox that the binding asks for can be made, and leaves the module what it needs.",
        "Install bubblewrap and allow user namespaces; grant in [sandbox] what the text names.",
    ),
    (
        "KEY-TOKEN",
        "Exactly one token present fits the key's URI and holds the key.",
        "Insert the token that the URI names and remove the others.",
    ),
    (
        "KEY-EXISTS",
        "A new key takes nobody's place: its label and id are free on the token.",
        "Choose another --label or --id; nothing on a token is ever overwritten.",
    ),
    (
        "KEY-MATCH",
        "Exactly one private key on the token has the certificate's public key.",
        "Bring the token, or name the key file, that belongs to the certificate.",
    ),
    (
        "KEY-SENSITIVE",
        "The private key is sensitive and always was.",
        "Make a new key inside the token; this one may have been read.",
    ),
    (
        "KEY-EXTRACTABLE",
        "The private key cannot leave the token and never could.",
        "Make a new key inside the token; this one may have been copied.",
    ),
    (
        "KEY-SIGN",
        "The private key may sign.",
        "Use a key made for signing; a token's usage flags are fixed when it is made.",
    ),
    (
        "KEY-LOCAL",
        "The private key was made inside the token.",
        "Note in the record where the key was made and who says so.",
    ),
    (
        "KEY-ATTEST-KEY",
        "Where devices attest keys, one attestation is of the signing key.",
        "Bring the attestation of this key: it is made in the device, for its slot or object.",
    ),
    (
        "KEY-ATTEST-FORM",
        "An attestation's extensions are of the vendor's form, each once and each known.",
        "Have the device make the attestation anew; note its firmware version.",
    ),
    (
        "KEY-ATTEST-CHAIN",
        "A path of issuing CAs leads from the attestation to a root that the policy pins.",
        "Bring the intermediate certificates, or have the owners pin the vendor's root.",
    ),
    (
        "KEY-ATTEST-DATES",
        "Every certificate of the attestation's path is in its dates at the ceremony's time.",
        "Check the clock; else ask the vendor for a path that holds today.",
    ),
    (
        "KEY-ATTEST-ORIGIN",
        "By the device's words the key was generated in it and cannot be exported.",
        "Make a new key inside the device, without the capability exportable-under-wrap.",
    ),
    (
        "KEY-ATTEST-KEPT",
        "Every attestation file that the policy names is on the medium; other forms are kept.",
        "Put the file on the medium under the name in signer.attestation_files.",
    ),
    (
        "KEY-ATTEST-GRADE",
        "Where the policy demands it, a chain to a pinned root proves where the key was made.",
        'Read the KEY-ATTEST- lines above; else have the owners sign attestation = "report".',
    ),
    (
        "KEY-SIZE",
        "The key is RSA of at least 2048 bits, or P-256 or P-384 where the policy takes ECDSA.",
        "Use an RSA key of 2048 bits or more; firmware accepts little else.",
    ),
    (
        "KEY-MECHANISM",
        "The token offers the signature mechanism for the key.",
        "Use another token or module; the mechanisms offered stand in the evidence.",
    ),
    (
        "KEY-CERT-FORM",
        "The signer certificate is one readable X.509 certificate.",
        "Correct signer.certificate in the policy and have the owners sign it again.",
    ),
    (
        "KEY-CERT-DATES",
        "The signer certificate is valid at the time of the ceremony.",
        "Check the clock; else renew the certificate and the policy.",
    ),
    (
        "KEY-CERT-EKU",
        "Where the certificate limits its purposes, code signing is among them.",
        "Use a code signing certificate for this key.",
    ),
    (
        "KEY-CERT-USAGE",
        "Where the certificate limits its key usage, digitalSignature is among it.",
        "Use a certificate whose key usage has digitalSignature.",
    ),
    (
        "KEY-CERT-CHAIN",
        "Every certificate that the policy embeds issued the signer's or one above it.",
        "Correct signer.chain in the policy and have the owners sign it again.",
    ),
    (
        "KEY-CERT-REVOKED",
        "The policy's dbx revokes neither the image nor the signer nor a certificate above it.",
        "Machines with this dbx would not start the image: renew the key, or build another image.",
    ),
    (
        "KEY-FILE",
        "A key file is one PEM private key, RSA or elliptic curve, that its passphrase opens.",
        "Name the key's PEM file with its passphrase, or a token by its PKCS#11 URI.",
    ),
    (
        "KEY-PRIVATE",
        "The private key given with --key is there, is of a kind that signs here, and opens.",
        "Name the private key's file; where it is locked use a terminal, or ssh-add for SSH.",
    ),
    (
        "KEY-PIN-ENTRY",
        "A PIN comes from a terminal, from a descriptor that was named, or is typed on the token.",
        "Run the command on a terminal, or give --pin-fd the number of a descriptor to read.",
    ),
    (
        "KEY-PIN-PARTS",
        "A PIN that several people type in parts is typed here, not on the token's own reader.",
        'Use a token without a reader of its own, or have the owners sign pin = "whole".',
    ),
    (
        "KEY-PIN-PART",
        "Each part of a PIN is whole: a half that can be one, or a SLIP-39 share of this set.",
        "Type this part again; no PIN try was spent.",
    ),
    (
        "KEY-PIN-USE",
        "A key that asks for its PIN at every use is given it anew by people before each use.",
        "Log in again, and type the PIN at each of the three prompts.",
    ),
    (
        "KEY-PIN-PAD",
        "A key that asks for its PIN at every use takes it here, not on the token's own reader.",
        "Use a reader without a PIN pad, or a key that asks for its PIN at the login alone.",
    ),
    (
        "KEY-PIN-SLIP39",
        "Where the PIN is typed as SLIP-39 shares, the package that reads them is installed.",
        "Install the extra slip39: pip install --require-hashes -r requirements/slip39.lock",
    ),
    (
        "KEY-PIN-ROTATED",
        "A PIN whose shares were typed in a ceremony is dealt anew after the signature.",
        "Deal a new PIN with `uki-ceremony pin split` before the token is used again.",
    ),
    (
        "KEY-PIN-LOCKED",
        "The token's PIN is not locked.",
        "Unblock the PIN with its PUK or SO PIN outside the ceremony.",
    ),
    (
        "KEY-PIN-LOW",
        "No wrong PIN was entered since the last right one.",
        "Ask who tried it and note it as an exception; a right PIN sets the counter back.",
    ),
    (
        "KEY-PIN-FINAL",
        "More than one PIN try is left.",
        "Be sure of the PIN: a wrong one locks it. Else set the counter back or unblock it first.",
    ),
    (
        "KEY-PIN-WRONG",
        "The token accepts the PIN.",
        "Check which PIN belongs to this token; one try was spent.",
    ),
    (
        "KEY-POSSESSION",
        "The token signed a random challenge that the certificate verifies.",
        "Bring the token that belongs to the certificate in the policy.",
    ),
    (
        "KEY-REHEARSAL",
        "The published rehearsal key signs in a rehearsal only.",
        "Use a token for production; the rehearsal key is known to everybody.",
    ),
    (
        "KEY-SOFTWARE",
        "The production key lies in hardware.",
        "Use a hardware token; a key in SoftHSM is a file that can be copied.",
    ),
    (
        "KEY-SIGNATURE",
        "The signature that the token returned verifies with the certificate.",
        "Do not use this signature; test the token and sign again as a new attempt.",
    ),
    (
        "KEY-LOST",
        "The token stays present from the request to the signature.",
        "The outcome is unknown: insert the token, and sign as a new attempt.",
    ),
    (
        "KEY-REFUSED",
        "The token does what it is asked.",
        "Read the token's code in the record; the token may need its vendor's tool.",
    ),
)
