"""Secrets are masked however they are written and cut, and found in whatever is left."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.engines.masking import Masker, forms

SECRET = 'sk-"Canary"/7f+3é&9'
NAMED = {"API_KEY": SECRET}
WRITTEN = {
    "raw": SECRET,
    "upper": SECRET.replace("sk-", "SK-"),
    "json": json.dumps({"key": SECRET}),
    "json-unicode": json.dumps({"key": SECRET}, ensure_ascii=False),
    "url": f"https://x.example/?key={quote(SECRET, safe='')}",
    "url-slash": quote(SECRET),
    "basic": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "bearer": base64.b64encode(SECRET.encode()).decode(),
    "inside": base64.b64encode(f"ab{SECRET}yz".encode()).decode(),
    "url-safe": base64.urlsafe_b64encode(f"a{SECRET}".encode()).decode(),
    "hex": SECRET.encode().hex(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_secret_is_masked_as_it_is_commonly_written(how: str) -> None:
    masked = Masker(NAMED).mask(f"before {WRITTEN[how]} after")
    assert "[secret API_KEY]" in masked
    assert masked.startswith("before ") and masked.endswith(" after")
    assert Masker(NAMED).found(WRITTEN[how].encode()) == "API_KEY"


@pytest.mark.parametrize("wide", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_secret_in_an_array_of_wide_letters_is_found(wide: str) -> None:
    assert Masker(NAMED).found(b"\x93NUMPY" + f"ab{SECRET}".encode(wide) + bytes(8)) == "API_KEY"


@given(st.lists(st.sampled_from([*WRITTEN.values(), "x", "sk-", "\n", "noise "]), max_size=12), st.data())
def test_however_a_stream_is_cut_it_is_masked_as_a_whole(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    masker, masked, at = Masker(NAMED), b"", 0
    while at < len(whole):
        size = data.draw(st.integers(1, 40))
        masked += masker.feed(whole[at : at + size])
        at += size
    masked += masker.flush()
    assert Masker(NAMED).found(masked) is None
    if not any(part in WRITTEN.values() for part in parts):
        assert masked == whole


@given(st.binary(max_size=200))
def test_what_holds_no_secret_comes_out_as_it_went_in(data: bytes) -> None:
    masker = Masker({"KEY": "a very long secret, that nothing holds"})
    assert masker.feed(data) + masker.flush() == data


def test_nothing_waits_that_is_no_beginning_of_a_secret() -> None:
    assert Masker(NAMED).feed(b"a prompt> ") == b"a prompt> "


@given(st.text(min_size=8, max_size=60), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_of_anything_around_it_is_found(value: str, before: bytes, after: bytes) -> None:
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        return
    text = base64.b64encode(before + value.encode() + after)
    assert Masker({"KEY": value}).found(text) == "KEY"


def test_a_secret_across_chunks_of_a_file_is_found() -> None:
    data = b"x" * 100 + SECRET.encode() + b"y" * 100
    for size in (1, 7, 64, 1000):
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        assert Masker(NAMED).found_in(chunks) == "API_KEY"


def test_the_lines_of_a_key_are_known_one_by_one() -> None:
    key = "-----BEGIN KEY-----\n" + "A" * 40 + "\n" + "B" * 40 + "\n-----END KEY-----"
    assert b"b" * 40 in forms(key)


def test_nothing_is_masked_without_secrets() -> None:
    masker = Masker({})
    assert masker.feed(b"all") + masker.flush() == b"all"
    assert (masker.mask("all"), masker.found(b"all")) == ("all", None)
