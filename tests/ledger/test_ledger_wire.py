"""The typed reader of entries agrees with the one that says what is wrong, and is never less strict."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.ledger.entries import Attempt, Entry, Outcome, entry_bytes, read_entry, read_slowly
from launcher.ledger.wire import read_wire
from launcher.spec.predicates import Suite
from tests.ledger.logs import ATTEMPT, outcome_of
from tests.spec.test_record_schemas import VALUES, changed, places

OUTCOME = outcome_of(ATTEMPT, 3)
ENTRIES: list[Entry] = [
    ATTEMPT,
    replace(ATTEMPT, marks=("draft", "partial"), purpose="reproduce", data=()),
    replace(ATTEMPT, metrics={}, suite=Suite("a/b", "0.0.10"), time="2026-11-20T11:00:00.123456Z"),
    OUTCOME,
    replace(OUTCOME, status="failed", failure="timeout", verdict="none", marks=("partial",)),
    replace(OUTCOME, status="interrupted", bundle=None, verdict="none"),
]
BYTES = [entry_bytes(entry) for entry in ENTRIES]
# What a field may hold that is nearly right.
NEARLY: tuple[Any, ...] = (
    *(
        "2026-02-30T11:00:00Z",
        "2026-11-20T11:00:00.1234567Z",
        "2026-11-20T11:00:00Z ",
        "9999-12-31T23:59:60Z",
    ),
    *(1 << 40, (1 << 40) - 1, -0.0, 1e0, True, None, "", "a\n", "\u00e9", "\x7f", "a/b\n", "1.0.0\n"),
    *("interrupted", "succeeded", "reproduce", "outcome", "attempt", ["draft", "draft"], ["partial"]),
    *(["22" * 32, "11" * 32], ["11" * 32] * 2, ["11" * 32 + "\n"], {"a": ["b"], "\u00e9": []}, {"": [""]}),
    *("SHA256:" + "A" * 43, "SHA256:" + "A" * 42 + "B", "sha256:" + "0" * 64, "0" * 64, "x" * 129),
)


def agree(data: bytes) -> None:
    """Hold both readers against each other: the same entry, or the same refusal."""
    try:
        expected = read_slowly(data)
    except CheckFailedError as error:
        assert read_wire(data) is None
        with pytest.raises(CheckFailedError) as caught:
            read_entry(data)
        assert (caught.value.code, caught.value.message) == (error.code, error.message)
    else:
        found = read_entry(data)
        assert (type(found), found) == (type(expected), expected)
        assert entry_bytes(found) == canonical_bytes(expected.as_json()) == data


@pytest.mark.parametrize("data", BYTES)
def test_usual_entries_are_read_at_once(data: bytes) -> None:
    assert read_wire(data) is not None
    agree(data)


@given(st.data())
def test_entries_with_other_values_are_judged_alike(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from(BYTES)))
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from([path for path in places(value) if path] or [()]))
        how = data.draw(st.sampled_from(["replace", "remove", "add"]))
        value = changed(value, place, how, data.draw(st.sampled_from((*VALUES, *NEARLY))))
    try:
        text = canonical_bytes(value)
    except Exception:  # noqa: BLE001 - what nobody can write, nobody can read
        text = json.dumps(value).encode()
    agree(text)


@given(st.sampled_from(BYTES), st.data())
def test_entries_with_other_bytes_are_judged_alike(entry: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(entry)))
    cut = data.draw(st.integers(0, 3))
    agree(entry[:at] + data.draw(st.binary(max_size=4)) + entry[at + cut :])


@given(st.sampled_from(BYTES), st.sampled_from([b" ", b"\n", b"{}", b"\0", b"\xef\xbb\xbf", b'"kind":1,']))
@example(BYTES[0], b'"attempt":1,')
def test_other_spellings_are_judged_alike(entry: bytes, more: bytes) -> None:
    agree(entry + more)
    agree(more + entry)
    agree(entry.replace(b"{", b"{" + more, 1))
    agree(entry.replace(b":", b":" + more, 1))


@given(
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=3), max_size=4),
)
def test_names_in_any_script_have_the_canonical_bytes(name: str, metrics: dict[str, list[str]]) -> None:
    value = {**ATTEMPT.as_json(), "metrics": metrics, "invocationId": name}
    try:
        text = canonical_bytes(value)
    except Exception:  # noqa: BLE001 - half a pair of surrogates has no bytes
        return
    agree(text)


@given(st.integers(-2, 1 << 41), st.sampled_from(["attempt", "position"]))
def test_numbers_have_the_same_bounds(number: int, field: str) -> None:
    agree(canonical_bytes({**ATTEMPT.as_json(), field: number}))
    agree(canonical_bytes({**OUTCOME.as_json(), "attempt": {"index": number, "sha256": "ab" * 32}}))


def test_an_attempt_is_named_by_its_canonical_bytes() -> None:
    for entry in (
        ATTEMPT,
        replace(ATTEMPT, metrics={"\u00e9": ("\u20ac", "\ud7ff"), "z": (), "\U0001f600": ()}),
    ):
        assert isinstance(read_entry(canonical_bytes(entry.as_json())), Attempt)
        data = canonical_bytes(entry.as_json())
        assert read_entry(data).as_json() == entry.as_json()
        assert entry_bytes(entry) == data
    assert isinstance(read_entry(BYTES[3]), Outcome)
