"""The Docker Engine behind the port, through docker-py's low-level client."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from launcher.engines.docker_client import DockerClients, engine_faults
from launcher.engines.docker_containers import attach, create, final_state, kill, refuse_misfit, start
from launcher.engines.docker_containers import remove as remove_container
from launcher.engines.docker_gpus import gpu_driver, nvproxy
from launcher.engines.docker_request import OWN_FILES, container_request, pod_request, session_request
from launcher.engines.docker_session import default_command, interact
from launcher.engines.docker_stats import first_process, one_sample
from launcher.engines.docker_things import find_things, remove_thing
from launcher.engines.engine import (
    Console,
    ContainerOutcome,
    ContainerTask,
    EngineFacts,
    Interaction,
    Observer,
    Thing,
)
from launcher.engines.gpu_readings import ReadGpus, gpu_readings
from launcher.engines.guard import Guard
from launcher.engines.handover import new_orders
from launcher.engines.podman_facts import is_podman
from launcher.engines.pods import AttachedPod, Pod, PodLines
from launcher.engines.requirements import refuse_shut_files, refuse_unmet
from launcher.engines.sampling import Sampler, Watched
from launcher.engines.steps import Steps
from launcher.engines.supervision import Supervision, Transcript
from launcher.errors import EvalctlError
from launcher.spec.image import ImagePins
from launcher.spec.sandbox import MAX_OUTPUT_ENTRIES, SandboxProfile
from launcher.spec.site import EngineName
from launcher.spec.usage import Usage

if TYPE_CHECKING:
    from docker import APIClient

    from launcher.engines.attachment import Attachment
    from launcher.engines.docker_archive import LoadedImage
    from launcher.sources.layout import Layout

_Answer = TypeVar("_Answer")
RequestOf = Callable[[ContainerTask], dict[str, Any]]
_Watch = tuple[Observer, threading.Event, Steps]


class DockerEngine:
    """Runs containers on a Docker Engine of this machine; `address` is None or as DOCKER_HOST has it."""

    def __init__(self, address: str | None = None, request: RequestOf = container_request) -> None:
        """Use the engine at `address`; `request` writes what it is asked to create for a task."""
        self._request = request
        self._clients = DockerClients(address)
        self._facts: EngineFacts | None = None
        self._removals: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._sampler = Sampler()
        self._without_volumes: set[str] = set()
        self._describing = threading.Lock()

    def describe(self) -> EngineFacts:
        """Return what the engine says of itself, asked once."""
        with self._describing:
            if self._facts is None:
                version = self._clients.version
                with self._clients.lent() as client, engine_faults("describe itself"):
                    self._facts = _facts(version, client.info())
            return self._facts

    def root(self) -> Path | None:
        """Return the folder where the engine keeps images, None where it does not say."""
        with self._clients.lent() as client, engine_faults("describe itself"):
            named = client.info().get("DockerRootDir")
        return Path(named) if named else None

    def require(self, profile: SandboxProfile) -> None:
        """Raise `RequirementError` unless this engine and host can apply `profile` whole."""
        refuse_shut_files(OWN_FILES)
        refuse_unmet(self.describe(), profile)

    def find_image(self, pins: ImagePins) -> str | None:
        """Return the engine's id of an image proven to be `pins`, or None."""
        from launcher.engines.docker_archive import find_image

        with self._clients.lent() as client, engine_faults("look for an image"):
            found = find_image(client, pins)
        return self._known(found).id if found else None

    def load_image(self, layout: "Layout", pins: ImagePins) -> str:
        """Load an OCI image layout, prove it is `pins`, and return the engine's id of it."""
        from launcher.engines.docker_archive import load_image

        with self._clients.lent() as client, engine_faults("load an image"):
            return self._known(load_image(client, layout, pins)).id

    def _known(self, image: "LoadedImage") -> "LoadedImage":
        """Remember an image that declares no volume: no container of it needs to be asked for one."""
        if not image.volumes:
            self._without_volumes.add(image.id)
        return image

    @contextmanager
    def export_image(self, image: str) -> Iterator[Iterable[bytes]]:
        """Give an image's layers inside the block, as the tar that `docker save` writes."""
        with self._clients.lent() as client, engine_faults("export an image"):
            yield client.get_image(image)

    def run(self, task: ContainerTask, observer: Observer, cancel: threading.Event) -> ContainerOutcome:
        """Run one container to its end, or to its timeout or `cancel`; remove it in the background."""
        started = time.monotonic()
        client = self._clients.take()
        container: str | None = None
        try:
            steps, body = Steps(), self._request(task)
            with steps.step("create"):
                container = create(client, task.name, body)
                if task.gpus or task.image not in self._without_volumes:
                    refuse_misfit(client, container, body)
            transcript, usage = self._follow(client, container, task, (observer, cancel, steps))
            # Where the first process and the kernel have said all, its exit is not worth the wait.
            told = transcript.is_whole and usage.limits.memory_kills is not None
            state = {} if told else final_state(client, container)
            outcome = _outcome(transcript, state, usage, started)
            return replace(outcome, steps=steps.done())
        finally:
            self._retire(client, container)

    def _follow(
        self,
        client: "APIClient",
        container: str,
        task: ContainerTask,
        watch: _Watch,
    ) -> tuple[Transcript, Usage]:
        """Attach, give the init its orders, start, and read to the end; meanwhile see what is used."""
        observer, cancel, steps = watch
        entries, size = (MAX_OUTPUT_ENTRIES, task.profile.output_bytes) if task.keeps_outputs else (0, 0)
        orders = new_orders(entries=entries, size=size, secrets=task.secrets)
        supervision = Supervision(task, orders, observer)
        try:
            with closing(attach(client, container)) as connection, gpu_readings(task.gpus) as read_gpus:
                connection.send(orders.encode())
                with steps.step("start"):
                    start(client, container)
                with self._sampler.watching(self._watched(container, task, read_gpus)) as used:

                    def ended() -> None:
                        steps.command_ended()
                        used.end()

                    transcript = supervision.follow(
                        connection, cancel, lambda: kill(client, container), ended
                    )
                return transcript, used.finish()
        finally:
            supervision.close()

    def _watched(self, container: str, task: ContainerTask, read_gpus: ReadGpus) -> Watched:
        def ask(look: Callable[["APIClient", str], _Answer]) -> _Answer:
            with self._clients.lent() as client:
                return look(client, container)

        return Watched(
            container,
            process=lambda: ask(first_process),
            stats=lambda: ask(one_sample),
            read_gpus=read_gpus,
            is_native=task.profile.runtime == "runc",
        )

    def hold(self, task: ContainerTask) -> Pod:
        """Start a pod: a container of our own program alone, which holds an empty network namespace."""
        client = self._clients.take()
        container: str | None = None
        try:
            container = create(client, task.name, pod_request(task))
            link = attach(client, container)
            with _closing_on_failure(link):
                start(client, container)
        except BaseException:
            self._retire(client, container)
            raise
        return AttachedPod(
            container, link, PodLines(len(task.command)), partial(self._retire, client, container)
        )

    def default_command(
        self, image: str, names: tuple[str, ...], labels: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return the first of `names` that the image's search path has, else its own command, perhaps ()."""
        with self._clients.lent() as client, engine_faults("look into an image"):
            return default_command(client, image, names, labels)

    def interact(self, task: ContainerTask, console: Console, cancel: threading.Event) -> Interaction:
        """Run one container with `console` at its ends, until it ends or `cancel`, and remove it."""
        body = session_request(task, terminal=console.is_terminal)
        with self._clients.lent() as client:
            return interact(client, (task.name, body), console, cancel, Guard(self._clients.address))

    def find(self, labels: Mapping[str, str], thing: Thing = "container") -> Mapping[str, Mapping[str, str]]:
        """Return the things that carry all of `labels`, containers running or not: id to its labels."""
        self._settle()
        with self._clients.lent() as client, engine_faults(f"list {thing}s"):
            return find_things(client, thing, labels)

    def remove(self, ids: Iterable[str], thing: Thing = "container") -> None:
        """Remove things, containers by killing them; one that is gone already is no fault."""
        self._settle()
        with self._clients.lent() as client, engine_faults(f"remove a {thing}"):
            for each in ids:
                remove_thing(client, thing, each)

    def close(self) -> None:
        """Wait for the removals under way and drop all connections."""
        self._settle()
        self._clients.close()

    def _settle(self) -> None:
        """Wait for the removals under way, so that what is found is not about to vanish."""
        with self._lock:
            removals, self._removals = self._removals, []
        for removal in removals:
            removal.join()

    def _retire(self, client: "APIClient", container: str | None) -> None:
        """Remove a container while the caller goes on; what fails here is left to the reaper."""
        if container is None:
            self._clients.give_back(client)
            return

        def retire() -> None:
            with suppress(EvalctlError), engine_faults("remove a container"):
                remove_container(client, container)
            self._clients.give_back(client)

        thread = threading.Thread(target=retire, name=f"remove-{container[:12]}")
        thread.start()
        with self._lock:
            self._removals.append(thread)


@contextmanager
def _closing_on_failure(link: "Attachment") -> Iterator[None]:
    try:
        yield
    except BaseException:
        link.close()
        raise


def _outcome(
    transcript: Transcript, state: Mapping[str, Any], usage: Usage, started: float
) -> ContainerOutcome:
    status = transcript.status
    finished = time.monotonic()
    return ContainerOutcome(
        exit_code=None if transcript.exec_error else transcript.exit_code,
        signal=transcript.signal,
        exec_error=transcript.exec_error,
        timed_out=transcript.was_stopped_by == "timeout",
        cancelled=transcript.was_stopped_by == "cancel",
        # Older engines miss an event now and then; the kernel's own count does not.
        oom_killed=bool(state.get("OOMKilled") or usage.limits.memory_kills),
        seconds=status.seconds if status else finished - started,
        cpu_user_seconds=status.user_seconds if status else 0.0,
        cpu_system_seconds=status.system_seconds if status else 0.0,
        max_rss_bytes=status.max_rss_bytes if status else 0,
        outputs=transcript.outputs,
        engine_exit_code=state.get("ExitCode"),
        started=started,
        finished=finished,
        stdout=transcript.stdout,
        stderr=transcript.stderr,
        room=transcript.room,
        probe=transcript.probe,
        differences=transcript.differences,
        usage=usage,
    )


def _runtimes(info: Mapping[str, Any], name: EngineName) -> tuple[str, ...]:
    """Return the runtimes that can be asked for; Podman gives every container its default one."""
    if name == "podman":
        return (str(info.get("DefaultRuntime", "")),)
    return tuple(sorted(info.get("Runtimes") or {}))


def _facts(version: Mapping[str, Any], info: Mapping[str, Any]) -> EngineFacts:
    bounds = (
        ("memory", "MemoryLimit"),
        ("swap", "SwapLimit"),
        ("cpus", "CpuCfsQuota"),
        ("pids", "PidsLimit"),
        ("cpuset", "CPUSet"),
    )
    name: EngineName = "podman" if is_podman(version) else "docker"
    return EngineFacts(
        name=name,
        version=str(version["Version"]),
        api_version=str(version["ApiVersion"]),
        runtimes=_runtimes(info, name),
        default_runtime=str(info.get("DefaultRuntime", "")),
        cgroup_version=str(info.get("CgroupVersion", "")),
        cgroup_driver=str(info.get("CgroupDriver", "")),
        storage_driver=str(info.get("Driver", "")),
        security_options=tuple(info.get("SecurityOptions") or ()),
        limits=tuple(name for name, key in bounds if info.get(key)),
        cpus=int(info.get("NCPU", 0)),
        memory=int(info.get("MemTotal", 0)),
        kernel=str(info.get("KernelVersion", "")),
        operating_system=str(info.get("OperatingSystem", "")),
        architecture=str(info.get("Architecture", "")),
        components={item["Name"]: str(item["Version"]) for item in version.get("Components") or ()},
        gpu_driver=gpu_driver(info, name),
        nvproxy=nvproxy(info),
    )
