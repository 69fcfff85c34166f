import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.spec.positions import Path as KeyPath
from launcher.spec.positions import Positions, TooMuchError, scan

CORPUS = Path(__file__).parent / "blueprints"


def paths_of(value: Any, path: KeyPath = ()) -> dict[KeyPath, Any]:
    """Return every key path below `value` with what stands there."""
    found = {path: value}
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, item in entries:
        found |= paths_of(item, (*path, step))
    return found


def key_at(text: str, offset: int) -> str:
    """Return the key whose part starts at `offset`."""
    match = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""").match(text, offset)
    assert match is not None
    (key,) = tomli.loads(f"{match.group()} = 0")
    return key


def check_value(positions: Positions, path: KeyPath, value: Any) -> None:
    text, offset = positions.text, positions.values[path]
    rest = text[offset:]
    if isinstance(value, bool):
        assert rest.startswith(str(value).lower())
    elif isinstance(value, str):
        assert rest.lstrip("\"'").lstrip("\n").startswith(value[:2])
        assert rest[0] in "\"'"
    elif isinstance(value, int):
        assert re.match(r"[0-9]+", rest).group() == str(value)
    elif isinstance(value, list):
        assert rest[0] == "["
    else:
        assert rest[0] in "{[" or key_at(text, offset) == path[-1]


def check_all(document: str) -> None:
    positions = scan(document)
    for path, value in paths_of(tomli.loads(document)).items():
        if path:
            check_value(positions, path, value)
            if isinstance(path[-1], str):
                assert key_at(document, positions.keys[path]) == path[-1]


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4),
    st.sampled_from(["a.b", 'q"q', "it's", "back\\slash", "[x]", "#", " ", "ünï"]),
)
TAILS = st.sampled_from(
    ["", " # no comment", '"', "'", "\\", "]", "}", ",", "\n[x]\n", '"""', "'''", "\t", "=", "🧀"]
)
LEAVES = st.one_of(st.integers(0, 0), st.booleans(), TAILS)
TABLES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
        max_leaves=12,
    ),
    max_size=5,
)


class Writer:
    """Write values as TOML in styles that `draw` chooses, each leaf unlike every other."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.numbers = count(10)

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def key(self, name: str) -> str:
        escaped = '"' + "".join(f"\\U{ord(c):08x}" if c in '"\\' else c for c in name) + '"'
        options = [escaped]
        if re.fullmatch(r"[A-Za-z0-9_-]+", name):
            options += [name, name]
        if "'" not in name:
            options.append(f"'{name}'")
        return self.pick(*options)

    def text(self, tail: str) -> str:
        content = f"{next(self.numbers)}{tail}"
        escaped = content.replace("\\", "\\\\").replace('"', '\\"')
        options = ['"' + escaped.replace("\n", "\\n") + '"', f'"""{escaped}"""', f'"""\n{escaped}"""']
        if "'''" not in content and not content.endswith("'"):
            options.append(f"'''{content}'''")
        if "'" not in content and "\n" not in content:
            options.append(f"'{content}'")
        if tail == '"':
            options.append(f'"""{content}"""')
        return self.pick(*options)

    def value(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(next(self.numbers))
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            gap = self.pick("", " ", "\n", " # a ] comment }\n")
            return f"[{gap}" + f",{gap}".join(map(self.value, value)) + f"{gap}]"
        # TOML 1.0 keeps a table in braces on one line.
        gap = self.pick("", " ")
        return (
            f"{{{gap}"
            + f",{gap}".join(f"{self.key(k)} = {self.value(v)}" for k, v in value.items())
            + f"{gap}}}"
        )

    def table(self, table: dict[str, Any], prefix: str = "") -> str:
        lines, later = [], []
        for name, value in table.items():
            key = self.key(name)
            style = self.pick("inline", "header", "dotted")
            if isinstance(value, dict) and style == "header":
                later.append(f"[{prefix}{key}]\n{self.table(value, f'{prefix}{key}.')}")
            elif isinstance(value, dict) and value and style == "dotted":
                lines += [f"{key} . {self.key(k)}={self.value(v)}" for k, v in value.items()]
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(i, dict) for i in value)
                and style != "inline"
            ):
                later += [f"[[ {prefix}{key} ]]\n{self.table(item, f'{prefix}{key}.')}" for item in value]
            else:
                lines.append(f"{key} = {self.value(value)}{self.pick('', ' # x = 1', '  ')}")
        return "\n".join([*lines, *later, ""])


@settings(max_examples=300, deadline=None)
@given(TABLES, st.data())
def test_every_key_and_value_of_any_document_is_where_the_map_says(
    table: dict[str, Any], data: st.DataObject
) -> None:
    check_all(Writer(data.draw).table(table))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*_good.toml")), ids=lambda path: path.stem)
def test_every_path_of_a_real_blueprint_is_placed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert paths_of(tomli.loads(text)).keys() == scan(text).values.keys()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_document_that_still_is_toml_after_an_edit_is_placed_in_full(data: st.DataObject) -> None:
    text = (CORPUS / "whole_good.toml").read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    patch = data.draw(st.text(st.sampled_from("\n \"'[]{}=#.,\\a1-:T_+"), max_size=4))
    edited = text[:start] + patch + text[start + length :]
    positions = scan(edited)
    try:
        values = tomli.loads(edited)
    except tomli.TOMLDecodeError:
        return
    assert paths_of(values).keys() == positions.values.keys()


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("\n \"'[]{}=#.,\\a1é")))
def test_any_text_is_scanned_without_an_error(text: str) -> None:
    scan(text)


def test_lines_and_columns_count_from_one_and_in_characters() -> None:
    positions = scan('a = 1\n"ü" = [1, """🧀\n""", 2]\n')
    places = {path: positions.place(offset) for path, offset in positions.values.items()}
    assert places == {
        (): (1, 1),
        ("a",): (1, 5),
        ("ü",): (2, 7),
        ("ü", 0): (2, 8),
        ("ü", 1): (2, 11),
        ("ü", 2): (3, 6),
    }
    assert positions.place(positions.key(("ü",))) == (2, 1)


def test_a_table_opened_after_its_own_subtable_stands_at_its_own_header() -> None:
    positions = scan("[a.b]\nx = 1\n[a]\ny = 2\n")
    assert positions.place(positions.value(("a",))) == (3, 1)
    assert positions.place(positions.value(("a", "b"))) == (1, 1)


def test_a_path_that_is_not_there_gives_the_place_of_the_table_around_it() -> None:
    positions = scan("[a]\nx = 1\n[a.b]\n")
    assert positions.place(positions.value(("a", "b", "missing"))) == (3, 1)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("a = " + "[" * 40, "nested deeper", 36),
        ("a = " + "{a=" * 4000, "nested deeper", 100),
        (".".join(["a"] * 100) + " = 1", "more than 32 parts", 64),
        ("[" + ".".join(["a"] * 100) + "]", "more than 32 parts", 65),
        ("a = " + "9" * 5000, "more than 256 characters", 4),
        ("a = [" + "1," * 60_000, "more than 50000", 100_001),
    ],
)
def test_what_would_take_forever_is_refused_at_its_place(text: str, message: str, offset: int) -> None:
    with pytest.raises(TooMuchError, match=message) as caught:
        scan(text)
    assert caught.value.offset == offset
