"""The reader of blocks accepts and refuses exactly what the plain reader of lines does."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import MalformedError
from launcher.spec import sample_lines
from launcher.spec.alike_lines import AlikeBlock
from launcher.spec.sample import (
    BEFORE_ALL,
    MAX_BUNDLE_LINE,
    Sample,
    bundle_samples,
    read_bundle_line,
    refuse_order,
)
from launcher.spec.sample_block import Block
from launcher.spec.sample_lines import sample_blocks

ODD_NUMBERS = (
    0, -1, 2**53 - 1, 2**53, 1e16, 1e20, 1e21, 1e-4, 1e-5, 1.5e-5, 1e-6, 1.25e-6, -3e-6, 9.9e-6, 1e-7,
    5e-324, -0.0, 1.0, 0.1, 1e15 + 0.5,
)  # fmt: skip
ODD_TEXTS = (
    "",
    "a",
    "é",
    "\uff0c",
    "🙂",
    "\ue000",
    "\x00",
    "\x1f",
    "\x7f",
    '"',
    "\\",
    "/",
    "1e5",
    "x" * 300,
    "é" * 600,
    ":8e-6,",
    "[8.5e-6]",
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.sampled_from(ODD_NUMBERS), st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**54), 2**54), st.sampled_from(ODD_TEXTS), st.text(max_size=5),
)  # fmt: skip
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdefgh") | TEXTS, "replicate": st.integers(0, 1), "seed": st.just(3)},
    optional={
        "prediction": VALUES, "target": VALUES, "scores": st.dictionaries(TEXTS, SCALARS, max_size=2),
        "groups": st.dictionaries(TEXTS, SCALARS, max_size=2), "weight": SCALARS, "error": TEXTS,
        "task": TEXTS,
        "epoch": st.sampled_from([0, 1, -1, 1.5, 2**53 - 1, 2**53, 10**30]),
        "seconds": st.just(1.5), "more": st.just(1),
        "input_sha256": st.sampled_from(["0" * 64, "0" * 64 + "\n", "A" * 64]),
    },
)  # fmt: skip


def spelled(table: Any, how: str) -> bytes:
    """Return a JSON text of `table`: canonical, or spelled as other programs do."""
    if how == "canonical":
        try:
            return canonical_bytes(table)
        except MalformedError:
            pass
    compact: dict[str, Any] = {} if how == "loose" else {"separators": (",", ":")}
    text = json.dumps(table, sort_keys=how != "unsorted", ensure_ascii=how == "ascii", **compact)
    if how == "twice":
        text = text[:-1] + ',"seed":3}'
    if how == "null":
        text = text.replace('"seed"', '"error":null,"seed"', 1)
    return text.encode("utf-8", "surrogatepass")


SPELLINGS = st.sampled_from(["canonical"] * 8 + ["loose", "unsorted", "ascii", "twice", "null", "python"])
LINES = st.builds(spelled, TABLES, SPELLINGS) | st.sampled_from(
    [b"", b"{}", b"null", b"\xff", b'{"id":"\\ud800"}', b"[" * 70 + b"]" * 70]
)


def outcome(read: Any) -> Any:
    try:
        return [sample.as_json() for sample in read()]
    except MalformedError as error:
        return error.message, error.code


def read_plainly(data: bytes) -> Iterator[Sample]:
    """Read a samples.jsonl of whole lines as its specification says it: one line after another."""
    last = BEFORE_ALL
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        sample = read_bundle_line(line, number)
        refuse_order(sample, last, number)
        last = sample.place
        yield sample


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@settings(max_examples=600, deadline=None)
@example([b'{"id":"a","prediction":1e16,"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":1e-6,"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":[2e-6,0.5],"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":[2e-6,0.000003],"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":[0.000002,-0.0000015],"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":1.0,"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","replicate":0,"scores":{"s":-0.0},"seed":3}'], 7, 1, True)
@example(['{"id":"a","prediction":{"\ue000":1,"🙂":2},"replicate":0,"seed":3}'.encode()], 7, 1, True)
@example([b'{"id":"a","prediction":' + b"[" * 64 + b"]" * 64 + b',"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":9007199254740993,"replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"epoch":9007199254740992,"id":"a","replicate":0,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","replicate":18446744073709551616,"seed":3}'], 7, 1, True)
@example([b'{"id":"a","prediction":{"\\ud800":1},"replicate":0,"seed":3}'], 7, 1, True)
@given(st.lists(LINES, max_size=6), st.integers(1, 80), st.integers(1, 300), st.booleans())
def test_blocks_are_read_as_lines_are(lines: list[bytes], size: int, block: int, ordered: bool) -> None:
    if ordered:
        lines = sorted(lines)
    data = b"".join(line + b"\n" for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_lines, "_BLOCK", block)
        found = outcome(lambda: (one for samples in sample_blocks(cut(data, size)) for one in samples))
    assert found == outcome(lambda: read_plainly(data))


@pytest.mark.parametrize(
    "sample",
    [
        Sample("", "a", 2, {"s": 0.25, "t": 1}, {"g": "x"}),
        Sample("", "a", "b"),
        Sample("", scores={"s": 5e-7, "t": -0.5}),
        Sample("", scores={"s": 0}, weight=1.5),
        Sample("", 2e-6, 1.5e-6, scores={"s": 9.25e-6, "t": 0.5}),
    ],
)
def test_everyday_samples_take_the_fast_way(monkeypatch: pytest.MonkeyPatch, sample: Sample) -> None:
    left = [replace(sample, id=f"i{number:04}") for number in range(1000)]
    data = bundle_samples([left], [1]).data
    monkeypatch.delattr(sample_lines, "read_bundle_line")
    assert sum(len(block) for block in sample_blocks([data])) == 1000


SCORES = st.fixed_dictionaries({"s": st.floats(1e-9, 1e18) | st.sampled_from(ODD_NUMBERS)})
ALIKE = st.sampled_from(
    [
        st.fixed_dictionaries({"prediction": TEXTS, "target": TEXTS}),
        st.fixed_dictionaries({"scores": SCORES}),
        st.fixed_dictionaries({"scores": st.dictionaries(TEXTS, st.just(0.5), max_size=2)}),
        st.fixed_dictionaries({"scores": SCORES, "prediction": TEXTS}),
        st.fixed_dictionaries({"scores": SCORES, "prediction": TEXTS, "target": TEXTS}),
        st.fixed_dictionaries({"scores": st.just({"b \x7f": 1, "a/B": 0.5, "\\": -2.5, 'n"0': 3e-6})}),
        st.fixed_dictionaries(
            {"scores": st.fixed_dictionaries({"n1": SCALARS, "n0": st.just(0.5), "B": SCALARS})}
        ),
        st.fixed_dictionaries({"prediction": TEXTS | st.just(1), "target": TEXTS}),
    ]
).flatmap(lambda tables: st.lists(tables, min_size=1, max_size=8))


@settings(max_examples=300, deadline=None)
@given(ALIKE, st.lists(LINES, max_size=1), st.integers(1, 300), SPELLINGS, st.integers(1, 9))
def test_lines_of_one_shape_are_read_as_all_others_are(
    tables: list[dict[str, Any]], more: list[bytes], block: int, last: str, size: int
) -> None:
    found = [
        {"id": f"i{at}", "replicate": at // size, "seed": at // size % 3, **table}
        for at, table in enumerate(tables)
    ]
    lines = [spelled(table, "canonical") for table in found[:-1]] + [spelled(found[-1], last)]
    data = b"".join(line + b"\n" for line in lines + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_lines, "_BLOCK", block)
        assert outcome(lambda: (one for samples in sample_blocks([data]) for one in samples)) == outcome(
            lambda: read_plainly(data)
        )
        with suppress(MalformedError):
            for samples in sample_blocks([data]):
                assert_knows_its_samples(samples)


def assert_knows_its_samples(block: Block) -> None:
    """Check what a block says of its fields, which no look at the samples need have told."""
    for field in Sample.__struct_fields__:
        values = [getattr(sample, field) for sample in block]
        assert block.values(field) == values
        assert block.types(field) == set(map(type, values))
        assert block.lacks(field) == (values.count(None) == len(values))
    for field in ("scores", "groups"):
        tables = block.values(field)
        alike = None not in tables and all(table.keys() == tables[0].keys() for table in tables)
        columns = {name: [table[name] for table in tables] for name in tables[0]} if alike else None
        assert block.columns(field) == columns


def test_a_sample_of_lines_that_are_alike_is_made_alone_or_with_all() -> None:
    left = [Sample(f"i{number}", "a", "b", {"s": 0.5, "A": number}) for number in range(5)]
    bundled = bundle_samples([left], [1])
    (block,) = sample_blocks([bundled.data])
    assert isinstance(block, AlikeBlock)
    assert (block[0], block[-1]) == (bundled.samples[0], bundled.samples[-1])
    assert block[1:3] == list(bundled.samples[1:3])
    assert list(block) == list(block.chosen(range(5))) == list(bundled.samples)
    assert block[2] == bundled.samples[2]


def test_a_line_without_end_is_refused_before_it_is_held() -> None:
    def endless() -> Iterator[bytes]:
        yield from [b"x" * (1 << 20)] * 4
        pytest.fail("more was read than a line may have")

    with pytest.raises(MalformedError, match="longer than"):
        list(sample_blocks(endless()))


@pytest.mark.parametrize(("size", "fits"), [(MAX_BUNDLE_LINE, True), (MAX_BUNDLE_LINE + 1, False)])
def test_a_line_is_as_long_as_a_bundle_s_may_be_and_no_longer(size: int, fits: bool) -> None:
    text = "x" * (size - len(b'{"id":"a","prediction":"","replicate":0,"seed":3}\n'))
    data = b'{"id":"a","prediction":"%b","replicate":0,"seed":3}\n' % text.encode()
    assert len(data) == size
    if fits:
        assert [len(block) for block in sample_blocks([data])] == [1]
    else:
        with pytest.raises(MalformedError, match="longer than"):
            list(sample_blocks([data]))


def test_a_last_line_without_line_feed_is_refused() -> None:
    with pytest.raises(MalformedError, match="no line feed"):
        list(sample_blocks([b'{"id":"a","replicate":0,"seed":3}']))


def test_a_sample_that_grows_beyond_a_line_in_its_canonical_form_is_refused() -> None:
    sample = Sample("a", prediction=[1e20] * (MAX_BUNDLE_LINE // 21))
    with pytest.raises(MalformedError, match="in its canonical form"):
        bundle_samples([[sample]], [1])


def test_more_samples_than_a_bundle_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [[Sample(f"i{number:04}") for number in range(10)]]
    data = bundle_samples(left, [1]).data
    for name, said in (
        ("MAX_BUNDLE_SAMPLES", "more than 9 samples"),
        ("MAX_REPLICATE_SAMPLES", "its replicate"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sample_lines, name, 9)
            with pytest.raises(MalformedError, match=said):
                list(sample_blocks([data]))
    monkeypatch.setattr("launcher.spec.sample.MAX_BUNDLE_SAMPLES", 9)
    with pytest.raises(MalformedError, match="there are 10 samples"):
        bundle_samples(left, [1])
