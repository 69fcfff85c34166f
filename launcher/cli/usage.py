"""Command lines that cannot be run: what is wrong with them, and what was meant."""

import difflib
from collections.abc import Sequence
from typing import Any

from launcher.cli.commands import all_commands
from launcher.errors import MalformedError


def unknown_command(arguments: list[str]) -> MalformedError:
    """Return the error for a command line that begins with no command."""
    known = [" ".join(command.words) for command in all_commands()]
    groups = {command.words[0] for command in all_commands() if len(command.words) > 1}
    is_option = arguments[0].startswith("-")
    typed = " ".join(arguments[: 2 if arguments[0] in groups else 1])
    kind = "option" if is_option else "command"
    return MalformedError(
        f"there is no {kind} `{typed}`",
        code=f"unknown-{kind}",
        hint=_did_you_mean(typed, ["--help", "--version"] if is_option else known, "evalctl"),
    )


def usage_error(error: Any, program: str) -> MalformedError:
    """Return in our words what typer's parser (`error` is one of its usage errors) found wrong.

    The errors are told apart by what they carry: from release to release typer takes their classes from
    elsewhere.
    """
    command = getattr(getattr(error, "ctx", None), "command", None)
    parameters = command.params if command is not None else ()
    if hasattr(error, "possibilities"):
        options = [name for parameter in parameters for name in parameter.opts if name.startswith("--")]
        return MalformedError(
            f"`{program}` has no option `{error.option_name}`",
            code="unknown-option",
            hint=_did_you_mean(error.option_name, options, program),
        )
    if hasattr(error, "param_type") and error.param is not None:
        name = error.param.metavar or error.param.name
        option = next((spelled for spelled in error.param.opts if spelled.startswith("--")), "")
        name = f"`{option} {name}`" if option else name
        return MalformedError(
            f"`{program}` needs {name}",
            code="usage",
            context=error.param.help,
            hint=f"see `{program} --help`",
        )
    message = error.format_message().replace("'", "`").rstrip(".")
    message = message[:1].lower() + message[1:].replace("a valid int range", "a whole number")
    return MalformedError(f"`{program}`: {message}", code="usage", hint=f"see `{program} --help`")


def _did_you_mean(typed: str, known: Sequence[str], program: str) -> str:
    near = difflib.get_close_matches(typed, known, 1)
    return f"did you mean `{program} {near[0]}`?" if near else f"see `{program} --help`"
