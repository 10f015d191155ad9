"""A name's text is RFC 4514's, the same as cryptography writes today."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ceremony.distinguished_name import dn_text

KINDS = (
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.DOMAIN_COMPONENT,
    NameOID.USER_ID,
    NameOID.EMAIL_ADDRESS,
    NameOID.SERIAL_NUMBER,
    x509.ObjectIdentifier("1.3.6.1.4.1.99999.7"),
)
TEXTS = st.text(st.sampled_from(' #"+,;<>=\\aö\0日'), min_size=1, max_size=12)
ATTRIBUTES = st.builds(x509.NameAttribute, st.sampled_from(KINDS), TEXTS)
PARTS = st.lists(ATTRIBUTES, min_size=1, max_size=3, unique_by=lambda one: one.oid)


@given(st.lists(PARTS.map(x509.RelativeDistinguishedName), max_size=4).map(x509.Name))
def test_names_are_written_as_before(name: x509.Name) -> None:
    assert dn_text(name) == name.rfc4514_string()


# RFC 4514, 4 and 2.4.
EXAMPLES = {
    "last-first": (
        [("DC", "net"), ("DC", "example"), ("UID", "jsmith")],
        "UID=jsmith,DC=example,DC=net",
    ),
    "quotes": ([("CN", 'James "Jim" Smith, III')], 'CN=James \\"Jim\\" Smith\\, III'),
    "spaces": ([("CN", " a ")], "CN=\\ a\\ "),
    "sharp": ([("CN", "#1")], "CN=\\#1"),
    "one-space": ([("CN", " ")], "CN=\\ "),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_is_that_of_the_standard(name: str) -> None:
    said, text = EXAMPLES[name]
    kinds = {"CN": KINDS[0], "DC": KINDS[6], "UID": KINDS[7]}
    parts = [x509.NameAttribute(kinds[kind], value) for kind, value in said]
    assert dn_text(x509.Name(parts)) == text
