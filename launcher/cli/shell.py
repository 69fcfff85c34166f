"""`evalctl shell`."""

from functools import partial
from typing import Annotated, Any

import typer

from launcher.cli.choices import Draft, Limit, read_choices
from launcher.cli.connect import EngineChoice, connect
from launcher.cli.console import OwnConsole
from launcher.cli.gpus import Gpus, read_gpus
from launcher.cli.models import Models
from launcher.cli.options import BlueprintFolder, Json, LeastRuntime, Offline, TargetFile
from launcher.cli.output import print_json, say
from launcher.cli.runtimes import read_runtime
from launcher.cli.site import SiteFile, read_site
from launcher.cli.targets import read_target
from launcher.report.progress import make_reporter
from launcher.runs.request import LaunchRequest
from launcher.runs.site import admitted
from launcher.shell import Ended, Session, ShellEdges
from launcher.shell import shell as open_shell
from launcher.sources.inputs import FetchSettings
from launcher.store.home import find_home

_NOT_STARTED = {
    126: "it is no program for this image (exit code 126)",
    127: "it is not there (exit code 127)",
}

ShellCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[-- COMMAND...]",
        help="What to run; default: the image's bash, sh or python3, else its own command.",
    ),
]
Replicate = Annotated[
    int,
    typer.Option(metavar="N", min=0, show_default=False, help="Whose seed and config.json; default: 0."),
]


def shell(
    file: TargetFile,
    command: ShellCommand = None,
    replicate: Replicate = 0,
    runtime: LeastRuntime = None,
    engine: EngineChoice = None,
    site: SiteFile = None,
    gpus: Gpus = None,
    blueprint_dir: BlueprintFolder = None,
    offline: Offline = False,
    model: Models = None,
    limit: Limit = None,
    draft: Draft = False,
    as_json: Json = False,
) -> int:
    """Open a shell in the sandbox; sign and keep nothing.

    The image, mounts, environment, limits and filters are those of a launch; what is left in /eval/out is
    gone at the end. Without a terminal COMMAND runs with what is piped in, its output passed on; with
    `--json` its output is on stderr. The blueprint's timeout does not count. Exit codes: 0 it ended (a
    COMMAND with code 0), 1 COMMAND ended otherwise, 4 it could not be run, 6 this machine cannot give it.
    """
    home, target, policy = find_home(), read_target(file, blueprint_dir), read_site(site)
    console = OwnConsole(talk=as_json)
    reporter = make_reporter(quiet=not console.is_terminal)
    request = LaunchRequest(
        target.blueprint,
        FetchSettings(target.base, offline=offline, say=reporter.stage),
        target.lock,
        runtime=read_runtime(runtime),
        choices=read_choices(target, model, limit, draft=draft),
    )
    session = Session(tuple(command or ()), replicate)
    try:
        edges = ShellEdges(home, partial(connect, engine), console, reporter, read_gpus(gpus), policy)
        ended = open_shell(admitted(request, policy), session, edges)
    finally:
        reporter.close()
    _say_end(ended)
    if as_json:
        print_json(_as_object(ended))
    return 1 if command and ended.interaction.exit_code != 0 else 0


def _say_end(ended: Ended) -> None:
    """Say on stderr how it ended, and where what it left went."""
    program, how = ended.command[0], ended.interaction
    if how.oom_killed:
        end = "was ended by the kernel: the sandbox's memory was used up"
    elif how.cancelled:
        end = "was stopped"
    elif how.exit_code in _NOT_STARTED:
        end = f"could not be started: {_NOT_STARTED[how.exit_code]}"
    else:
        end = f"ended with exit code {how.exit_code}"
    say(f"{program} {end}; /eval/out was in the container's memory and is gone with it")


def _as_object(ended: Ended) -> dict[str, Any]:
    how = ended.interaction
    return {
        "lock": ended.lock,
        "command": list(ended.command),
        "exit_code": how.exit_code,
        "out_of_memory": how.oom_killed,
        "stopped": how.cancelled,
        "seconds": round(how.seconds, 3),
    }
