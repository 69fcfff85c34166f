"""`evalctl plan`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.choices import Draft, Limit, read_choices
from launcher.cli.connect import EngineChoice, connect
from launcher.cli.gpus import Gpus, read_gpus
from launcher.cli.models import Models
from launcher.cli.options import BlueprintFolder, Json, LeastRuntime, Offline
from launcher.cli.output import print_json
from launcher.cli.runtimes import read_runtime
from launcher.cli.signing import read_existing_signer
from launcher.cli.site import SiteFile, read_site
from launcher.cli.targets import read_target_or_bundle
from launcher.plan import PlanEdges
from launcher.plan import plan as make_plan
from launcher.report.planned import planned
from launcher.runs.request import LaunchRequest
from launcher.runs.site import admitted
from launcher.sources.inputs import FetchSettings
from launcher.store.home import find_home

Planned = Annotated[
    str,
    typer.Argument(
        metavar="FILE|BUNDLE", help="A blueprint (TOML), a lock (JSON), or a bundle's folder or digest."
    ),
]

PlannedKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The private key that would sign; default: this home's."),
]
PlannedRerun = Annotated[
    bool, typer.Option("--rerun", help="Plan to run again even where a finished run would be returned.")
]


def plan(
    name: Planned,
    key: PlannedKey = None,
    blueprint_dir: BlueprintFolder = None,
    offline: Offline = False,
    rerun: PlannedRerun = False,
    runtime: LeastRuntime = None,
    engine: EngineChoice = None,
    site: SiteFile = None,
    gpus: Gpus = None,
    model: Models = None,
    limit: Limit = None,
    draft: Draft = False,
    as_json: Json = False,
) -> int:
    """Show exactly what would run, without running it.

    Image, code and inputs with the bytes to fetch; mounts, environment, limits and every flag of the
    sandbox as the engine would get them; the disk it needs, and what past runs took. Nothing is fetched, no
    server is asked, and an engine that does not answer is only said. What past runs took is as bundles say:
    `evalctl verify` checks them.
    """
    home = find_home()
    target, bundle = read_target_or_bundle(home, name, blueprint_dir)
    request = LaunchRequest(
        target.blueprint,
        FetchSettings(target.base, offline=offline),
        target.lock,
        rerun=rerun,
        runtime=read_runtime(runtime),
        choices=read_choices(target, model, limit, draft=draft),
    )
    policy, signer = read_site(site), read_existing_signer(home, key)
    edges = PlanEdges(home, partial(connect, engine), signer, read_gpus(gpus), policy)
    found = make_plan(admitted(request, policy), edges, bundle)
    if as_json:
        print_json(found.as_json())
    else:
        print(planned(found, str(home.root)))
    return 0
