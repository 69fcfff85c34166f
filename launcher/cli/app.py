"""The entry point: find the command, run it, exit with its code. Nothing else calls `sys.exit`."""

import sys

from launcher import __version__


def main() -> None:
    """Run the command line of this process and exit with its code."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"evalctl {__version__}")
        sys.exit(0)
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every foreseen error becomes words on stderr."""
    from launcher.cli.commands import find_command, help_text

    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(help_text(), end="")
        return 0 if arguments else 2
    found = find_command(arguments)
    if found is None:
        return _unknown(arguments)
    command, rest = found
    from launcher.cli.dispatch import dispatch

    return dispatch(command, rest)


def _unknown(arguments: list[str]) -> int:
    import difflib

    from launcher.cli.commands import all_commands
    from launcher.cli.output import fail
    from launcher.errors import MalformedError

    groups = {command.words[0] for command in all_commands() if len(command.words) > 1}
    words = [" ".join(command.words) for command in all_commands()]
    typed = " ".join(arguments[: 2 if arguments[0] in groups else 1])
    if arguments[0] in groups and (len(arguments) == 1 or arguments[1] in ("--help", "-h")):
        return _group_help(arguments[0], asked=len(arguments) > 1)
    near = difflib.get_close_matches(typed, words, 1)
    hint = f"did you mean `evalctl {near[0]}`?" if near else "see `evalctl --help`"
    error = MalformedError(f"there is no command `{typed}`", code="unknown-command", hint=hint)
    return fail(error, as_json="--json" in arguments)


def _group_help(group: str, *, asked: bool) -> int:
    from launcher.cli.commands import all_commands

    print(f"Usage: evalctl {group} COMMAND [ARGUMENTS]\n")
    for command in all_commands():
        if command.words[0] == group:
            print(f"  {' '.join(command.words):<14} {command.summary}")
    return 0 if asked else 2
