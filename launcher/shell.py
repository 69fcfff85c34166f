"""Shell: a person inside the very sandbox that a launch uses; nothing is signed, nothing is kept."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.engine import Console, ContainerTask, Interaction
from launcher.errors import InfrastructureError, MalformedError
from launcher.report.progress import Reporter
from launcher.resolve import Resolution, require_same, resolve
from launcher.runs.leftovers import reap_dead
from launcher.runs.preparation import have_image, have_service_images, stop_on_signal
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.runs.resuming import watched
from launcher.runs.services import Place, company, required_profiles
from launcher.runs.shares import Machine, observe_shares
from launcher.runs.tasks import RunPlan, container_task, labels, profiles_of
from launcher.runs.wants import wants_of
from launcher.runs.way_out import way_out
from launcher.spec.site import SitePolicy
from launcher.store.attempts import Attempt, begin_session
from launcher.store.cache import Cache
from launcher.store.home import Home

if TYPE_CHECKING:
    from launcher.engines.engine import Engine

# The filter lets nobody change a terminal's settings or hand it over: no line editing, no job control.
SHELLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("--noediting", "+m"),
    "sh": ("+m",),
    "python3": ("-c", "import code; code.interact(readfunc=input)"),
}


class ShellEdges(Struct, frozen=True):
    """What a session touches: the home, the engine, the person's terminal, and who hears of progress.

    `site` is what the people who run this machine demand of its GPUs.
    """

    home: Home
    connect: "Callable[[], Engine]"
    console: Console
    reporter: Reporter
    gpus: GpuSight = GpuSight()
    site: SitePolicy = SitePolicy()


class Session(Struct, frozen=True):
    """What a person wants to run: an empty `command` is the first shell that the image has."""

    command: tuple[str, ...] = ()
    replicate: int = 0


class Ended(Struct, frozen=True):
    """How a session went: the lock whose sandbox it was, the command that ran, and its end."""

    lock: str
    command: tuple[str, ...]
    interaction: Interaction


def shell(request: LaunchRequest, session: Session, edges: ShellEdges) -> Ended:
    """Run `session` in the sandbox of `[run]`, with the same image, mounts, profile and environment.

    No attempt is begun and no bundle made. Raises what a launch raises before its attempt begins, and
    `MalformedError` where the image has no shell and no command was given.
    """
    if session.replicate >= len(request.blueprint.run.seeds):
        raise _no_replicate(session.replicate, len(request.blueprint.run.seeds))
    edges.reporter.stage("resolving the blueprint")
    resolution = resolve(request.blueprint, Cache(edges.home.cache), request.settings, request.choices)
    if request.lock is not None:
        require_same(resolution, request.lock)
    with closing(_connected(edges)) as engine, begin_session(edges.home, resolution.lock.digest) as attempt:
        plan = _planned(request, edges, engine, (resolution, attempt))
        return _attend(session, edges, engine, plan)


def _connected(edges: ShellEdges) -> "Engine":
    edges.reporter.stage("asking the engine")
    engine = edges.connect()
    reap_dead(edges.home, lambda: engine, thorough=True)
    return engine


def _planned(
    request: LaunchRequest, edges: ShellEdges, engine: "Engine", about: tuple[Resolution, Attempt]
) -> RunPlan:
    """Return what would run, once the engine has been found able to and has the images."""
    resolution, session = about
    profile, _ = profiles_of(request)
    for each in required_profiles(request.blueprint, profile, None):
        engine.require(each)
    facts, say = engine.describe(), edges.reporter.stage
    machine = observe_shares(request, facts, edges.gpus, edges.site, say)
    say("having the image in the engine")
    image = have_image(engine, resolution)
    return RunPlan(
        resolution,
        session,
        image,
        profile,
        facts,
        edges.home.label,
        service_images=have_service_images(engine, resolution, image),
        machine=machine,
    )


def _attend(session: Session, edges: ShellEdges, engine: "Engine", plan: RunPlan) -> Ended:
    """Hold the session: let the person in, and end what is beside it afterwards."""
    task = container_task(plan, session.replicate)
    command = session.command or _shell_of(engine, plan.image, plan)
    if plan.resolution.blueprint.sandbox.secrets:
        edges.reporter.stage("without its secrets: a shell is given none")
    cancel, place = threading.Event(), Place(plan, session.replicate, "run")
    with (
        stop_on_signal(cancel, signal.SIGHUP),
        watched(plan, session.replicate, cancel) as state,
        _shared(plan.machine, place, state.cancel) as shared,
        _among_services(engine, shared.given(task), shared, edges, state.cancel) as inside,
    ):
        edges.reporter.stage(f"in the sandbox, with {command[0]}")
        edges.reporter.close()
        interaction = engine.interact(replace(inside, command=command), edges.console, state.cancel)
    return Ended(plan.resolution.lock.digest, command, interaction)


@contextmanager
def _shared(machine: Machine, place: Place, cancel: threading.Event) -> Iterator[Place]:
    """Give the containers of a phase their shares of the machine while the session lasts."""
    wants = wants_of(place.plan.resolution.blueprint, place.phase)
    with machine.lend(wants, cancel) as given:
        shares = zip((want.service for want in wants), given or (), strict=False)
        yield replace(place, shares=dict(shares))


@contextmanager
def _among_services(
    engine: "Engine", task: ContainerTask, place: Place, edges: ShellEdges, cancel: threading.Event
) -> Iterator[ContainerTask]:
    """Start what the task's container shares a namespace with; yield the task as it joins it."""
    if task.pod is None:
        yield task
        return
    names = ", ".join(service.name for service in place.services)
    edges.reporter.stage(f"starting {names}" if names else "preparing the namespace")
    with way_out(place.plan), company(engine, place, cancel) as present:
        failure, reason = present.wait_until_ready()
        if failure:
            failure, reason = present.settle(failure, reason)
            raise InfrastructureError(
                f"the session was not begun: {reason}",
                code="service-not-ready",
                hint="see its logs in the bundle of a launch",
            )
        yield replace(task, pod=present.link)


def _shell_of(engine: "Engine", image: str, plan: RunPlan) -> tuple[str, ...]:
    found = engine.default_command(image, tuple(SHELLS), labels(plan))
    if not found:
        raise MalformedError(
            "the image has no shell, and names no command of its own",
            code="no-shell",
            context=f"looked for {', '.join(SHELLS)} in its search path",
            hint="name a program that it has: `evalctl shell FILE -- PROGRAM`",
        )
    return (*found, *SHELLS.get(PurePosixPath(found[0]).name, ()))


def _no_replicate(asked: int, count: int) -> MalformedError:
    return MalformedError(
        f"there is no replicate {asked}",
        code="no-such-replicate",
        context=f"the blueprint has {count}, from 0" if count > 1 else "the blueprint has one, 0",
        hint="leave `--replicate` out",
    )
