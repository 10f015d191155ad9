from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses

from ceremony.errors import Refused
from hsm.uri import attributes, parse

# RFC 7512, section 3, all thirteen.
RFC = (
    "pkcs11:",
    "pkcs11:object=my-pubkey;type=public",
    "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
    (
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;"
        "model=1.0;object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial="
        "?pin-source=file:/etc/token_pin"
    ),
    "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
    "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
    (
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc."
        "?pin-value=the-pin"
    ),
    "pkcs11:slot-description=Sun%20Metaslot",
    (
        "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;"
        "library-version=1.23"
    ),
    (
        "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;"
        "id=%01%02%03%Ba%dd%Ca%fe%04%05%06"
    ),
    "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert",
    (
        "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;"
        "type=cert"
    ),
    (
        "pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a"
        "?pin-source=file:/etc/token_pin&vendor-bbb=value-b"
    ),
)


@pytest.mark.parametrize("uri", RFC)
@accepts("KEY-URI")
def test_the_grammar_takes_every_example_of_the_rfc(uri: str) -> None:
    path, query = attributes(uri)
    assert len(path) + len(query) == uri.count("=")


def test_the_examples_decode_to_what_the_rfc_says() -> None:
    assert dict(attributes(RFC[3])[0])["id"] == bytes.fromhex("69953e5cf4bdec91")
    assert dict(attributes(RFC[3])[0])["serial"] == b""
    assert dict(attributes(RFC[9])[0])["token"] == b"My token% created by Joe"
    assert dict(attributes(RFC[9])[0])["id"] == bytes.fromhex("010203baddcafe040506")
    assert dict(attributes(RFC[10])[0])["token"] == b"A name with a substring %;"
    assert dict(attributes(RFC[11])[0])["token"].decode() == "Name with a small A with acute: \xe1"
    assert attributes(RFC[12])[1] == (
        ("pin-source", b"file:/etc/token_pin"),
        ("vendor-bbb", b"value-b"),
    )


@pytest.mark.parametrize("index", [7, 8])
@accepts("KEY-URI")
def test_examples_that_name_a_token_are_signing_uris(index: int) -> None:
    assert parse(RFC[index]).token


@pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5, 6, 10, 11, 12])
@refuses("KEY-URI")
def test_examples_with_a_pin_a_module_or_another_object_are_refused(index: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(RFC[index])
    assert {finding.rule for finding in refused.value.findings} == {"KEY-URI"}
    assert "the-pin" not in str(refused.value)


@accepts("KEY-URI")
def test_a_signing_uri_names_token_and_key() -> None:
    uri = parse("PKCS11:token=release%20a;serial=77;object=uki;type=private;id=%0A%ff")
    assert uri.token == (("token", "release a"), ("serial", "77"))
    assert (uri.label, uri.id) == ("uki", "0aff")


@pytest.mark.parametrize(
    ("uri", "fact"),
    [
        ("", "not a pkcs11 URI"),
        ("pkcs11", "not a pkcs11 URI"),
        ("http:token=a", "not a pkcs11 URI"),
        ("pkcs11:token=a;", "attribute 2"),
        ("pkcs11:token=a;;object=b", "attribute 2"),
        ("pkcs11:token", "attribute 1"),
        ("pkcs11:token=a b", "attribute 1"),
        ("pkcs11:token=a%2", "attribute 1"),
        ("pkcs11:token=a%zz", "attribute 1"),
        ("pkcs11:token=\xe1", "attribute 1"),
        ("pkcs11:token=a/b", "attribute 1"),
        ("pkcs11:token=a#b", "attribute 1"),
        ("pkcs11:token=a\n", "attribute 1"),
        ("pkcs11:token=a;token=b", "token stands twice"),
        ("pkcs11:token=a?", "the query is empty"),
        ("pkcs11:token=a?x", "attribute 1"),
        ("pkcs11:token=%ff", "not UTF-8"),
        ("pkcs11:slot-id=3;token=a", "slot numbers move"),
        ("pkcs11:token=a?token=a", "unknown attribute token"),
        ("pkcs11:Token=a", "unknown attribute Token"),
        ("pkcs11:x-vendor=a;token=b", "unknown attribute x-vendor"),
        ("pkcs11:token=a;type=cert", "must be private"),
        ("pkcs11:object=uki;type=private", "names no token"),
        ("pkcs11:token=a?pin-value=1234", "a PIN never stands in a URI"),
        ("pkcs11:token=a;pin-value=1234", "a PIN never stands in a URI"),
        ("pkcs11:token=" + "a" * 1024, "longer than"),
    ],
)
@refuses("KEY-URI")
def test_malformed_and_dangerous_uris_are_refused(uri: str, fact: str) -> None:
    with pytest.raises(Refused, match=fact) as refused:
        parse(uri)
    assert "1234" not in str(refused.value)


@given(st.text(max_size=60).map(lambda text: "pkcs11:" + text))
def test_garbage_parses_or_is_refused_and_nothing_else(uri: str) -> None:
    with suppress(Refused):
        assert parse(uri).token
