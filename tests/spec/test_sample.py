import json
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.spec.sample import (
    BundledSamples,
    Sample,
    SampleLimits,
    Timing,
    bundle_samples,
    join_labels,
    read_container_samples,
)
from tests.spec.bundled import read_bundled

FULL = {
    "id": "a",
    "prediction": {"text": "x"},
    "target": [1, 2],
    "scores": {"nll": 0.25},
    "groups": {"model": "lda", "fold": 1},
    "weight": 2,
    "input_sha256": "0" * 64,
    "seconds": 0.5,
    "error": "late",
    "epoch": 0,
    "task": "t",
}


def jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def refused(data: bytes, **limits: int) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        read_container_samples(data, SampleLimits(**limits))
    assert caught.value.code == "bad-samples"
    return caught.value


def bundled(*rows: dict) -> BundledSamples:
    return bundle_samples([read_container_samples(jsonl(*rows))], [0])


def test_every_field_of_a_container_is_read():
    assert read_container_samples(jsonl(FULL)) == [Sample(**FULL)]


def test_a_stream_reads_like_its_bytes_and_the_last_line_may_lack_a_line_feed():
    data = jsonl({"id": "a"}, {"id": "b"})[:-1]
    assert read_container_samples(BytesIO(data)) == read_container_samples(data) == [Sample("a"), Sample("b")]


def test_no_bytes_are_no_samples():
    assert read_container_samples(b"") == read_bundled(b"") == []


@pytest.mark.parametrize(
    "row",
    [
        {"prediction": "a"},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 1025},
        {"id": "a", "claim": 1},
        {"id": "a", "replicate": 0},
        {"id": "a", "seed": 0},
        {"id": "a", "prediction": None},
        {"id": "a", "scores": {"nll": "0.5"}},
        {"id": "a", "scores": {"nll": True}},
        {"id": "a", "scores": {"": 1}},
        {"id": "a", "scores": [1]},
        {"id": "a", "groups": {"g": [1]}},
        {"id": "a", "groups": {"g": None}},
        {"id": "a", "weight": 0},
        {"id": "a", "weight": -1.5},
        {"id": "a", "weight": True},
        {"id": "a", "input_sha256": "F" * 64},
        {"id": "a", "seconds": -1},
        {"id": "a", "error": ""},
        {"id": "a", "epoch": -1},
        {"id": "a", "epoch": 1.0},
        {"id": "a", "epoch": True},
        {"id": "a", "task": ""},
        ["a"],
        "a",
        None,
    ],
)
def test_a_line_that_breaks_the_contract_is_refused_by_its_number(row):
    assert "line 2 of `samples.jsonl`" in refused(jsonl({"id": "first"}, row)).message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"{",
        b'{"id":"a","id":"b"}',
        b'{"id":"a","weight":NaN}',
        b'{"id":"a","weight":1e999}',
        b'{"id":"a","epoch":9007199254740993}',
        b'{"id":"\\ud800"}',
        b'{"id":"\xff"}',
        b'\xef\xbb\xbf{"id":"a"}',
        b'{"id":"a","prediction":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"id":"a"} {"id":"b"}',
    ],
)
def test_a_line_that_two_parsers_could_read_differently_is_refused(line):
    assert "line 1 " in refused(line + b"\n").message


def test_a_line_that_is_no_json_is_said_to_be_none():
    assert refused(b"{\n").message.startswith("line 1 of `samples.jsonl`: it is not JSON: ")


def test_the_same_item_twice_is_refused_but_not_in_another_task_or_epoch():
    row = {"id": "a"}
    assert "line 2" in refused(jsonl(row, row)).message
    assert (
        len(read_container_samples(jsonl(row, row | {"epoch": 0}, row | {"epoch": 1}, row | {"task": "t"})))
        == 4
    )


def test_long_lines_and_many_lines_are_refused():
    assert "longer than 20 bytes" in refused(b'{"id":"' + b"a" * 20 + b'"}', line=20).message
    assert "more than 2 lines" in refused(jsonl(*({"id": str(n)} for n in range(3))), samples=2).message


def test_an_error_shows_odd_names_without_control_characters():
    message = refused(jsonl({"id": "a", "\x1b[2J" + "x" * 500: 1})).message
    assert message.isprintable() and len(message) < 200


def test_the_bundle_adds_replicate_and_seed_and_takes_seconds_out():
    made = bundle_samples(
        [[Sample("b", 1), Sample("a", 1.0, seconds=0.5)], [Sample("a"), Sample("b")]], [11, 23]
    )
    assert made.data == (
        b'{"id":"a","prediction":1,"replicate":0,"seed":11}\n'
        b'{"id":"b","prediction":1,"replicate":0,"seed":11}\n'
        b'{"id":"a","replicate":1,"seed":23}\n'
        b'{"id":"b","replicate":1,"seed":23}\n'
    )
    assert made.timings == (Timing(0, None, "a", None, 0.5),)
    assert list(made.samples) == read_bundled(made.data)


def test_bundled_samples_are_ordered_by_task_then_utf8_bytes_of_the_id_then_epoch():
    keys = [("t", "a", 0), (None, "b", 10), (None, "b", 9), (None, "é", None), (None, "\U0001f600", None)]
    keys += [(None, "\uffee", None), (None, "b", None)]
    made = bundle_samples([[Sample(id, task=task, epoch=epoch) for task, id, epoch in keys]], [0])
    assert [(sample.task, sample.id, sample.epoch) for sample in made.samples] == [
        (None, "b", None),
        (None, "b", 9),
        (None, "b", 10),
        (None, "é", None),
        (None, "\uffee", None),
        (None, "\U0001f600", None),
        ("t", "a", 0),
    ]
    assert read_bundled(made.data) == list(made.samples)


