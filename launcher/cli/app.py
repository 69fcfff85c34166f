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
    from launcher.cli.output import deliver

    _settle_streams()
    return deliver(lambda: _answer(arguments), as_json="--json" in arguments)


def _settle_streams() -> None:
    """Let text in any encoding out, a path as its own bytes where it can; a closed stream swallows."""
    import os

    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the life of the process
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if hasattr(sys.stdout, "reconfigure"):
        whole = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if whole else "backslashreplace")


def _answer(arguments: list[str]) -> int:
    from launcher.cli.commands import find_command, group_help, help_text

    if not arguments:
        print(help_text(), end="", file=sys.stderr)
        return 2
    first, *others = arguments
    if first in ("--help", "-h", "help"):
        if first == "help" and others:
            return _answer([*others, "--help"])
        print(help_text(), end="")
        return 0
    if first == "--version":
        return _version(as_json="--json" in others)
    found = find_command(arguments)
    if found is not None:
        from launcher.cli.dispatch import dispatch

        return dispatch(*found)
    group = group_help(first)
    if group and (not others or others[0] in ("--help", "-h")):
        print(group, end="", file=sys.stdout if others else sys.stderr)
        return 0 if others else 2
    from launcher.cli.output import fail
    from launcher.cli.usage import unknown_command

    return fail(unknown_command(arguments), as_json="--json" in arguments)


def _version(*, as_json: bool) -> int:
    from launcher.cli.output import print_json

    if as_json:
        print_json({"version": __version__})
    else:
        print(f"evalctl {__version__}")
    return 0
