"""The services of one phase of one replicate: started before its container, watched, stopped after it."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.engine import REPLICATE_LABEL, ContainerOutcome, ContainerTask, Engine, Mount
from launcher.engines.pods import Pod, PodLink
from launcher.errors import InfrastructureError, RequirementError
from launcher.runs.failures import classify, failure_of
from launcher.runs.shares import Share
from launcher.runs.tasks import (
    CONFIG,
    LOG_BYTES,
    POD,
    RunPlan,
    environment,
    hosts_file,
    labels,
    working_directory,
)
from launcher.runs.watching import LinkedEvent, Nobody
from launcher.runs.way_out import RELAY_TARGET, relay_socket
from launcher.spec.blueprint import MIB, Blueprint, Resources, Run, Sandbox, Service
from launcher.spec.predicates import Failure
from launcher.spec.sandbox import SandboxProfile, profile_for
from launcher.spec.service_rules import Address, address_of
from launcher.spec.services import Phase, beside, hosts_text, service_profile, shares_a_namespace

_GLANCE_SECONDS = 0.1
# Beyond what the phase itself may take: the launcher stops a service long before.
_SPARE_SECONDS = 600
_POD_RESOURCES = Resources(cpus=1, memory=32 * MIB, tmp=MIB, shm=MIB, output=MIB, pids=8)


class ServiceRun(Struct, frozen=True):
    """What became of one service; `ready_after` is in seconds, None where it did not become ready."""

    name: str
    phase: Phase
    outcome: ContainerOutcome | None
    ready_after: float | None = None


class Place(Struct, frozen=True):
    """One phase of one replicate of an attempt; `shares` is what its containers are given, by service.

    The share of the phase's own container has no name.
    """

    plan: RunPlan
    replicate: int
    phase: Phase
    shares: Mapping[str, Share] = {}

    @property
    def services(self) -> tuple[Service, ...]:
        """The services of the phase."""
        return beside(self.plan.resolution.blueprint, self.phase)

    def given(self, task: ContainerTask, service: str = "") -> ContainerTask:
        """Return the task of a service, or of the phase's own container, with its share of the machine."""
        share = self.shares.get(service)
        return share.given_to(task, self.plan.engine.gpu_driver) if share else task


def pod_task(place: Place) -> ContainerTask:
    """Return the task of the container that holds the phase's network namespace."""
    addresses = [address for service in place.services if (address := _address(service))]
    words = [word for each in addresses for word in (str(each.port), f"{each.host}", each.path)]
    folder = place.plan.folder(place.replicate, place.phase) / "pod"
    relay = relay_socket(place.plan)
    return ContainerTask(
        name=_name(place, "pod"),
        image=place.plan.image,
        command=("relay" if relay else "none", *words),
        environment={},
        working_directory="/",
        mounts=(Mount(relay, RELAY_TARGET),) if relay else (),
        profile=replace(profile_for(_POD_RESOURCES, Sandbox()), runtime=place.plan.profile.runtime),
        labels={**labels(place.plan), REPLICATE_LABEL: str(place.replicate)},
        timeout=0,
        outputs=folder / "out",
        logs=folder / "logs",
        log_limit=0,
    )


def service_task(place: Place, service: Service, pod: str = POD) -> ContainerTask:
    """Return the task of a service: it sees the code, its models and the configuration, no data."""
    plan, folder = place.plan, service_folder(place, service.name)
    resolution = plan.resolution
    profile = replace(service_profile(service, resolution.blueprint), runtime=plan.profile.runtime)
    asked = resolution.blueprint.run if place.phase == "run" else resolution.blueprint.score
    assert asked is not None  # noqa: S101 - a service of [score] has a [score] beside it
    return ContainerTask(
        name=_name(place, f"service-{service.name}"),
        image=plan.service_images.get(service.name, plan.image),
        command=service.command,
        environment=environment(plan, service.env, plan.seeds[place.replicate], profile.cpus),
        working_directory=working_directory(plan),
        mounts=(
            Mount(resolution.code.root, "/eval/code"),
            *(Mount(resolution.inputs[name], f"/eval/inputs/{name}") for name in service.models),
            Mount(plan.folder(place.replicate, place.phase) / CONFIG, "/eval/config.json"),
        ),
        profile=profile,
        labels={**labels(plan), REPLICATE_LABEL: str(place.replicate)},
        timeout=asked.timeout + service.ready_timeout + _SPARE_SECONDS,
        outputs=folder / "out",
        logs=folder / "logs",
        log_limit=LOG_BYTES,
        pod=PodLink(pod, hosts_file(plan, place.replicate, place.phase)),
        keeps_outputs=False,
        # It is given no secret, but who asks it may send one, and servers log what they are asked.
        masked=plan.secrets,
    )


def service_folder(place: Place, name: str) -> Path:
    """Return the folder of a service's captured streams and its discarded outputs."""
    return place.plan.folder(place.replicate, place.phase) / "services" / name


