"""narinfo files: what the real Nix signs verifies, strictly read; base 32 and store paths."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import accepts, refuses
from quorum.nar_bytes import archive
from quorum.nix_cache import NixStore, archives_of, narinfo_of, needs_nix
from quorum.refusal import rule_of

from ceremony.attest.nar import Nar, NarFile
from ceremony.attest.narinfo import (
    DIGITS,
    from_base32,
    looks_like_narinfo,
    read_narinfo,
    to_base32,
    verify_narinfo,
)
from ceremony.attest.nix_key import parse_nix_key
from ceremony.attest.store_path import is_named_by_content
from ceremony.errors import Refused

HASH = "139qxzdj4shq8qsyzx4s96q1542x2mm3v57iw1l1y8x7ji6s7wlr"
BASE = "67z642mawkpkcsi4n2hwqgf9l33zjvlc-uki"
OTHER = "yb1apazk69nna6b55qzy8ip2l7rnxsai-linux-6.12"
SIGNATURE = base64.b64encode(bytes(64)).decode()
GOOD = f"""\
StorePath: /nix/store/{BASE}
URL: nar/{HASH}.nar.xz
Compression: xz
FileHash: sha256:{HASH}
FileSize: 100
NarHash: sha256:{HASH}
NarSize: 300688
References: {OTHER} {BASE}
Deriver: unknown-deriver
Sig: ann-1:{SIGNATURE}
"""


def test_the_fingerprint_has_sorted_whole_references() -> None:
    info = read_narinfo(GOOD.encode())
    assert info.references == (BASE, OTHER)
    assert info.fingerprint.decode() == (
        f"1;/nix/store/{BASE};sha256:{HASH};300688;/nix/store/{BASE},/nix/store/{OTHER}"
    )
    assert (info.name, info.url, info.compression) == ("uki", f"nar/{HASH}.nar.xz", "xz")
    assert not info.content_addressed
    assert info.signatures == (("ann-1", bytes(64)),)
    none = read_narinfo(GOOD.replace(f"References: {OTHER} {BASE}", "References:").encode())
    assert none.fingerprint.endswith(b";300688;")


def test_what_is_left_out_has_a_meaning() -> None:
    text = GOOD.replace("Compression: xz\n", "").replace(f"Sig: ann-1:{SIGNATURE}\n", "CA: x\n")
    info = read_narinfo(text.encode())
    assert (info.compression, info.signatures, info.content_addressed) == ("bzip2", (), True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> NixStore:
    needs_nix()
    return NixStore(tmp_path_factory.mktemp("nix"))


@accepts("ATT-NARINFO", "ATT-SIGNATURE")
@refuses("ATT-SIGNATURE")
def test_what_nix_signs_verifies(store: NixStore) -> None:
    keys = [parse_nix_key(store.key(name)) for name in ("ann-1", "bob-1")]
    file = store.add_file("kernel", b"kernel")
    path = store.add_tree("uki", {"anchor.efi": b"image", "from": file.encode()}, {})
    store.sign(path, "ann-1", "bob-1")
    info = read_narinfo(narinfo_of(store.copy(path)).data)
    assert {name for name, _ in info.signatures} == {"ann-1", "bob-1"}
    for name, signature in info.signatures:
        for key in keys:
            if key.name == name:
                verify_narinfo(info, signature, key.key)
            else:
                with pytest.raises(Refused, match="ATT-SIGNATURE"):
                    verify_narinfo(info, signature, key.key)
            for changed in (
                replace(info, nar_size=info.nar_size + 1),
                replace(info, store_path=info.store_path + "x"),
                replace(info, references=(BASE,)),
                replace(info, nar_hash=f"sha256:{HASH}"),
            ):
                with pytest.raises(Refused, match="ATT-SIGNATURE"):
                    verify_narinfo(changed, signature, key.key)


def test_a_path_named_by_its_content_is_told_without_its_ca_line(store: NixStore) -> None:
    built = store.build("anchor.efi", b"built from inputs")
    for path, by_content in (
        (store.add_tree("tree", {"anchor.efi": b"image"}, {"a": "b"}), True),
        (store.add_file("anchor.efi", b"image"), True),
        (built, False),
    ):
        files = store.copy(path)
        info, nar = read_narinfo(narinfo_of(files).data), archives_of(files)[0].nar
        assert nar is not None
        assert info.content_addressed == by_content
        assert is_named_by_content(replace(info, content_addressed=False), nar) == by_content
        assert is_named_by_content(replace(info, content_addressed=True), nar)


def test_a_text_in_the_store_is_named_by_its_content() -> None:
    # builtins.toFile "x" "hello" of Nix 2.8.0, by nix-instantiate --eval.
    path = "/nix/store/4g4g9i669dl63abpww0djbl2jxl6bwiz-x"
    info = replace(read_narinfo(GOOD.encode()), store_path=path, references=())
    data = archive(b"hello")
    file = NarFile("", 5, hashlib.sha256(b"hello").hexdigest())
    nar = Nar(len(data), hashlib.sha256(data).hexdigest(), (file,), ())
    assert is_named_by_content(info, nar)


def _without(name: str) -> str:
    return "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(name))


@refuses("ATT-NARINFO")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "end with a newline"),
        (GOOD[:-1], "end with a newline"),
        (GOOD.replace("\n", "\r\n"), "control"),
        ("\ufeff" + GOOD, "not ASCII"),
        (GOOD + "\n", "line 11"),
        (GOOD + "Nonsense: 1\n", "Nonsense"),
        (GOOD + "StorePath: x\n", "StorePath again"),
        (GOOD + f"NarHash: sha256:{HASH}\n", "NarHash again"),
        (GOOD + "# comment\n", "line 11"),
        (GOOD + "Sig: ann-1\n", "colon and base64"),
        (GOOD + f"Sig: a:{SIGNATURE[:-2]}\n", "base64"),
        (GOOD + "Sig: a:AAAA\n", "64 bytes"),
        *((_without(name), f"{name} is missing") for name in ("StorePath", "URL", "NarHash")),
        *((_without(name), f"{name} is missing") for name in ("NarSize", "References")),
        (GOOD.replace("/nix/store/", "/gnu/store/", 1), "no path in"),
        (GOOD.replace(f"/store/{BASE}", f"/store/{BASE}/x"), "no path in"),
        (GOOD.replace(f"/store/{BASE}", "/store/../x"), "no path in"),
        (GOOD.replace(f"/store/{BASE}", f"/store/e{BASE[1:]}"), "no path in"),
        (GOOD.replace(f"/store/{BASE}", f"/store/{BASE[:33]}.uki"), "no path in"),
        (GOOD.replace("NarHash: sha256:1", "NarHash: sha256:z"), "256 bits"),
        (GOOD.replace("NarHash: sha256:1", "NarHash: sha512:1"), "base 32"),
        (GOOD.replace("NarHash: sha256:1", "NarHash: sha256:"), "base 32"),
        (GOOD.replace("NarSize: 3", "NarSize: 03"), "plain number"),
        (GOOD.replace("NarSize: 3", "NarSize: -3"), "plain number"),
        (GOOD.replace("NarSize: 300688", "NarSize: 0"), "plain number"),
        (GOOD.replace(f"{OTHER} ", f"{OTHER}  "), "no name"),
        (GOOD.replace(f"{OTHER} ", f"{BASE} "), "stands twice"),
        (GOOD.replace(OTHER, "x"), "no name"),
        *(
            (GOOD.replace("URL: nar/", f"URL: {to}"), "out of the cache")
            for to in ("/nar/", "../", "https://x/", "a/../../")
        ),
        (GOOD + f"Sig: b:{SIGNATURE}\n" * 118, "more than 16 signatures"),
        (GOOD + f"Sig: b:{SIGNATURE}\n" * 119, "more than 128 lines"),
        (GOOD.replace(OTHER, " ".join([OTHER] * 5000)), "more than 4,096 references"),
        (GOOD.replace(OTHER, "x" * (1 << 18)), "more than 262144 bytes"),
    ],
)
def test_what_is_no_narinfo_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused, match="ATT-NARINFO") as caught:
        read_narinfo(text.encode())
    assert why in str(caught.value)


def test_names_of_narinfo_files() -> None:
    assert looks_like_narinfo("a/b.narinfo", b"")
    assert looks_like_narinfo("x", GOOD.encode())
    assert not looks_like_narinfo("x.nar", b"nix-archive-1")


@given(st.binary(min_size=32, max_size=32))
def test_base_32_goes_there_and_back(digest: bytes) -> None:
    text = to_base32(digest)
    assert len(text) == 52
    assert from_base32(text) == digest


@given(st.text(DIGITS, min_size=52, max_size=52))
def test_base_32_has_one_spelling(text: str) -> None:
    try:
        assert to_base32(from_base32(text)) == text
    except Refused:
        assert text[0] not in "01"


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_any_bytes_parse_or_are_refused(noise: bytes, at: int, cut: int) -> None:
    data = GOOD.encode()
    assert rule_of(read_narinfo, data[:at] + noise + data[at + cut :]) in ("", "ATT-NARINFO")