def test_replicates_that_answer_different_items_are_refused():
    with pytest.raises(MalformedError, match=r"replicate 1 differs from replicate 0 in 2 ids \(`b`, `c`\)"):
        bundle_samples([[Sample("a"), Sample("b")], [Sample("a"), Sample("c")]], [0, 1])


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":"a","replicate":0,"seed":0}',
        b'{"id": "a","replicate":0,"seed":0}\n',
        b'{"replicate":0,"id":"a","seed":0}\n',
        b'{"id":"a","prediction":1.0,"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":NaN,"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":1e999,"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":-0,"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":9007199254740993,"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":' + b"9" * 400 + b',"replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":' + b"9" * 5000 + b',"replicate":0,"seed":0}\n',
        b'{"id":"a","id":"a","replicate":0,"seed":0}\n',
        b'{"id":"\\u0061","replicate":0,"seed":0}\n',
        b'{"id":"\\ud800","replicate":0,"seed":0}\n',
        b'{"id":"\xff","replicate":0,"seed":0}\n',
        b'{"id":"a","replicate":0,"seconds":1,"seed":0}\n',
        b'{"id":"a","seed":0}\n',
        b'{"id":"a","replicate":0}\n',
        b'{"id":"a","replicate":0,"seed":4294967296}\n',
        b'{"id":"a","replicate":0,"seed":0}\n\n',
        b'{"id":"a","replicate":0,"seed":0}\n{"id":"a","replicate":0,"seed":0}\n',
        b'{"id":"b","replicate":0,"seed":0}\n{"id":"a","replicate":0,"seed":0}\n',
        b'{"id":"a","replicate":1,"seed":0}\n{"id":"a","replicate":0,"seed":0}\n',
        b'{"id":"a","prediction":' + b"[" * 5000 + b"]" * 5000 + b',"replicate":0,"seed":0}\n',
        b"[]\n",
    ],
)
def test_a_bundle_has_exactly_one_form_of_its_samples(data):
    with pytest.raises(MalformedError) as caught:
        read_bundled(data)
    assert caught.value.code == "bad-samples"


def test_labels_are_joined_by_id():
    joined = join_labels(
        [Sample("b", "x"), Sample("a", "y")], jsonl({"id": "a", "target": 1}, {"id": "b", "target": "z"})
    )
    assert joined == [Sample("b", "x", "z"), Sample("a", "y", 1)]


@pytest.mark.parametrize(
    ("samples", "labels", "code", "said"),
    [
        ([], [{"id": "a", "target": 1}], "bad-samples", r"1 id \(`a`\) not answered"),
        ([Sample("a"), Sample("b")], [{"id": "a", "target": 1}], "bad-samples", "1 id .* without a label"),
        ([Sample("a", target=1)], [{"id": "a", "target": 1}], "bad-samples", "brings its own `target`"),
        (
            [Sample("a")],
            [{"id": "a", "target": 1}, {"id": "a", "target": 2}],
            "bad-labels",
            "line 2 of the labels",
        ),
        ([Sample("a")], [{"id": "a"}], "bad-labels", "`target` is missing"),
        ([Sample("a")], [{"id": "a", "target": None}], "bad-labels", "`target` is null"),
        ([Sample("a")], [{"id": "a", "target": 1, "x": 1}], "bad-labels", "unknown field `x`"),
        ([Sample("a")], [7], "bad-labels", "not an object"),
    ],
)
def test_samples_and_labels_that_do_not_match_are_refused(samples, labels, code, said):
    with pytest.raises(MalformedError, match=said) as caught:
        join_labels(samples, jsonl(*labels))
    assert caught.value.code == code


def test_many_missing_labels_are_counted_not_listed():
    with pytest.raises(MalformedError, match=r"50 ids \(`0`, `1`, `10` and 47 more\) not answered"):
        join_labels([], jsonl(*({"id": str(n), "target": 0} for n in range(50))))


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | NUMBERS | st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.fixed_dictionaries(
    {"id": NAMES},
    optional={
        "prediction": st.recursive(
            SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
        ),
        "target": SCALARS,
        "scores": st.dictionaries(NAMES, NUMBERS, max_size=3),
        "groups": st.dictionaries(NAMES, SCALARS, max_size=3),
        "weight": st.floats(1e-6, 1e6),
        "seconds": st.floats(0, 1e6),
        "epoch": st.integers(0, 5),
        "task": NAMES,
    },
)
TABLES = st.lists(ROWS, max_size=6, unique_by=lambda row: (row.get("task"), row["id"], row.get("epoch")))


@given(TABLES, st.randoms(use_true_random=False))
def test_what_is_bundled_reads_back_the_same_in_whatever_order_it_was_left(rows, random):
    made = bundled(*rows)
    random.shuffle(rows)
    assert bundled(*rows) == made
    assert read_bundled(made.data) == list(made.samples)


@given(st.binary(max_size=200))
@example(b'{"id":"a"}\n')
def test_any_bytes_are_samples_or_malformed(data):
    for read in (read_container_samples, read_bundled, lambda labels: join_labels([], labels)):
        try:
            read(data)
        except MalformedError as error:
            assert error.code in {"bad-samples", "bad-labels"}


@given(TABLES.filter(bool), st.data())
def test_a_bundle_line_with_a_byte_changed_is_refused_or_says_something_else(rows, data):
    made = bundled(*rows)
    place = data.draw(st.integers(0, len(made.data) - 1))
    forged = made.data[:place] + data.draw(st.binary(min_size=1, max_size=1)) + made.data[place + 1 :]
    try:
        read = read_bundled(forged)
    except MalformedError:
        return
    assert b"".join(sample.line() for sample in read) == forged
