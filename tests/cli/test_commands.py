"""The command table, the functions behind it, and every hint agree with each other."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from launcher.cli.app import run
from launcher.cli.commands import Command, all_commands, find_command, help_text
from tests.cli.transcripts import CHECKOUT
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

SOURCES = sorted((CHECKOUT / "launcher").rglob("*.py"))
README = CHECKOUT / "README.md"


def function_of(command: Command) -> object:
    return getattr(importlib.import_module(f"launcher.cli.{command.module}"), command.function)


def options_of(command: Command) -> set[str]:
    app = typer.Typer(add_completion=False)
    app.command()(function_of(command))  # type: ignore[type-var]
    return {option for parameter in typer.main.get_command(app).params for option in parameter.opts}


every_command = pytest.mark.parametrize(
    "command", all_commands(), ids=lambda command: " ".join(command.words)
)


@every_command
def test_the_summary_in_the_table_is_the_first_line_of_the_docstring(command: Command) -> None:
    assert (inspect.getdoc(function_of(command)) or "").splitlines()[0] == command.summary


@every_command
def test_every_command_has_json(command: Command) -> None:
    assert "--json" in options_of(command)


@every_command
def test_a_wrong_option_is_one_json_object_on_stderr(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command.words, "--no-such", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert set(json.loads(err)["error"]) == {"code", "message", "context", "hint"}


def typed(text: str) -> Iterator[str]:
    """Yield the command lines in `text`: what stands in backticks and begins with `evalctl`."""
    yield from re.findall(r"`evalctl ([^`]*)`", text)


def strings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            yield node.lineno, "".join(str(part) for part in parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_command_line_that_is_named_can_be_typed(path: Path) -> None:
    lines = ((line, words) for line, text in strings(path) for words in typed(text))
    for line, words in lines:
        check(words, f"{path.name}:{line}")


def test_every_command_line_in_the_documents_can_be_typed() -> None:
    for path in (README, *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("blueprints/*/README.md")):
        for words in typed(path.read_text()):
            check(words, path.name)


def check(words: str, where: str) -> None:
    arguments = [word.rstrip(",.;:") for word in words.split()]
    if arguments[0] in {command.words[0] for command in all_commands()} and len(arguments) == 1:
        return
    if arguments[0] in ("X", "COMMAND", "--help", "--version"):
        return
    found = find_command(arguments)
    assert found, f"{where}: there is no command `evalctl {words}`"
    command, rest = found
    rest = rest[: rest.index("--")] if "--" in rest else rest
    unknown = {word for word in rest if word.startswith("--")} - options_of(command) - {"--help"}
    assert not unknown, f"{where}: `evalctl {words}` has no {unknown}"


def test_every_option_that_a_hint_names_exists() -> None:
    known = {option for command in all_commands() for option in options_of(command)} | {"--help", "--version"}
    foreign = {"--name-only", "--batch", "--nvproxy"}
    for path in SOURCES:
        for line, text in strings(path):
            for option in re.findall(r"`(--[a-z-]+)", text):
                assert option in known | foreign, f"{path.name}:{line}: `{option}`"


def test_help_fits_a_terminal() -> None:
    assert max(map(len, help_text().splitlines())) <= 80


def test_the_readme_shows_the_page_of_commands() -> None:
    assert f"```\n$ evalctl --help\n{help_text()}```" in README.read_text()


def test_what_a_command_lacks_is_named_as_it_is_typed(evalctl: Evalctl) -> None:
    assert "needs `--out LAYOUT`" in evalctl("image", "import", "image.tar").err
    assert "needs FILE" in evalctl("launch").err
    assert "`ten` is not a whole number" in evalctl("launch", "x.toml", "--limit", "ten").err


def test_what_is_no_bundle_is_called_that(evalctl: Evalctl, tmp_path: Path) -> None:
    (tmp_path / "blueprint.toml").write_text("")
    done = evalctl("verify", tmp_path / "blueprint.toml")
    assert (done.code, "a bundle is a folder" in done.err) == (2, True)
    done = evalctl("verify", tmp_path)
    assert (done.code, "holds no `SHA256SUMS`" in done.err) == (1, True)


def test_a_file_of_nearly_that_name_is_offered(evalctl: Evalctl, tmp_path: Path) -> None:
    (tmp_path / "blueprint.toml").write_text("")
    assert f"did you mean `{tmp_path}/blueprint.toml`?" in evalctl("launch", tmp_path / "blueprint.tml").err
    assert "check the path" in evalctl("launch", tmp_path / "other.toml").err
    assert "check the path" in evalctl("launch", tmp_path / "nowhere" / "blueprint.toml").err


def test_the_owner_of_a_key_named_for_once_is_called_as_its_file(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = world.launch().bundle
    public = tmp_path / "alice.pub"
    public.write_bytes(world.home.default_key.with_suffix(".pub").read_bytes())
    assert "trust:result: signed by alice" in evalctl("verify", bundle, "--key", public).out
