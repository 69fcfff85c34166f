"""The commands and what each takes, as a completion needs to know it."""

import importlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from launcher.cli.commands import Command, all_commands

# What may follow: one of a few words, a file, a folder, a bundle, or something nobody can guess.
Kind = Literal["words", "file", "folder", "bundle", "text"]


class Value(NamedTuple):
    """What an argument or an option takes."""

    kind: Kind
    words: tuple[str, ...] = ()


class Flag(NamedTuple):
    """An option by its long name, its help, and the value it takes, if any."""

    name: str
    text: str
    value: Value | None


class Described(NamedTuple):
    """A command, its options, and what its arguments are; the last one may be repeated."""

    command: Command
    flags: tuple[Flag, ...]
    arguments: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The words that a person types."""
        return " ".join(self.command.words)


def describe() -> tuple[Described, ...]:
    """Return every command with its parameters, as its module declares them."""
    return tuple(map(_described, all_commands()))


def _described(command: Command) -> Described:
    import typer

    app = typer.Typer(add_completion=False)
    module = importlib.import_module(f"launcher.cli.{command.module}")
    app.command()(getattr(module, command.function))
    flags: list[Flag] = []
    arguments: list[Value] = []
    for parameter in typer.main.get_command(app).params:
        names = [name for name in parameter.opts if name.startswith("--")]
        if names:
            taken = None if getattr(parameter, "is_flag", False) else _value(parameter)
            flags.append(Flag(names[0], str(getattr(parameter, "help", None) or ""), taken))
        else:
            arguments.append(_value(parameter))
    return Described(command, (*flags, Flag("--help", "Show the command's page.", None)), tuple(arguments))


def _value(parameter: Any) -> Value:
    metavar = str(parameter.metavar or "").strip("[]").removesuffix("...")
    known = _known_words(metavar, parameter.opts)
    if known:
        return Value("words", known)
    if metavar.startswith("BUNDLE"):
        return Value("bundle")
    if metavar in ("DIR", "FOLDER"):
        return Value("folder")
    is_path = "path" in str(getattr(parameter.type, "name", "")) or "FILE" in metavar or "LAYOUT" in metavar
    return Value("file" if is_path else "text")


def _known_words(metavar: str, names: Sequence[str]) -> tuple[str, ...]:
    from launcher.cli.completion import SHELLS
    from launcher.spec.blueprint import RUNTIMES
    from launcher.spec.schema import NAMES

    known = {"SHELL": SHELLS, "--runtime": RUNTIMES, "FORMAT": NAMES}
    return next((known[name] for name in (metavar, *names) if name in known), ())


def groups(commands: Sequence[Described]) -> dict[str, list[Described]]:
    """Return the commands by their first word."""
    groups: dict[str, list[Described]] = {}
    for described in commands:
        groups.setdefault(described.command.words[0], []).append(described)
    return groups


def summary(group: list[Described]) -> str:
    """Return what to say of a first word: the command's summary, or the words that may follow."""
    first = group[0].command
    if len(first.words) == 1:
        return first.summary
    return ", ".join(described.command.words[1] for described in group)


def quoted(text: str) -> str:
    """Return `text` as one word of bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"
