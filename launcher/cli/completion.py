"""`evalctl completion`."""

from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.errors import MalformedError

SHELLS = ("bash", "zsh", "fish")


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help=f"One of {', '.join(SHELLS)}.")],
    as_json: Json = False,
) -> int:
    """Print a shell's completion of evalctl.

    A script that holds every command and option, so that completing starts no Python. For bash, put
    `source <(evalctl completion bash)` into ~/.bashrc; for zsh, write it to `_evalctl` in a folder of $fpath;
    for fish, to ~/.config/fish/completions/evalctl.fish. Write it again after an update.
    """
    from launcher.cli.shells.bash import bash
    from launcher.cli.shells.fish import fish
    from launcher.cli.shells.parameters import describe
    from launcher.cli.shells.zsh import zsh

    if shell not in SHELLS:
        raise MalformedError(
            f"there is no completion for `{shell}`",
            code="unknown-shell",
            context=f"there is one for {', '.join(SHELLS)}",
            hint="try `evalctl completion bash`",
        )
    script = {"bash": bash, "zsh": zsh, "fish": fish}[shell](describe())
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        print(script, end="")
    return 0
