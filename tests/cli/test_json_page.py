"""docs/json.md says of every field of `--json` what it is, and of none that there is not."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from msgspec import Struct

from launcher.cli.commands import all_commands, find_command
from launcher.spec.plan import Plan
from tests.cli.json_page import ERROR, Grammar, read_page
from tests.cli.test_transcripts import LAYOUT
from tests.cli.transcripts import FILES, Exchange, read, replay
from tests.image.test_check import recipe_of

VERSION = "--version"

# What the transcripts do not show whole: the machine decides it, or it is long.
TYPED = Path(__file__).with_name("json_page.sh")


def command_of(line: str) -> str | None:
    """Return the command that a line types with `--json`, None for any other line."""
    typed = re.search(r"(?:^|\s)evalctl ([^|]*?--json[^|]*)$", line)
    if typed is None:
        return None
    words = shlex.split(typed[1])
    found = find_command(words)
    return " ".join(found[0].words) if found else VERSION if VERSION in words else ""


def objects(exchange: Exchange) -> Iterator[tuple[bool, Any]]:
    """Yield each object that came, and whether it is an error's."""
    for line in exchange.answer.splitlines():
        if line.startswith("{"):
            value = json.loads(line)
            yield "error" in value, value


def hold(page: Grammar, exchange: Exchange) -> None:
    command = command_of(exchange.command)
    for is_error, value in objects(exchange) if command is not None else ():
        node = page.shapes[ERROR] if is_error else page.commands[command or ""]
        page.hold(value, node, f"{command} --json")


def test_every_command_has_its_section() -> None:
    assert {*read_page().commands} == {" ".join(each.words) for each in all_commands()} | {VERSION}


def test_every_field_that_a_transcript_shows_is_on_the_page() -> None:
    page = read_page()
    for exchange in (each for path in FILES for each in read(path)):
        hold(page, exchange)
    assert len(page.seen) > 100


def test_a_field_that_the_page_does_not_have_is_noticed() -> None:
    page = read_page()
    for value in ({"file": "x", "pinned": 1}, {"file": "x", "more": True}, {"changes": [{"new": ""}]}):
        with pytest.raises(AssertionError, match=r"docs/json\.md"):
            page.hold(value, page.commands["pin"], "pin")


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.image
def test_every_field_of_the_page_appears_and_none_beside_it(tmp_path: Path) -> None:
    if not LAYOUT.is_file():
        pytest.skip("images/eval-python is not built: make setup")
    page = read_page()
    for exchange in (each for path in FILES for each in read(path)):
        hold(page, exchange)
    commands = [*TYPED.read_text().splitlines()[1:], *image_commands(tmp_path)]
    for exchange in replay([Exchange("", line, "") for line in commands], tmp_path):
        assert not any(is_error for is_error, _ in objects(exchange)), str(exchange)
        hold(page, exchange)
    page.seen |= {f"`plan`: {path}" for path in paths_of(Plan)}
    assert sorted(page.never_seen) == []


def image_commands(folder: Path) -> Iterator[str]:
    """Yield what builds, changes and imports the smallest of images."""
    recipe = recipe_of(folder / "recipe", "same")
    other = recipe_of(folder / "other", "other")
    yield f"evalctl image build {recipe} --mirror {recipe}/mirror --json"
    yield f"evalctl image inspect {recipe} --json"
    yield f"cp -r {recipe}/layout {other}/layout"
    yield f"evalctl image check {other} --mirror {other}/mirror --json"
    yield f"tar -cf tiny.tar -C {recipe}/layout ."
    yield "evalctl image import tiny.tar --out imported --json"


def paths_of(kind: Any, path: str = "") -> Iterator[str]:
    """Yield the fields of a struct as the page writes them: a machine shows few of a plan at once."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        yield path
        for each in arguments:
            yield from paths_of(each, path) if each is not NoneType else ()
    elif isinstance(kind, type) and issubclass(kind, Struct):
        yield path
        for name, below in get_type_hints(kind).items():
            yield from paths_of(below, f"{path}.{name}".lstrip("."))
    elif origin is tuple:
        yield path
        yield from paths_of(arguments[0], f"{path}[]")
    elif origin is Mapping:
        yield from paths_of(arguments[1], f"{path}{{}}")
    else:
        yield path
