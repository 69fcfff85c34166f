import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.spec.blueprint import Blueprint, Resources, Run, Sandbox, Window
from launcher.spec.document import MAX_BYTES, read_document
from launcher.spec.reading import MAX_PROBLEMS, Definitions, read_blueprint

CORPUS = Path(__file__).parent / "blueprints"
MINIMAL = (CORPUS / "minimal_good.toml").read_bytes()
WHOLE = (CORPUS / "whole_good.toml").read_bytes()


def read(text: bytes | str, **options: Any) -> Blueprint:
    return read_blueprint(text if isinstance(text, bytes) else text.encode(), file="b.toml", **options)


def problems(text: bytes | str, **options: Any) -> list[str]:
    with pytest.raises(MalformedError) as caught:
        read(text, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_minimal_blueprint_has_every_default_of_the_value_classes() -> None:
    blueprint = read(MINIMAL)
    given_run = Run(command=("python", "main.py"))
    assert (blueprint.run, blueprint.resources, blueprint.sandbox) == (given_run, Resources(), Sandbox())
    metric = msgspec.structs.replace(blueprint.metrics[0], primary=False)
    assert metric == type(metric)(name="accuracy", definition="accuracy@1")
    assert blueprint == Blueprint(
        text=MINIMAL.decode(),
        about=type(blueprint.about)(name="acme/minimal", version="0.1.0"),
        image=blueprint.image,
        code=type(blueprint.code)(git="code.bundle", commit="c" * 40),
        run=given_run,
        metrics=blueprint.metrics,
    )


def test_an_input_and_a_service_have_every_default_of_the_value_classes() -> None:
    image = f"oci:i@sha256:{'b' * 64}"
    blueprint = read(
        MINIMAL.decode()
        + f'\n[[data]]\nname = "d"\nuri = "d.csv"\nsha256 = "{"d" * 64}"\n'
        + f'\n[[service]]\nname = "s"\nimage = "{image}"\ncommand = ["x"]\n'
        + '\n[score]\ncommand = ["y"]\n\n[resources.gpu]\n',
        supported_only=False,
    )
    (data,), (service,) = blueprint.inputs, blueprint.services
    assert data == type(data)("data", "d", "d.csv", "d" * 64)
    assert service == type(service)("s", image, ("x",))
    assert blueprint.score == type(blueprint.score)(command=("y",))
    assert blueprint.resources.gpu == type(blueprint.resources.gpu)()


def test_the_whole_language_is_read_into_values() -> None:
    blueprint = read(WHOLE, supported_only=False)
    assert blueprint.run.timeout == 2700
    assert blueprint.resources.memory == 32 << 30
    assert [item.name for item in blueprint.inputs] == ["bert", "raw", "clean", "test"]
    assert blueprint.inputs[3].window == Window(date(2023, 1, 1), date(2023, 12, 31))
    assert [(place.transport, place.location) for place in blueprint.image.places] == [
        ("registry", "registry.example/acme/sst2"),
        ("registry", "registry.local:5000/acme/sst2"),
        ("oci", "image/"),
    ]
    assert blueprint.image.digest == "sha256:" + "b" * 64
    assert blueprint.services[0].ready_timeout == 600
    assert blueprint.config["preprocess"] == {"lower": True}


def test_the_first_metric_is_primary_where_none_is() -> None:
    second = '\n[[metric]]\nname = "b"\ndefinition = "accuracy@1"\n'
    assert [metric.primary for metric in read(MINIMAL.decode() + second).metrics] == [True, False]
    assert [metric.primary for metric in read(MINIMAL.decode() + second + "primary = true\n").metrics] == [
        False,
        True,
    ]


def test_line_ends_of_windows_are_kept_in_the_text_and_give_the_same_values() -> None:
    windows = read(MINIMAL.replace(b"\n", b"\r\n"))
    assert windows.text.count("\r\n") == MINIMAL.count(b"\n")
    assert msgspec.structs.replace(windows, text=MINIMAL.decode()) == read(MINIMAL)


def test_a_definition_is_checked_only_where_definitions_are_given(definitions: Definitions) -> None:
    unknown = MINIMAL.replace(b"accuracy@1", b"unheard-of@3")
    assert read(unknown).metrics[0].definition == "unheard-of@3"
    assert problems(unknown, definitions=definitions) == [
        'b.toml:19:14: there is no metric definition "unheard-of@3"; known: accuracy@1, mean@1'
    ]


def test_the_error_names_the_file_and_the_next_command() -> None:
    with pytest.raises(MalformedError) as caught:
        read(b"")
    assert caught.value.message == "`b.toml` is not a valid blueprint: 6 problems"
    assert "evalctl validate b.toml" in (caught.value.hint or "")


HOSTILE = {
    "too large": b"#" * (MAX_BYTES + 1),
    "brackets": b"a = " + b"[" * 500_000,
    "braces": b"a = " + b"{a=" * 300_000,
    "dotted key": b"a" + b".a" * 500_000 + b" = 1",
    "dotted header": b"[" + b"a." * 500_000 + b"a]",
    "many dotted keys": b"".join(b"a." * 300 + b"b%d = 1\n" % index for index in range(1600)),
    "many keys": b"".join(b"k%d = 1\n" % index for index in range(90_000)),
    "many unknown tables": b"".join(b"[[metric]]\nnaem = 1\n" for _ in range(20_000)),
    "many inputs of one name": MINIMAL + b'[[data]]\nname = "x"\n' * 40_000,
    "a long unknown key": b"k" * 1_000_000 + b" = 1",
    "long number": b"a = " + b"9" * 1_000_000,
    "long float": b"a = 1e" + b"9" * 1_000_000,
    "escapes": b'a = "' + b"\\n" * 500_000 + b'"',
    "open string": b'a = "' + b"\\n" * 500_000,
    "open long string": b'a = """' + b'""a' * 300_000,
    "quotes": b"a = " + b'"' * 1_000_000,
    "apostrophes": b"a = " + b"'" * 1_000_000,
    "blanks": b" " * 1_000_000 + b"x",
    "commas": b"a = [" + b"," * 1_000_000,
    "a long image": MINIMAL.replace(b"oci:image@", b"a-" * 400_000 + b"@"),
    "a long size": MINIMAL + b'[resources]\nmemory = "' + b"1" * 900_000 + b'"',
    "a long duration": MINIMAL.replace(b"[run]", b'[run]\ntimeout = "' + b"1" * 900_000 + b'"'),
    "a long version": MINIMAL.replace(b"0.1.0", b"1" * 900_000),
    "a chain of inputs": MINIMAL
    + b"".join(
        b'[[data]]\nname = "d%d"\nuri = "d"\nsha256 = "%s"\nderived-from = { data = ["d%d"] }\n'
        % (index, b"d" * 64, (index + 1) % 900)
        for index in range(900)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused_soon_and_in_few_lines(name: str) -> None:
    started = time.perf_counter()
    found = problems(HOSTILE[name])
    assert time.perf_counter() - started < 10
    assert 1 <= len(found) <= MAX_PROBLEMS
    assert max(map(len, found)) < 1000


def test_problems_beyond_the_limit_are_counted() -> None:
    with pytest.raises(MalformedError, match="1006 problems, the first 200 of them listed"):
        read(b"".join(b"k%d = 1\n" % index for index in range(1000)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_places(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read(data)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in caught.value.problems)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_an_edited_blueprint_is_read_or_refused_with_places(data: st.DataObject) -> None:
    words = [
        b"",
        b"0",
        b"nan",
        b"[]",
        b"{}",
        b"[[",
        b"'",
        b'"',
        b"\n",
        b"1979-05-27",
        b"true",
        b"\xff",
        b"$",
        b"=",
    ]
    edited = WHOLE
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(edited)))
        length = data.draw(st.integers(0, 40))
        edited = edited[:start] + data.draw(st.sampled_from(words)) + edited[start + length :]
    try:
        blueprint = read(edited, supported_only=False)
    except MalformedError as error:
        lines = edited.count(b"\n") + 1
        assert error.problems
        assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in error.problems)
    else:
        assert blueprint.text.encode() == edited


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(),
        st.text(max_size=3),
        st.dates(),
        st.datetimes(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    import tomli

    from launcher.spec.kinds import Fault
    from launcher.spec.language import BLUEPRINT
    from launcher.spec.matrix import matrix_faults
    from launcher.spec.unsupported import unsupported

    tree: Any = tomli.loads(WHOLE.decode())
    holder, step = tree, data.draw(st.sampled_from(sorted(tree)))
    while isinstance(holder[step], dict | list) and holder[step] and data.draw(st.booleans()):
        holder = holder[step]
        step = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    value = data.draw(VALUES)
    if value is None:
        del holder[step]
    else:
        holder[step] = value
    faults: list[Fault] = []
    values = BLUEPRINT.read(tree, (), faults)
    faults += [*matrix_faults(values, BLUEPRINT)]
    list(unsupported(tree))
    if not faults:
        BLUEPRINT.build(values)


@pytest.mark.parametrize("text", ["a = {\n  b = 1,\n}", 'a = "\\e"', 'a = "\\x41"', "a = 07:32"])
def test_a_blueprint_is_toml_1_0_which_every_reader_of_a_bundle_knows(text: str) -> None:
    with pytest.raises(MalformedError):
        read_document(text.encode(), file="it.toml")
