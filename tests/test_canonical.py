"""Canonical JSON: one value, one sequence of bytes; a reader that never guesses."""

import contextlib
import json
import math
import time
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from launcher.canonical import MAX_INTEGER, canonical_bytes, freeze, parse_json, thaw
from launcher.errors import MalformedError

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    text,
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


@given(values)
def test_the_writer_agrees_with_the_reference_implementation(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(values)
def test_what_is_written_is_read_back_and_written_the_same(value: Any) -> None:
    data = canonical_bytes(value)
    assert canonical_bytes(parse_json(data)) == data


@given(st.binary(max_size=200))
def test_the_reader_returns_or_raises_only_our_error(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_json(data)


@given(values)
def test_the_reader_takes_everything_the_standard_writer_writes(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9007199254740993",
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b"\xff",
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 100_000,
        b"",
        b"1 2",
        b"1" * 5000,
        "\ufeff1".encode(),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_json(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, {"$a": 1}, [{"b": -(2**60)}]])
def test_what_a_lock_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(MalformedError):
        freeze(value)


def test_floats_and_dates_are_frozen_as_text_and_thawed_as_numbers() -> None:
    from datetime import date

    frozen = freeze({"t": 0.1, "d": date(2026, 1, 2), "n": 1, "l": [1.0]})
    assert frozen == {
        "t": {"$float": "0.1"},
        "d": {"$datetime": "2026-01-02"},
        "n": 1,
        "l": [{"$float": "1.0"}],
    }
    assert thaw(frozen) == {"t": 0.1, "d": "2026-01-02", "n": 1, "l": [1.0]}


@pytest.mark.parametrize("escape", ['\\"', "\\\\", "a"])
def test_a_string_without_an_end_is_refused_in_linear_time(escape: str) -> None:
    hostile = "[]" * 65 + '"' + escape * (1 << 20)
    started = time.process_time()
    with pytest.raises(MalformedError):
        parse_json(hostile.encode())
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "value", ["\ud800", {"\ud800": 1}, {"\ud800": 0.5}, [0.5, "\udfff"], {"\u00e9": "\ud800"}]
)
def test_half_a_pair_of_surrogates_is_not_written(value: Any) -> None:
    with pytest.raises(MalformedError):
        canonical_bytes(value)
