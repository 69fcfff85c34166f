"""`evalctl doctor`."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from launcher.cli.connect import EngineChoice, connect
from launcher.cli.gpus import read_gpus
from launcher.cli.options import BlueprintFolder, Json
from launcher.cli.output import print_json
from launcher.cli.signing import read_verifying_policy
from launcher.cli.site import SiteFile, read_site
from launcher.cli.targets import Target, read_target
from launcher.doctor.blueprint import CODE, blueprint_checks
from launcher.doctor.checks import machine_checks
from launcher.doctor.observe import Observed, observe
from launcher.doctor.site import site_checks
from launcher.errors import EvalctlError
from launcher.plan import PlanEdges
from launcher.plan import plan as make_plan
from launcher.report.checkup import checkup
from launcher.resolve import Choices, choices_of
from launcher.runs.leftovers import reap_dead
from launcher.runs.request import LaunchRequest
from launcher.runs.site import admitted
from launcher.sources.inputs import FetchSettings
from launcher.sources.reach import unreachable
from launcher.spec.health import HealthCheck, fail, worst
from launcher.spec.plan import Plan
from launcher.spec.site import SitePolicy
from launcher.store.home import find_home

EXIT_CODES = {"ok": 0, "warn": 0, "fail": 6}
_GIT_ANSWERS = "/info/refs?service=git-upload-pack"


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A blueprint (TOML) or a lock (JSON) that should run here."),
    ] = None,
    blueprint_dir: BlueprintFolder = None,
    engine: EngineChoice = None,
    site: SiteFile = None,
    as_json: Json = False,
) -> int:
    """See whether this machine can launch; say what to mend.

    Engine, runtimes, control groups, disks, clock, key, policy, GPUs; with FILE, whether its image, code and
    inputs are to be had and its resources are here; servers are asked, nothing is fetched. What dead
    launches left is removed. Exit code: 6 where a check fails, else 0.
    """
    home = find_home()
    target = read_target(file, blueprint_dir) if file else None
    policy, ask = read_site(site), partial(connect, engine)
    seen = observe(
        home,
        ask,
        lambda own: read_verifying_policy(own, None, None),
        lambda: len(reap_dead(home, ask, thorough=True)),
    )
    checks = [*machine_checks(seen), *site_checks(seen.engine.facts, policy)]
    if target is not None:
        checks += _of_target(PlanEdges(home, ask, None, read_gpus(None), policy), target, policy, seen)
    if as_json:
        print_json({"checks": to_builtins(checks)})
    else:
        print(checkup(checks))
    return EXIT_CODES[worst(checks)]


def _of_target(edges: PlanEdges, target: Target, site: SitePolicy, seen: Observed) -> Iterator[HealthCheck]:
    """Yield the checks of a blueprint; what resolving it refuses is one of them."""
    try:
        choices = choices_of(target.lock, target.blueprint) if target.lock else Choices()
        request = LaunchRequest(target.blueprint, FetchSettings(target.base), target.lock, choices=choices)
        plan = make_plan(admitted(request, site), edges)
    except EvalctlError as error:
        yield fail("resolve", error.in_words, error.hint or "evalctl resolve FILE")
        return
    yield from blueprint_checks(plan, seen, _silent(target, plan))


def _silent(target: Target, plan: Plan) -> Mapping[str, str]:
    """Ask the servers of what must be fetched; return why some do not answer, by name."""
    remote = {item.name: item.uri for item in target.blueprint.inputs}
    asked = {item.name: remote[item.name] for item in plan.inputs if item.status == "remote"}
    if plan.code.status == "remote":
        asked[CODE] = target.blueprint.code.git + _GIT_ANSWERS
    return {name: reason for name, uri in asked.items() if (reason := unreachable(uri))}