class Company:
    """The pod and the services of one phase while its container runs.

    `cancel` is what the phase's container is run with: set when the attempt is stopped or a service ends.
    """

    def __init__(self, place: Place, pod: Pod, attempt_cancel: threading.Event) -> None:
        self._place = place
        self._pod = pod
        self.cancel = LinkedEvent(attempt_cancel)
        self.link = PodLink(pod.container, hosts_file(place.plan, place.replicate, place.phase))
        self._stop = LinkedEvent(attempt_cancel)
        self._running: dict[str, Future[ContainerOutcome]] = {}
        self._began = time.monotonic()
        self._ready: dict[str, float] = {}

    def start(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        """Start every service, all at once."""
        for service in self._place.services:
            own = service_task(self._place, service, self.link.container)
            task = self._place.given(own, service.name)
            for folder in (task.outputs, task.logs):
                folder.mkdir(parents=True, mode=0o700)
            future = pool.submit(engine.run, task, Nobody(), self._stop)
            self._running[service.name] = future
            future.add_done_callback(lambda _: self.cancel.set())

    def wait_until_ready(self) -> tuple[Failure | None, str]:
        """Wait for every service that says when it is ready; return why that cannot be had any more."""
        waited_for = [service for service in self._place.services if service.ready_http]
        while len(self._ready) < len(waited_for):
            if self.cancel.is_set():
                return "interrupted", "it was stopped before its services were ready"
            for place in self._pod.answered(_GLANCE_SECONDS):
                self._ready.setdefault(waited_for[place].name, self._seconds)
            for service in waited_for:
                if service.name not in self._ready and self._seconds > service.ready_timeout:
                    said = f"`{service.ready_http}` did not answer within {service.ready_timeout} s"
                    return "timeout", f"service `{service.name}` was not ready: {said}"
        return None, ""

    def settle(self, failure: Failure | None, reason: str) -> tuple[Failure | None, str]:
        """Stop the services; return what went wrong with the phase, given what did with its container.

        A service that was gone before is the cause of what came after. One that ends by itself once nobody
        needs it any more does no harm.
        """
        early = {name for name, future in self._running.items() if future.done()}
        self._stop.set()
        for service in self._place.services:
            found, why = _judge(service, self._running.get(service.name))
            if found and (failure or service.name in early or found == "out-of-memory"):
                return found, f"service `{service.name}`: {why}"
        try:
            self._pod.answered(0)
        except InfrastructureError as error:
            return "engine", error.in_words
        return failure, reason

    @property
    def runs(self) -> tuple[ServiceRun, ...]:
        """What became of the services; waits for their end."""
        return tuple(
            ServiceRun(
                name,
                self._place.phase,
                None if future.exception() else future.result(),
                self._ready.get(name),
            )
            for name, future in self._running.items()
        )

    def dismiss(self) -> None:
        """Have every service stopped, whatever comes."""
        self._stop.set()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began


@contextmanager
def company(engine: Engine, place: Place, cancel: threading.Event) -> Iterator[Company]:
    """Hold a network namespace, start the phase's services in it, and end both with the block.

    Raises what `Engine.hold` raises.
    """
    hosts = hosts_file(place.plan, place.replicate, place.phase)
    hosts.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    hosts.write_text(hosts_text(place.plan.resolution.blueprint, place.phase))
    hosts.chmod(0o444)
    count = max(1, len(place.services))
    with engine.hold(pod_task(place)) as pod, ThreadPoolExecutor(count, "service") as pool:
        present = Company(place, pod, cancel)
        try:
            present.start(engine, pool)
            yield present
        finally:
            present.dismiss()


def required_profiles(
    blueprint: Blueprint, run: SandboxProfile, score: SandboxProfile | None
) -> tuple[SandboxProfile, ...]:
    """Return what an engine must be able to give: every container, and each phase's taken together.

    Raises `RequirementError` where the runtime gives each container a network stack of its own.
    """
    phases: tuple[tuple[Phase, SandboxProfile | None], ...] = (("run", run), ("score", score))
    found: list[SandboxProfile] = []
    for phase, own in phases:
        if own is None:
            continue
        if shares_a_namespace(blueprint, phase):
            _refuse_runtime(own.runtime)
        services = [
            replace(service_profile(service, blueprint), runtime=own.runtime)
            for service in beside(blueprint, phase)
        ]
        found += [own, *services, *([together(own, services)] if services else [])]
    return tuple(found)


def together(own: SandboxProfile, services: Sequence[SandboxProfile]) -> SandboxProfile:
    """Return a profile with the processors and the memory of a phase, its services included."""
    every = (own, *services)
    cpus, memory = sum(each.cpus for each in every), sum(each.memory for each in every)
    return replace(own, cpus=cpus, memory=memory)


def heaviest(blueprint: Blueprint, run: SandboxProfile, score: SandboxProfile | None) -> SandboxProfile:
    """Return a profile with the processors and the memory of the largest phase, its services included."""
    every = required_profiles(blueprint, run, score)
    return replace(run, cpus=max(each.cpus for each in every), memory=max(each.memory for each in every))


def _refuse_runtime(runtime: str) -> None:
    if runtime != "runc":
        raise RequirementError(
            f"under {runtime} no two containers share a loopback, which services and egress need",
            code="requirement-unmet",
            context=f"expected runc, got {runtime}: each of its sandboxes has a network stack of its own",
            hint="launch it under runc, or let the evaluation start its server itself",
        )


def _judge(service: Service, future: "Future[ContainerOutcome] | None") -> tuple[Failure | None, str]:
    """Tell from facts why a service ended that nobody had stopped."""
    if future is None:
        return None, ""
    error = future.exception()
    if isinstance(error, InfrastructureError):
        return failure_of(error, ())
    outcome = future.result()
    if outcome.cancelled and not outcome.oom_killed:
        return None, ""
    if outcome.exit_code == 0 and not outcome.oom_killed:
        return "candidate", "it exited with code 0 while it was needed"
    failure, why = classify(outcome, Run(service.command), "runc")
    ended = failure == "candidate" and not outcome.exec_error
    return failure, f"{why} while it was needed" if ended else why


def _address(service: Service) -> Address | None:
    return address_of(service.ready_http) if service.ready_http else None


def _name(place: Place, what: str) -> str:
    return f"evalctl-{place.plan.attempt.invocation_id}-{place.replicate}-{place.phase}-{what}"
